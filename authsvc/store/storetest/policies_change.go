package storetest

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
	"sync"
	"testing"

	"github.com/wazo-edge/xivo-auth/authsvc/store"
)

// newPolicy makes a policy, which must succeed.
func (b *bench) newPolicy(n store.NewPolicy) store.Policy {
	b.t.Helper()
	if n.Slugs == nil {
		n.Slugs = []string{n.Name}
	}
	p, err := b.CreatePolicy(b.t.Context(), n)
	must(b.t, "CreatePolicy "+n.Name, err)
	stored, err := b.PolicyByUUID(b.t.Context(), n.TenantUUID, p.UUID)
	must(b.t, "PolicyByUUID", err)
	equal(b.t, "as stored", stored, p)
	return p
}

func testCreatePolicy(t *testing.T, b *bench) {
	a := b.tenant("a", b.top)
	text := "Some\ntext"
	p := b.newPolicy(store.NewPolicy{
		TenantUUID: a, Name: "N", Description: &text, ACL: []string{"b", "é", "", "a", "b", "#", "B"}, Shared: true, Slugs: []string{"s"},
	})
	equal(t, "policy", p, store.Policy{
		UUID: p.UUID, TenantUUID: a, Name: "N", Slug: "s", Description: &text, ACL: []string{"", "#", "B", "a", "b", "é"}, Shared: true,
	})
	p = b.newPolicy(store.NewPolicy{TenantUUID: a, Name: strings.Repeat("é", 80), Slugs: []string{strings.Repeat("s", 80)}})
	equal(t, "nothing in it", p.ACL, []string{})
	equal(t, "no description", p.Description, nil)
	equal(t, "accesses, once each", b.count(`select count(*) from auth_access where access in ('#', 'a', 'b')`), 3)

	_, err := b.CreatePolicy(t.Context(), store.NewPolicy{TenantUUID: newID(), Name: "x", Slugs: []string{"x"}})
	want(t, "no such tenant", err, store.ErrNotFound)
	_, err = b.CreatePolicy(t.Context(), store.NewPolicy{TenantUUID: a, Name: strings.Repeat("x", 81), Slugs: []string{"x"}})
	want(t, "too long", err, store.ErrInvalid)
	long := incompressible(store.MaxIndexed)
	p = b.newPolicy(store.NewPolicy{TenantUUID: b.top, Name: "long", ACL: []string{long}, Slugs: []string{"long"}})
	equal(t, "as long as can be indexed", p.ACL, []string{long})
	equal(t, "policies", b.count(`select count(*) from auth_policy where tenant_uuid <> $1`, b.top), 2)
}

func testPolicySlugs(t *testing.T, b *bench) {
	b.newPolicy(store.NewPolicy{TenantUUID: b.top, Name: "1", Slugs: []string{"one"}})
	p := b.newPolicy(store.NewPolicy{TenantUUID: b.top, Name: "2", Slugs: []string{"one", "one", "two", "three"}})
	equal(t, "the first that is free", p.Slug, "two")
	p = b.newPolicy(store.NewPolicy{TenantUUID: b.tenant("a", b.top), Name: "1", Slugs: []string{"one", "two"}})
	equal(t, "free in its tenant", p.Slug, "one")
	p = b.newPolicy(store.NewPolicy{TenantUUID: b.top, Name: "3", Slugs: []string{""}})
	equal(t, "an empty one", p.Slug, "")
	p = b.newPolicy(store.NewPolicy{TenantUUID: b.top, Name: "4", Slugs: []string{"", "four"}})
	equal(t, "a second empty one", p.Slug, "four")
	_, err := b.CreatePolicy(t.Context(), store.NewPolicy{TenantUUID: b.top, Name: "5", Slugs: []string{"one", "four"}})
	taken(t, "none is free", err, "slug", "four")
	_, err = b.CreatePolicy(t.Context(), store.NewPolicy{TenantUUID: b.top, Name: "6", Slugs: []string{"ONE"}})
	taken(t, "in another case", err, "slug", "ONE")
}

