package caddymodule

import (
	"log/slog"
	"net/http"
	"sync/atomic"
	"time"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"

	"github.com/wazo-edge/xivo-auth/authsvc/guard"
	"github.com/wazo-edge/xivo-auth/authsvc/httpapi"
)

// Guard lets a request pass to the next handler when its X-Auth-Token is good
// for the required access and for the tenant it names in Wazo-Tenant. The
// upstream learns who it is from X-Auth-User-Uuid, X-Auth-Tenant-Uuid,
// X-Auth-Session-Uuid, X-Auth-Id and X-Auth-Purpose; whatever a client sends
// under such names is removed first, on every path.
//
// Other requests are answered as the services of the stack answer them: 401
// for a token that is no good and for a missing access, 400 for a repeated
// header, 503 when the store is down and the token is not in memory.
type Guard struct {
	// Scope is the access a request needs, such as "confd.users.read".
	// Empty: any valid token passes.
	Scope string `json:"scope,omitempty"`

	shared *shared
	log    *slog.Logger
	outage atomic.Int64 // Unix seconds of the last log line about one
}

// CaddyModule implements [caddy.Module].
func (*Guard) CaddyModule() caddy.ModuleInfo {
	return caddy.ModuleInfo{ID: "http.handlers.xivo_auth_guard", New: func() caddy.Module { return new(Guard) }}
}

// Provision implements [caddy.Provisioner].
func (g *Guard) Provision(ctx caddy.Context) (err error) {
	g.log = ctx.Slogger()
	g.shared, err = loadApp(ctx)
	return err
}

// ServeHTTP implements [caddyhttp.MiddlewareHandler].
func (g *Guard) ServeHTTP(w http.ResponseWriter, r *http.Request, next caddyhttp.Handler) error {
	stripIdentity(r)
	d, open := g.decide(r)
	if !open {
		httpapi.WriteUnavailable(w)
		return nil
	}
	if d.Verdict != guard.Allow {
		g.refuse(w, r, d)
		return nil
	}
	setIdentity(r.Header, d)
	return next.ServeHTTP(w, r)
}

// decide asks the service, and only so long stays inside it: a response may
// stream for days. open is false when the service is closed.
func (g *Guard) decide(r *http.Request) (d guard.Decision, open bool) {
	if !g.shared.enter() {
		return d, false
	}
	defer g.shared.leave()
	return g.shared.Decide(r.Context(), guard.Request{
		Tokens:   r.Header[headerToken],
		Tenants:  r.Header[headerActing],
		Required: g.Scope,
	}), true
}

// refuse answers in the words of the stack's services (services.md §1).
func (g *Guard) refuse(w http.ResponseWriter, r *http.Request, d guard.Decision) {
	var err *httpapi.Error
	switch d.Verdict {
	case guard.Forbidden:
		err = httpapi.Forbidden(http.StatusUnauthorized, shownToken(r), g.Scope, d.Tenant)
	case guard.Malformed:
		err = httpapi.Message(http.StatusBadRequest, "The request repeats a header that may be sent once only: "+string(d.Reason))
	case guard.Unavailable:
		if r.Context().Err() == nil { // else it is the client who is gone
			g.logOutage(d.Err)
		}
		err = httpapi.AuthUnreachable()
	default:
		err = httpapi.Unauthorized(http.StatusUnauthorized, shownToken(r), g.Scope)
	}
	err.Write(w, g.shared.Now()) // logged above, as often as it helps
}

// outageEvery bounds how often an outage is told: during one, every request
// whose token is not in memory meets it.
const outageEvery = 10 * time.Second

func (g *Guard) logOutage(err error) {
	now := time.Now().Unix()
	if last := g.outage.Load(); now-last >= int64(outageEvery/time.Second) && g.outage.CompareAndSwap(last, now) {
		g.log.Error("tokens that are not in memory cannot be checked: the store is unavailable", slog.Any("error", err))
	}
}

// shownToken is what is told back of the token a request carries.
func shownToken(r *http.Request) string { return httpapi.RedactToken(r.Header.Get(headerToken)) }

var (
	_ caddyhttp.MiddlewareHandler = (*Guard)(nil)
	_ caddy.Provisioner           = (*Guard)(nil)
)
