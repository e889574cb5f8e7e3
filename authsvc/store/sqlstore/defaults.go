package sqlstore

import (
	"context"
	"database/sql"
	"maps"
	"slices"

	"github.com/google/uuid"

	"github.com/wazo-edge/xivo-auth/authsvc/store"
)

// defaultDescription is what a policy of the configuration says of itself when
// the configuration does not say it.
const defaultDescription = "Automatically created"

const (
	sqlTopTenant = `select uuid from auth_tenant where uuid = parent_uuid order by uuid limit 1`

	sqlFindPolicyBySlug = `select uuid from auth_policy where tenant_uuid = $1 and lower(slug) = lower($2)`

	sqlInsertDefaultPolicy = `insert into auth_policy (uuid, name, slug, tenant_uuid, description, config_managed, shared)
values ($1, cast($2 as text), cast($2 as text), $3, $4, true, $5)`

	sqlUpdateDefaultPolicy = `update auth_policy set description = $2, shared = $3, config_managed = true
where uuid = $1 and (config_managed is not true or shared <> $3 or description is null or description <> $2)`

	// Of the top tenant only, not of any tenant as on the reference: else who
	// may make policies in his own tenant could make one of the slug that a
	// group of every other tenant is to get.
	sqlMissingPolicies = `
select w.value from unnest(cast($1 as text[])) as w (value)
where not exists (select 1 from auth_policy p where p.slug = w.value and p.tenant_uuid = $2)
order by w.value`

	// allUsers is the group of all users of tenant t.
	allUsers = `auth_group g join auth_tenant t on t.uuid = g.tenant_uuid and g.slug = 'wazo-all-users-tenant-' || t.uuid`

	sqlGiveAllUsers = `
insert into auth_group_policy (group_uuid, policy_uuid)
select g.uuid, p.uuid from ` + allUsers + `
join auth_policy p on p.tenant_uuid = $2 and p.slug = any($1)
where ($3 = '' or t.uuid = $3)
	and not exists (select 1 from auth_group_policy gp where gp.group_uuid = g.uuid and gp.policy_uuid = p.uuid)`

	sqlTakeAllUsers = `
delete from auth_group_policy
where group_uuid in (select g.uuid from ` + allUsers + ` where t.uuid = $2)
	and policy_uuid in (select p.uuid from auth_policy p where p.tenant_uuid = $2 and p.config_managed is true and not p.slug = any($1))`

	sqlWithoutGroup = `
select t.uuid, exists (select 1 from auth_group g where g.tenant_uuid = t.uuid and g.name = $2)
from auth_tenant t
where ($3 = '' or t.uuid = $3)
	and not exists (select 1 from auth_group g where g.tenant_uuid = t.uuid and lower(g.slug) = lower($1))
order by t.uuid`

	sqlInsertDefaultGroup = `insert into auth_group (uuid, name, slug, tenant_uuid, system_managed) values ($1, $2, $3, $4, false)`

	sqlGiveGroups = `
insert into auth_group_policy (group_uuid, policy_uuid)
select g.uuid, p.uuid from auth_group g
join auth_policy p on p.tenant_uuid = $2 and p.slug = any($1)
where lower(g.slug) = lower($4) and ($3 = '' or g.tenant_uuid = $3)
	and not exists (select 1 from auth_group_policy gp where gp.group_uuid = g.uuid and gp.policy_uuid = p.uuid)`

	sqlTakeGroups = `
delete from auth_group_policy
where group_uuid in (select g.uuid from auth_group g where lower(g.slug) = lower($3))
	and policy_uuid in (select p.uuid from auth_policy p where p.tenant_uuid = $2 and p.slug = any($1))`

	orphaned = `p.tenant_uuid = $2 and p.config_managed is true and not p.slug = any($1)`

	held = `(exists (select 1 from auth_user_policy up where up.policy_uuid = p.uuid)
	or exists (select 1 from auth_group_policy gp where gp.policy_uuid = p.uuid))`

	sqlOrphans = `select p.slug from auth_policy p where ` + orphaned + ` and ` + held + ` order by p.slug`

	sqlDeleteOrphans = `delete from auth_policy
where uuid in (select p.uuid from auth_policy p where ` + orphaned + ` and not ` + held + `)`
)

// SyncDefaults implements [store.Provisioning].
func (s *Store) SyncDefaults(ctx context.Context, d store.Defaults) (done store.Synced, err error) {
	const op = "synchronising the defaults"
	if err := storable(op, textsOf(d)...); err != nil {
		return done, err
	}
	for _, step := range []func(context.Context, statement, string, *store.Synced) error{
		func(ctx context.Context, q statement, top string, done *store.Synced) error {
			return s.syncPolicies(ctx, q, top, d.Policies, done)
		},
		func(ctx context.Context, q statement, top string, done *store.Synced) error {
			if err := s.giveAllUsers(ctx, q, top, "", d.AllUsers, done); err != nil {
				return err
			}
			keys := s.dialect.List(slices.Sorted(maps.Keys(d.AllUsers)))
			return done.Count(q.exec(ctx, sqlTakeAllUsers, keys, top))
		},
		func(ctx context.Context, q statement, top string, done *store.Synced) error {
			return s.syncGroups(ctx, q, top, "", d.Groups, done)
		},
		func(ctx context.Context, q statement, top string, done *store.Synced) error {
			return s.removeOrphans(ctx, q, top, d.Policies, done)
		},
	} {
		so := done // what a step that is tried again has counted is forgotten
		err := s.change(ctx, op, func(ctx context.Context, q statement) error {
			done = so
			if err := q.lock(ctx, s.dialect.LockTree()); err != nil {
				return err
			}
			var top string
			if err := q.row(ctx, sqlTopTenant).Scan(&top); err != nil {
				return err
			}
			return step(ctx, q, top, &done)
		})
		if err != nil {
			return so, err
		}
	}
	slices.Sort(done.MissingPolicies)
	done.MissingPolicies = slices.Compact(done.MissingPolicies)
	return done, nil
}

