package authsvc_test

import (
	"context"
	"net/http/httptest"
	"path/filepath"
	"testing"

	"github.com/wazo-edge/xivo-auth/authsvc"
	"github.com/wazo-edge/xivo-auth/authsvc/backends"
	"github.com/wazo-edge/xivo-auth/authsvc/cache"
	"github.com/wazo-edge/xivo-auth/authsvc/store"
	"github.com/wazo-edge/xivo-auth/authsvc/store/postgres"
	"github.com/wazo-edge/xivo-auth/authsvc/store/sqlite"
	"github.com/wazo-edge/xivo-auth/authsvc/store/sqlstore"
	"github.com/wazo-edge/xivo-auth/internal/apitest"
	"github.com/wazo-edge/xivo-auth/internal/pgtest"
)

const transcripts = "../testdata/transcripts"

func TestTranscripts(t *testing.T) {
	t.Parallel()
	stores := map[string]func(*testing.T) (*sqlstore.Store, error){
		"sqlite": func(t *testing.T) (*sqlstore.Store, error) {
			return sqlite.Open(filepath.Join(t.TempDir(), "auth.db"), store.Options{})
		},
		"postgres": func(t *testing.T) (*sqlstore.Store, error) {
			return postgres.Open(pgtest.DSN(t), store.Options{MaxConns: 4})
		},
	}
	for name, open := range stores {
		for _, file := range apitest.Files(t, transcripts) {
			t.Run(name+"/"+apitest.Name(file), func(t *testing.T) {
				t.Parallel()
				st, err := open(t)
				if err != nil {
					t.Fatal(err)
				}
				apitest.Replay(t, file, serve(t, st))
			})
		}
	}
}

// serve serves the API over st, by a clock that stands.
func serve(t *testing.T, st *sqlstore.Store) apitest.Server {
	t.Helper()
	clock := apitest.NewClock()
	svc, err := authsvc.New(authsvc.Config{Store: st, Now: clock.Now, Cache: cache.Config{Grants: 1000}}, authsvc.Settings{
		CleanupInterval: -1,
		Backends: func(s *authsvc.Service) *backends.Set {
			return backends.NewSet(apitest.Remember(s))
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := svc.Close(); err != nil {
			t.Error(err)
		}
	})
	if _, err := svc.Prepare(t.Context(), nil); err != nil {
		t.Fatal(err)
	}
	srv := httptest.NewServer(svc)
	t.Cleanup(srv.Close)
	return apitest.Server{URL: srv.URL, Store: st, Clock: clock, Purge: func(ctx context.Context) error {
		_, err := svc.PurgeExpired(ctx)
		return err
	}}
}
