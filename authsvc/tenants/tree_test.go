package tenants_test

import (
	"fmt"
	"math/rand/v2"
	"testing"

	"github.com/wazo-edge/xivo-auth/authsvc/store"
	"github.com/wazo-edge/xivo-auth/authsvc/tenants"
)

// naive answers Contains by climbing from tenant to the top: what does not get
// there hangs in the air and is below nobody but itself.
func naive(rows []store.Tenant, ancestor, tenant string) bool {
	parent := map[string]string{}
	for _, r := range rows {
		parent[r.UUID] = r.Parent
	}
	if _, ok := parent[tenant]; !ok {
		return false
	}
	if ancestor == tenant {
		return true
	}
	found := false
	at := tenant
	for range rows {
		up, ok := parent[at]
		if !ok {
			return false
		}
		if up == at {
			return found
		}
		at = up
		found = found || at == ancestor
	}
	return false
}

func TestTree_Random(t *testing.T) {
	t.Parallel()
	for seed := range uint64(200) {
		r := rand.New(rand.NewPCG(seed, 1))
		n := 1 + r.IntN(40)
		rows := make([]store.Tenant, n)
		for i := range rows {
			id := fmt.Sprintf("t%d", i)
			rows[i] = store.Tenant{UUID: id, Slug: "slug-" + id}
			switch {
			case i == 0:
				rows[i].Parent = id // the top
			case seed%2 == 0:
				rows[i].Parent = fmt.Sprintf("t%d", r.IntN(i)) // a proper tree
			case r.IntN(10) == 0:
				rows[i].Parent = "nobody"
			default:
				rows[i].Parent = fmt.Sprintf("t%d", (i+1+r.IntN(n-1))%n) // cycles, too, but no second top
			}
		}
		r.Shuffle(n, func(i, j int) { rows[i], rows[j] = rows[j], rows[i] })
		tree := tenants.NewTree(rows)
		if tree.Top() != "t0" {
			t.Fatalf("seed %d: top %q", seed, tree.Top())
		}
		for i := -1; i < n; i++ {
			for j := -1; j < n; j++ {
				a, b := fmt.Sprintf("t%d", i), fmt.Sprintf("t%d", j)
				if got, want := tree.Contains(a, b), naive(rows, a, b); got != want {
					t.Fatalf("seed %d: Contains(%s, %s) = %v, want %v in %v", seed, a, b, got, want, rows)
				}
			}
		}
	}
}

func TestTree_Special(t *testing.T) {
	t.Parallel()
	row := func(uuid, parent string) store.Tenant {
		return store.Tenant{UUID: uuid, Parent: parent, Slug: "slug-" + uuid}
	}
	for _, c := range []struct {
		name             string
		rows             []store.Tenant
		ancestor, tenant string
		want             bool
	}{
		{"no tenants", nil, "a", "a", false},
		{"itself", []store.Tenant{row("a", "a")}, "a", "a", true},
		{"unknown below the top", []store.Tenant{row("a", "a")}, "a", "b", false},
		{"empty text", []store.Tenant{row("a", "a")}, "a", "", false},
		{"empty ancestor", []store.Tenant{row("a", "a")}, "", "a", false},
		{"spelling counts", []store.Tenant{row("a", "a")}, "a", "A", false},
		{"child", []store.Tenant{row("a", "a"), row("b", "a")}, "a", "b", true},
		{"parent", []store.Tenant{row("a", "a"), row("b", "a")}, "b", "a", false},
		{"sibling", []store.Tenant{row("a", "a"), row("b", "a"), row("c", "a")}, "b", "c", false},
		{"grandchild before its parent in the table", []store.Tenant{row("c", "b"), row("b", "a"), row("a", "a")}, "a", "c", true},
		{"cousin", []store.Tenant{row("a", "a"), row("b", "a"), row("c", "a"), row("d", "c")}, "b", "d", false},
		{"orphan and the top", []store.Tenant{row("a", "a"), row("b", "gone")}, "a", "b", false},
		{"orphan and itself", []store.Tenant{row("a", "a"), row("b", "gone")}, "b", "b", true},
		{"orphan and its child", []store.Tenant{row("a", "a"), row("b", "gone"), row("c", "b")}, "b", "c", false},
		{"the parent that is gone", []store.Tenant{row("a", "a"), row("b", "gone")}, "gone", "b", false},
		{"cycle", []store.Tenant{row("a", "a"), row("b", "c"), row("c", "b")}, "b", "c", false},
		{"cycle and itself", []store.Tenant{row("a", "a"), row("b", "c"), row("c", "b")}, "b", "b", true},
		{"cycle and the top", []store.Tenant{row("a", "a"), row("b", "c"), row("c", "b")}, "a", "b", false},
		{"no top at all", []store.Tenant{row("b", "c"), row("c", "b")}, "b", "c", false},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			tree := tenants.NewTree(c.rows)
			if got := tree.Contains(c.ancestor, c.tenant); got != c.want {
				t.Errorf("Contains(%q, %q) = %v, want %v", c.ancestor, c.tenant, got, c.want)
			}
			for _, r := range c.rows {
				if uuid, ok := tree.BySlug(r.Slug); !ok || uuid != r.UUID || !tree.Has(r.UUID) {
					t.Errorf("%v is not found: %q, %v", r, uuid, ok)
				}
			}
			if tree.Has("gone") {
				t.Error("a parent nobody stored exists")
			}
		})
	}
}

// TestTree_DeepChain: 100 000 tenants in one line neither overflow the stack nor
// take quadratic time.
func TestTree_DeepChain(t *testing.T) {
	t.Parallel()
	const n = 100_000
	rows := make([]store.Tenant, n)
	for i := range rows {
		rows[i] = store.Tenant{UUID: fmt.Sprint(i), Parent: fmt.Sprint(max(i-1, 0)), Slug: fmt.Sprint("s", i)}
	}
	tree := tenants.NewTree(rows)
	for _, c := range []struct {
		ancestor, tenant int
		want             bool
	}{{0, n - 1, true}, {n - 1, 0, false}, {n / 2, n - 1, true}, {n / 2, n/2 - 1, false}, {n - 1, n - 1, true}} {
		if got := tree.Contains(fmt.Sprint(c.ancestor), fmt.Sprint(c.tenant)); got != c.want {
			t.Errorf("Contains(%d, %d) = %v", c.ancestor, c.tenant, got)
		}
	}
}
