package postgres_test

import (
	"context"
	"errors"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/wazo-edge/xivo-auth/authsvc/store"
	"github.com/wazo-edge/xivo-auth/authsvc/store/postgres"
	"github.com/wazo-edge/xivo-auth/authsvc/store/sqlstore"
	"github.com/wazo-edge/xivo-auth/internal/pgtest"
)

// quick is far above what a call needs that does not wait for anything, and
// far below the timeouts of the stores it is measured on.
const quick = 5 * time.Second

func openStore(t *testing.T, dsn string, o store.Options) *sqlstore.Store {
	t.Helper()
	s, err := postgres.Open(dsn, o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	return s
}

func migrated(t *testing.T, dsn string, o store.Options) (s *sqlstore.Store, tenant string) {
	t.Helper()
	s = openStore(t, dsn, o)
	if _, err := s.Migrate(t.Context()); err != nil {
		t.Fatal(err)
	}
	tree, err := s.TenantTree(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return s, tree[0].UUID
}

func createToken(ctx context.Context, s *sqlstore.Store, tenant string) (string, error) {
	id := uuid.NewString()
	return id, s.CreateToken(ctx, store.Session{UUID: uuid.NewString(), TenantUUID: tenant}, store.Token{UUID: id, AuthID: "a"})
}

// warm opens n connections that are then idle.
func warm(t *testing.T, s *sqlstore.Store, n int) {
	t.Helper()
	for range n {
		conn, err := s.DB().Conn(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = conn.Close() }()
	}
}

// within runs f, which must not take longer than quick.
func within(t *testing.T, what string, f func() error) error {
	t.Helper()
	start := time.Now()
	err := f()
	if d := time.Since(start); d > quick {
		t.Errorf("%s took %v", what, d)
	}
	return err
}

// TestServerKilled takes a server down and up again under a store.
func TestServerKilled(t *testing.T) {
	t.Parallel()
	srv, err := pgtest.Start(t.Context())
	if errors.Is(err, pgtest.ErrMissing) {
		t.Skip(err)
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = srv.Stop() })
	s, tenant := migrated(t, srv.DSN, store.Options{MaxConns: 4, Timeout: time.Minute})
	known, err := createToken(t.Context(), s, tenant)
	if err != nil {
		t.Fatal(err)
	}
	warm(t, s, 4)

	// A call that waits for the server when it dies learns of it.
	tx, err := s.DB().BeginTx(t.Context(), nil)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := tx.ExecContext(t.Context(), `lock table auth_token`); err != nil {
		t.Fatal(err)
	}
	waiting := make(chan error)
	go func() { _, err := s.SetPassword(t.Context(), "nobody", store.NewPassword{Hash: "x"}); waiting <- err }()
	go func() { _, err := s.DeleteToken(t.Context(), known); waiting <- err }()

	if err := srv.Kill(); err != nil {
		t.Fatal(err)
	}
	for range 2 {
		// Either was done before the end, or did not find its row, or failed.
		if err := <-waiting; err == nil || !errors.Is(err, store.ErrUnavailable) && !errors.Is(err, store.ErrNotFound) {
			t.Errorf("a call in flight: %v", err)
		}
	}
	_ = tx.Rollback()
	for range 6 { // more than there were idle connections
		if err := within(t, "reading", func() error { _, err := s.Token(t.Context(), known); return err }); !errors.Is(err, store.ErrUnavailable) {
			t.Errorf("Token: %v", err)
		}
		if err := within(t, "writing", func() error { _, err := createToken(t.Context(), s, tenant); return err }); !errors.Is(err, store.ErrUnavailable) {
			t.Errorf("CreateToken: %v", err)
		}
	}
	if err := s.Ping(t.Context()); !errors.Is(err, store.ErrUnavailable) {
		t.Errorf("Ping: %v", err)
	}

	if err := srv.Restart(t.Context()); err != nil {
		t.Fatal(err)
	}
	if _, err := createToken(t.Context(), s, tenant); err != nil {
		t.Errorf("CreateToken after the restart: %v", err)
	}
	if _, err := s.Token(t.Context(), known); err != nil {
		t.Errorf("Token after the restart: %v", err)
	}
}

// TestIdleConnectionsDie ends every connection of the pool, as a restart or a
// firewall does between two calls. The next write must not pay for it.
func TestIdleConnectionsDie(t *testing.T) {
	t.Parallel()
	dsn := pgtest.DSN(t)
	s, tenant := migrated(t, dsn, store.Options{MaxConns: 4, Timeout: time.Minute})
	warm(t, s, 4)
	admin := openStore(t, dsn, store.Options{MaxConns: 1})
	if _, err := admin.DB().ExecContext(t.Context(), `select pg_terminate_backend(pid, 60000) from pg_stat_activity
where datname = current_database() and pid <> pg_backend_pid()`); err != nil {
		t.Fatal(err)
	}
	for range 4 {
		if _, err := createToken(t.Context(), s, tenant); err != nil {
			t.Errorf("CreateToken: %v", err)
		}
	}
}

// TestServerHangs: a server that takes statements and never answers must not
// hold a caller beyond his context, nor beyond the store's timeout.
func TestServerHangs(t *testing.T) {
	t.Parallel()
	p := newProxy(t, pgtest.DSN(t))
	patient, tenant := migrated(t, p.DSN, store.Options{Timeout: time.Minute})
	brief := openStore(t, p.DSN, store.Options{Timeout: 200 * time.Millisecond})
	connected := time.Now()
	for err := brief.Ping(t.Context()); err != nil; err = brief.Ping(t.Context()) {
		if time.Since(connected) > time.Minute { // a busy machine may take longer than it may, but not each time
			t.Fatal(err)
		}
	}
	p.stall()
	for name, call := range map[string]func(context.Context, *sqlstore.Store) error{
		"read":        func(ctx context.Context, s *sqlstore.Store) error { _, err := s.Token(ctx, "x"); return err },
		"write":       func(ctx context.Context, s *sqlstore.Store) error { _, err := createToken(ctx, s, tenant); return err },
		"transaction": func(ctx context.Context, s *sqlstore.Store) error { _, err := s.Migrate(ctx); return err },
		"connect": func(ctx context.Context, _ *sqlstore.Store) error {
			return openStore(t, p.DSN, store.Options{Timeout: 200 * time.Millisecond}).Ping(ctx)
		},
	} {
		ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
		err := within(t, name, func() error { return call(ctx, patient) })
		cancel()
		if !errors.Is(err, store.ErrUnavailable) || !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("%s with a deadline: %v", name, err)
		}
		err = within(t, name, func() error { return call(t.Context(), brief) })
		if !errors.Is(err, store.ErrUnavailable) {
			t.Errorf("%s without: %v", name, err)
		}
	}
	p.resume()
	if _, err := createToken(t.Context(), patient, tenant); err != nil {
		t.Errorf("CreateToken afterwards: %v", err)
	}
}

