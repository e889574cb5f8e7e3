// Package caddymodule adapts the token service to Caddy: an app that owns the
// service, handlers that serve its API and guard upstreams with it, guest
// modules for stores and backends, and the command line. It holds no rules of
// its own; those are in authsvc.
//
//	xivo_auth (app)                  app.go, pool.go
//	http.handlers.xivo_auth_api      api.go
//	http.handlers.xivo_auth_guard    guard.go
//	xivo_auth.stores.*               stores.go
//	xivo_auth.backends.*             backends.go
package caddymodule

import "github.com/caddyserver/caddy/v2"

func init() {
	caddy.RegisterModule(&App{})
	caddy.RegisterModule(&API{})
	caddy.RegisterModule(&Guard{})
	caddy.RegisterModule(&Verify{})
	caddy.RegisterModule(&Provider{})
	caddy.RegisterModule(&Admin{})
	caddy.RegisterModule(&SQLite{})
	caddy.RegisterModule(&Postgres{})
	caddy.RegisterModule(&WazoUser{})
}
