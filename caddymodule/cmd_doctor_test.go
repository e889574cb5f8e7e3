package caddymodule

import (
	"context"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/wazo-edge/xivo-auth/authsvc/store"
	"github.com/wazo-edge/xivo-auth/authsvc/store/sqlite"
	"github.com/wazo-edge/xivo-auth/authsvc/store/sqlstore"
)

// patient are thresholds that no slow machine reaches.
var patient = thresholds{trip: patience, news: patience, silence: patience, clock: patience, clockFail: 2 * patience, hash: patience}

func newDoctor(dsn string) *doctor {
	return &doctor{dsn: dsn, maxConns: 4, grants: 1000, worry: patient, now: time.Now}
}

// found is the finding of one check. Whatever is not right says what to do.
func (d *doctor) found(t *testing.T, check string) finding {
	t.Helper()
	for _, f := range d.findings {
		if (f.Status != doctorOK) == (f.Advice == "") || f.Detail == "" {
			t.Errorf("advice goes with trouble and nothing else: %+v", f)
		}
	}
	i := slices.IndexFunc(d.findings, func(f finding) bool { return f.Check == check })
	if i < 0 {
		t.Fatalf("%s was not checked: %v", check, d.findings)
	}
	return d.findings[i]
}

// finds compares the finding of one check.
func (d *doctor) finds(t *testing.T, check, status, detail string) {
	t.Helper()
	if f := d.found(t, check); f.Status != status || !strings.Contains(f.Detail, detail) {
		t.Errorf("%s is %s, %q; want %s with %q", check, f.Status, f.Detail, status, detail)
	}
}

// isSound checks that these were all the checks, and found nothing.
func (d *doctor) isSound(t *testing.T, checks ...string) {
	t.Helper()
	var made []string
	for _, f := range d.findings {
		made = append(made, f.Check)
		if f.Status != doctorOK {
			t.Errorf("%+v", f)
		}
	}
	if !slices.Equal(made, checks) {
		t.Errorf("checks %v, want %v", made, checks)
	}
}

// openSQLite makes a database with a schema and the feed's log.
func openSQLite(t *testing.T) (path string, st *sqlstore.Store) {
	t.Helper()
	path = filepath.Join(t.TempDir(), "auth.db")
	st, err := sqlite.Open(path, store.Options{MaxConns: 1})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = st.Close() })
	if _, err := st.Migrate(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := st.InstallLog(t.Context()); err != nil {
		t.Fatal(err)
	}
	if _, err := st.InstallIndexes(t.Context()); err != nil {
		t.Fatal(err)
	}
	return path, st
}

func execOn(t *testing.T, st *sqlstore.Store, statements ...string) {
	t.Helper()
	for _, s := range statements {
		if _, err := st.DB().ExecContext(t.Context(), s); err != nil {
			t.Fatalf("%s: %v", s, err)
		}
	}
}

