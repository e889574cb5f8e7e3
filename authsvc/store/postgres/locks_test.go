package postgres_test

import (
	"context"
	"database/sql"
	"errors"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/wazo-edge/xivo-auth/authsvc/store"
	"github.com/wazo-edge/xivo-auth/authsvc/store/sqlstore"
	"github.com/wazo-edge/xivo-auth/internal/pgtest"
)

// waiters returns when n sessions named app wait for a lock.
func waiters(t *testing.T, db *sql.DB, app string, n int) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	for waiting := -1; waiting < n; {
		if err := db.QueryRowContext(ctx, `select count(*) from pg_stat_activity
where datname = current_database() and application_name = $1 and wait_event_type = 'Lock'`, app).Scan(&waiting); err != nil {
			t.Fatal(err)
		}
	}
}

// lockFor runs a locking query in a transaction that release ends.
func lockFor(t *testing.T, s *sqlstore.Store, query string, args ...any) (release func()) {
	t.Helper()
	tx, err := s.DB().BeginTx(t.Context(), nil)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = tx.Rollback() })
	if _, err := tx.ExecContext(t.Context(), query, args...); err != nil {
		t.Fatal(err)
	}
	return func() { _ = tx.Rollback() }
}

// TestSharedSessionRace makes two deletes begin before either is done, so
// that each sees the token that the other deletes.
func TestSharedSessionRace(t *testing.T) {
	t.Parallel()
	dsn := pgtest.DSN(t)
	s, tenant := migrated(t, dsn+"&application_name=deleter", store.Options{Timeout: time.Minute})
	other := openStore(t, dsn, store.Options{Timeout: time.Minute})
	first, err := createToken(t.Context(), s, tenant)
	if err != nil {
		t.Fatal(err)
	}
	second := uuid.NewString()
	if _, err := s.DB().ExecContext(t.Context(), `insert into auth_token (uuid, auth_id, session_uuid)
select $1, 'a', session_uuid from auth_token where uuid = $2`, second, first); err != nil {
		t.Fatal(err)
	}
	release := lockFor(t, other, `select 1 from auth_session for update`)
	ended := make(chan bool)
	for _, token := range []string{first, second} {
		go func() {
			e, err := s.DeleteToken(t.Context(), token)
			if err != nil {
				t.Errorf("DeleteToken: %v", err)
			}
			ended <- e.SessionEnded
		}()
	}
	waiters(t, other.DB(), "deleter", 2)
	release()
	if a, b := <-ended, <-ended; a == b {
		t.Errorf("the session's end was reported by both (%v) or none", a)
	}
	var left int
	if err := s.DB().QueryRowContext(t.Context(), `select count(*) from auth_session`).Scan(&left); err != nil || left != 0 {
		t.Errorf("%d sessions left, %v", left, err)
	}
}

// TestDeleteWaitsItsTurn: of two deletes of a token that begin at once, the
// second waits, and finds nothing.
func TestDeleteWaitsItsTurn(t *testing.T) {
	t.Parallel()
	dsn := pgtest.DSN(t)
	s, tenant := migrated(t, dsn+"&application_name=deleter", store.Options{Timeout: time.Minute})
	other := openStore(t, dsn, store.Options{Timeout: time.Minute})
	id, err := createToken(t.Context(), s, tenant)
	if err != nil {
		t.Fatal(err)
	}
	release := lockFor(t, other, `select 1 from auth_session for update`)
	errs := make(chan error)
	for range 2 {
		go func() { _, err := s.DeleteToken(t.Context(), id); errs <- err }()
	}
	waiters(t, other.DB(), "deleter", 2)
	release()
	a, b := <-errs, <-errs
	if a != nil {
		a, b = b, a
	}
	if a != nil || !errors.Is(b, store.ErrNotFound) {
		t.Errorf("%v and %v", a, b)
	}
}

// TestPurgeDoesNotWait: rows that someone holds are left to him.
func TestPurgeDoesNotWait(t *testing.T) {
	t.Parallel()
	dsn := pgtest.DSN(t)
	s, tenant := migrated(t, dsn, store.Options{Timeout: time.Minute})
	other := openStore(t, dsn, store.Options{Timeout: time.Minute})
	var ids []string
	for range 3 {
		id, err := createToken(t.Context(), s, tenant)
		if err != nil {
			t.Fatal(err)
		}
		ids = append(ids, id)
	}
	byToken := lockFor(t, other, `select 1 from auth_token where uuid = $1 for update`, ids[0])
	bySession := lockFor(t, other, `select 1 from auth_session s
where uuid = (select session_uuid from auth_token where uuid = $1) for update`, ids[1])
	if err := within(t, "purging", func() error {
		ended, err := s.DeleteExpiredTokens(t.Context(), 1, 10)
		if len(ended) != 1 || ended[0].UUID != ids[2] {
			t.Errorf("purged %+v", ended)
		}
		return err
	}); err != nil {
		t.Error(err)
	}
	byToken()
	bySession()
	ended, err := s.DeleteExpiredTokens(t.Context(), 1, 10)
	if err != nil || len(ended) != 2 {
		t.Errorf("later: %+v, %v", ended, err)
	}
}
