package storetest

import (
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/wazo-edge/xivo-auth/authsvc/store"
)

var policyCases = map[string]func(*testing.T, *bench){
	"Policy/Seen":      testPolicySeen,
	"Policy/BySlug":    testPolicyBySlug,
	"Policy/List":      testPolicyList,
	"Policy/ReadOnly":  testPolicyReadOnly,
	"Policy/Held":      testPolicyHeld,
	"Policy/Invalid":   testPolicyListInvalid,
	"Policy/Create":    testCreatePolicy,
	"Policy/Slugs":     testPolicySlugs,
	"Policy/Conflicts": testPolicyConflicts,
	"Policy/Races":     testPolicyRaces,
	"Policy/Update":    testUpdatePolicy,
	"Policy/Rename":    testRenamePolicy,
	"Policy/Delete":    testDeletePolicy,
	"Policy/Links":     testPolicyLinks,
	"Policy/NUL":       testPolicyNUL,
}

// grove is a tree of tenants with one policy of each kind in each: top over a
// over b, and beside, which is under top, too.
type grove struct {
	*bench
	tenants  []string         // top, a, b, beside
	above    map[string][]int // of a tenant, which of tenants
	policies []store.Policy
}

func (b *bench) grove() *grove {
	b.t.Helper()
	b.exec(`delete from auth_policy`)
	f := &grove{bench: b, tenants: []string{b.top}}
	f.tenants = append(f.tenants, b.tenant("a", b.top))
	f.tenants = append(f.tenants, b.tenant("b", f.tenants[1]), b.tenant("beside", b.top))
	f.above = map[string][]int{f.tenants[0]: {}, f.tenants[1]: {0}, f.tenants[2]: {0, 1}, f.tenants[3]: {0}}
	for i, tenant := range f.tenants {
		for _, p := range []store.Policy{{Name: "own"}, {Name: "shared", Shared: true}, {Name: "config", ConfigManaged: true}} {
			p.Name += strconv.Itoa(i)
			p.Slug, p.TenantUUID, p.ACL = "slug-"+p.Name, tenant, []string{p.Name, "x"}
			slices.Sort(p.ACL)
			f.policies = append(f.policies, f.storedPolicy(p))
		}
	}
	return f
}

// storedPolicy stores a policy as it is.
func (b *bench) storedPolicy(p store.Policy) store.Policy {
	b.t.Helper()
	p.UUID = b.policy(p.TenantUUID, p.Name, p.ACL...)
	b.exec(`update auth_policy set slug = $2, description = $3, shared = $4, config_managed = $5 where uuid = $1`,
		p.UUID, p.Slug, p.Description, p.Shared, p.ConfigManaged)
	return p
}

// seen works out what is seen from tenant, as it is seen there.
func (f *grove) seen(tenant string, below bool) (seen []store.Policy) {
	for _, p := range f.policies {
		inherited := slices.ContainsFunc(f.above[tenant], func(i int) bool { return f.tenants[i] == p.TenantUUID })
		isBelow := p.TenantUUID == tenant || slices.ContainsFunc(f.above[p.TenantUUID], func(i int) bool { return f.tenants[i] == tenant })
		p.Inherited = !isBelow
		if p.TenantUUID == tenant || below && isBelow || p.ConfigManaged || p.Shared && inherited {
			seen = append(seen, p)
		}
	}
	return seen
}

func testPolicySeen(t *testing.T, b *bench) {
	f := b.grove()
	for _, tenant := range append([]string{newID(), ""}, f.tenants...) {
		here, below := f.seen(tenant, false), f.seen(tenant, true)
		for _, p := range f.policies {
			for what, c := range map[string]struct {
				seen []store.Policy
				get  func() (store.Policy, error)
			}{
				"by uuid": {below, func() (store.Policy, error) { return b.PolicyByUUID(t.Context(), tenant, p.UUID) }},
				"by slug": {here, func() (store.Policy, error) { return b.PolicyBySlug(t.Context(), tenant, p.Slug) }},
			} {
				got, err := c.get()
				at := slices.IndexFunc(c.seen, func(s store.Policy) bool { return s.UUID == p.UUID })
				if at < 0 {
					want(t, p.Name+" "+what, err, store.ErrNotFound)
					equal(t, p.Name+" "+what, got, store.Policy{})
					continue
				}
				must(t, p.Name+" "+what, err)
				equal(t, p.Name+" "+what, got, c.seen[at])
			}
		}
		for recurse, seen := range map[bool][]store.Policy{false: here, true: below} {
			page, err := b.ListPolicies(t.Context(), store.List{Tenant: tenant, Recurse: recurse, Order: "name"})
			must(t, "ListPolicies", err)
			slices.SortFunc(seen, func(a, b store.Policy) int { return strings.Compare(a.Name, b.Name) })
			equal(t, "list", append([]store.Policy{}, page.Items...), append([]store.Policy{}, seen...))
			equal(t, "counts", [2]int{page.Total, page.Filtered}, [2]int{len(seen), len(seen)})
		}
	}
	_, err := b.PolicyByUUID(t.Context(), b.top, newID())
	want(t, "unknown", err, store.ErrNotFound)
	// Null is false.
	b.exec(`update auth_policy set config_managed = null where uuid = $1`, f.policies[2].UUID)
	_, err = b.PolicyByUUID(t.Context(), f.tenants[3], f.policies[2].UUID)
	want(t, "of another tenant", err, store.ErrNotFound)
	p, err := b.PolicyByUUID(t.Context(), b.top, f.policies[2].UUID)
	must(t, "PolicyByUUID", err)
	equal(t, "config managed", p.ConfigManaged, false)
}

