package sqlstore

import (
	"context"
	"database/sql"
	"maps"

	"github.com/wazo-edge/xivo-auth/authsvc/store"
)

// A policy is seen from tenant $1 when one of these holds; see sqlTree.
const (
	// Of a policy that is not the tenant's own.
	policyInherited = `(p.config_managed is true or p.shared and p.tenant_uuid in (select uuid from above))`
	policyHere      = `(p.tenant_uuid = $1 or ` + policyInherited + `)`
	policyBelow     = `(p.tenant_uuid in (select uuid from below) or ` + policyInherited + `)`
)

const policyOwnColumns = `p.uuid, p.tenant_uuid, p.name, p.slug, p.description, p.config_managed is true, p.shared`

const policyColumns = policyOwnColumns + `, p.tenant_uuid not in (select uuid from below)`

// scanPolicy reads a policy without its accesses; see withAccesses.
func scanPolicy(row scanner) (p store.Policy, err error) {
	err = row.Scan(&p.UUID, &p.TenantUUID, &p.Name, &p.Slug, &p.Description, &p.ConfigManaged, &p.Shared, &p.Inherited)
	return p, err
}

const (
	userHasPolicy  = `exists (select 1 from auth_user_policy up where up.policy_uuid = p.uuid and up.user_uuid = %s)`
	groupHasPolicy = `exists (select 1 from auth_group_policy gp where gp.policy_uuid = p.uuid and gp.group_uuid = %s)`
)

var policyListing = listing[store.Policy]{
	columns: policyColumns,
	from:    `auth_policy p`,
	tenant:  policyHere,
	below:   policyBelow,
	user:    userHasPolicy,
	group:   groupHasPolicy,
	key:     `p.uuid collate "C"`,
	search:  []string{like(`p.name`), like(`p.description`)},
	filters: map[string]string{
		"uuid": `p.uuid = %s`, "name": `p.name = %s`, "slug": `p.slug = %s`, "tenant_uuid": `p.tenant_uuid = %s`,
		"user_uuid": userHasPolicy, "group_uuid": groupHasPolicy,
		// What read_only stands for: see ListPolicies.
		"inherited": `cast(%s as boolean) and (p.config_managed is true or p.shared
	and exists (select 1 from auth_tenant t where t.uuid = p.tenant_uuid and t.parent_uuid = t.uuid))`,
		"own": `(p.tenant_uuid = $1 or cast(%s as boolean) and p.tenant_uuid in (select uuid from below))`,
	},
	orders: map[string]string{
		"name": `p.name collate "C"`, "slug": `p.slug collate "C"`, "description": `p.description collate "C"`, "uuid": `p.uuid collate "C"`,
	},
	scan: func(rows *sql.Rows) (store.Policy, error) { return scanPolicy(rows) },
}

// heldListing lists what somebody has, which is seen from no tenant.
var heldListing = func() listing[store.Policy] {
	l := policyListing
	l.columns = policyOwnColumns + `, false`
	l.filters = maps.Clone(l.filters)
	delete(l.filters, "inherited")
	delete(l.filters, "own")
	return l
}()

// ListPolicies implements [store.Policies].
func (s *Store) ListPolicies(ctx context.Context, want store.List) (store.Page[store.Policy], error) {
	const op = "listing policies"
	l := &policyListing
	if want.Everywhere {
		l = &heldListing
	}
	if readOnly, ok := want.Filters["read_only"].(bool); ok {
		want.Filters = maps.Clone(want.Filters)
		delete(want.Filters, "read_only")
		if readOnly {
			want.Filters["inherited"] = true
		} else {
			want.Filters["own"] = want.Recurse // whether those below are listed, too
		}
	}
	page, err := list(ctx, s, op, l, want)
	if err != nil {
		return page, err
	}
	err = s.view(ctx, op, func(ctx context.Context, q statement) error { return s.withAccesses(ctx, q, page.Items) })
	if err != nil {
		return store.Page[store.Policy]{}, err
	}
	return page, nil
}

const sqlPolicyAccesses = `
select pa.policy_uuid, a.access
from auth_policy_access pa
join auth_access a on a.id = pa.access_id
where pa.policy_uuid = any($1)
order by pa.policy_uuid, a.access collate "C"`

// withAccesses reads the accesses of policies: one statement, however many
// there are.
func (s *Store) withAccesses(ctx context.Context, q statement, policies []store.Policy) error {
	if len(policies) == 0 {
		return nil
	}
	uuids, at := make([]string, len(policies)), map[string]int{}
	for i := range policies {
		uuids[i], at[policies[i].UUID] = policies[i].UUID, i
		policies[i].ACL = []string{}
	}
	accesses, err := rows(ctx, q, func(r *sql.Rows) (a [2]string, err error) {
		err = r.Scan(&a[0], &a[1])
		return a, err
	}, sqlPolicyAccesses, s.dialect.List(uuids))
	for _, a := range accesses {
		p := &policies[at[a[0]]]
		p.ACL = append(p.ACL, a[1])
	}
	return err
}

const (
	sqlPolicyByUUID = sqlTree + `select ` + policyColumns + ` from auth_policy p where p.uuid = $2 and ` + policyBelow

	sqlPolicyBySlug = sqlTree + `
select ` + policyColumns + `
from auth_policy p
where lower(p.slug) = lower($2) and p.slug = $2 and ` + policyHere + `
order by case when p.tenant_uuid = $1 then 0 when p.config_managed is true then 1 else 2 end, p.uuid collate "C"
limit 1`
)

// PolicyByUUID implements [store.Policies].
func (s *Store) PolicyByUUID(ctx context.Context, tenant, uuid string) (store.Policy, error) {
	return s.onePolicy(ctx, sqlPolicyByUUID, tenant, uuid)
}

// PolicyBySlug implements [store.Policies].
func (s *Store) PolicyBySlug(ctx context.Context, tenant, slug string) (store.Policy, error) {
	return s.onePolicy(ctx, sqlPolicyBySlug, tenant, slug)
}

func (s *Store) onePolicy(ctx context.Context, query, tenant, key string) (p store.Policy, err error) {
	const op = "reading a policy"
	if !searchable(tenant) || !searchable(key) {
		return p, notFound(op)
	}
	err = s.view(ctx, op, func(ctx context.Context, q statement) (err error) {
		p, err = s.readPolicy(ctx, q, query, tenant, key)
		return err
	})
	return p, err
}

func (s *Store) readPolicy(ctx context.Context, q statement, query, tenant, key string) (store.Policy, error) {
	p, err := scanPolicy(q.row(ctx, query, tenant, key))
	if err != nil {
		return store.Policy{}, err
	}
	found := []store.Policy{p}
	if err := s.withAccesses(ctx, q, found); err != nil {
		return store.Policy{}, err
	}
	return found[0], nil
}