// TestSilentConnections: a network forgets all connections of a pool without a
// word, as a firewall does that was restarted. One statement is lost to that,
// and not one for each connection; nothing that was committed is.
func TestSilentConnections(t *testing.T) {
	t.Parallel()
	p := newProxy(t, pgtest.DSN(t))
	s, tenant := migrated(t, p.DSN, store.Options{MaxConns: 8, Timeout: time.Minute})
	known, err := createToken(t.Context(), s, tenant)
	if err != nil {
		t.Fatal(err)
	}
	warm(t, s, 8)
	p.forget()
	ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
	defer cancel()
	if _, err := s.Token(ctx, known); !errors.Is(err, store.ErrUnavailable) {
		t.Errorf("over a connection that is dead: %v", err)
	}
	var all sync.WaitGroup
	for range 8 { // over as many connections
		all.Go(func() {
			// With a minute's timeout, one more dead connection would be noticed.
			if err := within(t, "reading", func() error { _, err := s.Token(t.Context(), known); return err }); err != nil {
				t.Errorf("after that: %v", err)
			}
		})
	}
	all.Wait()
}

// TestAnswerLost drops the answer to a statement that was executed. A write
// repeated by database/sql would conflict with itself.
func TestAnswerLost(t *testing.T) {
	t.Parallel()
	p := newProxy(t, pgtest.DSN(t))
	s, tenant := migrated(t, p.DSN, store.Options{MaxConns: 1, Timeout: time.Minute})
	p.cutNext()
	id, err := createToken(t.Context(), s, tenant)
	if !errors.Is(err, store.ErrUnavailable) || errors.Is(err, store.ErrConflict) {
		t.Errorf("CreateToken: %v", err)
	}
	if _, err := s.Token(t.Context(), id); err != nil {
		t.Errorf("the token that was created all the same: %v", err)
	}
	p.cutNext()
	if _, err := s.Token(t.Context(), id); err != nil {
		t.Errorf("a read was not repeated: %v", err)
	}
	p.cutNext()
	if _, err := s.DeleteToken(t.Context(), id); !errors.Is(err, store.ErrUnavailable) {
		t.Errorf("DeleteToken: %v", err)
	}
}

