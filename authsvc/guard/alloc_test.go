//go:build !race

// Under the race detector sync.Pool, which ristretto counts its hits with,
// throws away at random, so there is no budget to keep.

package guard_test

import (
	"testing"

	"github.com/wazo-edge/xivo-auth/authsvc/grant"
	"github.com/wazo-edge/xivo-auth/authsvc/guard"
)

// TestGuard_AllocBudget is not parallel: AllocsPerRun counts the whole process.
func TestGuard_AllocBudget(t *testing.T) {
	g, ids := resident(t, 300, 1)
	for _, c := range hitCases {
		t.Run(c.name, func(t *testing.T) {
			r := guard.Request{Method: "GET", Target: target, Tokens: ids, Tenants: c.tenants}
			if d := g.Decide(t.Context(), c.policies, r); d.Verdict != guard.Allow || d.State != grant.Hit {
				t.Fatalf("%v, %v: this is not the hit path", d.Verdict, d.State)
			}
			ctx := t.Context()
			if n := testing.AllocsPerRun(1000, func() { g.Decide(ctx, c.policies, r) }); n != 0 {
				t.Errorf("%v allocations for a decision from memory, want none", n)
			}
		})
	}
}
