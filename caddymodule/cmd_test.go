package caddymodule

import (
	"bytes"
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	caddycmd "github.com/caddyserver/caddy/v2/cmd"
	"github.com/google/uuid"
	"github.com/spf13/cobra"

	"github.com/wazo-edge/xivo-auth/authsvc/store"
	"github.com/wazo-edge/xivo-auth/authsvc/store/postgres"
	"github.com/wazo-edge/xivo-auth/authsvc/store/sqlite"
	"github.com/wazo-edge/xivo-auth/internal/pgtest"
)

// cli runs a command as somebody's `caddy xivo-auth ...` does.
func cli(t *testing.T, stdin string, args ...string) (out, errOut string, err error) {
	t.Helper()
	umbrella, ok := caddycmd.Commands()["xivo-auth"]
	if !ok {
		t.Fatal("Caddy does not know the command xivo-auth")
	}
	cmd := &cobra.Command{Use: "xivo-auth"}
	umbrella.CobraFunc(cmd)
	var o, e bytes.Buffer
	cmd.SetIn(strings.NewReader(stdin))
	cmd.SetOut(&o)
	cmd.SetErr(&e)
	cmd.SetArgs(args)
	err = cmd.ExecuteContext(t.Context())
	return o.String(), e.String(), err
}

func TestCLI_SQLite(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "dir", "auth.db")
	testCLI(t, "sqlite:"+path, true, func() (store.Store, error) { return sqlite.Open(path, store.Options{MaxConns: 1}) })
}

func TestCLI_Postgres(t *testing.T) {
	t.Parallel()
	dsn := pgtest.DSN(t)
	testCLI(t, dsn, false, func() (store.Store, error) { return postgres.Open(dsn, store.Options{MaxConns: 1}) })
}