// TestDeadlock has the Python service's order of locks, token then session,
// meet ours. Postgres ends one of the two; ours is tried again.
func TestDeadlock(t *testing.T) {
	t.Parallel()
	dsn := pgtest.DSN(t)
	// Whoever looks for a deadlock first is the victim, and everybody looks
	// once, this long after he began to wait: on any but a very slow machine
	// it is us.
	s, tenant := migrated(t, dsn+"&deadlock_timeout=1s&application_name=victim", store.Options{Timeout: time.Minute})
	other := openStore(t, dsn+"&deadlock_timeout=10s", store.Options{Timeout: time.Minute})
	id, err := createToken(t.Context(), s, tenant)
	if err != nil {
		t.Fatal(err)
	}
	tx, err := other.DB().BeginTx(t.Context(), nil)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = tx.Rollback() }()
	if _, err := tx.ExecContext(t.Context(), `select 1 from auth_token where uuid = $1 for update`, id); err != nil {
		t.Fatal(err)
	}
	deleted := make(chan error, 1)
	go func() { _, err := s.DeleteToken(t.Context(), id); deleted <- err }()
	waiters(t, other.DB(), "victim", 1)
	if _, err := tx.ExecContext(t.Context(), `select 1 from auth_session for update`); err != nil {
		t.Logf("the other side was made the victim: %v", err)
	}
	_ = tx.Commit()
	if err := <-deleted; err != nil {
		t.Errorf("DeleteToken: %v", err)
	}
}

