// Package guard decides whether one request may pass: method, path, token and
// tenant in, verdict out. It knows nothing of HTTP servers, so the Caddy
// handler, the forward-auth endpoint and the command line all give the same
// verdict. A decision on a cached grant takes no I/O and does not allocate.
package guard

import (
	"context"
	"errors"
	"net/http"
	"unicode/utf8"
	"unsafe"

	"github.com/wazo-edge/xivo-auth/authsvc/grant"
	"github.com/wazo-edge/xivo-auth/authsvc/routes"
)

// Grants answers what a token grants: [grant.ErrUnknown] when it is none, any
// other error when that could not be told.
type Grants interface {
	Lookup(ctx context.Context, token string) (*grant.Grant, grant.State, error)
}

// Tenants answers whether tenant is ancestor or below it.
type Tenants interface {
	Contains(ctx context.Context, ancestor, tenant string) (bool, error)
}

// Request is what a decision is made on, as the client sent it.
type Request struct {
	Method string
	// Target is the request target: path and query, before any rewrite.
	Target string
	// Tokens are all values of X-Auth-Token, Tenants all of Wazo-Tenant, and
	// Cookies all of the cookie that may hold a token, if one may.
	Tokens, Tenants, Cookies []string
	// Preflight says that the request asks for leave to make another one
	// from a page of another origin: it has Origin and
	// Access-Control-Request-Method.
	Preflight bool
}

// Verdict is what becomes of a request. It is a closed set.
type Verdict uint8

// The verdicts. The zero value lets nothing pass: a decision somebody forgot
// to make must not.
const (
	Unauthenticated Verdict = iota // no token, or one that is no good
	Forbidden                      // a good token without the access or the tenant, or nothing that any token could reach
	Malformed                      // a request no two servers would read alike
	Unavailable                    // nobody can tell at the moment
	Allow                          // with the identity of the grant
	Anonymous                      // without any identity: a public route, a preflight
)

var verdicts = [...]string{"unauthenticated", "forbidden", "malformed", "unavailable", "allow", "anonymous"}

// String returns the label of v.
func (v Verdict) String() string { return verdicts[v] }

// Passes reports whether the request may go on.
func (v Verdict) Passes() bool { return v == Allow || v == Anonymous }

// Reason is the machine-readable why of a verdict. It is a closed set.
type Reason string

// The reasons.
const (
	Granted         Reason = "granted"
	PublicRoute     Reason = "public"
	Preflight       Reason = "preflight"
	NoToken         Reason = "no_token"
	UnknownToken    Reason = "unknown_token"
	MissingAccess   Reason = "missing_access"
	WrongTenant     Reason = "wrong_tenant"
	NoUser          Reason = "no_user"
	NoRoute         Reason = "no_route"
	DeniedRoute     Reason = "denied_route"
	BadPath         Reason = "bad_path"
	DuplicateToken  Reason = "duplicate_token"
	DuplicateTenant Reason = "duplicate_tenant"
	StoreDown       Reason = "store_unavailable"
	Unsigned        Reason = "unsigned" // no assertion could be made

	// Of the forward-auth endpoint, about what a proxy says of a request.
	UntrustedProxy   Reason = "untrusted_proxy"
	BadForwarding    Reason = "bad_forwarding"
	AliasedForwarded Reason = "aliased_forwarded_header"
)

// Decision is the outcome.
type Decision struct {
	Verdict Verdict
	Reason  Reason
	// Rule is what a path was refused by.
	Rule routes.Rule
	// Policy is that of the service the path belongs to; nil for no service.
	Policy *Policy
	// Route is the one that matched, nil for none.
	Route *routes.Route
	// Required is the access the request needs. It is "" where it needs none
	// in particular, and where the verdict is Allow, which is not to
	// allocate: see [Guard.Explain].
	Required string
	// Token is the token that was judged.
	Token string
	// Grant is what the token grants; nil unless it is a good one.
	Grant *grant.Grant
	// State tells where the grant came from.
	State grant.State
	// Tenant is the tenant the request named, "" when it named none and so
	// acts in the user's own.
	Tenant string
	// Err is why nobody could tell, for the log.
	Err error
}

// Service is the name of the service the decision is about.
func (d *Decision) Service() string {
	if d.Policy == nil {
		return ""
	}
	return d.Policy.Service
}

// LookedUp reports whether a token was looked up, which State is about.
func (d *Decision) LookedUp() bool {
	return d.Grant != nil || d.Reason == UnknownToken || d.Reason == StoreDown && d.Token != ""
}

// Guard decides. Safe for concurrent use; immutable.
type Guard struct {
	Grants  Grants
	Tenants Tenants
}

// accessSize is how long a required access may be before it is built on the
// heap.
const accessSize = 256

// Decide judges r by the policy of the service it is for. A decision on a
// grant in memory neither waits nor allocates.
func (g *Guard) Decide(ctx context.Context, ps Policies, r Request) Decision {
	var path routes.Path
	d, need, done := classify(ps, &r, &path)
	if done {
		return d
	}
	// Access is judged before the tenant, and both after the token: whoever
	// has no good token learns about neither.
	if g.authenticate(ctx, &d) {
		if need.kind == routes.Access && !allowed(d.Grant, need, &path) {
			d.Verdict, d.Reason = Forbidden, MissingAccess
		} else {
			g.admit(ctx, &d)
		}
	}
	if d.Verdict != Allow {
		d.Required = need.access(&path)
	}
	return d
}

