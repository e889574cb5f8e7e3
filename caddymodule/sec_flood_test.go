package caddymodule

import (
	"context"
	"net/http"
	"net/http/httptest"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
	"github.com/google/uuid"

	"github.com/wazo-edge/xivo-auth/authsvc/grant"
	"github.com/wazo-edge/xivo-auth/authsvc/guard"
	"github.com/wazo-edge/xivo-auth/authsvc/store"
	"github.com/wazo-edge/xivo-auth/authsvc/store/sqlite"
)

// floodStore is an SQLite store that knows without looking which tokens it has,
// so that a flood takes no longer than what is tested.
type floodStore struct {
	Path string `json:"path"`
}

func (*floodStore) CaddyModule() caddy.ModuleInfo {
	return caddy.ModuleInfo{ID: "xivo_auth.stores.flood", New: func() caddy.Module { return new(floodStore) }}
}

func (f *floodStore) UnmarshalCaddyfile(d *caddyfile.Dispenser) error {
	d.Next()
	f.Path = d.RemainingArgs()[0]
	return nil
}

func (f *floodStore) StoreKey() string { return "flood " + f.Path }

func (f *floodStore) OpenStore(o store.Options) (store.Store, error) {
	o.MaxConns = 2
	st, err := sqlite.Open(f.Path, o)
	return &floodProbe{Store: st}, err
}

// flood is what the store has seen.
var flood struct {
	reads, realReads, under, most atomic.Int64
	known                         sync.Map // tokens that exist
}

type floodProbe struct{ store.Store }

func (p *floodProbe) Token(ctx context.Context, id string) (store.Token, error) {
	under := flood.under.Add(1)
	defer flood.under.Add(-1)
	for most := flood.most.Load(); under > most && !flood.most.CompareAndSwap(most, under); most = flood.most.Load() {
		runtime.Gosched()
	}
	if _, ok := flood.known.Load(id); ok {
		flood.realReads.Add(1)
		return p.Store.Token(ctx, id)
	}
	flood.reads.Add(1)
	runtime.Gosched()
	return store.Token{}, store.ErrNotFound
}

func init() { caddy.RegisterModule(&floodStore{}) }

// U1: random tokens filled caches and took every connection of the database.
// 100 000 of them are driven straight at the handlers, a valid user comes
// through Caddy meanwhile.
func TestSec_U1(t *testing.T) {
	const tokens, senders, negative = 50_000, 64, 1000 // for each handler
	n, w := newNode(t), theWorld(t)
	valid := n.mint(w.alice, "demo.read")
	flood.known.Store(valid, true)
	const app = "store flood <db>\ncache {\n grants 1000\n negative 1000 1h\n}"
	n.start(app, sites)
	sh := n.service()
	policies := guard.NewPolicies(&guard.Policy{Scope: "demo.read"})
	handlers := map[string]func(token string) int{
		"guard": func(token string) int { return ask(t, guardOn(sh, "demo.read"), token) },
		"verify": func(token string) int {
			v := &Verify{
				Gate:    Gate{Scope: "demo.read", shared: sh, log: discard, policies: policies, counters: newCounters("test", policies, false)},
				Request: "forwarded", source: forwardings["forwarded"],
			}
			r := httptest.NewRequest("GET", "/", nil)
			r = r.WithContext(context.WithValue(t.Context(), caddyhttp.VarsCtxKey, map[string]any{caddyhttp.TrustedProxyVarKey: true}))
			r.Header = http.Header{"X-Auth-Token": {token}, "X-Forwarded-Method": {"GET"}, "X-Forwarded-Uri": {"/"}}
			rec := httptest.NewRecorder()
			if err := v.ServeHTTP(rec, r, nil); err != nil {
				t.Error(err)
			}
			return rec.Code
		},
	}
	for _, name := range []string{"guard", "verify"} {
		t.Run(name, func(t *testing.T) {
			asked := handlers[name]
			if status := asked(valid); status != http.StatusOK {
				t.Fatalf("the valid user: %d", status)
			}
			eventually(t, "the valid user's token is cached", func() bool {
				hits := n.lookups(grant.Hit)
				return asked(valid) == http.StatusOK && n.lookups(grant.Hit) > hits
			})
			flood.most.Store(0)
			reads, realReads := flood.reads.Load(), flood.realReads.Load()
			heap := heapInUse()
			list := make([]string, tokens)
			for i := range list {
				list[i] = uuid.NewString()
			}
			heapOfList := heapInUse() - heap

			var done atomic.Int64
			var all sync.WaitGroup
			for worker := range senders {
				all.Go(func() {
					for i := worker; i < tokens; i += senders {
						if status := asked(list[i]); status != http.StatusUnauthorized {
							t.Errorf("a random token: %d", status)
							return
						}
						done.Add(1)
					}
				})
			}
			// Through sockets, all the while.
			visits := 0
			for done.Load() < tokens && !t.Failed() {
				begun := time.Now()
				if r := n.guarded(valid); r.status != http.StatusOK {
					t.Errorf("the valid user during the flood: %d %s", r.status, r.body)
				}
				if took := time.Since(begun); took > patience/4 {
					t.Errorf("the valid user waited %s", took)
				}
				visits++
			}
			all.Wait()
			if visits < 3 {
				t.Errorf("the valid user came by %d times only", visits)
			}
			if n := flood.reads.Load() - reads; n != tokens {
				t.Errorf("the store was asked %d times for %d tokens", n, tokens)
			}
			if n := flood.realReads.Load() - realReads; n != 0 {
				t.Errorf("the store was asked %d times for the valid token, which the flood must not drive out", n)
			}
			if most := flood.most.Load(); most > 16 {
				t.Errorf("%d reads at once", most)
			}
			grown := heapInUse() - heap - heapOfList
			t.Logf("%d random tokens: the heap grew by %d kB; at most %d reads at once; the valid user came by %d times", tokens, grown>>10, flood.most.Load(), visits)
			if grown > 2<<20 {
				t.Errorf("the heap grew by %d bytes", grown)
			}
			runtime.KeepAlive(list)

			// Exactly as many are remembered as were to be, the last ones.
			readsOf := func(tokens []string) int64 {
				before := flood.reads.Load()
				for _, token := range tokens {
					if status := asked(token); status != http.StatusUnauthorized {
						t.Errorf("a random token: %d", status)
					}
				}
				return flood.reads.Load() - before
			}
			readsOf(list[:negative])
			if n := readsOf(list[:negative]); n != 0 {
				t.Errorf("%d of the last %d are forgotten", n, negative)
			}
			if n := readsOf(list[negative : 3*negative]); n != 2*negative {
				t.Errorf("%d of those before are remembered still", 2*negative-n)
			}
		})
	}
	// What is no uuid never gets as far as the store.
	reads := flood.reads.Load()
	for range 1000 {
		for name, asked := range handlers {
			if status := asked(uuid.NewString() + "x"); status != http.StatusUnauthorized {
				t.Errorf("%s: %d", name, status)
			}
		}
	}
	if n := flood.reads.Load() - reads; n != 0 {
		t.Errorf("the store was asked %d times for what is no token", n)
	}
}

// heapInUse is what is left after a collection.
func heapInUse() int64 {
	var m runtime.MemStats
	runtime.GC()
	runtime.GC()
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc)
}