// mintThree puts two valid tokens into the database, and an expired one.
func mintThree(t *testing.T, st *sqlstore.Store) {
	t.Helper()
	tree, err := st.TenantTree(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for _, lifetime := range []time.Duration{time.Hour, time.Hour, -time.Hour} {
		mintIn(t, st, store.User{UUID: "somebody", TenantUUID: tree[0].UUID}, time.Now().Add(lifetime))
	}
}

// What is wrong with an SQLite file, done to a real one.
func TestDoctor_SQLite(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name                  string
		harm                  func(t *testing.T, path string, st *sqlstore.Store, d *doctor)
		check, status, detail string
	}{
		{"a directory", func(_ *testing.T, path string, _ *sqlstore.Store, d *doctor) { d.dsn = "sqlite:" + filepath.Dir(path) }, "file", doctorFail, "is a directory"},
		{"below a file", func(_ *testing.T, path string, _ *sqlstore.Store, d *doctor) { d.dsn = "sqlite:" + path + "/x.db" }, "file", doctorFail, "not a directory"},
		{"open to others", func(t *testing.T, path string, _ *sqlstore.Store, _ *doctor) {
			if err := os.Chmod(path, 0o644); err != nil {
				t.Fatal(err)
			}
		}, "file", doctorWarn, "-rw-r--r--"},
		{"no database", func(t *testing.T, path string, _ *sqlstore.Store, d *doctor) {
			write(t, path+".txt", strings.Repeat("no database ", 1000))
			d.dsn = "sqlite:" + path + ".txt"
		}, "database", doctorFail, "not a database"},
		{"an empty one", func(t *testing.T, path string, _ *sqlstore.Store, d *doctor) {
			write(t, path+".new", "")
			d.dsn = "sqlite:" + path + ".new"
		}, "schema", doctorFail, "the database is empty"},
		{"another revision", func(t *testing.T, _ string, st *sqlstore.Store, _ *doctor) {
			execOn(t, st, `update alembic_version_auth set version_num = '2017'`)
		}, "schema", doctorFail, "found revision 2017"},
		{"without the log", func(t *testing.T, _ string, st *sqlstore.Store, _ *doctor) {
			if err := st.RemoveLog(t.Context()); err != nil {
				t.Fatal(err)
			}
		}, "feed log", doctorWarn, "not installed"},
		{"without two triggers", func(t *testing.T, _ string, st *sqlstore.Store, _ *doctor) {
			execOn(t, st, `drop trigger xivo_edge_ended`, `drop trigger xivo_edge_tenants_deleted`)
		}, "feed log", doctorFail, ": auth_token.xivo_edge_ended, auth_tenant.xivo_edge_tenants_deleted"},
		{"without an index", func(t *testing.T, _ string, st *sqlstore.Store, _ *doctor) {
			execOn(t, st, `drop index xivo_edge_token_auth`)
		}, "indexes", doctorWarn, "missing: xivo_edge_token_auth"},
		{"more tokens than fit", func(t *testing.T, _ string, st *sqlstore.Store, d *doctor) {
			mintThree(t, st)
			d.grants = 1
		}, "cache", doctorWarn, "2 tokens are valid and 1 fit"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			path, st := openSQLite(t)
			d := newDoctor("sqlite:" + path)
			c.harm(t, path, st, d)
			d.database(t.Context())
			d.finds(t, c.check, c.status, c.detail)
		})
	}
}

// It changes nothing, whether a server has the file open or not.
func TestDoctor_SQLiteUntouched(t *testing.T) {
	t.Parallel()
	path, st := openSQLite(t)
	files := func() (all string) {
		entries, err := os.ReadDir(filepath.Dir(path))
		if err != nil {
			t.Fatal(err)
		}
		for _, e := range entries {
			raw, err := os.ReadFile(filepath.Join(filepath.Dir(path), e.Name()))
			if err != nil {
				t.Fatal(err)
			}
			if strings.HasSuffix(e.Name(), "-shm") {
				raw = nil // the locks of who reads at the moment
			}
			all += fmt.Sprintf("%s %x\n", e.Name(), sha256.Sum256(raw))
		}
		return all
	}
	examine := func(what string) {
		t.Helper()
		before := files()
		d := newDoctor("sqlite:" + path)
		d.database(t.Context())
		d.isSound(t, "file", "database", "schema", "indexes", "feed log", "cache")
		if after := files(); after != before {
			t.Errorf("%s: the files were\n%sand are\n%s", what, before, after)
		}
	}
	examine("open elsewhere")
	if err := st.Close(); err != nil {
		t.Fatal(err)
	}
	examine("closed")

	d := newDoctor("sqlite:" + path + ".missing")
	before := files()
	d.database(t.Context())
	d.finds(t, "file", doctorFail, "there is no file")
	if files() != before {
		t.Error("it made what it looked for")
	}
}

func TestDoctor_Passwords(t *testing.T) {
	t.Parallel()
	d := newDoctor("")
	d.hashing()
	d.isSound(t, "passwords")
	d.findings, d.worry.hash = nil, 0
	d.hashing()
	d.finds(t, "passwords", doctorWarn, "logins a second")
}

