package guard

import (
	"context"
	"time"

	"github.com/wazo-edge/xivo-auth/authsvc/routes"
)

// Explanation is a decision and how it came about, for people. It holds no
// token.
type Explanation struct {
	Verdict string `json:"verdict"`
	Reason  Reason `json:"reason"`
	Service string `json:"service,omitempty"`
	// Path is the canonical path, unless Rule refuses it.
	Path string      `json:"path,omitempty"`
	Rule routes.Rule `json:"rule,omitempty"`
	// Template is the route that matched, Demand what it needs: an ACL, or
	// token, public, deny. Without a match, Demand is what holds for such
	// requests.
	Template string `json:"template,omitempty"`
	Demand   string `json:"demand,omitempty"`
	// Required is the access the demand comes to, and AsSent the one that
	// must be held, too, because the upstream may take values literally.
	Required string `json:"required_access,omitempty"`
	AsSent   string `json:"required_as_sent,omitempty"`
	// DecidedBy is the access of the token's ACL that allows or denies
	// Required; "" when none speaks of it, which denies.
	DecidedBy string `json:"decided_by,omitempty"`

	// CacheState tells where the token was found: hit, miss, negative,
	// degraded or refused (it is no token).
	CacheState string          `json:"cache_state,omitempty"`
	Identity   *Identity       `json:"identity,omitempty"`
	Tenant     *TenantDecision `json:"tenant,omitempty"`
	Error      string          `json:"error,omitempty"`
}

// Identity is whom a token belongs to.
type Identity struct {
	AuthID      string    `json:"auth_id"`
	TenantUUID  string    `json:"tenant_uuid"`
	SessionUUID string    `json:"session_uuid"`
	Purpose     string    `json:"purpose,omitempty"`
	ExpiresAt   time.Time `json:"expires_at"`
	Accesses    int       `json:"accesses"`
}

// TenantDecision tells in which tenant a request acts.
type TenantDecision struct {
	Named   string `json:"named,omitempty"` // by Wazo-Tenant
	Own     string `json:"own,omitempty"`   // of the user
	Allowed bool   `json:"allowed"`
}

// Explain judges r as [Guard.Decide] does, at the same moment and on the same
// grant, and tells how.
func (g *Guard) Explain(ctx context.Context, ps Policies, r Request) (Decision, Explanation) {
	var path routes.Path
	d := g.Decide(ctx, ps, r)
	e := Explanation{Verdict: d.Verdict.String(), Reason: d.Reason, Service: d.Service(), Rule: d.Rule}
	if d.Err != nil {
		e.Error = d.Err.Error()
	}
	_, need, _ := classify(ps, &r, &path)
	if d.Rule == "" {
		e.Path = path.String()
	}
	if route := d.Route; route != nil {
		e.Template, e.Demand = route.String(), route.Demand()
	} else if d.Policy != nil && d.Reason != Preflight {
		e.Demand = need.kind.String()
	}
	e.Required = need.access(&path)
	if need.match.Route != nil && need.kind == routes.Access {
		if sent := string(need.match.AppendAsSent(nil, &path)); sent != e.Required {
			if _, sure := need.match.AppendAccess(nil, &path); !sure {
				e.AsSent = sent
			}
		}
	}
	if d.Token == "" {
		return d, e
	}
	e.CacheState = d.State.String()
	if held := d.Grant; held != nil {
		id, session, tenant := held.Identity()
		e.Identity = &Identity{
			AuthID: id, TenantUUID: tenant, SessionUUID: session, Purpose: held.Purpose(),
			ExpiresAt: held.ExpiresAt().UTC(), Accesses: len(held.ACL().Accesses()),
		}
		if e.Required != "" {
			e.DecidedBy = held.Decisive(e.Required)
			if e.AsSent != "" && held.Allows(e.Required) {
				e.DecidedBy = held.Decisive(e.AsSent)
			}
		}
		if d.Reason != MissingAccess {
			e.Tenant = &TenantDecision{Named: d.Tenant, Own: held.UserTenant(), Allowed: d.Verdict == Allow}
		}
	}
	return d, e
}
