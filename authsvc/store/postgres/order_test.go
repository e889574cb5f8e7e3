package postgres_test

import (
	"context"
	"database/sql"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/wazo-edge/xivo-auth/authsvc/store"
	"github.com/wazo-edge/xivo-auth/internal/pgtest"
)

// patientDSN is pgtest.DSN with a server that does not resolve deadlocks while
// the test runs, so that one shows as a call that fails and not as a slow one.
func patientDSN(t *testing.T) string {
	t.Helper()
	dsn := pgtest.DSN(t)
	var super bool
	if err := openStore(t, dsn, store.Options{}).DB().QueryRowContext(t.Context(), `select current_setting('is_superuser') = 'on'`).Scan(&super); err != nil {
		t.Fatal(err)
	}
	if !super {
		t.Skip("setting deadlock_timeout takes a superuser")
	}
	return dsn + "&deadlock_timeout=3600000"
}

// begin starts a transaction beside the store's.
func begin(t *testing.T, db *sql.DB) *sql.Tx {
	t.Helper()
	tx, err := db.BeginTx(t.Context(), nil)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = tx.Rollback() })
	return tx
}

func execTx(t *testing.T, tx *sql.Tx, query string, args ...any) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), quick)
	defer cancel()
	if _, err := tx.ExecContext(ctx, query, args...); err != nil {
		t.Fatalf("%s: %v", query, err)
	}
}

// TestSessionsBeforeTokens: whoever ends a user's sessions takes them before
// their tokens, as a logout does, and so never waits for one that waits for
// him.
func TestSessionsBeforeTokens(t *testing.T) {
	t.Parallel()
	for name, end := range map[string]func(context.Context, *scene) error{
		"DeleteUser": func(ctx context.Context, s *scene) error { _, err := s.DeleteUser(ctx, s.user.UUID); return err },
		"SetUserEnabled": func(ctx context.Context, s *scene) error {
			_, err := s.SetUserEnabled(ctx, s.user.UUID, false)
			return err
		},
		"IssueOfflineToken": func(ctx context.Context, s *scene) error {
			_, err := s.IssueOfflineToken(ctx, s.login(), s.offline("client", true))
			return err
		},
		"DeleteSession": func(ctx context.Context, s *scene) error {
			var session string
			if err := s.DB().QueryRowContext(ctx, `select uuid from auth_session`).Scan(&session); err != nil {
				return err
			}
			_, err := s.DeleteSession(ctx, session, s.tenant)
			return err
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dsn := patientDSN(t)
			s := sceneAt(t, pgtest.Count(t, dsn+"&application_name=ender"))
			other := openStore(t, dsn, store.Options{Timeout: time.Minute})
			logout := begin(t, other.DB())
			execTx(t, logout, `select 1 from auth_session for update`)
			done := make(chan error)
			go func() { done <- end(t.Context(), s) }()
			waiters(t, other.DB(), "ender", 1)
			execTx(t, logout, `delete from auth_token`)
			execTx(t, logout, `delete from auth_session`)
			if err := logout.Commit(); err != nil {
				t.Fatal(err)
			}
			if err := within(t, name, func() error { return <-done }); err != nil {
				t.Error(err)
			}
		})
	}
}

// TestRefreshWhileEnding: a session that is being issued from a refresh token
// while that is replaced, or its user deleted, goes, too.
func TestRefreshWhileEnding(t *testing.T) {
	t.Parallel()
	for name, end := range map[string]func(context.Context, *scene) ([]store.EndedToken, error){
		"IssueOfflineToken": func(ctx context.Context, s *scene) ([]store.EndedToken, error) {
			o, err := s.IssueOfflineToken(ctx, s.login(), s.offline("client", true))
			return o.Ended, err
		},
		"DeleteUser": func(ctx context.Context, s *scene) ([]store.EndedToken, error) { return s.DeleteUser(ctx, s.user.UUID) },
		"SetUserEnabled": func(ctx context.Context, s *scene) ([]store.EndedToken, error) {
			return s.SetUserEnabled(ctx, s.user.UUID, false)
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dsn := patientDSN(t)
			s := sceneAt(t, pgtest.Count(t, dsn+"&application_name=ender"))
			other := openStore(t, dsn, store.Options{Timeout: time.Minute})
			late := uuid.NewString()
			login := begin(t, other.DB())
			execTx(t, login, `insert into auth_session (uuid, mobile, tenant_uuid) values ($1, false, $2)`, late, s.tenant)
			execTx(t, login, `insert into auth_token (uuid, auth_id, session_uuid, refresh_token_uuid) values ($1, $2, $1, $3)`,
				late, s.user.UUID, s.refresh)
			type outcome struct {
				ended []store.EndedToken
				err   error
			}
			done := make(chan outcome)
			go func() {
				ended, err := end(t.Context(), s)
				done <- outcome{ended, err}
			}()
			waiters(t, other.DB(), "ender", 1)
			if err := login.Commit(); err != nil {
				t.Fatal(err)
			}
			o := <-done
			found := false
			for _, e := range o.ended {
				found = found || e.UUID == late
			}
			if o.err != nil || len(o.ended) != 2 || !found {
				t.Errorf("ended %+v, %v", o.ended, o.err)
			}
			if _, err := other.Token(t.Context(), late); err == nil {
				t.Error("the session that came late is still there")
			}
		})
	}
}
