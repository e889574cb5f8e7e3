package caddymodule

import (
	"net/http"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/trace"

	"github.com/wazo-edge/xivo-auth/authsvc/httpapi"
)

// API serves the token API: everything below /0.1, and JSON errors for every
// other path. Put it behind `handle_path` to mount it below a prefix.
type API struct {
	shared *shared
}

// CaddyModule implements [caddy.Module].
func (*API) CaddyModule() caddy.ModuleInfo {
	return caddy.ModuleInfo{ID: "http.handlers.xivo_auth_api", New: func() caddy.Module { return new(API) }}
}

// Provision implements [caddy.Provisioner].
func (a *API) Provision(ctx caddy.Context) (err error) {
	a.shared, err = loadApp(ctx)
	return err
}

// ServeHTTP implements [caddyhttp.MiddlewareHandler]. It answers every request
// itself.
func (a *API) ServeHTTP(w http.ResponseWriter, r *http.Request, _ caddyhttp.Handler) error {
	if !a.shared.enter() {
		httpapi.WriteUnavailable(w)
		return nil
	}
	defer a.shared.leave()
	defer punctual(w, r)()
	ctx, span := childSpan(r.Context(), "api")
	if span == nil {
		a.shared.ServeHTTP(w, r)
		return nil
	}
	defer span.End()
	incoming := trace.SpanFromContext(r.Context())
	r = r.WithContext(ctx)
	a.shared.ServeHTTP(w, r)
	// The mux has left its pattern in the request. Caddy's own span says what
	// the client asked for, which on this API is a token as often as not: it
	// gets the pattern, too.
	route := attribute.String(attrRoute, r.Pattern)
	span.SetAttributes(route)
	incoming.SetAttributes(route, attribute.String(attrPath, r.Pattern))
	return nil
}

var (
	_ caddyhttp.MiddlewareHandler = (*API)(nil)
	_ caddy.Provisioner           = (*API)(nil)
)
