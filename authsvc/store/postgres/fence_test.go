package postgres

import (
	"log/slog"
	"slices"
	"testing"
	"time"

	"github.com/wazo-edge/xivo-auth/authsvc/store"
)

// TestFence: which entry a replica has to have, after each notification.
func TestFence(t *testing.T) {
	t.Parallel()
	r := &replica{log: slog.New(slog.DiscardHandler)}
	f := newFence(r, nil)
	for _, step := range []struct {
		name, told string
		want       int64
	}{
		{"before the fence there is no order", "ended 7 5cbf6a1e-0000-4000-8000-000000000000", 0},
		{"another node's fence", "fence 8 SOMEBODY", 0},
		{"ours", "fence 9 " + f.nonce, 9},
		{"a revocation", "ended 12 5cbf6a1e-0000-4000-8000-000000000000", 12},
		{"an older transaction that was committed later", "users 11 5cbf6a1e-0000-4000-8000-000000000000", 11},
		{"one without ids", "tenants 13", 13},
		{"another node's fence", "fence 14 SOMEBODY", 14},
		{"triggers that name no transaction", "ended 5cbf6a1e-0000-4000-8000-000000000000", 0},
		{"and then some that do", "ended 15 5cbf6a1e-0000-4000-8000-000000000000", 0},
		{"a new fence", "fence 16 " + f.nonce, 16},
	} {
		f.hear(parseNotice(step.told))
		if got := r.heard.Load(); got != step.want {
			t.Errorf("%s: a replica has to have %d, want %d", step.name, got, step.want)
		}
	}
	f.end()
	if got := r.heard.Load(); got != 0 {
		t.Errorf("after the end: %d", got)
	}
	var none *fence // without a replica
	none.hear(parseNotice("ended 1"))
	none.alive(time.Now())
	none.write(t.Context())
	none.end()
}

// TestFence_Stopped: a process that was stopped for a while, with all that it
// heard and a connection that looks alive, does not go by that.
func TestFence_Stopped(t *testing.T) {
	t.Parallel()
	r := &replica{log: slog.New(slog.DiscardHandler)}
	f := newFence(r, nil)
	f.hear(parseNotice("fence 9 " + f.nonce))
	for name, at := range map[string]time.Time{
		"a process": time.Now().Add(-time.Hour),
		"a machine": time.Now().Round(0).Add(-time.Hour), // whose monotonic clock slept, too
	} {
		f.alive(at)
		if _, got := r.token(t.Context(), "x"); got != store.ReplicaUnheard {
			t.Errorf("%s: the replica's part is %v", name, got)
		}
	}
}

func TestParseNotice(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]notice{
		"":                             {},
		"tenants 5":                    {store.Change{Kind: store.TenantsChanged}, 5},
		"ended 5 a b":                  {store.Change{Kind: store.TokensEnded, IDs: []string{"a", "b"}}, 5},
		"ended a b":                    {store.Change{Kind: store.TokensEnded, IDs: []string{"a", "b"}}, 0},
		"ended -5 a":                   {store.Change{Kind: store.TokensEnded, IDs: []string{"-5", "a"}}, 0},
		"other 5 a":                    {store.Change{Kind: "other", IDs: []string{"a"}}, 5},
		"ended 99999999999999999999 a": {store.Change{Kind: store.TokensEnded, IDs: []string{"99999999999999999999", "a"}}, 0},
	} {
		got := parseNotice(text)
		if got.Kind != want.Kind || got.pos != want.pos || !slices.Equal(got.IDs, want.IDs) {
			t.Errorf("%q is %+v, want %+v", text, got, want)
		}
	}
}
