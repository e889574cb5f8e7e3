// Package guard decides whether one request may pass: token, required access
// and tenant in, verdict out. It knows nothing of HTTP servers, so the Caddy
// handler, the forward-auth endpoint and the command line all give the same
// verdict. A decision on a cached grant takes no I/O and does not allocate.
package guard

import (
	"context"
	"errors"

	"github.com/wazo-edge/xivo-auth/authsvc/grant"
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
	// Tokens are all values of X-Auth-Token, Tenants all of Wazo-Tenant.
	Tokens, Tenants []string
	// Required is the access the operation needs; "" when a valid token is
	// enough.
	Required string
}

// Verdict is what becomes of a request. It is a closed set.
type Verdict uint8

// The verdicts. The zero value is not Allow: a decision somebody forgot to
// make must not let anything pass.
const (
	Unauthenticated Verdict = iota // no token, or one that is no good
	Forbidden                      // a good token without the access or the tenant
	Malformed                      // a request no two servers would read alike
	Unavailable                    // nobody can tell at the moment
	Allow
)

// String returns the label of v.
func (v Verdict) String() string {
	return [...]string{"unauthenticated", "forbidden", "malformed", "unavailable", "allow"}[v]
}

// Reason is the machine-readable why of a verdict. It is a closed set.
type Reason string

// The reasons.
const (
	Granted         Reason = "granted"
	NoToken         Reason = "no_token"
	UnknownToken    Reason = "unknown_token"
	MissingAccess   Reason = "missing_access"
	WrongTenant     Reason = "wrong_tenant"
	NoUser          Reason = "no_user"
	DuplicateToken  Reason = "duplicate_token"
	DuplicateTenant Reason = "duplicate_tenant"
	StoreDown       Reason = "store_unavailable"
)

// Decision is the outcome.
type Decision struct {
	Verdict Verdict
	Reason  Reason
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

// Guard decides. Safe for concurrent use; immutable.
type Guard struct {
	Grants  Grants
	Tenants Tenants
}

// Decide judges r.
func (g *Guard) Decide(ctx context.Context, r Request) Decision {
	// Go reads the first of several values, WSGI servers the last: whoever
	// sends two wants the guard to look at one and the upstream at another
	// (Envoy CVE-2021-32777).
	if len(r.Tokens) > 1 {
		return Decision{Verdict: Malformed, Reason: DuplicateToken}
	}
	if len(r.Tenants) > 1 {
		return Decision{Verdict: Malformed, Reason: DuplicateTenant}
	}
	if len(r.Tokens) == 0 || r.Tokens[0] == "" {
		return Decision{Verdict: Unauthenticated, Reason: NoToken}
	}
	held, state, err := g.Grants.Lookup(ctx, r.Tokens[0])
	d := Decision{Grant: held, State: state}
	switch {
	case errors.Is(err, grant.ErrUnknown):
		d.Reason = UnknownToken
		return d
	case err != nil:
		d.Verdict, d.Reason, d.Err = Unavailable, StoreDown, err
		return d
	}
	if len(r.Tenants) == 1 {
		d.Tenant = r.Tenants[0]
	}
	if r.Required != "" && !held.Allows(r.Required) {
		d.Verdict, d.Reason = Forbidden, MissingAccess
		return d
	}
	if d.Tenant == "" || held.IsInternal() || held.TenantIs(d.Tenant) {
		d.Verdict, d.Reason = Allow, Granted
		return d
	}
	if !held.UserExists() {
		// The reference answers 404 here, which its services take for a bad
		// token.
		d.Reason = NoUser
		return d
	}
	below, err := g.Tenants.Contains(ctx, held.UserTenant(), d.Tenant)
	switch {
	case err != nil:
		d.Verdict, d.Reason, d.Err = Unavailable, StoreDown, err
	case below:
		d.Verdict, d.Reason = Allow, Granted
	default:
		d.Verdict, d.Reason = Forbidden, WrongTenant
	}
	return d
}