// testCLI goes through the life of a database with the commands alone; mistakes
// are the same on every database.
func testCLI(t *testing.T, dsn string, mistakes bool, open func() (store.Store, error)) {
	type call struct {
		stdin, args string
		out         string // a regular expression for all of it
		err         string // part of the error, "" for none
	}
	const id = `[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}`
	passwordFile := filepath.Join(t.TempDir(), "password")
	write(t, passwordFile, "from a file \r\n")
	write(t, passwordFile+".empty", "\n")
	write(t, passwordFile+".long", strings.Repeat("x", maxPassword+1))
	run := func(calls ...call) {
		t.Helper()
		for _, c := range calls {
			args := strings.Fields(c.args)
			for i := range args {
				args[i] = strings.ReplaceAll(args[i], "<file>", passwordFile)
			}
			out, errOut, err := cli(t, c.stdin, append(args, "--dsn", dsn)...)
			if !regexp.MustCompile(`^(?:` + c.out + `)$`).MatchString(out) {
				t.Errorf("%s printed\n%s\nwant %s", c.args, out, c.out)
			}
			switch {
			case c.err == "" && err != nil:
				t.Errorf("%s: %v", c.args, err)
			case c.err != "" && (err == nil || !strings.Contains(err.Error(), c.err)):
				t.Errorf("%s: error %v, want %q", c.args, err, c.err)
			case c.err != "" && strings.Contains(errOut, "Usage:"):
				t.Errorf("%s: the mistake drowns in the usage:\n%s", c.args, errOut)
			}
		}
	}
	mistaken := []call{
		{args: "bootstrap root", err: `login already used: "root" has another password`},
		{args: "user add CAROL", err: `login already used: "CAROL"`},
		{args: "user add dave --email Carol@Example.com", err: `login already used: "Carol@Example.com"`},
		{args: "user add dave --purpose person", err: `invalid purpose "person": it is one of user, internal, external_api`},
		{args: "user add da:ve", err: "a login cannot hold a colon"},
		{args: "user add dave --policy nothing", err: "not found"},
		{args: "user add dave --password-file <file>.missing", err: "reading the password: open "},
		{args: "user add dave --password-file <file>.empty", err: "the password is empty"},
		{args: "user add dave --password-file <file>.long", err: "the password is longer than 65536 bytes"},
		{args: "user passwd nobody", err: `there is no user "nobody"`},
	}
	run(
		call{args: "user list", err: "the database is empty: run `xivo-auth migrate` first, or check --dsn"},
		call{args: "bootstrap", err: "the database is empty"},
		call{args: "migrate --no-feed --no-indexes", out: "created the schema\n"},
		call{args: "migrate --remove-feed", out: "the revocation feed is removed\n"}, // which was not there
		call{args: "migrate", out: "the schema is up to date\nthe revocation feed is installed\nthe indexes are there\n"},
		call{args: "migrate", out: "the schema is up to date\nthe revocation feed is installed\nthe indexes are there\n"},
		call{args: "migrate --remove-feed", out: "the revocation feed is removed\n"},
		call{args: "migrate --no-feed --no-indexes", out: "the schema is up to date\n"},
		call{args: "user list", out: "USERNAME +UUID +PURPOSE +ENABLED +TENANT\n"},
		call{args: "user list --json", out: ""},

		call{args: "bootstrap root --password-file <file>", out: "created root\n"},
		call{args: "bootstrap root --password-file <file>", out: "root exists\n"},
		call{args: "user add carol --password-file - --email carol@example.com --firstname Carol --lastname King --policy wazo_default_master_user_policy",
			stdin: "no line end", out: "created carol " + id + "\n"},
		call{args: "user add {env.NAME} --purpose external_api", out: `created \{env\.NAME\} ` + id + "\npassword: [A-Z2-7]{26}\n"},
	)
	if mistakes {
		run(mistaken...)
	}
	st, err := open()
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = st.Close() }()
	if _, err := st.LogEnd(t.Context()); !errors.Is(err, store.ErrSchema) {
		t.Errorf("the feed's log was removed: %v", err)
	}
	run(call{args: "migrate", out: "the schema is up to date\nthe revocation feed is installed\nthe indexes are there\n"})
	if _, err := st.LogEnd(t.Context()); err != nil {
		t.Errorf("the feed's log was installed: %v", err)
	}
	carol, err := st.UserByName(t.Context(), "carol@example.com")
	if err != nil || carol.FirstName == nil || *carol.FirstName != "Carol" || carol.LastName == nil || *carol.LastName != "King" || carol.Purpose != "user" || !carol.Enabled {
		t.Errorf("carol is %+v, %v", carol, err)
	}
	if acl, err := st.UserAccesses(t.Context(), carol.UUID, ""); err != nil || !slices.Equal(acl, []string{"#"}) {
		t.Errorf("carol may %v, %v", acl, err)
	}
	root, err := st.UserByName(t.Context(), "root")
	if err != nil || root.Purpose != "internal" || root.Method != store.MethodNative {
		t.Errorf("root is %+v, %v", root, err)
	}
	svc := usersOn(st)
	check := func(login, password string) {
		t.Helper()
		c, err := st.CredentialsByLogin(t.Context(), login)
		if err != nil {
			t.Fatal(err)
		}
		if ok, err := svc.Checker.Check(t.Context(), password, c.PasswordHash, c.PasswordSalt); err != nil || !ok {
			t.Errorf("the password of %s is not %q (%v)", login, password, err)
		}
	}
	check("root", "from a file ") // one line end is not part of it, a space is
	token := mintIn(t, st, carol, time.Now().Add(time.Hour), "#")
	run(call{args: "user passwd CAROL@example.com --password-file -", stdin: "new\n\n", out: "changed the password of CAROL@example.com; tokens ended: 1\n"})
	if _, err := st.Token(t.Context(), token); err == nil {
		t.Error("her token survived")
	}
	check("carol", "new\n")

	table, _, err := cli(t, "", "user", "list", "--dsn", dsn)
	if err != nil {
		t.Fatal(err)
	}
	lines := strings.Split(strings.TrimSuffix(table, "\n"), "\n")
	asJSON, _, err := cli(t, "", "user", "list", "--json", "--dsn", dsn)
	if err != nil {
		t.Fatal(err)
	}
	objects := strings.Split(strings.TrimSuffix(asJSON, "\n"), "\n")
	if len(lines) != 4 || len(objects) != 3 {
		t.Fatalf("table\n%s\njson\n%s", table, asJSON)
	}
	for i, raw := range objects {
		var u listedUser
		dec := json.NewDecoder(strings.NewReader(raw))
		dec.DisallowUnknownFields()
		if err := dec.Decode(&u); err != nil {
			t.Fatal(err)
		}
		want := []string{u.Username, u.UUID, u.Purpose, "true", u.TenantUUID}
		if got := strings.Fields(lines[i+1]); !slices.Equal(got, want) || uuid.Validate(u.UUID) != nil || u.TenantUUID != root.TenantUUID || !u.Enabled {
			t.Errorf("%v in the table, %s in JSON", got, raw)
		}
	}
	if !strings.Contains(asJSON, `{env.NAME}`) {
		t.Errorf("a login was expanded: %s", asJSON)
	}
}

