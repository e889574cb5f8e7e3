package caddymodule

import (
	"context"
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
)

// BenchmarkGuard_Handler is what the guard adds to a request of HTTP/1.1 that it
// lets pass, beside what Caddy prepares for every request, on a server without
// access log.
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
	ctx, cancel := caddy.NewContext(caddy.ActiveContext())
	b.Cleanup(cancel)
	ctx.Context = context.WithValue(ctx.Context, caddyhttp.ServerCtxKey, server)
	guard := func(noIdentity bool) caddyhttp.MiddlewareHandler {
		g := &Guard{Gate: Gate{Scope: "confd.users.read"}, NoIdentity: noIdentity}
		if err := g.Provision(ctx); err != nil {
			b.Fatal(err)
		}
		return g
	}
	token := n.mint(w.alice, "confd.users.#")
	next := caddyhttp.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) error {
		w.Header()["Content-Length"] = []string{"0"}
		w.WriteHeader(http.StatusOK)
		return nil
	})
	for _, c := range []struct {
		name  string
		guard caddyhttp.MiddlewareHandler
	}{{"nothing", nil}, {"guard", guard(true)}, {"guard and identity", guard(false)}} {
		b.Run(c.name, func(b *testing.B) {
			out := &blank{header: http.Header{}}
			connection := context.WithValue(b.Context(), connectionKey{}, context.CancelFunc(func() {})) // as tieable leaves it
			original := httptest.NewRequestWithContext(connection, http.MethodGet, "/1.1/users", nil)
			b.ReportAllocs()
			for b.Loop() {
				clear(out.header)
				original.Header = http.Header{"X-Auth-Token": {token}, "User-Agent": {"bench"}, "Accept": {"*/*"}}
				r := caddyhttp.PrepareRequest(original, caddy.NewReplacer(), out, server)
				var err error
				if c.guard != nil {
					err = c.guard.ServeHTTP(out, r, next)
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
