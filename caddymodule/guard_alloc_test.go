//go:build !race

// Under the race detector sync.Pool, which ristretto counts its hits with,
// throws away at random, so there is no budget to keep.

package caddymodule

import (
	"testing"

	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
)

// TestGuard_AllocBudget: one for who it is, headers included, one for its text,
// one for what answers placeholders and one for the tie's writer; none for a
// context (ADR 11) and for fields of a log that nobody writes.
func TestGuard_AllocBudget(t *testing.T) {
	telling, silent, serve := handlers(t)
	count := func(g caddyhttp.MiddlewareHandler) float64 {
		return testing.AllocsPerRun(10_000, func() { serve(g) })
	}
	nothing := count(nil)
	for name, g := range map[string]caddyhttp.MiddlewareHandler{"silent": silent, "telling": telling} {
		if more := count(g) - nothing; more > 4 {
			t.Errorf("%s: %v allocations more than without a guard, want 4", name, more)
		}
	}
}
