package sqlstore

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/google/uuid"

	"github.com/wazo-edge/xivo-auth/authsvc/store"
)

const (
	sqlTenantExists = `select exists (select 1 from auth_tenant t where t.uuid = $1)`

	sqlTenantSlugTaken = `select exists (select 1 from auth_tenant t where t.slug = $1)`

	sqlDomainsTaken = `select exists (select 1 from auth_tenant_domain d where d.name = any($1) and d.tenant_uuid <> $2)`

	sqlInsertTenant = `insert into auth_tenant (uuid, name, slug, phone, contact_uuid, parent_uuid, default_authentication_method)
values ($1, $2, $3, $4, $5, $6, $7)`

	sqlUpdateTenant = `update auth_tenant set name = $2, phone = $3, contact_uuid = $4, default_authentication_method = $5 where uuid = $1`

	sqlInsertAllUsers = `insert into auth_group (uuid, name, slug, tenant_uuid, system_managed) values ($1, $2, $3, $4, true)`

	sqlDropDomains = `delete from auth_tenant_domain where tenant_uuid = $1 and not name = any($2)`

	// Each value is a uuid and the name after it.
	sqlAddDomains = `
insert into auth_tenant_domain (uuid, tenant_uuid, name)
select substr(w.value, 1, 36), cast($1 as text), substr(w.value, 37) from unnest(cast($2 as text[])) as w (value)
where not exists (select 1 from auth_tenant_domain d where d.tenant_uuid = cast($1 as text) and d.name = substr(w.value, 37))`

	sqlDropAddress = `delete from auth_address where tenant_uuid = $1`

	sqlUpdateAddress = `update auth_address set line_1 = $2, line_2 = $3, city = $4, state = $5, country = $6, zip_code = $7 where tenant_uuid = $1`

	sqlInsertAddress = `insert into auth_address (tenant_uuid, line_1, line_2, city, state, country, zip_code) values ($1, $2, $3, $4, $5, $6, $7)`
)

// storableTenant refuses text no row can hold.
func storableTenant(op string, t store.TenantProfile) error {
	a := t.Address
	named := []string{
		"uuid", t.UUID, "parent", t.Parent, "name", t.Name, "phone", t.Phone, "contact", t.Contact, "method", t.Method,
		"address", a.Line1, "address", a.Line2, "city", a.City, "state", a.State, "country", a.Country, "zip code", a.ZipCode,
	}
	for _, d := range t.Domains {
		named = append(named, "domain", d)
	}
	return storable(op, named...)
}

// CreateTenant implements [store.Tenants].
func (s *Store) CreateTenant(ctx context.Context, n store.NewTenant) (t store.TenantProfile, missing []string, err error) {
	const op = "creating a tenant"
	if err := storableTenant(op, n.TenantProfile); err != nil {
		return t, nil, err
	}
	for _, slug := range n.Slugs {
		if err := storable(op, "slug", slug); err != nil {
			return t, nil, err
		}
	}
	err = s.change(ctx, op, func(ctx context.Context, q statement) error {
		t, missing = n.TenantProfile, nil
		if err := q.lock(ctx, s.dialect.LockTree()); err != nil {
			return err
		}
		if err := s.reserveTenant(ctx, q, &t, n.Slugs); err != nil {
			return err
		}
		if _, err := q.exec(ctx, sqlInsertTenant, t.UUID, null(t.Name), t.Slug, null(t.Phone), null(t.Contact), t.Parent, t.Method); err != nil {
			return err
		}
		if err := s.setTenantRows(ctx, q, t); err != nil {
			return err
		}
		group := "wazo-all-users-tenant-" + t.UUID
		if _, err := q.exec(ctx, sqlInsertAllUsers, uuid.NewString(), group, group, t.UUID); err != nil {
			return err
		}
		if missing, err = s.giveDefaults(ctx, q, t.UUID, n.Defaults); err != nil {
			return err
		}
		t, err = s.readTenant(ctx, q, t.UUID, t.UUID)
		return err
	})
	if err != nil {
		return store.TenantProfile{}, nil, err
	}
	return t, missing, nil
}