// Slugs are compared as they are. Of several, the nearest is meant.
func testPolicyBySlug(t *testing.T, b *bench) {
	a := b.tenant("a", b.top)
	below := b.tenant("below", a)
	by := func(slug string) string {
		t.Helper()
		p, err := b.PolicyBySlug(t.Context(), a, slug)
		if err != nil {
			want(t, slug, err, store.ErrNotFound)
			return ""
		}
		return p.UUID
	}
	b.storedPolicy(store.Policy{TenantUUID: below, Name: "s", Slug: "s"})
	equal(t, "below", by("s"), "")
	shared := b.storedPolicy(store.Policy{TenantUUID: b.top, Name: "s", Slug: "s", Shared: true})
	equal(t, "shared", by("s"), shared.UUID)
	config := b.storedPolicy(store.Policy{TenantUUID: b.tenant("beside", b.top), Name: "s", Slug: "s", ConfigManaged: true})
	equal(t, "of the configuration", by("s"), config.UUID)
	own := b.storedPolicy(store.Policy{TenantUUID: a, Name: "s", Slug: "s"})
	equal(t, "own", by("s"), own.UUID)
	equal(t, "upper case", by("S"), "")
	equal(t, "none", by(""), "")
}

func testPolicyList(t *testing.T, b *bench) {
	b.exec(`delete from auth_policy`)
	text := func(s string) *string { return &s }
	for _, p := range []store.Policy{
		{Name: "b", Slug: "3", Description: text("Été 50%")},
		{Name: "B", Slug: "2", Description: text("")},
		{Name: "é", Slug: "1"},
		{Name: "a_c", Slug: "4", Description: text("x y z")},
	} {
		p.TenantUUID = b.top
		b.storedPolicy(p)
	}
	names := func(l store.List) string {
		t.Helper()
		l.Tenant = b.top
		page, err := b.ListPolicies(t.Context(), l)
		must(t, "ListPolicies", err)
		equal(t, "total", page.Total, 4)
		var names []string
		for _, p := range page.Items {
			names = append(names, p.Name)
			if p.ACL == nil {
				t.Error("a nil ACL")
			}
		}
		if l.Order == "" {
			slices.Sort(names)
		}
		return strings.Join(names, " ")
	}
	search := func(s string) string { return names(store.List{Search: &s}) }
	filter := func(name string, value any) string {
		return names(store.List{Filters: map[string]any{name: value}})
	}
	two := int64(2)
	b2 := b.text(`select uuid from auth_policy where name = 'B'`)
	for _, c := range []struct{ what, got, want string }{
		{"all", names(store.List{}), "B a_c b é"},
		{"by name", names(store.List{Order: "name"}), "B a_c b é"},
		{"by name, down", names(store.List{Order: "name", Descending: true}), "é b a_c B"},
		{"by slug", names(store.List{Order: "slug"}), "é B b a_c"},
		{"by description", names(store.List{Order: "description"}), "B a_c b é"}, // null last
		{"by description, down", names(store.List{Order: "description", Descending: true}), "é b a_c B"},
		{"a page", names(store.List{Order: "name", Limit: &two, Offset: 1}), "a_c b"},
		{"search a name", search("b"), "B b"},
		{"search a description", search("été"), "b"},
		{"search words", search("x z"), "a_c"},
		{"search words in another order", search("z x"), ""},
		{"search a wildcard", search("_"), "B a_c b é"},
		{"search a slug", search("4"), ""},
		{"search nothing", search(""), "B a_c b é"},
		{"name", filter("name", "b"), "b"},
		{"slug", filter("slug", "1"), "é"},
		{"uuid", filter("uuid", b2), "B"},
		{"tenant", filter("tenant_uuid", b.top), "B a_c b é"},
		{"another tenant", filter("tenant_uuid", newID()), ""},
		{"nobody's", filter("user_uuid", newID()), ""},
		{"no group's", filter("group_uuid", newID()), ""},
	} {
		equal(t, c.what, c.got, c.want)
	}
}

