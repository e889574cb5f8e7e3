package postgres_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/wazo-edge/xivo-auth/authsvc/store"
)

// TestReferenceRooms reads what the Python service left through every room of
// the management API.
func TestReferenceRooms(t *testing.T) {
	t.Parallel()
	f := reference(t)
	s, ctx := f.Store, t.Context()
	holds(t, f.DB)
	top, acme, box := id(tenants, 1), id(tenants, 2), id(tenants, 3)

	tenant, err := s.TenantByUUID(ctx, acme, top)
	check(t, "TenantByUUID", tenant, err, tenant.Name == "ACME & Söhne" && tenant.Slug == "acme" && tenant.Phone == "" &&
		tenant.Contact == id(users, 3) && tenant.Method == store.MethodLDAP && slices.Equal(tenant.Domains, []string{"acme.example"}) &&
		tenant.Address == store.Address{Line1: "1, rue de l'Église", City: "Québec", Country: "Canada"})
	list, err := s.ListTenants(ctx, store.List{Tenant: top, Recurse: true})
	check(t, "ListTenants", list, err, list.Total == 3 && list.Items[0].UUID == acme && list.Items[1].UUID == top &&
		list.Items[2].UUID == box && list.Items[2].Name == "" && list.Items[2].Parent == acme && list.Items[2].Address == store.Address{})

	accounts, err := s.ListAccounts(ctx, store.List{Tenant: acme, Recurse: true})
	check(t, "ListAccounts", accounts, err, accounts.Total == 3 && accounts.Items[0].Username == "Older" && accounts.Items[1].Username == "Élodie" &&
		accounts.Items[2].Username == "")
	older, elodie, api := accounts.Items[0], accounts.Items[1], accounts.Items[2]
	check(t, "older", older, nil, !older.Enabled && older.FirstName == nil && older.LastName == nil && older.Emails != nil && len(older.Emails) == 0)
	check(t, "elodie", elodie, nil, elodie.Enabled && *elodie.LastName == "O'Hara" && len(elodie.Emails) == 2 &&
		elodie.Emails[0].Address == "Elodie@acme.example" && elodie.Emails[0].Main && !elodie.Emails[1].Confirmed)
	check(t, "api", api, nil, *api.FirstName == "" && api.Purpose == store.PurposeExternalAPI && len(api.Emails) == 1)
	search := "acme.EXAMPLE"
	accounts, err = s.ListAccounts(ctx, store.List{Tenant: acme, Search: &search})
	check(t, "search", accounts, err, accounts.Total == 2 && accounts.Filtered == 1 && accounts.Items[0].UUID == elodie.UUID)
	accounts, err = s.ListAccounts(ctx, store.List{Tenant: acme, Filters: map[string]any{"has_policy_slug": "wazo_default_admin_policy"}})
	check(t, "has_policy_slug", accounts, err, accounts.Filtered == 1 && accounts.Items[0].UUID == elodie.UUID)

	of := func(items []store.Group) (uuids []string) {
		for _, g := range items {
			uuids = append(uuids, g.UUID)
		}
		slices.Sort(uuids)
		return uuids
	}
	in, err := s.ListGroups(ctx, store.List{Everywhere: true, User: elodie.UUID})
	check(t, "ListGroups", in, err, slices.Equal(of(in.Items), []string{id(groups, 2), id(groups, 10), id(groups, 11)}))
	for _, g := range in.Items {
		check(t, "group", g, nil, g.SystemManaged == (g.UUID == id(groups, 2)) && g.TenantUUID == acme)
	}
	all, err := s.ListGroups(ctx, store.List{Tenant: top, Recurse: true, Filters: map[string]any{"system_managed": true}})
	check(t, "groups of all users", all, err, all.Total == 5 && all.Filtered == 3)

	seen, err := s.ListPolicies(ctx, store.List{Tenant: acme, Order: "uuid"})
	check(t, "ListPolicies", seen, err, seen.Total == 3 && seen.Items[0].UUID == id(policies, 2) && seen.Items[0].ConfigManaged &&
		seen.Items[0].Shared && seen.Items[0].Inherited && slices.Equal(seen.Items[0].ACL, []string{"calld.users.me.calls.#", "confd.users.me.read"}) &&
		seen.Items[2].Slug == "Spport" && seen.Items[2].Description == nil && !seen.Items[2].ConfigManaged && !seen.Items[2].Inherited)
	policy, err := s.PolicyBySlug(ctx, box, "wazo_default_admin_policy")
	check(t, "PolicyBySlug", policy, err, policy.UUID == id(policies, 3) && *policy.Description == "Automatically created")
	_, err = s.PolicyBySlug(ctx, box, "Spport")
	check(t, "PolicyBySlug of a tenant above", "", nil, err != nil)
	for _, c := range []struct {
		want store.List
		has  string
	}{
		{store.List{Everywhere: true, User: elodie.UUID}, id(policies, 2)},
		{store.List{Everywhere: true, Group: id(groups, 11)}, id(policies, 4)},
	} {
		has, err := s.ListPolicies(ctx, c.want)
		check(t, "policies of somebody", has, err, has.Total == 1 && has.Items[0].UUID == c.has)
	}

	ldap, err := s.LDAPConfig(ctx, acme)
	check(t, "LDAPConfig", ldap, err, ldap.Host == "ldap.acme.example" && ldap.Port == 389 && ldap.UserBaseDN == "dc=acme" &&
		ldap.ProtocolVersion == nil && ldap.BindPassword == nil && ldap.UserLoginAttribute == nil)
	sessions, err := s.ListSessions(ctx, store.List{Tenant: acme, Order: "mobile", Descending: true})
	check(t, "ListSessions", sessions, err, sessions.Total == 6 && sessions.Items[0].Mobile && sessions.Items[0].AuthID == elodie.UUID)
	tokens, err := s.ListRefreshTokens(ctx, store.List{Everywhere: true, User: elodie.UUID})
	check(t, "ListRefreshTokens", tokens, err, tokens.Total == 1 && tokens.Items[0].ClientID == "phone" && tokens.Items[0].Metadata == "{}" &&
		tokens.Items[0].UserAgent == "" && tokens.Items[0].TenantUUID == acme)
}

