package pgtest_test

import (
	"context"
	"database/sql"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/wazo-edge/xivo-auth/internal/pgtest"
)

func connect(t testing.TB, dsn string) *sql.DB {
	t.Helper()
	db, err := sql.Open("postgres", dsn)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = db.Close() })
	return db
}

func query(t testing.TB, db *sql.DB, q string) string {
	t.Helper()
	var v string
	if err := db.QueryRowContext(t.Context(), q).Scan(&v); err != nil {
		t.Fatalf("%s: %v", q, err)
	}
	return v
}

func TestDSN(t *testing.T) {
	t.Parallel()
	db := connect(t, pgtest.DSN(t))
	if n := query(t, db, `select count(*) from pg_tables where schemaname not in ('pg_catalog', 'information_schema')`); n != "0" {
		t.Errorf("%s tables in a new database", n)
	}
	if low := query(t, db, `select lower('ÉLODIE Ж Ω')`); low != "élodie ж ω" {
		t.Errorf("lower() does not fold Unicode: %q", low)
	}
	if id := query(t, db, `create extension "uuid-ossp"; select uuid_generate_v4()::text`); len(id) != 36 {
		t.Errorf("uuid_generate_v4() = %q", id)
	}
	if enc := query(t, db, `show server_encoding`); enc != "UTF8" {
		t.Errorf("encoding %s", enc)
	}
}

// A database is one test's own and goes with it, connections to it or not.
func TestDSNIsDropped(t *testing.T) {
	t.Parallel()
	var dsn string
	t.Run("inner", func(t *testing.T) {
		dsn = pgtest.DSN(t)
		db, err := sql.Open("postgres", dsn)
		if err != nil {
			t.Fatal(err)
		}
		if other := pgtest.DSN(t); other == dsn {
			t.Error("two tests share a database")
		}
		query(t, db, `select 'a connection that stays open'`)
	})
	if err := connect(t, dsn).PingContext(t.Context()); err == nil {
		t.Error("the database outlived its test")
	}
}

func TestWithDatabase(t *testing.T) {
	t.Parallel()
	for dsn, want := range map[string]string{
		"postgres://u:p@h:1/d?sslmode=disable": "postgres://u:p@h:1/n?sslmode=disable",
		"postgresql://h":                       "postgresql://h/n",
		"host=h dbname=d":                      "host=h dbname=d dbname=n",
	} {
		if got := pgtest.WithDatabase(dsn, "n"); got != want {
			t.Errorf("WithDatabase(%q) = %q", dsn, got)
		}
	}
}

func start(t testing.TB) *pgtest.Server {
	t.Helper()
	srv, err := pgtest.Start(t.Context())
	if errors.Is(err, pgtest.ErrMissing) {
		t.Skip(err)
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := srv.Stop(); err != nil {
			t.Error(err)
		}
	})
	return srv
}

func TestServer(t *testing.T) {
	t.Parallel()
	srv := start(t)
	dsn := srv.DSN
	db := connect(t, dsn)
	query(t, db, `create table kept (v text); insert into kept values ('committed'); select v from kept`)
	dir := query(t, db, `select setting from pg_settings where name = 'data_directory'`)

	for name, end := range map[string]func() error{"Kill": srv.Kill, "Shutdown": srv.Shutdown, "Crash": srv.Crash} {
		for range 2 { // ending what is down does nothing
			if err := end(); err != nil {
				t.Fatal(name, err)
			}
		}
		if err := connect(t, dsn).PingContext(t.Context()); err == nil {
			t.Errorf("after %s the server answers", name)
		}
		for range 2 { // restarting what is up kills it first
			if err := srv.Restart(t.Context()); err != nil {
				t.Fatal(name, err)
			}
		}
		if srv.DSN != dsn {
			t.Errorf("%s: the DSN changed to %s", name, srv.DSN)
		}
		if v := query(t, connect(t, dsn), `select v from kept`); v != "committed" {
			t.Errorf("%s: kept %q", name, v)
		}
	}
	for range 2 {
		if err := srv.Stop(); err != nil {
			t.Error(err)
		}
	}
	if _, err := os.Stat(dir); !os.IsNotExist(err) {
		t.Errorf("%s stayed: %v", dir, err)
	}
}

func TestStartCancelled(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	srv, err := pgtest.Start(ctx)
	if err == nil {
		_ = srv.Stop()
		t.Error("Start ignored its context")
	}
}

// TestMain also serves as the program that leakTest kills.
func TestMain(m *testing.M) {
	if os.Getenv("PGTEST_LEAK") != "" {
		srv, err := pgtest.Start(context.Background())
		if err != nil {
			_, _ = os.Stdout.WriteString("error: " + err.Error() + "\n")
			os.Exit(1)
		}
		db, err := sql.Open("postgres", srv.DSN)
		if err != nil {
			os.Exit(1)
		}
		var dir string
		_ = db.QueryRow(`select setting from pg_settings where name = 'data_directory'`).Scan(&dir)
		_, _ = os.Stdout.WriteString(filepath.Dir(dir) + "\n")
		if strings.HasPrefix(os.Getenv("PGTEST_LEAK"), "panic") {
			panic("as told")
		}
		select {} // until killed
	}
	os.Exit(m.Run())
}