func testPolicyConflicts(t *testing.T, b *bench) {
	f := b.grove()
	for _, c := range []struct {
		what             string
		tenant           int
		shared           bool
		name, slug, want string // want: the field that is taken
	}{
		{"own name", 1, false, "own1", "x", "name"},
		{"own name, other case", 1, false, "OWN1", "x", ""},
		{"own slug", 1, false, "x", "slug-own1", "slug"},
		{"own slug, other case", 1, false, "x", "SLUG-own1", "slug"},
		{"name before slug", 1, false, "own1", "slug-own1", "name"},
		{"of the tenant above", 1, false, "own0", "slug-own0", ""},
		{"of the tenant below", 1, false, "own2", "slug-own2", ""},
		{"of the tenant beside", 1, false, "own3", "slug-own3", ""},
		{"shared from above, name", 2, false, "shared0", "x", "name"},
		{"shared from above, slug", 2, false, "x", "slug-shared1", "slug"},
		{"shared from above, other case", 2, false, "Shared0", "slug-Shared0", ""},
		{"shared below", 1, false, "shared2", "slug-shared2", ""},
		{"shared beside", 1, false, "shared3", "slug-shared3", ""},
		{"sharing, name below", 0, true, "own2", "x", "name"},
		{"sharing, slug below", 1, true, "x", "slug-own2", "slug"},
		{"sharing, above", 1, true, "own0", "slug-own0", ""},
		{"sharing, beside", 1, true, "own3", "slug-own3", ""},
		{"of the configuration, name", 3, false, "config1", "x", "name"},
		{"of the configuration, slug", 3, false, "x", "slug-config1", "slug"},
	} {
		n := store.NewPolicy{TenantUUID: f.tenants[c.tenant], Name: c.name, Slugs: []string{c.slug}, Shared: c.shared}
		if c.want == "" {
			p := b.newPolicy(n)
			must(t, c.what, b.DeletePolicy(t.Context(), n.TenantUUID, p.UUID, anybody))
			continue
		}
		_, err := b.CreatePolicy(t.Context(), n)
		taken(t, c.what, err, c.want, map[string]string{"name": c.name, "slug": c.slug}[c.want])
	}
	equal(t, "policies", b.count(`select count(*) from auth_policy`), len(f.policies))
}

// anybody may.
func anybody(store.Policy) error { return nil }

// Of those that are in each other's way, one is created; and no access gets
// lost that somebody adds while others do.
func testPolicyRaces(t *testing.T, b *bench) {
	a := b.tenant("a", b.top)
	p := b.newPolicy(store.NewPolicy{TenantUUID: a, Name: "common"})
	var all sync.WaitGroup
	const n = 6
	created := make([]error, 2*n)
	for i := range n {
		all.Go(func() {
			_, created[i] = b.CreatePolicy(t.Context(), store.NewPolicy{TenantUUID: a, Name: "name", Slugs: []string{strconv.Itoa(i)}})
		})
		all.Go(func() {
			tenant := a
			if i%2 == 0 {
				tenant = b.top
			}
			_, created[n+i] = b.CreatePolicy(t.Context(), store.NewPolicy{TenantUUID: tenant, Name: strconv.Itoa(i), Slugs: []string{"slug"}, Shared: i%2 == 0})
		})
		all.Go(func() {
			_, err := b.UpdatePolicy(t.Context(), b.top, p.UUID, func(p *store.Policy) error {
				p.ACL = append(p.ACL, fmt.Sprintf("access.%d", i))
				return nil
			})
			if err != nil {
				t.Errorf("UpdatePolicy: %v", err)
			}
		})
	}
	all.Wait()
	for what, errs := range map[string][]error{"name": created[:n], "slug": created[n:]} {
		made := 0
		for _, err := range errs {
			if err == nil {
				made++
			} else {
				want(t, what, err, store.ErrConflict)
			}
		}
		equal(t, "created with the same "+what, made, 1)
	}
	p, err := b.PolicyByUUID(t.Context(), a, p.UUID)
	must(t, "PolicyByUUID", err)
	equal(t, "accesses", len(p.ACL), n)
}

