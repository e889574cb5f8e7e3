package caddymodule

import (
	"context"
	"testing"
	"time"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"

	"github.com/wazo-edge/xivo-auth/authsvc"
	"github.com/wazo-edge/xivo-auth/authsvc/backends"
	"github.com/wazo-edge/xivo-auth/authsvc/store"
	"github.com/wazo-edge/xivo-auth/authsvc/store/sqlite"
	"github.com/wazo-edge/xivo-auth/internal/apitest"
)

// remembering is wazo_user without hashing the same password twice.
type remembering struct{}

func (*remembering) CaddyModule() caddy.ModuleInfo {
	return caddy.ModuleInfo{ID: "xivo_auth.backends.remembering", New: func() caddy.Module { return new(remembering) }}
}

func (*remembering) UnmarshalCaddyfile(*caddyfile.Dispenser) error { return nil }

func (*remembering) MakeBackend(s *authsvc.Service) backends.Backend {
	return apitest.Remember(s)
}

func init() { caddy.RegisterModule(new(remembering)) }

// TestTranscripts replays the API's transcripts through Caddy: what a client
// sees must not depend on the server around the service.
func TestTranscripts(t *testing.T) {
	for _, file := range apitest.Files(t, "../testdata/transcripts") {
		t.Run(apitest.Name(file), func(t *testing.T) {
			standing := apitest.NewClock()
			clock, storeClock = standing.Now, false
			n := newNode(t)
			t.Cleanup(func() { clock, storeClock = time.Now, true })
			n.removeDB()
			n.start("store sqlite <db>\nbackend remembering\ncleanup_interval 0.5s", "http://:<port> {\n xivo_auth_api\n}")
			st, err := sqlite.Open(n.db, store.Options{})
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { _ = st.Close() })
			apitest.Replay(t, file, apitest.Server{
				URL: n.url(""), Store: st, Clock: standing,
				Purge: func(ctx context.Context) error {
					_, err := n.service().PurgeExpired(ctx)
					return err
				},
			})
		})
	}
}
