package postgres_test

import (
	"database/sql"
	"maps"
	"slices"
	"strings"
	"testing"
)

// invariants are what the programs that write these tables promise each other
// beyond the constraints (contract: schema.md §3), each as a query for what
// breaks it.
var invariants = map[string]string{
	"one tenant is the top": `
select 'top tenants: ' || count(*) from auth_tenant where uuid = parent_uuid having count(*) <> 1`,

	"every tenant is below the top": `
with recursive below (uuid) as (
	select uuid from auth_tenant where uuid = parent_uuid
	union
	select t.uuid from auth_tenant t join below b on t.parent_uuid = b.uuid
)
select uuid from auth_tenant where uuid not in (select uuid from below)`,

	"every tenant has its group of all users": `
select t.uuid from auth_tenant t where (
	select count(*) from auth_group g
	where g.tenant_uuid = t.uuid and g.system_managed and g.name = 'wazo-all-users-tenant-' || t.uuid and g.slug = g.name
) <> 1`,

	"every user is in the group of all users of his tenant": `
select u.uuid from auth_user u where not exists (
	select 1 from auth_user_group m join auth_group g on g.uuid = m.group_uuid
	where m.user_uuid = u.uuid and g.tenant_uuid = u.tenant_uuid and g.name = 'wazo-all-users-tenant-' || u.tenant_uuid
)`,

	// One user may have the same text as username and as address.
	"a login is of one user": `
select login from (
	select lower(username) as login, uuid from auth_user where username is not null
	union
	select lower(address), user_uuid from auth_email
) l group by login having count(*) > 1`,

	"slugs are made of what a path can hold": `
select slug from (select slug from auth_tenant union all select slug from auth_group union all select slug from auth_policy) s
where slug !~ '^[A-Za-z0-9_-]*$'`,

	"names and slugs of shared policies are free in all tenants below": `
with recursive line (top, uuid) as (
	select uuid, uuid from auth_tenant
	union
	select l.top, t.uuid from line l join auth_tenant t on t.parent_uuid = l.uuid
)
select p.name || ' and ' || q.name from auth_policy p
join line l on l.top = p.tenant_uuid
join auth_policy q on q.tenant_uuid = l.uuid and q.uuid <> p.uuid and (q.name = p.name or q.slug = p.slug)
where p.shared is true`,

	"a session has one token": `
select s.uuid from auth_session s where (select count(*) from auth_token t where t.session_uuid = s.uuid) <> 1`,

	"who has addresses has one main address": `
select user_uuid from auth_email group by user_uuid having count(*) filter (where main) <> 1`,

	"a tenant has at most one address, and that is not empty": `
select tenant_uuid from auth_address group by tenant_uuid
having count(*) > 1 or max(coalesce(line_1, line_2, city, state, zip_code, country)) is null`,

	"a tenant has at most one SAML configuration, of its own domain": `
select tenant_uuid from auth_saml_config group by tenant_uuid having count(*) > 1
union all
select c.tenant_uuid from auth_saml_config c join auth_tenant_domain d on d.uuid = c.domain_uuid where d.tenant_uuid <> c.tenant_uuid`,

	"uuids are in lower case with dashes": `
select uuid from (
	select uuid from auth_tenant union all select uuid from auth_user union all select uuid from auth_group
	union all select uuid from auth_policy union all select uuid from auth_email union all select uuid from auth_tenant_domain
	union all select uuid from auth_token union all select uuid from auth_session union all select uuid from auth_refresh_token
) u where uuid !~ '^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$'`,
}

// holds fails the test where an invariant does not hold.
func holds(t *testing.T, db *sql.DB) {
	t.Helper()
	for _, name := range slices.Sorted(maps.Keys(invariants)) {
		if broken := lines(t, db, invariants[name]); len(broken) > 0 {
			t.Errorf("%s: not so for %s", name, strings.Join(broken[:min(len(broken), 10)], ", "))
		}
	}
}