func testUpdatePolicy(t *testing.T, b *bench) {
	f := b.grove()
	p := f.policies[3] // own1
	text := ""
	got, err := b.UpdatePolicy(t.Context(), b.top, p.UUID, func(is *store.Policy) error {
		equal(t, "as edit sees it", *is, p)
		is.Name, is.Description, is.ACL = "new", &text, []string{"z", "x", "z"}
		is.Slug, is.Shared, is.TenantUUID, is.ConfigManaged = p.Slug, p.Shared, p.TenantUUID, p.ConfigManaged
		return nil
	})
	must(t, "UpdatePolicy", err)
	p.Name, p.Description, p.ACL = "new", &text, []string{"x", "z"}
	equal(t, "policy", got, p)
	stored, err := b.PolicyByUUID(t.Context(), f.tenants[1], p.UUID)
	must(t, "PolicyByUUID", err)
	equal(t, "as stored", stored, p)
	equal(t, "accesses of others", b.count(`select count(*) from auth_policy_access`), 2*len(f.policies))

	refused := errors.New("refused")
	_, err = b.UpdatePolicy(t.Context(), b.top, p.UUID, func(is *store.Policy) error {
		is.Name, is.ACL[0], is.ACL = "x", "y", append(is.ACL, "y")
		return refused
	})
	want(t, "refused by edit", err, refused)
	stored, err = b.PolicyByUUID(t.Context(), f.tenants[1], p.UUID)
	must(t, "PolicyByUUID", err)
	equal(t, "unchanged", stored, p)

	got, err = b.UpdatePolicy(t.Context(), b.top, p.UUID, func(is *store.Policy) error { is.Description, is.ACL = nil, nil; return nil })
	must(t, "UpdatePolicy", err)
	p.Description, p.ACL = nil, []string{}
	equal(t, "emptied", got, p)

	for what, c := range map[string]struct{ tenant, uuid string }{
		"unknown": {b.top, newID()}, "above": {f.tenants[2], p.UUID}, "beside": {f.tenants[3], p.UUID},
	} {
		_, err := b.UpdatePolicy(t.Context(), c.tenant, c.uuid, func(*store.Policy) error { t.Errorf("%s: edited", what); return nil })
		want(t, what, err, store.ErrNotFound)
		want(t, what, b.DeletePolicy(t.Context(), c.tenant, c.uuid, anybody), store.ErrNotFound)
	}
	// Whether it may be changed is edit's decision, who is told whose it is.
	_, err = b.UpdatePolicy(t.Context(), f.tenants[2], f.policies[1].UUID, func(is *store.Policy) error {
		equal(t, "inherited", is.Inherited, true)
		return refused
	})
	want(t, "inherited", err, refused)
}

func testRenamePolicy(t *testing.T, b *bench) {
	f := b.grove()
	rename := func(i int, name string) error {
		_, err := b.UpdatePolicy(t.Context(), b.top, f.policies[i].UUID, func(p *store.Policy) error { p.Name = name; return nil })
		return err
	}
	const own1, shared1, own2 = 3, 4, 6
	taken(t, "within the tenant", rename(own1, "shared1"), "name", "shared1")
	taken(t, "shared from above", rename(own2, "shared1"), "name", "shared1")
	taken(t, "of the configuration", rename(own2, "config3"), "name", "config3")
	taken(t, "sharing, below", rename(shared1, "own2"), "name", "own2")
	must(t, "of another tenant", rename(own1, "own0"))
	must(t, "as it is", rename(own1, "own0"))
	// One that is in the way already may stay so.
	b.exec(`update auth_policy set name = 'shared0' where uuid = $1`, f.policies[own2].UUID)
	must(t, "as it was", rename(own2, "shared0"))
}

func testDeletePolicy(t *testing.T, b *bench) {
	f := b.grove()
	p := f.policies[3]
	u, group := b.user("u", ""), b.group(b.top, "g")
	must(t, "AddPolicy", b.AddPolicy(t.Context(), store.Holder{User: u.UUID}, p.UUID))
	must(t, "AddPolicy", b.AddPolicy(t.Context(), store.Holder{Group: group}, p.UUID))
	refused := errors.New("refused")
	want(t, "refused", b.DeletePolicy(t.Context(), b.top, p.UUID, func(is store.Policy) error {
		equal(t, "as it is", is, p)
		return refused
	}), refused)
	equal(t, "accesses", sorted(b.accesses(u.UUID, "")...), p.ACL)
	must(t, "DeletePolicy", b.DeletePolicy(t.Context(), b.top, p.UUID, anybody))
	equal(t, "accesses afterwards", b.accesses(u.UUID, ""), []string{})
	equal(t, "policies", b.count(`select count(*) from auth_policy`), len(f.policies)-1)
	equal(t, "links", b.count(`select (select count(*) from auth_user_policy) + (select count(*) from auth_group_policy)`), 0)
	want(t, "again", b.DeletePolicy(t.Context(), b.top, p.UUID, anybody), store.ErrNotFound)
}

