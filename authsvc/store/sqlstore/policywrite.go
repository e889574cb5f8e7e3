package sqlstore

import (
	"context"
	"slices"

	"github.com/google/uuid"

	"github.com/wazo-edge/xivo-auth/authsvc/store"
)

// Who is in the way of a policy of tenant $1, shared or not ($3), to be called
// $2. A policy of the configuration is seen in every tenant, as one that a
// tenant above shares: a tenant's own with the name or slug of one could be
// taken for it, as by those that look for the slug of the administrators'.
const (
	policiesAround = `
	p.config_managed is true
	or p.shared and p.tenant_uuid in (select uuid from above)
	or cast($3 as boolean) and p.tenant_uuid in (select uuid from below)`

	sqlPolicyNameTaken = sqlTree + `
select exists (select 1 from auth_policy p where p.name = $2 and (p.tenant_uuid = $1 or ` + policiesAround + `))`

	// Slugs are unique in a tenant whatever their case, which the reference
	// finds out from the database only.
	sqlPolicySlugTaken = sqlTree + `
select exists (select 1 from auth_policy p
where lower(p.slug) = lower($2) and (p.tenant_uuid = $1 or p.slug = $2 and (` + policiesAround + `)))`

	sqlTenantPolicySlug = `select exists (select 1 from auth_policy p where p.slug = $1 and p.tenant_uuid = $2)`

	sqlInsertPolicy = `insert into auth_policy (uuid, tenant_uuid, name, slug, description, config_managed, shared)
values ($1, $2, $3, $4, $5, false, $6)`

	sqlUpdatePolicy = `update auth_policy set name = $2, description = $3 where uuid = $1`

	sqlDeletePolicy = `delete from auth_policy where uuid = $1`
)

// policyFree fails when value is taken, which the query tells.
func (q statement) policyFree(ctx context.Context, query, field, value, tenant string, shared bool) error {
	var taken bool
	if err := q.row(ctx, query, tenant, value, shared).Scan(&taken); err != nil {
		return err
	}
	if taken {
		return &store.ConflictError{Field: field, Value: value}
	}
	return nil
}

// CreatePolicy implements [store.Policies].
func (s *Store) CreatePolicy(ctx context.Context, n store.NewPolicy) (p store.Policy, err error) {
	const op = "creating a policy"
	id, err := uuid.NewRandom()
	if err != nil {
		return p, err
	}
	p = store.Policy{
		UUID: id.String(), TenantUUID: n.TenantUUID, Name: n.Name, Description: n.Description, Shared: n.Shared, ACL: set(n.ACL),
	}
	if err := storablePolicy(op, p, n.Slugs...); err != nil {
		return store.Policy{}, err
	}
	err = s.changeTree(ctx, op, func(ctx context.Context, q statement) (err error) {
		if err := q.policyFree(ctx, sqlPolicyNameTaken, "name", p.Name, p.TenantUUID, p.Shared); err != nil {
			return err
		}
		if p.Slug, err = q.freeSlug(ctx, sqlTenantPolicySlug, n.Slugs, p.TenantUUID); err != nil {
			return err
		}
		if err := q.policyFree(ctx, sqlPolicySlugTaken, "slug", p.Slug, p.TenantUUID, p.Shared); err != nil {
			return err
		}
		if err := q.must(ctx, sqlInsertPolicy, p.UUID, p.TenantUUID, p.Name, p.Slug, p.Description, p.Shared); err != nil {
			return err
		}
		_, err = s.setAccesses(ctx, q, p.UUID, p.ACL)
		return err
	})
	if err != nil {
		return store.Policy{}, err
	}
	return p, nil
}

// changeTree is change for what must be right over several tenants.
func (s *Store) changeTree(ctx context.Context, op string, f func(context.Context, statement) error) error {
	return s.change(ctx, op, func(ctx context.Context, q statement) error {
		if err := q.lock(ctx, s.dialect.LockTree()); err != nil {
			return err
		}
		return f(ctx, q)
	})
}

