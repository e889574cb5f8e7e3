package storetest

import (
	"cmp"
	"slices"
	"testing"

	"github.com/wazo-edge/xivo-auth/authsvc/store"
)

var tenantReadCases = map[string]func(*testing.T, *bench){
	"Tenant/Scope":     testTenantScope,
	"Tenant/List":      testListTenants,
	"Tenant/ListDirty": testListTenantsDirty,
	"Tenant/Domains":   testTenantDomains,
}

// In scope is who the scope is above, and itself; for every pair.
func testTenantScope(t *testing.T, b *bench) {
	v := b.town()
	line := append([]string{b.top}, v.tenants...)
	all := append(slices.Clone(line), v.beside, newID())
	for _, scope := range all {
		for _, id := range all {
			in := id == scope && id != all[len(all)-1]
			if i, j := slices.Index(line, scope), slices.Index(line, id); i >= 0 && j >= 0 {
				in = i <= j
			}
			if id == v.beside {
				in = in || slices.Contains(line[:2], scope)
			}
			got, err := b.TenantByUUID(t.Context(), id, scope)
			if in && (err != nil || got.UUID != id) {
				t.Errorf("TenantByUUID(%s, %s) = %+v, %v", id, scope, got, err)
			} else if !in {
				want(t, "TenantByUUID", err, store.ErrNotFound)
			}
		}
	}
	// A circle made by hand ends.
	b.exec(`update auth_tenant set parent_uuid = $1 where uuid = $2`, v.tenants[2], v.tenants[0])
	_, err := b.TenantByUUID(t.Context(), v.tenants[3], b.top)
	want(t, "in a circle", err, store.ErrNotFound)
	_, err = b.TenantByUUID(t.Context(), v.tenants[3], v.tenants[1])
	must(t, "in a circle", err)
}

func testListTenants(t *testing.T, b *bench) {
	b.exec(`update auth_tenant set name = null`)
	a := b.create(store.TenantProfile{Tenant: store.Tenant{Parent: b.top, Slug: "z"}, Name: "Alpha one", Domains: []string{"b.org", "a.org"}, Address: store.Address{City: "Oslo"}})
	below := b.create(store.TenantProfile{Tenant: store.Tenant{Parent: a.UUID, Slug: "Y"}, Name: "alpha", Domains: []string{"example.net"}})
	deep := b.create(store.TenantProfile{Tenant: store.Tenant{Parent: below.UUID, Slug: "x"}, Name: "alpha"})
	other := b.create(store.TenantProfile{Tenant: store.Tenant{Parent: b.top, Slug: "beta_1"}, Name: "Beta", Domains: []string{"Beta.org"}})
	top, err := b.TenantByUUID(t.Context(), b.top, b.top)
	must(t, "TenantByUUID", err)
	twins := []store.TenantProfile{below, deep} // of equal names
	slices.SortFunc(twins, func(a, b store.TenantProfile) int { return cmp.Compare(a.UUID, b.UUID) })
	one, text := int64(1), func(s string) *string { return &s }
	for _, c := range []struct {
		name  string
		list  store.List
		total int
		found int
		want  []store.TenantProfile
	}{
		{"all", store.List{Tenant: b.top, Recurse: true}, 5, 5, []store.TenantProfile{a, other, twins[0], twins[1], top}},
		{"descending", store.List{Tenant: b.top, Recurse: true, Order: "name", Descending: true}, 5, 5, []store.TenantProfile{top, twins[0], twins[1], other, a}},
		{"by slug", store.List{Tenant: b.top, Recurse: true, Order: "slug"}, 5, 5, []store.TenantProfile{below, other, top, deep, a}},
		{"one", store.List{Tenant: a.UUID}, 1, 1, []store.TenantProfile{a}},
		{"below", store.List{Tenant: a.UUID, Recurse: true, Order: "slug"}, 3, 3, []store.TenantProfile{below, deep, a}},
		{"a page", store.List{Tenant: a.UUID, Recurse: true, Order: "slug", Limit: &one, Offset: 1}, 3, 3, []store.TenantProfile{deep}},
		{"beyond the last", store.List{Tenant: a.UUID, Recurse: true, Offset: 3}, 3, 3, nil},
		{"nobody", store.List{Tenant: newID(), Recurse: true}, 0, 0, nil},
		{"search, name", store.List{Tenant: b.top, Recurse: true, Search: text("ALPHA ONE")}, 5, 1, []store.TenantProfile{a}},
		{"search, slug", store.List{Tenant: b.top, Recurse: true, Search: text("TA_")}, 5, 1, []store.TenantProfile{other}},
		{"search, domain", store.List{Tenant: b.top, Recurse: true, Search: text("ORG"), Order: "slug"}, 5, 2, []store.TenantProfile{other, a}},
		{"search in what is below", store.List{Tenant: below.UUID, Recurse: true, Search: text("org")}, 2, 0, nil},
		{"search of nothing", store.List{Tenant: b.top, Recurse: true, Search: text(""), Limit: &one}, 5, 5, []store.TenantProfile{a}},
		{"uuid", store.List{Tenant: b.top, Recurse: true, Filters: map[string]any{"uuid": deep.UUID}}, 5, 1, []store.TenantProfile{deep}},
		{"uuid elsewhere", store.List{Tenant: a.UUID, Recurse: true, Filters: map[string]any{"uuid": other.UUID}}, 3, 0, nil},
		{"uuids", store.List{Tenant: a.UUID, Recurse: true, Order: "slug", Filters: map[string]any{"uuids": []string{deep.UUID, other.UUID, a.UUID, a.UUID, ""}}}, 3, 2, []store.TenantProfile{deep, a}},
		{"no uuids", store.List{Tenant: a.UUID, Recurse: true, Filters: map[string]any{"uuids": []string{}}}, 3, 0, nil},
		{"name", store.List{Tenant: b.top, Recurse: true, Filters: map[string]any{"name": "alpha"}}, 5, 2, twins},
		{"slug, case counts", store.List{Tenant: b.top, Recurse: true, Filters: map[string]any{"slug": "y"}}, 5, 0, nil},
		{"domain", store.List{Tenant: b.top, Recurse: true, Filters: map[string]any{"domain_name": "a.org"}}, 5, 1, []store.TenantProfile{a}},
		{"domain, case counts", store.List{Tenant: b.top, Recurse: true, Filters: map[string]any{"domain_name": "beta.org"}}, 5, 0, nil},
		{"filters and search", store.List{Tenant: b.top, Recurse: true, Search: text("net"), Filters: map[string]any{"name": "alpha", "slug": "Y", "uuids": []string{below.UUID}, "domain_name": "example.net"}}, 5, 1, []store.TenantProfile{below}},
	} {
		page, err := b.ListTenants(t.Context(), c.list)
		must(t, c.name, err)
		equal(t, c.name, page, store.Page[store.TenantProfile]{Total: c.total, Filtered: c.found, Items: append([]store.TenantProfile{}, c.want...)})
	}
	_, err = b.ListTenants(t.Context(), store.List{Tenant: b.top, User: "a"})
	want(t, "of a user", err, store.ErrInvalid)
}