func testPolicyReadOnly(t *testing.T, b *bench) {
	f := b.grove()
	for _, tenant := range f.tenants {
		for _, recurse := range []bool{false, true} {
			for _, readOnly := range []bool{false, true} {
				var expected []string
				seen := f.seen(tenant, recurse)
				for _, p := range seen {
					if readOnly && (p.ConfigManaged || p.Shared && p.TenantUUID == b.top) ||
						!readOnly && (p.TenantUUID == tenant || recurse && !p.Inherited) {
						expected = append(expected, p.Name)
					}
				}
				filters := map[string]any{"read_only": readOnly}
				page, err := b.ListPolicies(t.Context(), store.List{Tenant: tenant, Recurse: recurse, Filters: filters})
				must(t, "ListPolicies", err)
				var got []string
				for _, p := range page.Items {
					got = append(got, p.Name)
				}
				equal(t, "read-only", sorted(got...), sorted(expected...))
				equal(t, "counts", [2]int{page.Total, page.Filtered}, [2]int{len(seen), len(expected)})
				equal(t, "the caller's filters", filters, map[string]any{"read_only": readOnly})
			}
		}
	}
}

// What somebody has is listed wherever it comes from, or as far as it is seen.
func testPolicyHeld(t *testing.T, b *bench) {
	f := b.grove()
	u, group := b.user("u", ""), b.group(b.top, "g")
	for i, p := range f.policies {
		if i%2 == 0 {
			must(t, "AddPolicy", b.AddPolicy(t.Context(), store.Holder{User: u.UUID}, p.UUID))
		}
		if i%3 != 1 {
			must(t, "AddPolicy", b.AddPolicy(t.Context(), store.Holder{Group: group}, p.UUID))
		}
	}
	names := func(l store.List) []string {
		t.Helper()
		page, err := b.ListPolicies(t.Context(), l)
		must(t, "ListPolicies", err)
		var names []string
		for _, p := range page.Items {
			equal(t, "accesses", len(p.ACL), 2)
			equal(t, "inherited, seen from nowhere", l.Everywhere && p.Inherited, false)
			names = append(names, p.Name)
		}
		return sorted(names...)
	}
	var ofUser, ofGroup, ofBoth, seen []string
	for i, p := range f.policies {
		if i%2 == 0 {
			ofUser = append(ofUser, p.Name)
		}
		if i%3 != 1 {
			ofGroup = append(ofGroup, p.Name)
		}
		if i%2 == 0 && i%3 != 1 {
			ofBoth = append(ofBoth, p.Name)
		}
	}
	for _, p := range f.seen(f.tenants[2], true) {
		if slices.Contains(ofGroup, p.Name) {
			seen = append(seen, p.Name)
		}
	}
	equal(t, "of the user", names(store.List{Everywhere: true, User: u.UUID}), sorted(ofUser...))
	equal(t, "of the group", names(store.List{Everywhere: true, Group: group}), sorted(ofGroup...))
	equal(t, "of the group, seen", names(store.List{Tenant: f.tenants[2], Recurse: true, Group: group}), sorted(seen...))
	equal(t, "of the user, the group's", names(store.List{Everywhere: true, User: u.UUID, Filters: map[string]any{"group_uuid": group}}), sorted(ofBoth...))
	equal(t, "of the group, the user's", names(store.List{Everywhere: true, Group: group, Filters: map[string]any{"user_uuid": u.UUID}}), sorted(ofBoth...))
}

func testPolicyListInvalid(t *testing.T, b *bench) {
	for name, l := range map[string]store.List{
		"order":                      {Tenant: b.top, Order: "read_only"},
		"filter":                     {Tenant: b.top, Filters: map[string]any{"shared": true}},
		"read_only, no tenant's":     {Everywhere: true, User: newID(), Filters: map[string]any{"read_only": true}},
		"not read_only, no tenant's": {Everywhere: true, User: newID(), Filters: map[string]any{"read_only": false}},
		"nobody's":                   {Everywhere: true},
		"NUL":                        {Tenant: b.top, Filters: map[string]any{"name": "\x00"}},
	} {
		_, err := b.ListPolicies(t.Context(), l)
		want(t, name, err, store.ErrInvalid)
	}
}
