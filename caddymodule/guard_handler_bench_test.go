package caddymodule

import (
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
)

// BenchmarkGuard_Handler is what the guard adds to a request that it lets
// pass, beside what Caddy prepares for every request: the decision is the
// smaller part of it.
func BenchmarkGuard_Handler(b *testing.B) {
	n, w := newNode(b), theWorld(b)
	n.loadText(n.caddyfile("", `http://:<port> {
	xivo_auth_guard {
		scope confd.users.read
	}
}`))
	app, err := caddy.ActiveContext().App("http")
	if err != nil {
		b.Fatal(err)
	}
	server := app.(*caddyhttp.App).Servers["srv0"]
	g := &Guard{Gate: Gate{Scope: "confd.users.read"}}
	ctx, cancel := caddy.NewContext(caddy.ActiveContext())
	b.Cleanup(cancel)
	if err := g.Provision(ctx); err != nil {
		b.Fatal(err)
	}
	token := n.mint(w.alice, "confd.users.#")
	next := caddyhttp.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) error {
		w.Header()["Content-Length"] = []string{"0"}
		w.WriteHeader(http.StatusOK)
		return nil
	})
	for _, guarded := range []bool{false, true} {
		name := "nothing"
		if guarded {
			name = "guard"
		}
		b.Run(name, func(b *testing.B) {
			out := &blank{header: http.Header{}}
			original := httptest.NewRequestWithContext(b.Context(), http.MethodGet, "/1.1/users", nil)
			b.ReportAllocs()
			for b.Loop() {
				clear(out.header)
				original.Header = http.Header{"X-Auth-Token": {token}, "User-Agent": {"bench"}, "Accept": {"*/*"}}
				r := caddyhttp.PrepareRequest(original, caddy.NewReplacer(), out, server)
				var err error
				if guarded {
					err = g.ServeHTTP(out, r, next)
				} else {
					err = next.ServeHTTP(out, r)
				}
				if err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
