package sqlite_test

import (
	"context"
	"database/sql"
	"errors"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/wazo-edge/xivo-auth/authsvc/store"
	"github.com/wazo-edge/xivo-auth/authsvc/store/sqlite"
)

// Whatever the path holds is part of a name, not of a URI.
func TestPaths(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	for _, name := range []string{
		"plain.db", "a b", "a?b", "a?_pragma=foreign_keys(0)", "a#b", "a%b", "a%41", "a+b", "a&b=c", "é日本", "'\"", `back\slash`,
		":memory:x", "file:x", ":colon", "%", "#", "?", "deep/er/still",
	} {
		if runtime.GOOS == "windows" && strings.ContainsAny(name, `?"\:`) {
			continue
		}
		path := filepath.Join(dir, name, "db"+strings.ReplaceAll(name, "/", ""))
		f, err := openFile(path, store.Options{})
		if err != nil {
			t.Errorf("%q: %v", name, err)
			continue
		}
		_, err = f.DB.ExecContext(t.Context(), `create table t (v text)`)
		var fk int
		err = errors.Join(err, f.DB.QueryRowContext(t.Context(), `pragma foreign_keys`).Scan(&fk), f.Store.Close())
		if err != nil || fk != 1 {
			t.Errorf("%q: %v, foreign_keys %d", name, err, fk)
		}
		entries, err := os.ReadDir(filepath.Dir(path))
		if err != nil || len(entries) != 1 || entries[0].Name() != filepath.Base(path) {
			t.Errorf("%q: files %v, %v", name, entries, err)
		}
	}
}

func TestRefusedPaths(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	file := filepath.Join(dir, "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for _, path := range []string{"", ":memory:", "a\x00b"} {
		if s, err := sqlite.Open(path, store.Options{}); err == nil {
			_ = s.Close()
			t.Errorf("%q was opened", path)
		}
	}
	for _, path := range []string{dir, filepath.Join(file, "below")} {
		s, err := sqlite.Open(path, store.Options{})
		if err != nil {
			t.Fatal(err)
		}
		if err := s.Ping(t.Context()); !errors.Is(err, store.ErrUnavailable) {
			t.Errorf("%q: %v", path, err)
		}
		_ = s.Close()
	}
}

// A configuration that is only being checked must leave nothing behind.
func TestOpen_TouchesNothing(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "new", "auth.db")
	s, err := sqlite.Open(path, store.Options{})
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(filepath.Dir(path)); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("opening made %s: %v", filepath.Dir(path), err)
	}
}

// The file holds password hashes and tokens.
func TestModes(t *testing.T) {
	t.Parallel()
	if runtime.GOOS == "windows" {
		t.Skip("no modes")
	}
	path := filepath.Join(t.TempDir(), "new", "er", "test.db")
	f, err := openFile(path, store.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = f.Store.Close() }()
	if _, err := f.Store.Migrate(t.Context()); err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]os.FileMode{
		path: 0o600, path + "-wal": 0o600, path + "-shm": 0o600, filepath.Dir(path): 0o700, filepath.Dir(filepath.Dir(path)): 0o700,
	} {
		if info, err := os.Stat(name); err != nil || info.Mode().Perm() != want {
			t.Errorf("%s: %v, %v; want %v", name, info.Mode(), err, want)
		}
	}
}

func TestPragmas(t *testing.T) {
	t.Parallel()
	f := open(t, store.Options{Timeout: 1234 * time.Millisecond})
	for pragma, want := range map[string]string{
		"journal_mode": "wal", "foreign_keys": "1", "synchronous": "2", "busy_timeout": "1234", "encoding": "UTF-8",
	} {
		var got string
		if err := f.DB.QueryRowContext(t.Context(), `pragma `+pragma).Scan(&got); err != nil || got != want {
			t.Errorf("%s = %q, %v; want %s", pragma, got, err, want)
		}
	}
}

// The process belongs to others too: the driver everyone shares keeps its
// own lower().
func TestGlobalDriverUntouched(t *testing.T) {
	t.Parallel()
	const q = `select lower('É')`
	var ours, theirs string
	if err := open(t, store.Options{}).DB.QueryRowContext(t.Context(), q).Scan(&ours); err != nil || ours != "é" {
		t.Errorf("ours: %q, %v", ours, err)
	}
	db, err := sql.Open("sqlite", filepath.Join(t.TempDir(), "theirs.db"))
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = db.Close() }()
	if err := db.QueryRowContext(t.Context(), q).Scan(&theirs); err != nil || theirs != "É" {
		t.Errorf("theirs: %q, %v", theirs, err)
	}
}

func TestLower(t *testing.T) {
	t.Parallel()
	db := open(t, store.Options{}).DB
	for expr, want := range map[string]any{
		`lower(null)`: nil, `lower('')`: "", `lower('ÀÉß')`: "àéß", `lower(12)`: "12", `lower(1.5)`: "1.5", `lower(x'C389')`: "é",
	} {
		var got any
		if err := db.QueryRowContext(t.Context(), `select `+expr).Scan(&got); err != nil || got != want {
			t.Errorf("%s = %#v, %v", expr, got, err)
		}
	}
}

