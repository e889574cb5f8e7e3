package sqlstore

import (
	"context"
	"database/sql"

	"github.com/wazo-edge/xivo-auth/authsvc/store"
)

const tenantColumns = `t.uuid, t.parent_uuid, t.slug, coalesce(t.name, ''), coalesce(t.phone, ''), coalesce(t.contact_uuid, ''), t.default_authentication_method,
	coalesce(a.line_1, ''), coalesce(a.line_2, ''), coalesce(a.city, ''), coalesce(a.state, ''), coalesce(a.country, ''), coalesce(a.zip_code, '')`

// tenantTables has each tenant once, should somebody have given it two
// addresses.
const tenantTables = `auth_tenant t
left join auth_address a on a.id = (select min(o.id) from auth_address o where o.tenant_uuid = t.uuid)`

// sqlLine are the tenant $1 and those it is below: as many rows as the tree is
// deep. Union ends at a circle; see sqlBelow.
const sqlLine = `with recursive line (uuid) as (
	select t.uuid from auth_tenant t where t.uuid = $1
	union
	select t.parent_uuid from auth_tenant t join line l on t.uuid = l.uuid
)
`

const (
	sqlTenant = sqlLine + `
select ` + tenantColumns + ` from ` + tenantTables + ` where t.uuid = $1 and exists (select 1 from line l where l.uuid = $2)`

	// Of all tenants of a page at once.
	sqlDomains = `select d.tenant_uuid, d.name from auth_tenant_domain d where d.tenant_uuid = any($1) order by d.name collate "C"`

	sqlTenantDomains = `
select d.uuid, d.name from auth_tenant t
left join auth_tenant_domain d on d.tenant_uuid = t.uuid
where t.uuid = $1
order by d.name collate "C"`
)

var tenantListing = listing[store.TenantProfile]{
	columns: tenantColumns,
	from:    tenantTables,
	tenant:  `t.uuid = $1`,
	below:   `t.uuid = ` + anyBelow,
	key:     `t.uuid collate "C"`,
	search: []string{
		like(`t.name`), like(`t.slug`),
		`exists (select 1 from auth_tenant_domain d where d.tenant_uuid = t.uuid and ` + like(`d.name`) + `)`,
	},
	filters: map[string]string{
		"uuid": `t.uuid = %s`, "uuids": `t.uuid = any(%s)`, "name": `t.name = %s`, "slug": `t.slug = %s`,
		"domain_name": `exists (select 1 from auth_tenant_domain d where d.tenant_uuid = t.uuid and d.name = %s)`,
	},
	orders: map[string]string{"": `t.name collate "C"`, "name": `t.name collate "C"`, "slug": `t.slug collate "C"`},
	scan:   func(rows *sql.Rows) (store.TenantProfile, error) { return scanTenant(rows) },
}

// scanTenant reads a tenant without its domains.
func scanTenant(row scanner) (t store.TenantProfile, err error) {
	a := &t.Address
	err = row.Scan(&t.UUID, &t.Parent, &t.Slug, &t.Name, &t.Phone, &t.Contact, &t.Method,
		&a.Line1, &a.Line2, &a.City, &a.State, &a.Country, &a.ZipCode)
	t.Domains = []string{}
	return t, err
}

// ListTenants implements [store.Tenants].
func (s *Store) ListTenants(ctx context.Context, want store.List) (store.Page[store.TenantProfile], error) {
	const op = "listing tenants"
	page, err := list(ctx, s, op, &tenantListing, want)
	if err != nil || len(page.Items) == 0 {
		return page, err
	}
	err = s.view(ctx, op, func(ctx context.Context, q statement) error { return s.readDomains(ctx, q, page.Items) })
	if err != nil {
		return store.Page[store.TenantProfile]{}, err
	}
	return page, nil
}

// readDomains fills in the domains of tenants.
func (s *Store) readDomains(ctx context.Context, q statement, tenants []store.TenantProfile) error {
	index, uuids := make(map[string]int, len(tenants)), make([]string, len(tenants))
	for i, t := range tenants {
		index[t.UUID], uuids[i] = i, t.UUID
	}
	type domain struct{ tenant, name string }
	domains, err := rows(ctx, q, func(r *sql.Rows) (d domain, err error) {
		err = r.Scan(&d.tenant, &d.name)
		return d, err
	}, sqlDomains, s.dialect.List(uuids))
	for i := range tenants {
		tenants[i].Domains = []string{}
	}
	for _, d := range domains {
		t := &tenants[index[d.tenant]]
		t.Domains = append(t.Domains, d.name)
	}
	return err
}

// TenantByUUID implements [store.Tenants].
func (s *Store) TenantByUUID(ctx context.Context, id, scope string) (t store.TenantProfile, err error) {
	const op = "reading a tenant"
	if !searchable(id) || !searchable(scope) {
		return t, notFound(op)
	}
	err = s.view(ctx, op, func(ctx context.Context, q statement) (err error) {
		t, err = s.readTenant(ctx, q, id, scope)
		return err
	})
	if err != nil {
		return store.TenantProfile{}, err
	}
	return t, nil
}

func (s *Store) readTenant(ctx context.Context, q statement, id, scope string) (store.TenantProfile, error) {
	t, err := scanTenant(q.row(ctx, sqlTenant, id, scope))
	if err != nil {
		return t, err
	}
	one := []store.TenantProfile{t}
	err = s.readDomains(ctx, q, one)
	return one[0], err
}

// TenantDomains implements [store.Tenants].
func (s *Store) TenantDomains(ctx context.Context, id string) (domains []store.Domain, err error) {
	const op = "reading the domains of a tenant"
	if !searchable(id) {
		return nil, notFound(op)
	}
	err = s.view(ctx, op, func(ctx context.Context, q statement) error {
		found, err := rows(ctx, q, func(r *sql.Rows) (d [2]sql.NullString, err error) {
			err = r.Scan(&d[0], &d[1])
			return d, err
		}, sqlTenantDomains, id)
		if err == nil && len(found) == 0 {
			err = sql.ErrNoRows
		}
		domains = []store.Domain{}
		for _, d := range found {
			if d[0].Valid { // the tenant's row is there without any
				domains = append(domains, store.Domain{UUID: d[0].String, Name: d[1].String})
			}
		}
		return err
	})
	if err != nil {
		return nil, err
	}
	return domains, nil
}
