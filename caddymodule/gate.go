package caddymodule

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"sync/atomic"
	"time"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"

	"github.com/wazo-edge/xivo-auth/authsvc/grant"
	"github.com/wazo-edge/xivo-auth/authsvc/guard"
	"github.com/wazo-edge/xivo-auth/authsvc/httpapi"
	"github.com/wazo-edge/xivo-auth/authsvc/routes"
)

// Gate is what the guard and the forward-auth endpoint have in common: on what
// they decide, and what they tell about it.
type Gate struct {
	// Service names the service of the xivo_auth app whose routes say what
	// each request needs. Default: the request's path decides which of the
	// services with a prefix it is for. Where no service is configured at
	// all, or a scope is given, there are no routes and Scope holds.
	Service string `json:"service,omitempty"`

	// Scope is the access every request needs, such as "confd.users.read".
	// Empty: any valid token passes. It excludes Service.
	Scope string `json:"scope,omitempty"`

	// Cookie names a cookie that may hold the token of requests without an
	// X-Auth-Token header. Browsers send cookies with requests that other
	// sites make them send, so the cookie must be SameSite=Strict or Lax, or
	// the services must be safe from forged requests in another way.
	// Default: no cookie is looked at.
	Cookie string `json:"cookie,omitempty"`

	// Shadow lets every request pass and logs and counts those that would
	// have been refused: for trying a route table on live traffic. Identity
	// headers of clients are removed all the same. Default false.
	Shadow bool `json:"shadow,omitempty"`

	// ReasonHeader adds X-Auth-Reason, the machine-readable reason, to
	// refusals. It tells strangers why they were refused. Default false.
	ReasonHeader bool `json:"reason_header,omitempty"`

	// Assertion sends the upstream a signed statement of who the request is
	// from in X-Auth-Assertion, good for one minute at most and for the one
	// service: an upstream that verifies it need not trust the network in
	// between. Its audience is Service, or AssertionAudience. Default false.
	Assertion bool `json:"assertion,omitempty"`

	// AssertionAudience names the upstream in assertions where there is no
	// service to name it.
	AssertionAudience string `json:"assertion_audience,omitempty"`

	shared   *shared
	log      *slog.Logger
	policies guard.Policies
	counters counters
	handler  string       // what decides, in metrics and traces
	outage   atomic.Int64 // Unix seconds of the last log line about one
}

// provision makes the gate ready. handler is its label in metrics.
func (g *Gate) provision(ctx caddy.Context, handler string) error {
	g.log = ctx.Slogger()
	loaded, err := ctx.App("xivo_auth")
	if err != nil {
		return fmt.Errorf("loading the xivo_auth app: %w", err)
	}
	app := loaded.(*App)
	if g.policies, err = app.policiesOf(g.Service, g.Scope); err != nil {
		return err
	}
	if g.Assertion && g.Service == "" && g.AssertionAudience == "" && g.Scope != "" {
		return errors.New("assertion needs a service or an assertion_audience to be addressed to")
	}
	if err := registerMetrics(ctx.GetMetricsRegistry()); err != nil {
		return err
	}
	g.counters = newCounters(handler, g.policies, g.Shadow)
	g.handler = handler
	g.shared = app.shared.Load()
	return nil
}

// request gathers what a decision is made on. method and target are what the
// client asked for; the rest is in r.
func (g *Gate) request(r *http.Request, method, target string) guard.Request {
	q := guard.Request{
		Method:  method,
		Target:  target,
		Tokens:  r.Header[headerToken],
		Tenants: r.Header[headerActing],
		Preflight: method == http.MethodOptions &&
			r.Header.Get("Origin") != "" && r.Header.Get("Access-Control-Request-Method") != "",
	}
	if g.Cookie != "" {
		for _, c := range r.CookiesNamed(g.Cookie) {
			q.Cookies = append(q.Cookies, c.Value)
		}
	}
	return q
}

// decide asks the service, and only so long stays inside it: a response may
// stream for days. The assertion about an allowed request goes to h.
func (g *Gate) decide(r *http.Request, q guard.Request, h http.Header) (d guard.Decision) {
	ctx, span := childSpan(r.Context(), g.handler)
	if g.shared.enter() {
		d = g.shared.Decide(ctx, g.policies, q)
		if d.Verdict == guard.Allow {
			g.assert(h, &d)
		}
		g.shared.leave()
	} else { // closed; only a request accepted long before the reload meets it
		d = guard.Decision{Verdict: guard.Unavailable, Reason: guard.StoreDown}
	}
	endDecision(span, &d, g.Shadow)
	g.counters.count(&d)
	if d.Verdict == guard.Unavailable && d.Err != nil && r.Context().Err() == nil { // else it is the client who is gone
		g.logOutage(d.Err)
	}
	return d
}

// reject is the decision about a request that cannot be made out.
func (g *Gate) reject(ctx context.Context, reason guard.Reason) guard.Decision {
	_, span := childSpan(ctx, g.handler)
	d := guard.Decision{Verdict: guard.Forbidden, Reason: reason}
	endDecision(span, &d, g.Shadow)
	g.counters.count(&d)
	return d
}

// outageEvery bounds how often an outage is told: during one, every request
// whose token is not in memory meets it.
const outageEvery = 10 * time.Second

