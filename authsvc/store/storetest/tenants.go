package storetest

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/wazo-edge/xivo-auth/authsvc/store"
)

var tenantCases = map[string]func(*testing.T, *bench){
	"Tenant/Create":          testCreateTenant,
	"Tenant/CreateDefaults":  testCreateTenantDefaults,
	"Tenant/CreateConflicts": testCreateTenantConflicts,
	"Tenant/Update":          testUpdateTenant,
	"Tenant/UpdateConflicts": testUpdateTenantConflicts,
	"Tenant/Invalid":         testTenantInvalid,
	"Tenant/Move":            testMoveTenant,
	"Tenant/Delete":          testDeleteTenant,
	"Tenant/DeleteRefused":   testDeleteTenantRefused,
}

// wholeTenant has something in each field.
func wholeTenant(parent string) store.TenantProfile {
	return store.TenantProfile{
		Tenant: store.Tenant{UUID: newID(), Parent: parent, Slug: "acme"},
		Name:   "Acmé", Phone: "+1 555", Method: store.MethodDefault, Domains: []string{"Z.org", "a.org", "b.org"},
		Address: store.Address{Line1: "1", Line2: "2", City: "3", State: "4", Country: "5", ZipCode: "6"},
	}
}

// create makes a tenant of p, with the slug that it says.
func (b *bench) create(p store.TenantProfile) store.TenantProfile {
	b.t.Helper()
	if p.Method == "" {
		p.Method = store.MethodNative
	}
	t, missing, err := b.CreateTenant(b.t.Context(), store.NewTenant{TenantProfile: p, Slugs: []string{p.Slug}})
	if err != nil || len(missing) > 0 {
		b.t.Fatalf("CreateTenant(%+v): missing %v, %v", p, missing, err)
	}
	return t
}

// tenantRows counts what CreateTenant inserts, for tests that nothing stays.
func (b *bench) tenantRows() int {
	b.t.Helper()
	return b.count(`select (select count(*) from auth_tenant) + (select count(*) from auth_tenant_domain)
	+ (select count(*) from auth_address) + (select count(*) from auth_group) + (select count(*) from auth_group_policy)`)
}

func testCreateTenant(t *testing.T, b *bench) {
	p := wholeTenant(b.top)
	p.Contact = b.user("alice", "").UUID
	given := p
	given.Domains = []string{"b.org", "Z.org", "b.org", "a.org"}
	equal(t, "whole", b.create(given), p)
	got, err := b.TenantByUUID(t.Context(), p.UUID, b.top)
	must(t, "TenantByUUID", err)
	equal(t, "as read", got, p)
	equal(t, "group of all users", b.count(`select count(*) from auth_group
where tenant_uuid = $1 and name = 'wazo-all-users-tenant-' || $1 and slug = name and system_managed and length(uuid) = 36`, p.UUID), 1)

	bare := b.create(store.TenantProfile{Tenant: store.Tenant{Parent: p.UUID, Slug: ""}})
	equal(t, "bare", bare, store.TenantProfile{
		Tenant: store.Tenant{UUID: bare.UUID, Parent: p.UUID}, Method: store.MethodNative, Domains: []string{},
	})
	equal(t, "its uuid", len(bare.UUID), 36)
	equal(t, "nulls", b.count(`select count(*) from auth_tenant where uuid = $1 and name is null and phone is null and contact_uuid is null`, bare.UUID), 1)
	equal(t, "addresses", b.count(`select count(*) from auth_address`), 1)

	// A user can be made in it at once.
	u, err := b.CreateUser(t.Context(), store.NewUser{User: store.User{Username: "bob", TenantUUID: bare.UUID, Purpose: store.PurposeUser}})
	must(t, "CreateUser", err)
	equal(t, "his tenant", u.TenantUUID, bare.UUID)
}