// The commands work on the database that the environment names.
func TestCLI_Environment(t *testing.T) {
	dir := t.TempDir()
	t.Setenv("XDG_DATA_HOME", dir)
	if out, _, err := cli(t, "", "migrate"); err != nil || out != "created the schema\nthe revocation feed is installed\nthe indexes are there\n" {
		t.Errorf("%q %v", out, err)
	}
	if _, err := os.Stat(filepath.Join(dir, "caddy", "xivo-auth", "auth.db")); err != nil {
		t.Error(err)
	}
	other := filepath.Join(dir, "other.db")
	t.Setenv("XIVO_AUTH_DSN", "sqlite:"+other)
	t.Setenv("XIVO_AUTH_BOOTSTRAP_USER", "chief")
	t.Setenv("XIVO_AUTH_BOOTSTRAP_PASSWORD", "of the environment")
	if out, _, err := cli(t, "", "migrate"); err != nil || out != "created the schema\nthe revocation feed is installed\nthe indexes are there\n" {
		t.Errorf("%q %v", out, err)
	}
	for _, want := range []string{"created chief\n", "chief exists\n"} {
		if out, _, err := cli(t, "", "bootstrap"); err != nil || out != want {
			t.Errorf("%q %v, want %q", out, err, want)
		}
	}
	if list, err := openDB(t, other).ListUsers(t.Context()); err != nil || len(list) != 1 || list[0].Username != "chief" {
		t.Errorf("%+v %v", list, err)
	}
}

func TestCLI_Mistakes(t *testing.T) {
	for _, c := range []struct{ args, want string }{
		{"migrate now", `unknown command "now"`},
		{"migrate --no-feed --remove-feed", "none of the others can be"},
		{"bootstrap a b", "accepts at most 1 arg(s), received 2"},
		{"user add", "accepts 1 arg(s), received 0"},
		{"user passwd a b", "accepts 1 arg(s), received 2"},
		{"user list alice", `unknown command "alice"`},
		{"user list --jsn", "unknown flag: --jsn"},
		{"user add a --password secret", "unknown flag: --password"},
		{"migrate --dsn sqlite:", `sqlite: "" is no file; give a path`},
		{"migrate --dsn postgres://u:hunter2@h:port/d", "the connection string cannot be understood"},
		{"migrate --dsn postgres://u:hunter2@127.0.0.1:1/d?sslmode=disable", "connection refused"},
	} {
		_, errOut, err := cli(t, "", strings.Fields(c.args)...)
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: error %v, want %q", c.args, err, c.want)
		}
		if strings.Contains(errOut, "hunter2") {
			t.Errorf("%s tells the password: %s", c.args, errOut)
		}
	}
}

func TestCLI_ACLMatch(t *testing.T) {
	out, _, err := cli(t, `{"acl":["confd.users.#"],"required":"confd.users.read"}
{"acl":["confd.users.#"],"required":"auth.users.read"}
{"acl":["confd.users.me.read"],"required":"confd.users.1234.read","auth_id":"1234"}
{"acl":[]}
`, "acl", "match")
	if err != nil || out != "allow\ndeny\nallow\nallow\n" {
		t.Errorf("%q %v", out, err)
	}
	if _, errOut, err := cli(t, "{", "acl", "match"); err == nil || strings.Contains(errOut, "Usage:") {
		t.Errorf("%v\n%s", err, errOut)
	}
}

