// Package tenants is the tenant resource (contract: routes.yml), and knows the
// tree of tenants: who is below whom. The whole tree is a few thousand rows at
// most, so it is held as one immutable snapshot and "is this tenant that one's
// or below it" is two comparisons in memory. What changes a tenant does not rely
// on the snapshot: the store looks again, in the transaction of the change.
package tenants

import (
	"github.com/wazo-edge/xivo-auth/authsvc/store"
)

// Tree is an immutable snapshot of all tenants. Safe for concurrent use.
type Tree struct {
	top   string
	nodes map[string]span
	slugs map[string]string
}

// span is a tenant's place in a depth-first walk: everything below it is
// entered after it and before its last.
type span struct{ first, last int32 }

// NewTree builds a tree in O(n). Tenants that hang below no top tenant, as a
// parent cycle written by hand would leave them, are below nobody but
// themselves: the walk begins at the top and never meets them.
func NewTree(rows []store.Tenant) *Tree {
	t := &Tree{nodes: make(map[string]span, len(rows)), slugs: make(map[string]string, len(rows))}
	children := make(map[string][]string, len(rows))
	for _, r := range rows {
		t.slugs[r.Slug] = r.UUID
		if r.Parent == r.UUID {
			t.top = r.UUID
		} else {
			children[r.Parent] = append(children[r.Parent], r.UUID)
		}
	}
	// Iterative: a chain of tenants as deep as the table is long must not
	// grow the stack.
	var next int32
	type frame struct {
		uuid string
		done bool
	}
	stack := []frame{}
	walk := func(root string) {
		stack = append(stack, frame{uuid: root})
		for len(stack) > 0 {
			f := stack[len(stack)-1]
			stack = stack[:len(stack)-1]
			if f.done {
				s := t.nodes[f.uuid]
				s.last = next - 1
				t.nodes[f.uuid] = s
				continue
			}
			if _, seen := t.nodes[f.uuid]; seen {
				continue
			}
			t.nodes[f.uuid] = span{first: next}
			next++
			stack = append(stack, frame{f.uuid, true})
			for _, c := range children[f.uuid] {
				stack = append(stack, frame{uuid: c})
			}
		}
	}
	if t.top != "" {
		walk(t.top)
	}
	for _, r := range rows {
		if _, seen := t.nodes[r.UUID]; !seen {
			t.nodes[r.UUID] = span{first: next, last: next}
			next++
		}
	}
	return t
}

// Top is the uuid of the top tenant, "" when there is none.
func (t *Tree) Top() string { return t.top }

// Has reports whether the tenant exists. Spelling counts: uuids are compared
// as text, as the reference does.
func (t *Tree) Has(uuid string) bool { _, ok := t.nodes[uuid]; return ok }

// BySlug returns the uuid of the tenant with this slug.
func (t *Tree) BySlug(slug string) (uuid string, ok bool) { uuid, ok = t.slugs[slug]; return }

// Contains reports whether tenant is ancestor or below it. An unknown tenant
// is below nobody. O(1), does not allocate.
func (t *Tree) Contains(ancestor, tenant string) bool {
	a, ok := t.nodes[ancestor]
	if !ok {
		return false
	}
	n, ok := t.nodes[tenant]
	return ok && a.first <= n.first && n.first <= a.last
}