// reserveTenant looks whether the new tenant can be, in the order in which
// clients are told, and chooses its slug and uuid.
func (s *Store) reserveTenant(ctx context.Context, q statement, t *store.TenantProfile, slugs []string) (err error) {
	var parent bool
	if err := q.row(ctx, sqlTenantExists, t.Parent).Scan(&parent); err != nil {
		return err
	}
	if !parent {
		return fmt.Errorf("%w: the parent", store.ErrNotFound)
	}
	if t.Slug, err = q.freeSlug(ctx, sqlTenantSlugTaken, slugs); err != nil {
		return err
	}
	if err := s.reserveDomains(ctx, q, t.Domains, ""); err != nil {
		return err
	}
	switch t.UUID {
	case "":
		t.UUID = uuid.NewString()
	case t.Parent:
		return &store.ConflictError{Field: "parent_uuid", Value: t.UUID}
	default:
		if err := q.refuse(ctx, "uuid", t.UUID, sqlTenantExists, t.UUID); err != nil {
			return err
		}
	}
	return s.findContact(ctx, q, t.Contact)
}

// reserveDomains fails when another tenant than owner has one of them.
func (s *Store) reserveDomains(ctx context.Context, q statement, domains []string, owner string) error {
	return q.refuse(ctx, "domain_names", "", sqlDomainsTaken, s.dialect.List(domains), owner)
}

// findContact keeps the contact from being deleted before he is referred to.
func (s *Store) findContact(ctx context.Context, q statement, contact string) error {
	if contact == "" {
		return nil
	}
	if err := q.lock(ctx, s.dialect.LockUser(), contact); err != nil {
		return err
	}
	var found bool
	if err := q.row(ctx, sqlUserExists, contact).Scan(&found); err != nil {
		return err
	}
	if !found {
		return &store.ReferenceError{Field: "contact", Value: contact}
	}
	return nil
}

// setTenantRows makes domains and address what t says.
func (s *Store) setTenantRows(ctx context.Context, q statement, t store.TenantProfile) error {
	if _, err := q.exec(ctx, sqlDropDomains, t.UUID, s.dialect.List(t.Domains)); err != nil {
		return err
	}
	domains := slices.Compact(slices.Sorted(slices.Values(t.Domains)))
	for i, name := range domains {
		domains[i] = uuid.NewString() + name
	}
	if _, err := q.exec(ctx, sqlAddDomains, t.UUID, s.dialect.List(domains)); err != nil {
		return err
	}
	a := t.Address
	if a == (store.Address{}) {
		_, err := q.exec(ctx, sqlDropAddress, t.UUID)
		return err
	}
	args := []any{t.UUID, null(a.Line1), null(a.Line2), null(a.City), null(a.State), null(a.Country), null(a.ZipCode)}
	n, err := q.exec(ctx, sqlUpdateAddress, args...)
	if err == nil && n == 0 {
		_, err = q.exec(ctx, sqlInsertAddress, args...)
	}
	return err
}

// giveDefaults gives a new tenant what every tenant has.
func (s *Store) giveDefaults(ctx context.Context, q statement, tenant string, d store.Defaults) (missing []string, err error) {
	if len(d.AllUsers) == 0 && len(d.Groups) == 0 {
		return nil, nil
	}
	var top string
	if err := q.row(ctx, sqlTopTenant).Scan(&top); err != nil {
		return nil, err
	}
	var done store.Synced
	if err := s.giveAllUsers(ctx, q, top, tenant, d.AllUsers, &done); err != nil {
		return nil, err
	}
	if err := s.syncGroups(ctx, q, top, tenant, d.Groups, &done); err != nil {
		return nil, err
	}
	slices.Sort(done.MissingPolicies)
	return slices.Compact(done.MissingPolicies), nil
}

// UpdateTenant implements [store.Tenants].
func (s *Store) UpdateTenant(ctx context.Context, n store.TenantProfile, scope string) (t store.TenantProfile, err error) {
	const op = "changing a tenant"
	if !searchable(n.UUID) || !searchable(scope) {
		return t, notFound(op)
	}
	if err := storableTenant(op, n); err != nil {
		return t, err
	}
	err = s.change(ctx, op, func(ctx context.Context, q statement) error {
		if err := s.inScope(ctx, q, n.UUID, scope); err != nil {
			return err
		}
		if err := s.reserveDomains(ctx, q, n.Domains, n.UUID); err != nil {
			return err
		}
		if err := s.findContact(ctx, q, n.Contact); err != nil {
			return err
		}
		if err := q.must(ctx, sqlUpdateTenant, n.UUID, null(n.Name), null(n.Phone), null(n.Contact), n.Method); err != nil {
			return err
		}
		if err := s.setTenantRows(ctx, q, n); err != nil {
			return err
		}
		t, err = s.readTenant(ctx, q, n.UUID, scope)
		return err
	})
	if err != nil {
		return store.TenantProfile{}, err
	}
	return t, nil
}