// As people call it: what it prints, and how it ends.
func TestCLI_Doctor(t *testing.T) {
	t.Parallel()
	path, st := openSQLite(t)
	report := func(args ...string) (failed int, checks map[string]string, err error) {
		t.Helper()
		out, errOut, err := cli(t, "", append([]string{"doctor", "--format", "json", "--dsn", "sqlite:" + path}, args...)...)
		var r struct {
			Failed int       `json:"failed"`
			Checks []finding `json:"checks"`
		}
		dec := json.NewDecoder(strings.NewReader(out))
		dec.DisallowUnknownFields()
		if err := dec.Decode(&r); err != nil {
			t.Fatalf("%v in %s%s", err, out, errOut)
		}
		checks = map[string]string{}
		for _, c := range r.Checks {
			checks[c.Check] = c.Status
		}
		return r.Failed, checks, err
	}
	if failed, checks, err := report(); err != nil || failed != 0 || len(checks) != 7 || checks["schema"] != doctorOK {
		t.Errorf("%d %v %v", failed, checks, err)
	}
	execOn(t, st, `drop trigger xivo_edge_moved`)
	if failed, checks, err := report(); err == nil || err.Error() != "checks failed: 1" || failed != 1 || checks["feed log"] != doctorFail {
		t.Errorf("%d %v %v", failed, checks, err)
	}
	out, errOut, err := cli(t, "", "doctor", "--dsn", "sqlite:"+path, "--grants", "10")
	if err == nil || errOut != "" {
		t.Errorf("%v, and on the error output %q", err, errOut)
	}
	for _, line := range []string{
		"ok    file       " + path + "\n", "fail  feed log   triggers are missing",
		"\n                 -> Run xivo-auth migrate --remove-feed", "ok    cache      0 tokens are valid and 10 fit\n",
	} {
		if !strings.Contains(out, line) {
			t.Errorf("without %q:\n%s", line, out)
		}
	}
	// A warning is no failure.
	if err := st.RemoveLog(context.Background()); err != nil {
		t.Fatal(err)
	}
	if failed, checks, err := report(); err != nil || failed != 0 || checks["feed log"] != doctorWarn {
		t.Errorf("%d %v %v", failed, checks, err)
	}
	for args, want := range map[string]string{
		"--format yaml":               `--format is text or json, not "yaml"`,
		"now":                         `unknown command "now"`,
		"--dsn postgres://u:hu@h:p/d": "checks failed: 1",
	} {
		out, errOut, err := cli(t, "", append([]string{"doctor"}, strings.Fields(args)...)...)
		if err == nil || !strings.Contains(err.Error(), want) || strings.Contains(out+errOut, "hu@") {
			t.Errorf("doctor %s: %v\n%s%s", args, err, out, errOut)
		}
	}
}

// What the running server says of itself.
func TestDoctor_Server(t *testing.T) {
	n, w := newNode(t), theWorld(t)
	address := fmt.Sprintf("127.0.0.1:%d", n.admin)
	ask := func() *doctor {
		d := newDoctor("")
		d.address = address
		d.server()
		return d
	}
	ask().finds(t, "server", doctorFail, "connection refused")
	n.loadText(fmt.Sprintf("{\n admin 127.0.0.1:%d\n persist_config off\n}\n", n.admin))
	ask().finds(t, "server", doctorFail, "404")

	n.start("cache {\n grants 1234\n}\nfeed {\n poll 5ms\n}", sites)
	d := ask()
	d.isSound(t, "server", "server ready", "server feed")
	d.finds(t, "server", doctorOK, "nobody has asked")
	d.finds(t, "server feed", doctorOK, "by poll; lost 0 times before")
	if d.grants != 1234 || d.feed != "poll" {
		t.Errorf("grants %d, feed %q", d.grants, d.feed)
	}
	n.warm(n.mint(w.alice, "demo.read"))
	ask().finds(t, "server", doctorOK, "% of the questions about tokens")

	st := openDB(t, n.db)
	if err := st.RemoveLog(t.Context()); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the feed is lost", func() bool { return ask().found(t, "server feed").Status == doctorFail })
	ask().finds(t, "server feed", doctorFail, "lost since ")
	// The last probe holds for a second.
	eventually(t, "the server is not ready", func() bool { return ask().found(t, "server ready").Status == doctorFail })
	ask().finds(t, "server ready", doctorFail, "feed")

	n.start("feed off\ncache {\n max_age 1m\n}", sites)
	if d = ask(); d.feed != feedOff {
		t.Errorf("feed %q", d.feed)
	}
	d.finds(t, "server feed", doctorWarn, "noticed within 1m0s")

	// Never heard, since it was down from the start.
	n.switches().down.Store(true)
	db := filepath.Join(n.dir, "never.db")
	probeSwitches(db).down.Store(true)
	if err := n.load("store probe "+db, sites); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the feed waits", func() bool { return strings.HasPrefix(ask().found(t, "server feed").Detail, "it was never heard: ") })
	ask().finds(t, "server ready", doctorFail, "")
}
