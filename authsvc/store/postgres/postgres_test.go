package postgres_test

import (
	"testing"

	"github.com/wazo-edge/xivo-auth/authsvc/store"
	"github.com/wazo-edge/xivo-auth/authsvc/store/postgres"
	"github.com/wazo-edge/xivo-auth/authsvc/store/storetest"
	"github.com/wazo-edge/xivo-auth/internal/pgtest"
)

func TestStore(t *testing.T) {
	t.Parallel()
	storetest.Run(t, open)
}

func BenchmarkStore(b *testing.B) { storetest.Bench(b, open) }

func open(t testing.TB, o store.Options) storetest.Fixture {
	t.Helper()
	f, err := openDSN(pgtest.DSN(t), o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = f.Store.Close() })
	return f
}

func openDSN(dsn string, o store.Options) (storetest.Fixture, error) {
	s, err := postgres.Open(dsn, o)
	if err != nil {
		return storetest.Fixture{}, err
	}
	return storetest.Fixture{
		Store: s, DB: s.DB(), Rebind: s.Rebind,
		Reopen: func(o store.Options) (storetest.Fixture, error) { return openDSN(dsn, o) },
	}, nil
}
