package sqlite_test

import (
	"path/filepath"
	"testing"

	"github.com/wazo-edge/xivo-auth/authsvc/store"
	"github.com/wazo-edge/xivo-auth/authsvc/store/sqlite"
	"github.com/wazo-edge/xivo-auth/authsvc/store/storetest"
)

func TestStore(t *testing.T) {
	t.Parallel()
	storetest.Run(t, open)
}

func BenchmarkStore(b *testing.B) { storetest.Bench(b, open) }

func open(t testing.TB, o store.Options) storetest.Fixture {
	t.Helper()
	f, err := openFile(filepath.Join(t.TempDir(), "test.db"), o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = f.Store.Close() })
	return f
}

func openFile(path string, o store.Options) (storetest.Fixture, error) {
	s, err := sqlite.Open(path, o)
	if err != nil {
		return storetest.Fixture{}, err
	}
	return storetest.Fixture{
		Store: s, DB: s.DB(), Rebind: s.Rebind,
		Reopen: func(o store.Options) (storetest.Fixture, error) { return openFile(path, o) },
	}, nil
}
