package sqlstore

import (
	"context"
	"database/sql"
	"fmt"

	"github.com/google/uuid"

	"github.com/wazo-edge/xivo-auth/authsvc/store"
)

const groupColumns = `g.uuid, g.tenant_uuid, g.name, g.slug, g.system_managed`

func scanGroup(row scanner) (g store.Group, err error) {
	err = row.Scan(&g.UUID, &g.TenantUUID, &g.Name, &g.Slug, &g.SystemManaged)
	return g, err
}

// groupHasMember is the condition that the user %s is in group g.
const groupHasMember = `exists (select 1 from auth_user_group m where m.group_uuid = g.uuid and m.user_uuid = %s)`

var groupListing = listing[store.Group]{
	columns: groupColumns,
	from:    `auth_group g`,
	tenant:  `g.tenant_uuid = $1`,
	below:   `g.tenant_uuid = ` + anyBelow,
	user:    groupHasMember,
	key:     `g.uuid collate "C"`,
	search:  []string{like(`g.name`)},
	filters: map[string]string{
		"uuid": `g.uuid = %s`, "name": `g.name = %s`, "slug": `g.slug = %s`, "system_managed": `g.system_managed = %s`,
		"user_uuid":   groupHasMember,
		"policy_uuid": `exists (select 1 from auth_group_policy h where h.group_uuid = g.uuid and h.policy_uuid = %s)`,
		"policy_slug": `exists (select 1 from auth_group_policy h join auth_policy p on p.uuid = h.policy_uuid
			where h.group_uuid = g.uuid and p.slug = %s)`,
	},
	orders: map[string]string{"": `g.name collate "C"`, "name": `g.name collate "C"`, "uuid": `g.uuid collate "C"`},
	scan:   func(rows *sql.Rows) (store.Group, error) { return scanGroup(rows) },
}

const (
	sqlGroupByUUID = `select ` + groupColumns + ` from auth_group g where g.uuid = $1`

	sqlGroupNameTaken = `select exists (select 1 from auth_group where name = $1 and tenant_uuid = $2 and uuid <> $3)`

	sqlGroupSlugTaken = `select exists (select 1 from auth_group where lower(slug) = lower($1) and tenant_uuid = $2)`

	sqlInsertGroup = `insert into auth_group (uuid, name, slug, tenant_uuid, system_managed) values ($1, $2, $3, $4, false)`

	sqlRenameGroup = `update auth_group set name = $2 where uuid = $1`

	sqlDeleteGroup = `delete from auth_group where uuid = $1`

	sqlAddMember = `insert into auth_user_group (group_uuid, user_uuid) values ($1, $2)
on conflict (group_uuid, user_uuid) do nothing`

	sqlRemoveMember = `delete from auth_user_group where group_uuid = $1 and user_uuid = $2`
)

// GroupByUUID implements [store.Groups].
func (s *Store) GroupByUUID(ctx context.Context, uuid string) (g store.Group, err error) {
	return one(ctx, s, "reading a group", scanGroup, sqlGroupByUUID, uuid)
}

// ListGroups implements [store.Groups].
func (s *Store) ListGroups(ctx context.Context, want store.List) (store.Page[store.Group], error) {
	return list(ctx, s, "listing groups", &groupListing, want)
}

// CreateGroup implements [store.Groups]. Nothing is locked: whoever takes a
// name or slug meanwhile is found when the database refuses it.
func (s *Store) CreateGroup(ctx context.Context, g store.Group, slugs []string) (store.Group, error) {
	const op = "creating a group"
	if !searchable(g.TenantUUID) {
		return store.Group{}, notFound(op)
	}
	named := []string{"name", g.Name}
	for _, slug := range slugs {
		named = append(named, "slug", slug)
	}
	if err := storable(op, named...); err != nil {
		return store.Group{}, err
	}
	id, err := uuid.NewRandom()
	if err != nil {
		return store.Group{}, fmt.Errorf("%s: %w", op, err)
	}
	g.UUID, g.SystemManaged = id.String(), false
	err = s.change(ctx, op, func(ctx context.Context, q statement) (err error) {
		if err = q.groupNameFree(ctx, g); err != nil {
			return err
		}
		if g.Slug, err = q.freeSlug(ctx, sqlGroupSlugTaken, slugs, g.TenantUUID); err != nil {
			return err
		}
		return q.must(ctx, sqlInsertGroup, g.UUID, g.Name, g.Slug, g.TenantUUID)
	})
	if err != nil {
		return store.Group{}, err
	}
	return g, nil
}

// groupNameFree is the conflict of g's name when another group of the tenant
// has it.
func (q statement) groupNameFree(ctx context.Context, g store.Group) error {
	var taken bool
	if err := q.row(ctx, sqlGroupNameTaken, g.Name, g.TenantUUID, g.UUID).Scan(&taken); err != nil || !taken {
		return err
	}
	return &store.ConflictError{Field: "name", Value: g.Name}
}

// RenameGroup implements [store.Groups].
func (s *Store) RenameGroup(ctx context.Context, uuid, name string) (g store.Group, err error) {
	const op = "renaming a group"
	if !searchable(uuid) {
		return g, notFound(op)
	}
	if err := storable(op, "name", name); err != nil {
		return g, err
	}
	err = s.change(ctx, op, func(ctx context.Context, q statement) (err error) {
		if g, err = scanGroup(q.row(ctx, sqlGroupByUUID, uuid)); err != nil {
			return err
		}
		g.Name = name
		if err := q.groupNameFree(ctx, g); err != nil {
			return err
		}
		return q.must(ctx, sqlRenameGroup, uuid, name)
	})
	if err != nil {
		return store.Group{}, err
	}
	return g, nil
}

// DeleteGroup implements [store.Groups]. Links go with it by cascade.
func (s *Store) DeleteGroup(ctx context.Context, uuid string) error {
	const op = "deleting a group"
	if !searchable(uuid) {
		return notFound(op)
	}
	return s.change(ctx, op, func(ctx context.Context, q statement) error { return q.must(ctx, sqlDeleteGroup, uuid) })
}

// AddGroupMember implements [store.Groups].
func (s *Store) AddGroupMember(ctx context.Context, groupUUID, userUUID string) error {
	return s.link(ctx, "adding a member", sqlAddMember, groupUUID, userUUID)
}

// RemoveGroupMember implements [store.Groups].
func (s *Store) RemoveGroupMember(ctx context.Context, groupUUID, userUUID string) (was bool, err error) {
	return s.unlink(ctx, "removing a member", sqlRemoveMember, groupUUID, userUUID)
}