// New tenants have what the configuration gives to each, and only they get it.
func testCreateTenantDefaults(t *testing.T, b *bench) {
	other := b.tenant("other", b.top)
	all, staff := b.policy(b.top, "all"), b.policy(b.top, "staff")
	b.policy(other, "theirs") // whoever may make policies in his tenant must not get them into others
	n := store.NewTenant{
		TenantProfile: store.TenantProfile{Tenant: store.Tenant{Parent: other}, Method: store.MethodNative},
		Slugs:         []string{"new"},
		Defaults: store.Defaults{
			AllUsers: store.DefaultPolicies{"all": true, "staff": false, "theirs": true, "nobodys": true},
			Groups: []store.DefaultGroup{
				{Slug: "team", Policies: store.DefaultPolicies{"staff": true, "all": false, "nobodys": true}},
				{Slug: "named", Name: "A name"},
			},
		},
	}
	groups := b.count(`select count(*) from auth_group where tenant_uuid <> $1`, "")
	created, missing, err := b.CreateTenant(t.Context(), n)
	must(t, "CreateTenant", err)
	equal(t, "missing", missing, []string{"nobodys", "theirs"})
	equal(t, "groups", b.count(`select count(*) from auth_group where tenant_uuid = $1 and (
	(slug, name, system_managed) in (('team', 'team', false), ('named', 'A name', false)) or system_managed)`, created.UUID), 3)
	equal(t, "groups of others", b.count(`select count(*) from auth_group where tenant_uuid <> $1`, created.UUID), groups)
	for group, policy := range map[string]string{"wazo-all-users-tenant-" + created.UUID: all, "team": staff} {
		equal(t, "policy of "+group, b.text(`select gp.policy_uuid from auth_group_policy gp
join auth_group g on g.uuid = gp.group_uuid where g.slug = $1`, group), policy)
	}
	equal(t, "policies of groups", b.count(`select count(*) from auth_group_policy`), 2)
}

// What is told first, and that nothing stays.
func testCreateTenantConflicts(t *testing.T, b *bench) {
	first := b.create(wholeTenant(b.top))
	rows := b.tenantRows()
	free := store.NewTenant{
		TenantProfile: store.TenantProfile{Tenant: store.Tenant{Parent: b.top}, Method: store.MethodNative}, Slugs: []string{"free"},
	}
	taken := []struct {
		name  string
		spoil func(*store.NewTenant)
		want  error
	}{
		{"parent", func(n *store.NewTenant) { n.Parent = newID() }, store.ErrNotFound},
		{"slug", func(n *store.NewTenant) { n.Slugs = []string{"acme"} }, &store.ConflictError{Field: "slug", Value: "acme"}},
		{"domain", func(n *store.NewTenant) { n.Domains = []string{"c.org", "a.org"} }, &store.ConflictError{Field: "domain_names"}},
		{"uuid", func(n *store.NewTenant) { n.UUID = first.UUID }, &store.ConflictError{Field: "uuid", Value: first.UUID}},
		{"contact", func(n *store.NewTenant) { n.Contact = "nobody" }, &store.ReferenceError{Field: "contact", Value: "nobody"}},
	}
	for i, c := range taken {
		n := free
		for _, c := range taken[i:] { // and whatever is told later
			c.spoil(&n)
		}
		_, _, err := b.CreateTenant(t.Context(), n)
		wantSame(t, c.name, err, c.want)
	}
	n := free
	n.UUID, n.Contact = b.top, "nobody"
	_, _, err := b.CreateTenant(t.Context(), n)
	wantSame(t, "the uuid of the parent", err, &store.ConflictError{Field: "parent_uuid", Value: b.top})
	equal(t, "rows left by failures", b.tenantRows(), rows)

	// Slugs and domains: case counts. The first free candidate is taken.
	n = free
	n.Slugs, n.Domains = []string{"acme", "Acme", "free"}, []string{"A.org"}
	created, _, err := b.CreateTenant(t.Context(), n)
	must(t, "CreateTenant", err)
	equal(t, "slug", created.Slug, "Acme")
	n.Slugs, n.Domains = []string{"acme", "Acme"}, nil
	_, _, err = b.CreateTenant(t.Context(), n)
	wantSame(t, "no slug is free", err, &store.ConflictError{Field: "slug", Value: "Acme"})
}

// wantSame fails the test unless err is, or says the same as, target.
func wantSame(t testing.TB, what string, err, target error) {
	t.Helper()
	taken, isConflict := errors.AsType[*store.ConflictError](target)
	nobody, isReference := errors.AsType[*store.ReferenceError](target)
	gotTaken, conflict := errors.AsType[*store.ConflictError](err)
	gotNobody, reference := errors.AsType[*store.ReferenceError](err)
	switch {
	case isConflict && (!conflict || *gotTaken != *taken), isReference && (!reference || *gotNobody != *nobody), !isReference && reference:
		t.Errorf("%s: got error %v, want %#v", what, err, target)
	case !isConflict && !isReference:
		want(t, what, err, target)
	}
}