// TestErrorTexts reads the errors of a server that refuses.
func TestErrorTexts(t *testing.T) {
	t.Parallel()
	dsn := pgtest.DSN(t)
	for name, bad := range map[string]string{
		"no such role":     strings.Replace(dsn, "postgres@", "s3cr3t-role:s3cr3t@", 1),
		"no such database": pgtest.WithDatabase(strings.Replace(dsn, "postgres@", "postgres:s3cr3t@", 1), "nowhere"),
		"nobody listens":   "postgres://u:s3cr3t@127.0.0.1:1/db?sslmode=disable",
		"no such host":     "postgres://u:s3cr3t@host.invalid/db?sslmode=disable",
		"no TLS":           strings.Replace(strings.Replace(dsn, "postgres@", "postgres:s3cr3t@", 1), "sslmode=disable", "sslmode=require", 1),
		"bad setting":      strings.Replace(dsn, "postgres@", "postgres:s3cr3t@", 1) + "&work_mem=plenty",
	} {
		err := openStore(t, bad, store.Options{Timeout: 10 * time.Second}).Ping(t.Context())
		if !errors.Is(err, store.ErrUnavailable) {
			t.Errorf("%s: %v", name, err)
		}
		if err != nil && (strings.Contains(err.Error(), ":s3cr3t") || strings.Contains(err.Error(), bad)) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// TestMigrateWithoutRights tells the operator what to run.
func TestMigrateWithoutRights(t *testing.T) {
	t.Parallel()
	dsn := pgtest.DSN(t)
	admin := openStore(t, dsn, store.Options{})
	role := "weak_" + strings.ReplaceAll(uuid.NewString(), "-", "")
	for _, stmt := range []string{`create role ` + role + ` login`, `grant create on schema public to ` + role} {
		if _, err := admin.DB().ExecContext(t.Context(), stmt); err != nil {
			t.Fatal(err)
		}
	}
	t.Cleanup(func() {
		ctx := context.Background()
		_, _ = admin.DB().ExecContext(ctx, `drop owned by `+role)
		if _, err := admin.DB().ExecContext(ctx, `drop role `+role); err != nil {
			t.Error(err)
		}
	})
	weak := openStore(t, strings.Replace(dsn, "postgres@", role+"@", 1), store.Options{})
	_, err := weak.Migrate(t.Context())
	if !errors.Is(err, store.ErrSchema) || !strings.Contains(err.Error(), `create extension "uuid-ossp"`) {
		t.Errorf("without the extension: %v", err)
	}
	if _, err := admin.DB().ExecContext(t.Context(), `create extension "uuid-ossp"`); err != nil {
		t.Fatal(err)
	}
	if created, err := weak.Migrate(t.Context()); err != nil || !created {
		t.Errorf("with it: %v, %v", created, err)
	}
}

// TestSearchPath keeps two services in two schemas of one database, with the
// extension in a third.
func TestSearchPath(t *testing.T) {
	t.Parallel()
	dsn := pgtest.DSN(t)
	admin := openStore(t, dsn, store.Options{})
	if _, err := admin.DB().ExecContext(t.Context(), `create schema one; create schema two; create schema "the extension's";
create extension "uuid-ossp" schema "the extension's"`); err != nil {
		t.Fatal(err)
	}
	var wg sync.WaitGroup
	for _, schema := range []string{"one", "two"} {
		wg.Go(func() {
			s := openStore(t, dsn+"&search_path="+schema, store.Options{Timeout: time.Minute})
			if created, err := s.Migrate(t.Context()); err != nil || !created {
				t.Errorf("Migrate in %s: %v, %v", schema, created, err)
			}
			if _, err := s.DB().ExecContext(t.Context(), `insert into auth_external_auth_type (name) values ($1)`, schema); err != nil {
				t.Errorf("the default of a uuid in %s: %v", schema, err)
			}
		})
	}
	wg.Wait()
	if state, err := admin.State(t.Context()); err != nil || state != store.SchemaEmpty {
		t.Errorf("State in public: %v, %v", state, err)
	}
}

// TestSessionSettings asks the server how it sees us.
func TestSessionSettings(t *testing.T) {
	t.Parallel()
	dsn := pgtest.DSN(t)
	for want, dsn := range map[string]string{"xivo-auth": dsn, "other": dsn + "&application_name=other"} {
		var got string
		err := openStore(t, dsn, store.Options{}).DB().QueryRowContext(t.Context(),
			`select application_name from pg_stat_activity where pid = pg_backend_pid()`).Scan(&got)
		if err != nil || got != want {
			t.Errorf("application_name %q, %v; want %q", got, err, want)
		}
	}
}

// TestLower compares lower() here with the one store/sqlite brings, over the
// alphabets names are written in.
func TestLower(t *testing.T) {
	t.Parallel()
	s := openStore(t, pgtest.DSN(t), store.Options{})
	rs, err := s.DB().QueryContext(t.Context(), `select chr(i), lower(chr(i)) from generate_series(1, 1423) i`)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = rs.Close() }()
	n := 0
	for rs.Next() {
		var r, lower string
		if err := rs.Scan(&r, &lower); err != nil {
			t.Fatal(err)
		}
		if strings.ToLower(r) != lower {
			t.Errorf("lower(%q) is %q in Postgres, %q in Go", r, lower, strings.ToLower(r))
		}
		n++
	}
	if err := rs.Err(); err != nil || n != 1423 {
		t.Errorf("%d characters, %v", n, err)
	}
}