// The binary has at the top what everybody else's Caddy has below xivo-auth.
func TestCLI_Commands(t *testing.T) {
	umbrella := &cobra.Command{Use: "xivo-auth"}
	caddycmd.Commands()["xivo-auth"].CobraFunc(umbrella)
	var names []string
	for _, sub := range umbrella.Commands() {
		names = append(names, sub.Name())
		if sub.Short == "" || sub.Long == "" || strings.HasPrefix(sub.Long, "\n") {
			t.Errorf("%s is not documented", sub.Name())
		}
	}
	if want := []string{"acl", "bootstrap", "doctor", "explain", "migrate", "routes", "user"}; !slices.Equal(names, want) {
		t.Errorf("commands %v, want %v", names, want)
	}
	for _, c := range Commands() {
		if _, taken := caddycmd.Commands()[c.Name]; taken {
			t.Errorf("%s is one of Caddy's own", c.Name)
		}
		if c.Func != nil || c.CobraFunc == nil {
			t.Errorf("%s cannot be run", c.Name)
		}
	}
}

func write(t testing.TB, path, text string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

// TestCLI_MigrateFeed: the log of revocations comes and goes.
func TestCLI_MigrateFeed(t *testing.T) {
	path := filepath.Join(t.TempDir(), "auth.db")
	dsn := "sqlite:" + path
	installed := func() bool {
		st := openDB(t, path)
		_, err := st.LogEnd(t.Context())
		return err == nil
	}
	for _, c := range []struct {
		flag, says string
		want       bool
	}{
		{"--no-feed", "created the schema", false},
		{"", "up to date", true},
		{"--no-feed", "up to date", true}, // which is not to remove
		{"--remove-feed", "removed", false},
		{"--remove-feed", "removed", false},
		{"", "up to date", true},
	} {
		args := []string{"migrate", "--dsn", dsn}
		if c.flag != "" {
			args = append(args, c.flag)
		}
		out, _, err := cli(t, "", args...)
		if err != nil || !strings.Contains(out, c.says) || installed() != c.want {
			t.Errorf("migrate %s: %q %v, installed %v", c.flag, out, err, installed())
		}
	}
	for _, flags := range [][]string{{"--no-feed", "--remove-feed"}, {"--no-indexes", "--remove-feed"}, {"--no-feed", "--remove-indexes"}, {"--no-indexes", "--remove-indexes"}} {
		if _, _, err := cli(t, "", append([]string{"migrate", "--dsn", dsn}, flags...)...); err == nil {
			t.Errorf("%v at once", flags)
		}
	}
}

// TestCLI_MigrateIndexes: so do the indexes.
func TestCLI_MigrateIndexes(t *testing.T) {
	path := filepath.Join(t.TempDir(), "auth.db")
	for _, c := range []struct {
		flags   []string
		says    string
		missing bool
	}{
		{[]string{"--no-indexes"}, "created the schema\nthe revocation feed is installed\n", true},
		{nil, "the indexes are there\n", false},
		{[]string{"--no-indexes", "--no-feed"}, "the schema is up to date\n", false}, // which is not to remove
		{[]string{"--remove-indexes", "--remove-feed"}, "the revocation feed is removed\nthe indexes are removed\n", true},
		{[]string{"--remove-indexes"}, "the indexes are removed\n", true},
	} {
		out, _, err := cli(t, "", append([]string{"migrate", "--dsn", "sqlite:" + path}, c.flags...)...)
		missing, merr := openDB(t, path).MissingIndexes(t.Context())
		if err != nil || merr != nil || !strings.HasSuffix(out, c.says) || (len(missing) > 0) != c.missing {
			t.Errorf("migrate %v: %q %v, missing %v %v", c.flags, out, err, missing, merr)
		}
	}
}