func testUpdateTenant(t *testing.T, b *bench) {
	p := wholeTenant(b.top)
	p.Contact = b.user("alice", "").UUID
	p = b.create(p)
	other := b.create(store.TenantProfile{Tenant: store.Tenant{Parent: p.UUID, Slug: "other"}, Domains: []string{"other.org"}, Address: store.Address{City: "Oslo"}})
	kept := b.text(`select uuid from auth_tenant_domain where name = 'b.org'`)

	p.Name, p.Phone, p.Contact, p.Method, p.Domains = "New", "", b.user("bob", "").UUID, "ldap", []string{"b.org", "c.org"}
	p.Address = store.Address{Country: "NO"}
	n := p
	n.Slug, n.Parent, n.Domains = "ignored", other.UUID, []string{"c.org", "b.org", "c.org"}
	got, err := b.UpdateTenant(t.Context(), n, p.UUID)
	must(t, "UpdateTenant", err)
	equal(t, "replaced", got, p)
	equal(t, "a domain that stays", b.text(`select uuid from auth_tenant_domain where name = 'b.org'`), kept)
	equal(t, "addresses", b.count(`select count(*) from auth_address`), 2)

	p = store.TenantProfile{Tenant: p.Tenant, Method: store.MethodNative, Domains: []string{}}
	got, err = b.UpdateTenant(t.Context(), p, b.top)
	must(t, "UpdateTenant", err)
	equal(t, "emptied", got, p)
	equal(t, "nulls", b.count(`select count(*) from auth_tenant where uuid = $1 and name is null and phone is null and contact_uuid is null`, p.UUID), 1)
	equal(t, "an address of nothing", b.count(`select count(*) from auth_address where tenant_uuid = $1`, p.UUID), 0)
	got, err = b.TenantByUUID(t.Context(), other.UUID, b.top)
	must(t, "TenantByUUID", err)
	equal(t, "the other", got, other)
}

func testUpdateTenantConflicts(t *testing.T, b *bench) {
	first := b.create(wholeTenant(b.top))
	second := b.create(store.TenantProfile{Tenant: store.Tenant{Parent: b.top, Slug: "second"}, Domains: []string{"second.org"}})
	bad := second
	bad.Domains, bad.Contact = []string{"second.org", "a.org"}, "nobody"
	_, err := b.UpdateTenant(t.Context(), bad, first.UUID)
	wantSame(t, "scope", err, store.ErrNotFound)
	_, err = b.UpdateTenant(t.Context(), bad, b.top)
	wantSame(t, "domain", err, &store.ConflictError{Field: "domain_names"})
	bad.Domains = []string{"new.org"}
	_, err = b.UpdateTenant(t.Context(), bad, b.top)
	wantSame(t, "contact", err, &store.ReferenceError{Field: "contact", Value: "nobody"})
	bad.UUID = newID()
	_, err = b.UpdateTenant(t.Context(), bad, b.top)
	wantSame(t, "nobody", err, store.ErrNotFound)
	got, err := b.TenantByUUID(t.Context(), second.UUID, b.top)
	must(t, "TenantByUUID", err)
	equal(t, "left as it was", got, second)
}