// A file that another process keeps locked is a database that is down for
// the moment.
func TestLockedFile(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "test.db")
	f, err := openFile(path, store.Options{Timeout: 100 * time.Millisecond})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = f.Store.Close() }()
	if _, err := f.Store.Migrate(t.Context()); err != nil {
		t.Fatal(err)
	}
	other, err := sql.Open("sqlite", path) // path has nothing a URI would mind
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = other.Close() }()
	conn, err := other.Conn(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = conn.Close() }()
	if _, err := conn.ExecContext(t.Context(), `begin exclusive`); err != nil {
		t.Fatal(err)
	}
	if _, err := f.Store.DeleteExpiredTokens(t.Context(), 1, 1); !errors.Is(err, store.ErrUnavailable) {
		t.Errorf("writing: %v", err)
	}
	if _, err := f.Store.HasUsers(t.Context()); err != nil {
		t.Errorf("reading, which WAL allows: %v", err)
	}
	if _, err := conn.ExecContext(context.Background(), `rollback`); err != nil {
		t.Fatal(err)
	}
	if _, err := f.Store.DeleteExpiredTokens(t.Context(), 1, 1); err != nil {
		t.Errorf("writing afterwards: %v", err)
	}
}

func TestBadFiles(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "test.db")
	if err := os.WriteFile(path, []byte(strings.Repeat("this is no database ", 100)), 0o600); err != nil {
		t.Fatal(err)
	}
	f, err := openFile(path, store.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = f.Store.Close() }()
	if _, err := f.Store.Migrate(t.Context()); !errors.Is(err, store.ErrSchema) {
		t.Errorf("a text file: %v", err)
	}
	if b, err := os.ReadFile(path); err != nil || !strings.HasPrefix(string(b), "this is no database") {
		t.Errorf("the text file was changed: %v", err)
	}
}

// Everything is there when the file is opened again.
func TestPersistence(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "test.db")
	var uuid string
	for round := range 2 {
		f, err := openFile(path, store.Options{})
		if err != nil {
			t.Fatal(err)
		}
		if created, err := f.Store.Migrate(t.Context()); err != nil || created != (round == 0) {
			t.Errorf("Migrate: %v, %v", created, err)
		}
		if round == 0 {
			u, err := f.Store.CreateUser(t.Context(), store.NewUser{User: store.User{Username: "u", Purpose: store.PurposeUser}})
			if err != nil {
				t.Fatal(err)
			}
			uuid = u.UUID
		} else if u, err := f.Store.UserByName(t.Context(), "U"); err != nil || u.UUID != uuid {
			t.Errorf("%+v, %v", u, err)
		}
		if err := f.Store.Close(); err != nil {
			t.Error(err)
		}
		if _, err := os.Stat(path + "-wal"); !os.IsNotExist(err) {
			t.Errorf("closing left the log behind: %v", err)
		}
	}
}

// TestTables: the tables are those of the contract, under the same names.
func TestTables(t *testing.T) {
	t.Parallel()
	f := open(t, store.Options{})
	if _, err := f.Store.Migrate(t.Context()); err != nil {
		t.Fatal(err)
	}
	pg, err := os.ReadFile("../postgres/schema.sql")
	if err != nil {
		t.Fatal(err)
	}
	table := ""
	for line := range strings.Lines(string(pg)) {
		words := strings.Fields(line)
		switch {
		case strings.HasPrefix(line, "create table "):
			table = words[2]
		case strings.HasPrefix(line, ")"):
			table = ""
		case strings.HasPrefix(line, "create index "), strings.HasPrefix(line, "create unique index "):
			name := words[2]
			if name == "index" {
				name = words[3]
			}
			has(t, f.DB, `select count(*) from sqlite_schema where type = 'index' and name = ?`, name)
		case table == "":
		case len(words) > 1 && words[0] == "constraint":
			has(t, f.DB, `select count(*) from sqlite_schema where type = 'table' and name = ? and sql like '%constraint ' || ? || ' %'`, table, words[1])
		case len(words) > 1:
			has(t, f.DB, `select count(*) from pragma_table_info(?) where name = ? and "notnull" = ?`,
				table, words[0], strings.Contains(line, " not null"))
		}
	}
}

func has(t *testing.T, db *sql.DB, query string, args ...any) {
	t.Helper()
	var n int
	if err := db.QueryRowContext(t.Context(), query, args...).Scan(&n); err != nil || n != 1 {
		t.Errorf("%q: %d, %v", args, n, err)
	}
}

// What is opened to be read is not written to, whether somebody else has it
// open or not, and is not made.
func TestOpenReadOnly(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "a?b", "auth.db")
	st, err := sqlite.Open(path, store.Options{})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := st.Migrate(t.Context()); err != nil {
		t.Fatal(err)
	}
	for _, shared := range []bool{true, false} {
		if !shared {
			if err := st.Close(); err != nil {
				t.Fatal(err)
			}
		}
		ro, err := sqlite.OpenReadOnly(path, store.Options{})
		if err != nil {
			t.Fatal(err)
		}
		if state, err := ro.State(t.Context()); err != nil || state != store.SchemaCurrent {
			t.Errorf("shared %v: %v, %v", shared, state, err)
		}
		if err := ro.InstallLog(t.Context()); err == nil {
			t.Errorf("shared %v: it was written to", shared)
		}
		if err := ro.Close(); err != nil {
			t.Error(err)
		}
	}
	if entries, err := os.ReadDir(filepath.Dir(path)); err != nil || len(entries) != 1 {
		t.Errorf("files %v, %v", entries, err)
	}
	missing, err := sqlite.OpenReadOnly(path+".missing", store.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = missing.Close() }()
	if err := missing.Ping(t.Context()); err == nil {
		t.Error("a missing file answers")
	}
	if _, err := os.Stat(path + ".missing"); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("a missing file was made: %v", err)
	}
}
