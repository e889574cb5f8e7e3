package caddymodule

import (
	"fmt"
	"net/http"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"

	"github.com/wazo-edge/xivo-auth/authsvc/guard"
)

// Guard lets a request pass to the next handler when its token is good for
// what the route needs and for the tenant it names in Wazo-Tenant. The upstream
// learns who it is from X-Auth-User-Uuid, X-Auth-Tenant-Uuid,
// X-Auth-Session-Uuid, X-Auth-Id and X-Auth-Purpose; whatever a client sends
// under such names is removed first, on every path. Behind it,
// {http.auth.user.id}, {http.auth.user.tenant}, {http.auth.user.session} and
// {http.auth.user.purpose} are set, and the access log has user_id, tenant_uuid
// and session_uuid.
//
// Other requests are answered as the services of the stack answer them: 401
// for a token that is no good and for a missing access, 403 where nothing but
// the route table is missing something, 400 for a request that two servers
// could read in two ways, 503 when the store is down and the token is not in
// memory.
//
// WebSockets and streaming responses end when their token is revoked or
// expires.
type Guard struct {
	Gate

	// Path tells which path the routes are matched with: "client", what the
	// client sent, below the service's prefix (the default); or "rewritten",
	// what is left of it when the guard runs, for those who rewrite more than
	// a prefix away. A service's prefix must then be one of the latter.
	Path string `json:"path,omitempty"`

	// StatusStyle is "stack" (the default), which answers a missing access
	// with 401 as Wazo's services do and their clients expect, or "strict":
	// 403.
	StatusStyle string `json:"status_style,omitempty"`

	// DropToken removes the token before the upstream sees it: the header,
	// the cookie, and ?token= where the route reads one. Default false.
	DropToken bool `json:"drop_token,omitempty"`

	// Untied leaves WebSockets and streaming responses alone when their token
	// is revoked or expires, for upstreams that see to it themselves.
	// Default false.
	Untied bool `json:"untied,omitempty"`

	// NoIdentity does not tell the upstream who a request is from: for
	// services that read none of the X-Auth- headers, as those of Wazo do not,
	// what is not sent need not be copied, written and read. What a client
	// sends under such names is removed all the same. Default false.
	NoIdentity bool `json:"no_identity,omitempty"`

	status status
	tied   map[string]func(delta int) // counts the tied connections of each service
	logged bool                       // requests may come into an access log
}

// The words of path and status_style.
const (
	pathClient    = "client"
	pathRewritten = "rewritten"
	styleStack    = "stack"
	styleStrict   = "strict"
)

// CaddyModule implements [caddy.Module].
func (*Guard) CaddyModule() caddy.ModuleInfo {
	return caddy.ModuleInfo{ID: "http.handlers.xivo_auth_guard", New: func() caddy.Module { return new(Guard) }}
}

// Provision implements [caddy.Provisioner].
func (g *Guard) Provision(ctx caddy.Context) error {
	switch g.StatusStyle {
	case "", styleStack:
		g.status = stackStatus
	case styleStrict:
		g.status = strictStatus
	default:
		return fmt.Errorf("status_style is %q: it is one of %s, %s", g.StatusStyle, styleStack, styleStrict)
	}
	if g.Path != "" && g.Path != pathClient && g.Path != pathRewritten {
		return fmt.Errorf("path is %q: it is one of %s, %s", g.Path, pathClient, pathRewritten)
	}
	if err := g.provision(ctx, "guard"); err != nil {
		return err
	}
	g.logged = true
	if srv, ok := ctx.Value(caddyhttp.ServerCtxKey).(*caddyhttp.Server); ok {
		g.logged = srv.Logs != nil
		if !g.Untied {
			tieable(srv)
		}
	}
	g.tied = make(map[string]func(int), len(g.policies))
	for _, p := range g.policies {
		g.tied[p.Service] = connectionsOf(p.Service)
	}
	return nil
}

// ServeHTTP implements [caddyhttp.MiddlewareHandler].
func (g *Guard) ServeHTTP(w http.ResponseWriter, r *http.Request, next caddyhttp.Handler) error {
	stripIdentity(r)
	method, target := clientRequest(r)
	if g.Path == pathRewritten {
		target = r.RequestURI
	}
	d := g.decide(r, g.request(r, method, target), r.Header)
	if !d.Verdict.Passes() && !g.Shadow {
		g.refuse(w, &d, g.status)
		return nil
	}
	// Of what passes in the shadow, too: an upstream that is not to see tokens
	// must not see those that are good for something else.
	if g.DropToken {
		dropToken(r, &d, g.Cookie)
	}
	if !d.Verdict.Passes() {
		g.logShadow(r.Context(), &d, method)
		return next.ServeHTTP(w, r)
	}
	if d.Verdict == guard.Anonymous {
		return next.ServeHTTP(w, r)
	}
	g.introduce(r, &d)
	if g.Untied {
		return next.ServeHTTP(w, r)
	}
	return g.shared.serveTied(w, r, next, d.Grant, g.tied[d.Service()])
}

// introduce tells the upstream, the placeholders and the access log who the
// request is from.
func (g *Guard) introduce(r *http.Request, d *guard.Decision) {
	id := identityOf(d)
	if !g.NoIdentity {
		id.setHeaders(r.Header)
	}
	id.setPlaceholders(r)
	if g.logged {
		id.setLogFields(r)
	}
}

// dropToken keeps the token from the upstream.
func dropToken(r *http.Request, d *guard.Decision, cookie string) {
	delete(r.Header, headerToken)
	if cookie != "" {
		withoutCookie(r.Header, cookie)
	}
	if d.Route != nil && d.Route.QueryToken && r.URL.RawQuery != "" {
		r.URL.RawQuery = guard.WithoutToken(r.URL.RawQuery)
		r.RequestURI = r.URL.RequestURI()
	}
}

var (
	_ caddyhttp.MiddlewareHandler = (*Guard)(nil)
	_ caddy.Provisioner           = (*Guard)(nil)
)