func testTenantInvalid(t *testing.T, b *bench) {
	rows := b.tenantRows()
	for _, s := range unsearchable {
		_, err := b.TenantByUUID(t.Context(), s, b.top)
		want(t, "TenantByUUID", err, store.ErrNotFound)
		_, err = b.TenantByUUID(t.Context(), b.top, s)
		want(t, "TenantByUUID, scope", err, store.ErrNotFound)
		_, err = b.TenantDomains(t.Context(), s)
		want(t, "TenantDomains", err, store.ErrNotFound)
		_, err = b.DeleteTenant(t.Context(), s, b.top)
		want(t, "DeleteTenant", err, store.ErrNotFound)
		wantSame(t, "MoveTenant", b.MoveTenant(t.Context(), s, b.top, b.top), &store.ReferenceError{Field: "tenant_uuid", Value: s})
		wantSame(t, "MoveTenant", b.MoveTenant(t.Context(), b.top, s, b.top), &store.ReferenceError{Field: "parent_tenant_uuid", Value: s})
		_, err = b.UpdateTenant(t.Context(), store.TenantProfile{Tenant: store.Tenant{UUID: s}}, b.top)
		want(t, "UpdateTenant", err, store.ErrNotFound)
		for _, spoil := range []func(*store.NewTenant){
			func(n *store.NewTenant) { n.UUID = s },
			func(n *store.NewTenant) { n.Parent = s },
			func(n *store.NewTenant) { n.Slugs = []string{s} },
			func(n *store.NewTenant) { n.Name = s },
			func(n *store.NewTenant) { n.Phone = s },
			func(n *store.NewTenant) { n.Contact = s },
			func(n *store.NewTenant) { n.Method = s },
			func(n *store.NewTenant) { n.Domains = []string{"a.org", s} },
			func(n *store.NewTenant) { n.Address.Line1 = s },
			func(n *store.NewTenant) { n.Address.Line2 = s },
			func(n *store.NewTenant) { n.Address.City = s },
			func(n *store.NewTenant) { n.Address.State = s },
			func(n *store.NewTenant) { n.Address.Country = s },
			func(n *store.NewTenant) { n.Address.ZipCode = s },
		} {
			n := store.NewTenant{TenantProfile: wholeTenant(b.top), Slugs: []string{"acme"}}
			spoil(&n)
			_, _, err := b.CreateTenant(t.Context(), n)
			want(t, "CreateTenant", err, store.ErrInvalid)
		}
		for _, filters := range []map[string]any{{"uuids": []string{b.top, s}}, {"name": s}} {
			_, err = b.ListTenants(t.Context(), store.List{Tenant: b.top, Filters: filters})
			want(t, "ListTenants", err, store.ErrInvalid)
		}
	}
	for name, spoil := range map[string]func(*store.NewTenant){
		"long slug":   func(n *store.NewTenant) { n.Slugs = []string{strings.Repeat("x", 11)} },
		"long domain": func(n *store.NewTenant) { n.Domains = []string{strings.Repeat("x", 254)} },
		"long uuid":   func(n *store.NewTenant) { n.UUID = strings.Repeat("x", 39) },
	} {
		n := store.NewTenant{TenantProfile: wholeTenant(b.top), Slugs: []string{"acme"}}
		spoil(&n)
		_, _, err := b.CreateTenant(t.Context(), n)
		want(t, name, err, store.ErrInvalid)
	}
	equal(t, "rows left by failures", b.tenantRows(), rows)
}

func testMoveTenant(t *testing.T, b *bench) {
	a, other := b.tenant("a", b.top), b.tenant("other", b.top)
	child := b.tenant("child", a)
	deep := b.tenant("deep", child)
	nobody := newID()
	for _, c := range []struct {
		name, id, parent, scope string
		want                    error
	}{
		{"onto itself", a, a, b.top, store.ErrDescendant},
		{"below itself", a, deep, b.top, store.ErrDescendant},
		{"the top onto itself", b.top, b.top, b.top, store.ErrDescendant},
		{"the top below another", b.top, other, b.top, store.ErrDescendant},
		{"the scope below itself", a, child, a, store.ErrDescendant},
		{"nobody", nobody, a, b.top, &store.ReferenceError{Field: "tenant_uuid", Value: nobody}},
		{"below nobody", a, nobody, b.top, &store.ReferenceError{Field: "parent_tenant_uuid", Value: nobody}},
		{"both are nobody", nobody, nobody, b.top, &store.ReferenceError{Field: "tenant_uuid", Value: nobody}},
		{"out of the scope", child, other, a, &store.ReferenceError{Field: "parent_tenant_uuid", Value: other}},
		{"into the scope", other, child, a, &store.ReferenceError{Field: "tenant_uuid", Value: other}},
		{"above the scope", a, b.top, a, &store.ReferenceError{Field: "parent_tenant_uuid", Value: b.top}},
		{"in no scope", a, other, nobody, &store.ReferenceError{Field: "tenant_uuid", Value: a}},
	} {
		wantSame(t, c.name, b.MoveTenant(t.Context(), c.id, c.parent, c.scope), c.want)
	}
	equal(t, "moved by failures", b.count(`select count(*) from auth_tenant where (uuid, parent_uuid) in (($1, $1), ($2, $1), ($3, $1), ($4, $2), ($5, $4))`,
		b.top, a, other, child, deep), 5)

	must(t, "up", b.MoveTenant(t.Context(), deep, a, a))
	must(t, "beside", b.MoveTenant(t.Context(), a, other, b.top))
	must(t, "where it is", b.MoveTenant(t.Context(), a, other, other))
	must(t, "down again", b.MoveTenant(t.Context(), deep, child, other))
	equal(t, "as moved", b.count(`select count(*) from auth_tenant where (uuid, parent_uuid) in (($1, $1), ($2, $3), ($3, $1), ($4, $2), ($5, $4))`,
		b.top, a, other, child, deep), 5)
}