// Rows that only a hand makes: a tenant with two addresses is there once, and
// a circle is walked once.
func testListTenantsDirty(t *testing.T, b *bench) {
	a := b.create(store.TenantProfile{Tenant: store.Tenant{Parent: b.top, Slug: "a"}, Address: store.Address{City: "first"}})
	c := b.create(store.TenantProfile{Tenant: store.Tenant{Parent: a.UUID, Slug: "c"}})
	b.exec(`insert into auth_address (tenant_uuid, city) values ($1, 'second')`, a.UUID)
	b.exec(`update auth_tenant set parent_uuid = $1 where uuid = $2`, c.UUID, a.UUID)
	a.Parent = c.UUID
	page, err := b.ListTenants(t.Context(), store.List{Tenant: a.UUID, Recurse: true, Order: "slug"})
	must(t, "ListTenants", err)
	equal(t, "page", page, store.Page[store.TenantProfile]{Total: 2, Filtered: 2, Items: []store.TenantProfile{a, c}})
	a.Address = store.Address{City: "third"}
	got, err := b.UpdateTenant(t.Context(), a, a.UUID)
	must(t, "UpdateTenant", err)
	equal(t, "tenant", got, a)
}

func testTenantDomains(t *testing.T, b *bench) {
	a := b.create(wholeTenant(b.top))
	domains, err := b.TenantDomains(t.Context(), a.UUID)
	must(t, "TenantDomains", err)
	var names []string
	for _, d := range domains {
		names = append(names, d.Name)
		equal(t, "uuid of "+d.Name, d.UUID, b.text(`select uuid from auth_tenant_domain where name = $1`, d.Name))
	}
	equal(t, "names", names, []string{"Z.org", "a.org", "b.org"})
	domains, err = b.TenantDomains(t.Context(), b.top)
	must(t, "TenantDomains", err)
	equal(t, "none", domains, []store.Domain{})
	_, err = b.TenantDomains(t.Context(), newID())
	want(t, "nobody", err, store.ErrNotFound)
}