const (
	sqlInLine = sqlLine + `select exists (select 1 from line l where l.uuid = $2)`

	sqlMoveTenant = `update auth_tenant set parent_uuid = $2 where uuid = $1`

	sqlHasChildren = `select exists (select 1 from auth_tenant t where t.parent_uuid = $1 and t.uuid <> $1)`

	sqlTenantUsers = `select u.uuid from auth_user u where u.tenant_uuid = $1 order by u.uuid`

	sqlTenantRefreshTokens = `
select r.uuid from auth_refresh_token r
join auth_user u on u.uuid = r.user_uuid
where u.tenant_uuid = $1
order by r.uuid`

	sqlTenantRow = `select t.uuid from auth_tenant t where t.uuid = $1`

	sqlTenantTokens = `
select t.uuid, t.auth_id, t.session_uuid, s.tenant_uuid, true
from auth_token t
join auth_session s on s.uuid = t.session_uuid
where s.tenant_uuid = $1 or t.session_uuid in (
	select o.session_uuid from auth_token o
	join auth_user u on u.uuid = o.auth_id
	where u.tenant_uuid = $1
)
order by s.uuid`

	// Nobody deletes the top tenant.
	sqlDeleteTenant = `delete from auth_tenant where uuid = $1 and parent_uuid <> uuid`
)

// inScope locks the tree and fails with [store.ErrNotFound] unless the tenant
// is scope or below it.
func (s *Store) inScope(ctx context.Context, q statement, tenant, scope string) error {
	if err := q.lock(ctx, s.dialect.LockTree()); err != nil {
		return err
	}
	var seen bool
	if err := q.row(ctx, sqlInLine, tenant, scope).Scan(&seen); err != nil {
		return err
	}
	if !seen {
		return fmt.Errorf("%w: not in the scope", store.ErrNotFound)
	}
	return nil
}

// MoveTenant implements [store.Tenants]. All who move take the lock of the
// tree, so two who each look whether they make a circle see each other.
func (s *Store) MoveTenant(ctx context.Context, id, parent, scope string) error {
	const op = "moving a tenant"
	ends := []store.ReferenceError{{Field: "tenant_uuid", Value: id}, {Field: "parent_tenant_uuid", Value: parent}}
	for _, end := range ends {
		if !searchable(end.Value) || !searchable(scope) {
			return fmt.Errorf("%s: %w", op, &end)
		}
	}
	return s.change(ctx, op, func(ctx context.Context, q statement) error {
		for _, end := range ends {
			if err := s.inScope(ctx, q, end.Value, scope); err != nil {
				if errors.Is(err, store.ErrNotFound) {
					err = &end
				}
				return err
			}
		}
		var circle bool
		if err := q.row(ctx, sqlInLine, parent, id).Scan(&circle); err != nil {
			return err
		}
		if circle {
			return store.ErrDescendant
		}
		return q.must(ctx, sqlMoveTenant, id, parent)
	})
}

// lockTenant keeps everybody from logging in to the tenant until the
// transaction ends. Users are locked before the tenant, as by a login, whose
// session refers to it.
func (s *Store) lockTenant(ctx context.Context, q statement, id string) error {
	if s.dialect.SingleWriter() {
		return nil
	}
	for _, lock := range []string{
		s.locking(sqlTenantUsers, "u"), s.locking(sqlTenantRefreshTokens, "r"), s.locking(sqlTenantRow, "t"),
	} {
		if _, err := q.exec(ctx, lock, id); err != nil {
			return err
		}
	}
	return nil
}

// DeleteTenant implements [store.Tenants]. Sessions go before the row that they
// would go with, so that they are locked before their tokens.
func (s *Store) DeleteTenant(ctx context.Context, id, scope string) (ended []store.EndedToken, err error) {
	const op = "deleting a tenant"
	if !searchable(id) || !searchable(scope) {
		return nil, notFound(op)
	}
	err = s.change(ctx, op, func(ctx context.Context, q statement) error {
		ended = nil
		if err := s.inScope(ctx, q, id, scope); err != nil {
			return err
		}
		var children bool
		if err := q.row(ctx, sqlHasChildren, id).Scan(&children); err != nil {
			return err
		}
		if children {
			return store.ErrHasChildren
		}
		if err := s.lockTenant(ctx, q, id); err != nil {
			return err
		}
		if ended, err = s.endSessions(ctx, q.on, q.texts.of(sqlTenantTokens), id); err != nil {
			return err
		}
		return q.must(ctx, sqlDeleteTenant, id)
	})
	return unsure(ended, err)
}