// textsOf are all texts of the defaults, named.
func textsOf(d store.Defaults) (named []string) {
	for _, p := range d.Policies {
		named = append(named, "slug", p.Slug, "description", p.Description)
		for _, access := range p.ACL {
			named = append(named, "access", access)
		}
	}
	groups := append([]store.DefaultGroup{{Policies: d.AllUsers}}, d.Groups...)
	for _, g := range groups {
		named = append(named, "slug", g.Slug, "name", g.Name)
		for slug := range g.Policies {
			named = append(named, "slug", slug)
		}
	}
	return named
}

// syncPolicies makes and mends the policies of the top tenant.
func (s *Store) syncPolicies(ctx context.Context, q statement, top string, policies []store.DefaultPolicy, done *store.Synced) error {
	for _, p := range policies {
		if p.Description == "" {
			p.Description = defaultDescription
		}
		var id string
		switch err := q.row(ctx, sqlFindPolicyBySlug, top, p.Slug).Scan(&id); err {
		case nil:
			if err := done.Count(q.exec(ctx, sqlUpdateDefaultPolicy, id, p.Description, p.Shared)); err != nil {
				return err
			}
		case sql.ErrNoRows:
			id = uuid.NewString()
			if err := done.Count(q.exec(ctx, sqlInsertDefaultPolicy, id, p.Slug, top, p.Description, p.Shared)); err != nil {
				return err
			}
		default:
			return err
		}
		if err := done.Count(s.setAccesses(ctx, q, id, p.ACL)); err != nil {
			return err
		}
	}
	return nil
}

// giveAllUsers gives the group of all users, of one tenant or with "" of each,
// the policies it lacks.
func (s *Store) giveAllUsers(ctx context.Context, q statement, top, tenant string, policies store.DefaultPolicies, done *store.Synced) error {
	give, _ := split(policies)
	if err := s.missing(ctx, q, top, give, done); err != nil {
		return err
	}
	return done.Count(q.exec(ctx, sqlGiveAllUsers, s.dialect.List(give), top, tenant))
}

// syncGroups makes the groups that one tenant, or with "" any, lacks, and gives
// and takes their policies.
func (s *Store) syncGroups(ctx context.Context, q statement, top, tenant string, groups []store.DefaultGroup, done *store.Synced) error {
	type lack struct {
		tenant string
		taken  bool
	}
	for _, g := range groups {
		if g.Name == "" {
			g.Name = g.Slug
		}
		lacks, err := rows(ctx, q, func(r *sql.Rows) (l lack, err error) {
			err = r.Scan(&l.tenant, &l.taken)
			return l, err
		}, sqlWithoutGroup, g.Slug, g.Name, tenant)
		if err != nil {
			return err
		}
		for _, l := range lacks {
			if l.taken {
				done.TakenGroups = append(done.TakenGroups, l.tenant)
				continue
			}
			if err := done.Count(q.exec(ctx, sqlInsertDefaultGroup, uuid.NewString(), g.Name, g.Slug, l.tenant)); err != nil {
				return err
			}
		}
		give, take := split(g.Policies)
		if err := s.missing(ctx, q, top, give, done); err != nil {
			return err
		}
		if err := done.Count(q.exec(ctx, sqlGiveGroups, s.dialect.List(give), top, tenant, g.Slug)); err != nil {
			return err
		}
		if len(take) == 0 || tenant != "" { // a new one has nothing to take
			continue
		}
		if err := done.Count(q.exec(ctx, sqlTakeGroups, s.dialect.List(take), top, g.Slug)); err != nil {
			return err
		}
	}
	return nil
}

// removeOrphans removes what the configuration made once and does not have any
// more.
func (s *Store) removeOrphans(ctx context.Context, q statement, top string, policies []store.DefaultPolicy, done *store.Synced) error {
	var slugs []string
	for _, p := range policies {
		slugs = append(slugs, p.Slug)
	}
	wanted := s.dialect.List(slugs)
	if err := done.Count(q.exec(ctx, sqlDeleteOrphans, wanted, top)); err != nil {
		return err
	}
	orphans, err := rows(ctx, q, func(r *sql.Rows) (slug string, err error) {
		err = r.Scan(&slug)
		return slug, err
	}, sqlOrphans, wanted, top)
	done.Orphans = orphans
	return err
}

// missing notes which of the slugs the top tenant has no policy of.
func (s *Store) missing(ctx context.Context, q statement, top string, slugs []string, done *store.Synced) error {
	none, err := rows(ctx, q, func(r *sql.Rows) (slug string, err error) {
		err = r.Scan(&slug)
		return slug, err
	}, sqlMissingPolicies, s.dialect.List(slugs), top)
	done.MissingPolicies = append(done.MissingPolicies, none...)
	return err
}

// split returns the slugs to give and those to take, in order.
func split(policies store.DefaultPolicies) (give, take []string) {
	for _, slug := range slices.Sorted(maps.Keys(policies)) {
		if policies[slug] {
			give = append(give, slug)
		} else {
			take = append(take, slug)
		}
	}
	return give, take
}