func testPolicyLinks(t *testing.T, b *bench) {
	u, group, policy := b.user("u", ""), b.group(b.top, "g"), b.policy(b.top, "p", "x")
	for name, h := range map[string]store.Holder{"user": {User: u.UUID}, "group": {Group: group}} {
		count := func() int {
			return b.count(`select count(*) from auth_` + name + `_policy`)
		}
		must(t, "AddPolicy", b.AddPolicy(t.Context(), h, policy))
		must(t, "AddPolicy again", b.AddPolicy(t.Context(), h, policy))
		equal(t, "links", count(), 1)
		must(t, "RemovePolicy", b.RemovePolicy(t.Context(), h, policy))
		must(t, "RemovePolicy again", b.RemovePolicy(t.Context(), h, policy))
		equal(t, "links", count(), 0)
		want(t, "no such policy", b.AddPolicy(t.Context(), h, newID()), store.ErrNotFound)
		must(t, "removing no such policy", b.RemovePolicy(t.Context(), h, newID()))
	}
	want(t, "no such user", b.AddPolicy(t.Context(), store.Holder{User: newID()}, policy), store.ErrNotFound)
	want(t, "no such group", b.AddPolicy(t.Context(), store.Holder{Group: newID()}, policy), store.ErrNotFound)
	want(t, "a group's uuid", b.AddPolicy(t.Context(), store.Holder{User: group}, policy), store.ErrNotFound)
}

func testPolicyNUL(t *testing.T, b *bench) {
	p := b.newPolicy(store.NewPolicy{TenantUUID: b.top, Name: "p"})
	u := b.user("u", "")
	for _, bad := range unsearchable {
		ctx := t.Context()
		_, err := b.PolicyByUUID(ctx, b.top, bad)
		want(t, "PolicyByUUID", err, store.ErrNotFound)
		_, err = b.PolicyByUUID(ctx, bad, p.UUID)
		want(t, "PolicyByUUID, tenant", err, store.ErrNotFound)
		_, err = b.PolicyBySlug(ctx, b.top, bad)
		want(t, "PolicyBySlug", err, store.ErrNotFound)
		want(t, "DeletePolicy", b.DeletePolicy(ctx, b.top, bad, anybody), store.ErrNotFound)
		for _, spoil := range []func(*store.NewPolicy){
			func(n *store.NewPolicy) { n.TenantUUID = bad },
			func(n *store.NewPolicy) { n.Name = bad },
			func(n *store.NewPolicy) { n.Description = &bad },
			func(n *store.NewPolicy) { n.Slugs = []string{"x", bad} },
			func(n *store.NewPolicy) { n.ACL = []string{"ok", bad} },
		} {
			n := store.NewPolicy{TenantUUID: b.top, Name: "n", Slugs: []string{"n"}}
			spoil(&n)
			_, err := b.CreatePolicy(ctx, n)
			want(t, "CreatePolicy", err, store.ErrInvalid)
		}
		for _, spoil := range []func(*store.Policy){
			func(p *store.Policy) { p.Name = bad },
			func(p *store.Policy) { p.Description = &bad },
			func(p *store.Policy) { p.ACL = append(p.ACL, bad) },
		} {
			_, err := b.UpdatePolicy(ctx, b.top, p.UUID, func(p *store.Policy) error { spoil(p); return nil })
			want(t, "UpdatePolicy", err, store.ErrInvalid)
		}
		_, err = b.UpdatePolicy(ctx, b.top, bad, func(*store.Policy) error { return nil })
		want(t, "UpdatePolicy", err, store.ErrNotFound)
		for _, change := range []func(store.Holder, string) error{
			func(h store.Holder, p string) error { return b.AddPolicy(ctx, h, p) },
			func(h store.Holder, p string) error { return b.RemovePolicy(ctx, h, p) },
		} {
			want(t, "link", change(store.Holder{User: bad}, p.UUID), store.ErrNotFound)
			want(t, "link", change(store.Holder{Group: bad}, p.UUID), store.ErrNotFound)
			want(t, "link", change(store.Holder{User: u.UUID}, bad), store.ErrNotFound)
		}
	}
	is, err := b.PolicyByUUID(t.Context(), b.top, p.UUID)
	must(t, "PolicyByUUID", err)
	equal(t, "policy", is, p)
}