// Whatever a tenant has goes with it, and every token that was good because of
// it is returned and told to the log.
func testDeleteTenant(t *testing.T, b *bench) {
	since := b.logged()
	doomed, stays := b.create(wholeTenant(b.top)), b.tenant("stays", b.top)
	in := func(username, tenant string) store.User {
		u, err := b.CreateUser(t.Context(), store.NewUser{User: store.User{Username: username, TenantUUID: tenant, Enabled: true, Purpose: store.PurposeUser}, Email: username + "@example.org"})
		must(t, "CreateUser", err)
		return u
	}
	kid, pupil, moved, guest := in("kid", doomed.UUID), in("pupil", doomed.UUID), in("moved", stays), in("guest", stays)
	issue := func(u store.User, tenant string) string {
		n := b.issue(u.UUID)
		n.Session.TenantUUID, n.Token.ExpiresAt = tenant, never
		_, err := b.IssueToken(t.Context(), n)
		must(t, "IssueToken", err)
		return n.Token.UUID
	}
	// Logged in where he was before somebody moved him here, the other way
	// round, and twice.
	gone := []string{issue(kid, doomed.UUID), issue(kid, doomed.UUID), issue(pupil, stays), issue(moved, doomed.UUID)}
	left := []string{issue(moved, stays), issue(guest, stays)}
	r := store.RefreshToken{UUID: newID(), ClientID: "c", UserUUID: kid.UUID, CreatedAt: time.Now()}
	n := b.issue(kid.UUID)
	n.Session.TenantUUID, n.Token.ExpiresAt = doomed.UUID, never
	_, err := b.IssueOfflineToken(t.Context(), n, r)
	must(t, "IssueOfflineToken", err)
	gone = append(gone, n.Token.UUID)
	// A contact of its own, and one of another.
	b.exec(`update auth_tenant set contact_uuid = $1 where uuid in ($2, $3)`, kid.UUID, doomed.UUID, stays)
	policy := b.policy(doomed.UUID, "theirs", "x")
	b.exec(`insert into auth_user_policy (user_uuid, policy_uuid) values ($1, $2)`, kid.UUID, policy)
	b.exec(`insert into auth_session (uuid, mobile, tenant_uuid) values ('bare', false, $1)`, doomed.UUID)
	since()

	_, err = b.DeleteTenant(t.Context(), doomed.UUID, stays)
	want(t, "from beside", err, store.ErrNotFound)
	equal(t, "told of a failure", since(), []string{})
	ended, err := b.DeleteTenant(t.Context(), doomed.UUID, b.top)
	must(t, "DeleteTenant", err)
	equal(t, "ended", uuidsOf(ended), sorted(gone...))
	told := []string{"tenants", "users " + kid.UUID, "users " + pupil.UUID}
	for _, token := range gone {
		told = append(told, "ended "+token)
	}
	equal(t, "told", since(), sorted(told...))
	for _, e := range ended {
		equal(t, "session ended", e.SessionEnded && !b.hasSession(e.SessionUUID), true)
	}
	for _, token := range left {
		equal(t, "a token of somebody else", b.hasToken(token), true)
	}
	for _, table := range []string{"auth_address", "auth_tenant_domain", "auth_user", "auth_group", "auth_policy", "auth_session"} {
		equal(t, "rows in "+table, b.count(`select count(*) from `+table+` where tenant_uuid = $1`, doomed.UUID), 0)
	}
	equal(t, "refresh tokens", b.count(`select count(*) from auth_refresh_token`), 0)
	equal(t, "the contact of the other", b.count(`select count(*) from auth_tenant where uuid = $1 and contact_uuid is null`, stays), 1)
	_, err = b.DeleteTenant(t.Context(), doomed.UUID, b.top)
	want(t, "again", err, store.ErrNotFound)
}

func testDeleteTenantRefused(t *testing.T, b *bench) {
	a := b.tenant("a", b.top)
	child := b.tenant("child", a)
	token := b.token("a", never)
	b.exec(`update auth_session set tenant_uuid = $1`, a)
	_, err := b.DeleteTenant(t.Context(), a, b.top)
	want(t, "with a child", err, store.ErrHasChildren)
	_, err = b.DeleteTenant(t.Context(), b.top, b.top)
	want(t, "the top", err, store.ErrHasChildren)
	equal(t, "a token of it", b.hasToken(token.UUID), true)
	_, err = b.DeleteTenant(t.Context(), child, b.top)
	must(t, "the child", err)
	ended, err := b.DeleteTenant(t.Context(), a, a)
	must(t, "without", err)
	equal(t, "ended", uuidsOf(ended), []string{token.UUID})
	equal(t, "tenants", b.count(`select count(*) from auth_tenant`), 1)
}