// UpdatePolicy implements [store.Policies].
func (s *Store) UpdatePolicy(ctx context.Context, tenant, uuid string, edit func(*store.Policy) error) (p store.Policy, err error) {
	const op = "changing a policy"
	if !searchable(tenant) || !searchable(uuid) {
		return p, notFound(op)
	}
	err = s.changeTree(ctx, op, func(ctx context.Context, q statement) (err error) {
		was, err := s.readPolicy(ctx, q, sqlPolicyByUUID, tenant, uuid)
		if err != nil {
			return err
		}
		p = was
		p.ACL = slices.Clone(was.ACL) // edit's own
		if err := edit(&p); err != nil {
			return err
		}
		p.ACL = set(p.ACL)
		if err := storablePolicy(op, p); err != nil {
			return err
		}
		if p.Name != was.Name {
			if err := q.policyFree(ctx, sqlPolicyNameTaken, "name", p.Name, p.TenantUUID, p.Shared); err != nil {
				return err
			}
		}
		if err := q.must(ctx, sqlUpdatePolicy, p.UUID, p.Name, p.Description); err != nil {
			return err
		}
		if slices.Equal(p.ACL, was.ACL) {
			return nil
		}
		_, err = s.setAccesses(ctx, q, p.UUID, p.ACL)
		return err
	})
	if err != nil {
		return store.Policy{}, err
	}
	return p, nil
}

// DeletePolicy implements [store.Policies].
func (s *Store) DeletePolicy(ctx context.Context, tenant, uuid string, may func(store.Policy) error) error {
	const op = "deleting a policy"
	if !searchable(tenant) || !searchable(uuid) {
		return notFound(op)
	}
	return s.changeTree(ctx, op, func(ctx context.Context, q statement) error {
		p, err := s.readPolicy(ctx, q, sqlPolicyByUUID, tenant, uuid)
		if err != nil {
			return err
		}
		if err := may(p); err != nil {
			return err
		}
		return q.must(ctx, sqlDeletePolicy, p.UUID)
	})
}

const (
	sqlAddUserPolicy  = `insert into auth_user_policy (user_uuid, policy_uuid) values ($1, $2) on conflict do nothing`
	sqlAddGroupPolicy = `insert into auth_group_policy (group_uuid, policy_uuid) values ($1, $2) on conflict do nothing`

	sqlRemoveUserPolicy  = `delete from auth_user_policy where user_uuid = $1 and policy_uuid = $2`
	sqlRemoveGroupPolicy = `delete from auth_group_policy where group_uuid = $1 and policy_uuid = $2`
)

// AddPolicy implements [store.Policies].
func (s *Store) AddPolicy(ctx context.Context, h store.Holder, uuid string) error {
	return s.linkPolicy(ctx, "giving a policy", sqlAddUserPolicy, sqlAddGroupPolicy, h, uuid)
}

// RemovePolicy implements [store.Policies].
func (s *Store) RemovePolicy(ctx context.Context, h store.Holder, uuid string) error {
	return s.linkPolicy(ctx, "taking a policy away", sqlRemoveUserPolicy, sqlRemoveGroupPolicy, h, uuid)
}

func (s *Store) linkPolicy(ctx context.Context, op, ofUser, ofGroup string, h store.Holder, uuid string) error {
	query, holder := ofUser, h.User
	if h.Group != "" {
		query, holder = ofGroup, h.Group
	}
	if !searchable(holder) || !searchable(uuid) {
		return notFound(op)
	}
	return s.change(ctx, op, func(ctx context.Context, q statement) error {
		_, err := q.exec(ctx, query, holder, uuid)
		return err
	})
}

// set returns the accesses in order, each once.
func set(acl []string) []string {
	acl = append([]string{}, acl...)
	slices.Sort(acl)
	return slices.Compact(acl)
}

func storablePolicy(op string, p store.Policy, slugs ...string) error {
	named := []string{"tenant", p.TenantUUID, "name", p.Name}
	if p.Description != nil {
		named = append(named, "description", *p.Description)
	}
	for _, access := range p.ACL {
		named = append(named, "access", access)
	}
	for _, slug := range slugs {
		named = append(named, "slug", slug)
	}
	return storable(op, named...)
}