// classify says what can be said without knowing what the token grants: all,
// when done. Else the decision holds the token to look at.
func classify(ps Policies, r *Request, path *routes.Path) (d Decision, need demand, done bool) {
	// Go reads the first of several values, WSGI servers the last: whoever
	// sends two wants the guard to look at one and the upstream at another
	// (Envoy CVE-2021-32777).
	switch {
	case len(r.Tokens) > 1:
		d.Verdict, d.Reason = Malformed, DuplicateToken
		return d, need, true
	case len(r.Tenants) > 1:
		d.Verdict, d.Reason = Malformed, DuplicateTenant
		return d, need, true
	}
	text, query := routes.Split(r.Target)
	if d.Rule = routes.Method(r.Method); d.Rule == "" {
		d.Rule = path.Parse(text)
	}
	if d.Rule != "" {
		d.Verdict, d.Reason = Malformed, BadPath
		return d, need, true
	}
	policy, from := ps.of(path)
	if policy == nil {
		d.Verdict, d.Reason = Forbidden, NoRoute
		return d, need, true
	}
	d.Policy = policy
	if r.Preflight && r.Method == http.MethodOptions {
		d.Verdict, d.Reason = Anonymous, Preflight
		return d, need, true
	}
	need = policy.demands(r.Method, path, from)
	d.Route = need.match.Route
	switch need.kind {
	case routes.Public:
		d.Verdict, d.Reason = Anonymous, need.reason
	case routes.Deny:
		d.Verdict, d.Reason = Forbidden, need.reason
	default:
		if len(r.Tenants) == 1 {
			d.Tenant = r.Tenants[0]
		}
		var twice bool
		if d.Token, twice = r.token(need, query); !twice {
			return d, need, false
		}
		d.Verdict, d.Reason, d.Required = Malformed, DuplicateToken, need.access(path)
	}
	return d, need, true
}

// token finds the token of a request where the service would: in the query of
// the routes that read one there, in the header, in the cookie.
func (r *Request) token(need demand, query string) (token string, twice bool) {
	if need.match.Route != nil && need.match.Route.QueryToken {
		values := queryTokens(query)
		if len(values) > 1 {
			return values[0], true
		}
		if len(values) == 1 && values[0] != "" {
			return values[0], false
		}
	}
	if len(r.Tokens) > 0 && r.Tokens[0] != "" {
		return r.Tokens[0], false
	}
	if len(r.Cookies) > 0 {
		return r.Cookies[0], len(r.Cookies) > 1
	}
	return "", false
}

// authenticate looks up what the token grants.
func (g *Guard) authenticate(ctx context.Context, d *Decision) bool {
	if d.Token == "" {
		d.Reason = NoToken
		return false
	}
	held, state, err := g.Grants.Lookup(ctx, d.Token)
	d.Grant, d.State = held, state
	switch {
	case errors.Is(err, grant.ErrUnknown):
		d.Reason = UnknownToken
		return false
	case err != nil:
		d.Verdict, d.Reason, d.Err = Unavailable, StoreDown, err
		return false
	}
	return true
}

// allowed reports whether the grant has the access that is needed.
func allowed(held *grant.Grant, need demand, path *routes.Path) bool {
	if need.match.Route == nil {
		return held.Allows(need.scope)
	}
	var buf [accessSize]byte
	access, sure := need.match.AppendAccess(buf[:0], path)
	// The text is gone with this frame, and nothing keeps it: Allows does not.
	if !held.Allows(unsafe.String(unsafe.SliceData(access), len(access))) { //nolint:gosec // so that the decision does not allocate
		return false
	}
	return sure || held.Allows(string(need.match.AppendAsSent(nil, path)))
}

// access spells the access that is needed, "" for none.
func (need *demand) access(path *routes.Path) string {
	switch {
	case need.kind != routes.Access:
		return ""
	case need.match.Route == nil:
		return need.scope
	}
	access, _ := need.match.AppendAccess(nil, path)
	return string(access)
}

// admit judges the tenant.
func (g *Guard) admit(ctx context.Context, d *Decision) {
	// An internal token may act in any tenant, but it must be a text that can
	// be handed on in headers and assertions.
	if d.Tenant == "" || d.Grant.TenantIs(d.Tenant) || d.Grant.IsInternal() && utf8.ValidString(d.Tenant) {
		d.Verdict, d.Reason = Allow, Granted
		return
	}
	if d.Grant.IsInternal() {
		d.Verdict, d.Reason = Forbidden, WrongTenant
		return
	}
	if !d.Grant.UserExists() {
		// The reference answers 404 here, which its services take for a bad
		// token.
		d.Reason = NoUser
		return
	}
	below, err := g.Tenants.Contains(ctx, d.Grant.UserTenant(), d.Tenant)
	switch {
	case err != nil:
		d.Verdict, d.Reason, d.Err = Unavailable, StoreDown, err
	case below:
		d.Verdict, d.Reason = Allow, Granted
	default:
		d.Verdict, d.Reason = Forbidden, WrongTenant
	}
}
