package authsvc

import (
	"context"

	"github.com/wazo-edge/xivo-auth/authsvc/grant"
	"github.com/wazo-edge/xivo-auth/authsvc/guard"
	"github.com/wazo-edge/xivo-auth/authsvc/store"
)

// Decide judges a guarded request by the policies of the services it may be
// for.
func (s *Service) Decide(ctx context.Context, ps guard.Policies, r guard.Request) guard.Decision {
	if s.foreign.Load() {
		return foreignSchema
	}
	return s.guard.Decide(ctx, ps, r)
}

// Explain is [Service.Decide] with how the decision came about.
func (s *Service) Explain(ctx context.Context, ps guard.Policies, r guard.Request) (guard.Decision, guard.Explanation) {
	if s.foreign.Load() {
		d := foreignSchema
		return d, guard.Explanation{Verdict: d.Verdict.String(), Reason: d.Reason, Error: d.Err.Error()}
	}
	return s.guard.Explain(ctx, ps, r)
}

var foreignSchema = guard.Decision{Verdict: guard.Unavailable, Reason: guard.StoreDown, Err: store.ErrSchema}

// Assert signs who a request is from that [Service.Decide] let pass with g, for
// the service called audience; see [assertion.Signer.Sign].
func (s *Service) Assert(g *grant.Grant, audience, tenant string) (string, error) {
	return s.signer.Load().Sign(g, audience, tenant)
}
