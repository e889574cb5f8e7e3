package caddymodule

import (
	"context"
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"

	"github.com/wazo-edge/xivo-auth/authsvc/grant"
)

// handlers are a guard that tells the upstream who it is and one that does not,
// on a server without access log, and serve gives a request of HTTP/1.1 to one
// of them, or to none: what Caddy prepares for every request is in all of it.
func handlers(tb testing.TB) (telling, silent caddyhttp.MiddlewareHandler, serve func(caddyhttp.MiddlewareHandler)) {
	tb.Helper()
	n, w := newNode(tb), theWorld(tb)
	n.loadText(n.caddyfile("", "http://:<port> {\n\txivo_auth_guard\n}"))
	app, err := caddy.ActiveContext().App("http")
	if err != nil {
		tb.Fatal(err)
	}
	server := app.(*caddyhttp.App).Servers["srv0"]
	ctx, cancel := caddy.NewContext(caddy.ActiveContext())
	tb.Cleanup(cancel)
	ctx.Context = context.WithValue(ctx.Context, caddyhttp.ServerCtxKey, server)
	guard := func(noIdentity bool) caddyhttp.MiddlewareHandler {
		g := &Guard{Gate: Gate{Scope: "confd.users.read"}, NoIdentity: noIdentity}
		if err := g.Provision(ctx); err != nil {
			tb.Fatal(err)
		}
		return g
	}
	telling, silent = guard(false), guard(true)

	next := caddyhttp.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) error {
		w.Header()["Content-Length"] = []string{"0"}
		w.WriteHeader(http.StatusOK)
		return nil
	})
	token := n.mint(w.alice, "confd.users.#")
	out := &blank{header: http.Header{}}
	connection := context.WithValue(tb.Context(), connectionKey{}, context.CancelFunc(func() {})) // as tieable leaves it
	original := httptest.NewRequestWithContext(connection, http.MethodGet, "/1.1/users", nil)
	serve = func(g caddyhttp.MiddlewareHandler) {
		clear(out.header)
		original.Header = http.Header{"X-Auth-Token": {token}, "User-Agent": {"bench"}, "Accept": {"*/*"}}
		r := caddyhttp.PrepareRequest(original, caddy.NewReplacer(), out, server)
		var err error
		if g == nil {
			err = next.ServeHTTP(out, r)
		} else {
			err = g.ServeHTTP(out, r, next)
		}
		if err != nil || out.header["Content-Length"][0] != "0" {
			tb.Fatal("the request did not pass: ", err)
		}
	}
	eventually(tb, "the token is in memory", func() bool {
		hits := n.lookups(grant.Hit)
		serve(silent)
		return n.lookups(grant.Hit) > hits
	})
	return telling, silent, serve
}

// BenchmarkGuard_Handler is what the guard adds to a request that it lets pass.
func BenchmarkGuard_Handler(b *testing.B) {
	telling, silent, serve := handlers(b)
	for _, c := range []struct {
		name  string
		guard caddyhttp.MiddlewareHandler
	}{{"nothing", nil}, {"guard", silent}, {"guard and identity", telling}} {
		b.Run(c.name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				serve(c.guard)
			}
		})
	}
}