// TestReferenceReadsOurRows stores what there is to store and reads it by the
// joins and conditions that the Python service reads its tables by (schema.md,
// and routes.yml for what a list searches).
func TestReferenceReadsOurRows(t *testing.T) {
	t.Parallel()
	f := reference(t)
	s, ctx := f.Store, t.Context()
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	n := store.NewTenant{Slugs: []string{"ours"}, Defaults: store.Defaults{AllUsers: store.DefaultPolicies{"wazo_default_user_policy": true}}}
	n.Parent, n.Name, n.Method, n.Domains = id(tenants, 2), "Ours", store.MethodNative, []string{"ours.example", "a.example"}
	n.Address = store.Address{City: "Łódź"}
	tenant, _, err := s.CreateTenant(ctx, n)
	must(err)
	first := "Zoë"
	u, err := s.CreateUser(ctx, store.NewUser{
		User:         store.User{TenantUUID: tenant.UUID, Username: "Zoe", FirstName: &first, Enabled: true, Purpose: store.PurposeUser},
		PasswordHash: strings.Repeat("ab", 64), PasswordSalt: []byte{0, 0xff}, Email: "Zoe@Ours.example",
	})
	must(err)
	_, err = s.SetEmails(ctx, u.UUID, []store.NewEmail{{Address: "Zoe@Ours.example", Main: true}, {Address: "new@ours.example"}})
	must(err)
	tenant.Contact = u.UUID
	_, err = s.UpdateTenant(ctx, tenant, tenant.UUID)
	must(err)
	g, err := s.CreateGroup(ctx, store.Group{TenantUUID: tenant.UUID, Name: "Team"}, []string{"team"})
	must(err)
	must(s.AddGroupMember(ctx, g.UUID, u.UUID))
	p, err := s.CreatePolicy(ctx, store.NewPolicy{TenantUUID: tenant.UUID, Name: "Own", Slugs: []string{"own"}, Shared: true, ACL: []string{"b", "#", "b"}})
	must(err)
	must(s.AddPolicy(ctx, store.Holder{Group: g.UUID}, p.UUID))
	must(s.AddPolicy(ctx, store.Holder{User: u.UUID}, p.UUID))
	_, err = s.ChangeLDAPConfig(ctx, tenant.UUID, func(c *store.LDAPConfig) error {
		c.Host, c.Port, c.UserBaseDN = "ldap.example", 636, "dc=ours"
		return nil
	})
	must(err)
	_, err = s.IssueOfflineToken(ctx, store.NewToken{
		Session: store.Session{UUID: uuid.NewString(), TenantUUID: tenant.UUID, Mobile: true},
		Token:   store.Token{UUID: uuid.NewString(), AuthID: u.UUID, PBXUserUUID: u.UUID, IssuedAt: 100, ExpiresAt: 200, Metadata: `{"uuid": "x"}`},
	}, store.RefreshToken{UUID: uuid.NewString(), ClientID: "desk", UserUUID: u.UUID, Backend: "wazo_user", Login: "zoe", CreatedAt: time.Unix(50, 0), Mobile: true})
	must(err)

	for _, c := range []struct {
		name, query string
		args        []any
		want        []string
	}{
		{"tenant", `
select t.name || '|' || t.parent_uuid || '|' || coalesce(t.phone, 'null') || '|' || t.default_authentication_method || '|' || a.city || '|' || coalesce(a.line_1, 'null')
from auth_tenant t left outer join auth_address a on a.tenant_uuid = t.uuid where t.slug = 'ours'`, nil,
			[]string{"Ours|" + id(tenants, 2) + "|null|native|Łódź|null"}},
		{"domains", `select name from auth_tenant_domain where tenant_uuid = $1 order by name`, []any{tenant.UUID}, []string{"a.example", "ours.example"}},
		{"contact", `select u.username from auth_tenant t join auth_user u on t.contact_uuid = u.uuid where t.uuid = $1`, []any{tenant.UUID}, []string{"Zoe"}},
		{"the group of all users, by name", `
select u.username from auth_group g
join auth_user_group m on m.group_uuid = g.uuid join auth_user u on u.uuid = m.user_uuid
where g.name = 'wazo-all-users-tenant-' || $1 and g.system_managed is true and g.tenant_uuid = $1`, []any{tenant.UUID}, []string{"Zoe"}},
		{"credentials", `
select u.password_hash || '|' || encode(u.password_salt, 'hex') from auth_user u left outer join auth_email e on e.user_uuid = u.uuid
where (lower(u.username) = lower($1) or lower(e.address) = lower($1) and e.confirmed is true) and u.enabled is true`, []any{"zoe@ours.example"},
			[]string{strings.Repeat("ab", 64) + "|00ff"}},
		{"users that match a search", `
select distinct u.username || '|' || u.firstname || '|' || coalesce(u.lastname, 'null') || '|' || u.purpose || '|' || u.authentication_method
from auth_user u left outer join auth_email e on e.user_uuid = u.uuid
where u.tenant_uuid in ($1) and (u.username ilike $2 or u.firstname ilike $2 or u.lastname ilike $2 or e.address ilike $2)`, []any{tenant.UUID, "%OURS%"},
			[]string{"Zoe|Zoë|null|user|default"}},
		{"addresses", `select address || '|' || main || '|' || confirmed from auth_email where user_uuid = $1 order by main desc`, []any{u.UUID},
			[]string{"Zoe@Ours.example|true|true", "new@ours.example|false|false"}},
		{"groups that are not the system's", `select name || '|' || slug from auth_group where tenant_uuid = $1 and system_managed is false`, []any{tenant.UUID}, []string{"Team|team"}},
		{"policies of the tenant and those of the configuration", `
select p.slug from auth_policy p where p.tenant_uuid = $1 or p.config_managed is true order by p.slug`, []any{tenant.UUID},
			[]string{"own", "wazo_default_admin_policy", "wazo_default_user_policy"}},
		{"a policy of ours", `
select p.name || '|' || p.shared || '|' || (p.config_managed is true) || '|' || coalesce(p.description, 'null') || '|' || string_agg(a.access, ' ' order by a.access collate "C")
from auth_policy p left outer join auth_policy_access pa on pa.policy_uuid = p.uuid left outer join auth_access a on a.id = pa.access_id
where p.uuid = $1 group by p.uuid`, []any{p.UUID}, []string{"Own|true|false|null|# b"}},
		{"accesses of a user", `
select distinct a.access from auth_access a join auth_policy_access pa on pa.access_id = a.id
where pa.policy_uuid in (
	select up.policy_uuid from auth_user_policy up where up.user_uuid = $1
	union
	select gp.policy_uuid from auth_group_policy gp join auth_user_group m on m.group_uuid = gp.group_uuid where m.user_uuid = $1
) order by 1`, []any{u.UUID}, []string{"#", "b", "calld.users.me.calls.#", "confd.users.me.read"}},
		{"the directory", `select host || '|' || port || '|' || coalesce(protocol_security, 'null') from auth_ldap_config where tenant_uuid = $1`, []any{tenant.UUID},
			[]string{"ldap.example|636|null"}},
		{"the token", `
select (t.metadata::json ->> 'uuid') || '|' || t.issued_t || '|' || t.expire_t || '|' || s.mobile || '|' || t.user_agent || '|' || array_length(t.acl, 1) || '|' || r.client_id
from auth_token t join auth_session s on s.uuid = t.session_uuid join auth_refresh_token r on r.uuid = t.refresh_token_uuid
where t.auth_id = $1 and s.tenant_uuid = $2`, []any{u.UUID, tenant.UUID}, []string{"x|100|200|true||6|desk"}},
		{"the refresh token", `
select extract(epoch from r.created_at)::int || '|' || r.login || '|' || r.metadata::text || '|' || u.tenant_uuid
from auth_refresh_token r join auth_user u on u.uuid = r.user_uuid where r.client_id ilike '%DESK%' and r.mobile is true`, nil,
			[]string{fmt.Sprintf("50|zoe|{}|%s", tenant.UUID)}},
	} {
		if got := lines(t, f.DB, c.query, c.args...); !slices.Equal(got, c.want) {
			t.Errorf("%s: got %q, want %q", c.name, got, c.want)
		}
	}
	holds(t, f.DB)
}