func (g *Gate) logOutage(err error) {
	now := time.Now().Unix()
	if last := g.outage.Load(); now-last >= int64(outageEvery/time.Second) && g.outage.CompareAndSwap(last, now) {
		g.log.Error("tokens that are not in memory cannot be checked: the store is unavailable", slog.Any("error", err))
	}
}

// logShadow tells what would have been refused.
func (g *Gate) logShadow(ctx context.Context, d *guard.Decision, method string) {
	attrs := make([]slog.Attr, 0, 6)
	attrs = append(attrs, slog.String("service", d.Service()), slog.String("method", method), slog.String("reason", string(d.Reason)))
	if d.Route != nil {
		attrs = append(attrs, slog.String("route", d.Route.Template))
	}
	if d.Rule != "" {
		attrs = append(attrs, slog.String("rule", string(d.Rule)))
	}
	if d.Required != "" {
		attrs = append(attrs, slog.String("required_access", d.Required))
	}
	g.log.LogAttrs(ctx, slog.LevelInfo, "shadow: this request would have been refused", attrs...)
}

// status are the statuses a gate refuses with.
type status struct{ unauthenticated, forbidden, noRoute, malformed int }

var (
	// stackStatus is what the services of the stack answer (services.md §1):
	// 401 for a missing access, too.
	stackStatus = status{http.StatusUnauthorized, http.StatusUnauthorized, http.StatusForbidden, http.StatusBadRequest}
	// strictStatus is what HTTP says (RFC 9110 §15.5).
	strictStatus = status{http.StatusUnauthorized, http.StatusForbidden, http.StatusForbidden, http.StatusBadRequest}
	// verifyStatus has nothing but 401 and 403: to nginx' auth_request, any
	// other status is an error of this endpoint, and a 500.
	verifyStatus = status{http.StatusUnauthorized, http.StatusForbidden, http.StatusForbidden, http.StatusForbidden}
)

// refuse answers in the words of the stack's services.
func (g *Gate) refuse(w http.ResponseWriter, d *guard.Decision, s status) {
	if g.ReasonHeader {
		w.Header()[headerReason] = []string{string(d.Reason)}
	}
	shown := httpapi.RedactToken(d.Token)
	var err *httpapi.Error
	switch d.Verdict {
	case guard.Forbidden:
		switch d.Reason {
		case guard.NoRoute, guard.DeniedRoute:
			err = httpapi.API(s.noRoute, "forbidden", "No rule lets this request pass", httpapi.Details{{Key: "reason", Value: string(d.Reason)}}, "")
		default:
			err = httpapi.Forbidden(s.forbidden, shown, d.Required, d.Tenant)
		}
	case guard.Malformed:
		text := "The request repeats what may be sent once only: " + string(d.Reason)
		if d.Rule != "" {
			text = "The path can be read in more than one way: " + string(d.Rule)
		}
		err = httpapi.Message(s.malformed, text)
	case guard.Unavailable:
		err = httpapi.AuthUnreachable()
	default:
		err = httpapi.Unauthorized(s.unauthenticated, shown, d.Required)
		if s != stackStatus {
			err = err.With("WWW-Authenticate", `X-Auth-Token realm="xivo-auth"`) // RFC 9110 §11.6.1
		}
	}
	err.Write(w, g.shared.Now()) // logged before, as often as it helps
}

// assert adds the signed statement about an allowed request, where one is
// wanted, and turns the decision when it cannot be made: an upstream that
// expects one must not get the request without.
func (g *Gate) assert(h http.Header, d *guard.Decision) {
	if !g.Assertion {
		return
	}
	audience := g.AssertionAudience
	if audience == "" {
		audience = d.Service()
	}
	signed, err := g.shared.Assert(d.Grant, audience, effectiveTenant(d))
	switch {
	case errors.Is(err, grant.ErrUnknown): // it has expired this very moment
		d.Verdict, d.Reason = guard.Unauthenticated, guard.UnknownToken
	case err != nil:
		g.log.Error("signing an assertion", slog.Any("error", err))
		d.Verdict, d.Reason = guard.Unavailable, guard.Unsigned
	default:
		h[headerAssertion] = []string{signed}
	}
}

// clientRequest is what the client asked for, before any handler rewrote it.
// The method is the one that the upstream is going to see: the present one, but
// GET for a WebSocket over HTTP/2 or 3, which begins with CONNECT here and is
// sent on as GET. Judged as CONNECT, it would reach the route of GET by what
// holds for all other methods.
func clientRequest(r *http.Request) (method, target string) {
	method, target = r.Method, r.RequestURI
	if extendedConnect(r) {
		method = http.MethodGet
	}
	if original, ok := r.Context().Value(caddyhttp.OriginalRequestCtxKey).(http.Request); ok {
		target = original.RequestURI
	}
	return method, target
}

// unmatchedKind reads the word of an unmatched policy.
func unmatchedKind(word string) (routes.Kind, error) {
	if word == "" {
		return routes.Deny, nil
	}
	kind, ok := routes.ParseKind(word)
	if !ok {
		return routes.Deny, fmt.Errorf("unmatched is %q: it is one of deny, token, public", word)
	}
	return kind, nil
}
