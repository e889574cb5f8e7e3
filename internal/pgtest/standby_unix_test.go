//go:build unix

package pgtest_test

import (
	"errors"
	"testing"

	"github.com/wazo-edge/xivo-auth/internal/pgtest"
)

// TestStandby: a standby follows its primary, takes no writes, and outlives a
// crash of its own.
func TestStandby(t *testing.T) {
	t.Parallel()
	primary, err := pgtest.StartPrimary(t.Context())
	if errors.Is(err, pgtest.ErrMissing) {
		t.Skip(err)
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = primary.Stop() })
	standby, err := primary.Standby(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := standby.Stop(); err != nil {
			t.Error(err)
		}
	})
	dsn := pgtest.DatabaseOn(t, primary.DSN)
	query(t, connect(t, dsn), `create table replicated (v int); insert into replicated values (1); select v from replicated`)
	copied := connect(t, pgtest.WithDatabase(standby.DSN, databaseOf(t, dsn)))
	for range 2 {
		eventually(t, "the standby has the row", func() bool {
			var n int
			return copied.QueryRowContext(t.Context(), `select v from replicated`).Scan(&n) == nil && n == 1
		})
		if _, err := copied.ExecContext(t.Context(), `insert into replicated values (2)`); err == nil {
			t.Error("the standby takes writes")
		}
		if err := standby.Restart(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
}

func databaseOf(t *testing.T, dsn string) string {
	t.Helper()
	return query(t, connect(t, dsn), `select current_database()`)
}
