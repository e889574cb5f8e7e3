package sqlstore

import (
	"context"
	"database/sql"
	"fmt"
	"slices"

	"github.com/google/uuid"

	"github.com/wazo-edge/xivo-auth/authsvc/store"
)

// sqlHome finds the tenant $1, or the top one for "", and its all-users group
// (NULL when it has none).
const sqlHome = `
select t.uuid, g.uuid
from auth_tenant t
left join auth_group g on g.tenant_uuid = t.uuid and g.slug = 'wazo-all-users-tenant-' || t.uuid
where t.uuid = $1 or ($1 = '' and t.uuid = t.parent_uuid)
order by t.uuid
limit 1`

// sqlLoginUsed is whether anybody but the user $2 logs in with $1, or will when
// he has confirmed it.
const sqlLoginUsed = `
select exists (select 1 from auth_user where lower(username) = lower($1) and uuid <> $2)
	or exists (select 1 from auth_email where lower(address) = lower($1) and user_uuid <> $2)`

const sqlUserExists = `select exists (select 1 from auth_user where uuid = $1)`

const (
	sqlInsertUser = `insert into auth_user (uuid, username, password_hash, password_salt, firstname, lastname,
	enabled, tenant_uuid, purpose, authentication_method)
values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)`

	sqlInsertEmail = `insert into auth_email (uuid, address, confirmed, main, user_uuid) values ($1, $2, $3, $4, $5)`

	sqlInsertMember = `insert into auth_user_group (group_uuid, user_uuid) values ($1, $2)`

	sqlInsertPolicies = `insert into auth_user_policy (user_uuid, policy_uuid)
select u.uuid, p.uuid
from auth_user u, auth_policy p
join auth_tenant t on t.uuid = p.tenant_uuid and t.uuid = t.parent_uuid
where u.uuid = $1 and p.slug = any($2)`
)

// CreateUser inserts the user with all that belongs to him, all or nothing.
// Method "" is [store.MethodDefault]. The same text may be his username and
// his address. Nodes of this program exclude each other while they check the
// login namespace, so that of two equal names created at once one conflicts;
// [store.ErrInvalid] for an unknown purpose and text no row can hold.
func (s *Store) CreateUser(ctx context.Context, u store.NewUser) (store.User, error) {
	const op = "creating a user"
	if err := storable(op, "uuid", u.UUID, "address", u.Email, "hash", u.PasswordHash); err != nil {
		return store.User{}, err
	}
	if err := storableUser(op, u.User); err != nil {
		return store.User{}, err
	}
	if !searchable(u.TenantUUID) {
		return store.User{}, fmt.Errorf("%w: no such tenant", notFound(op))
	}
	for _, slug := range u.PolicySlugs {
		if !searchable(slug) {
			return store.User{}, fmt.Errorf("%w: no such policy", notFound(op))
		}
	}
	if u.UUID == "" {
		id, err := uuid.NewRandom()
		if err != nil {
			return store.User{}, fmt.Errorf("%s: %w", op, err)
		}
		u.UUID = id.String()
	}
	if u.Method == "" {
		u.Method = store.MethodDefault
	}
	emailID, err := uuid.NewRandom()
	if err != nil {
		return store.User{}, fmt.Errorf("%s: %w", op, err)
	}
	created := u.User
	err = s.change(ctx, op, func(ctx context.Context, q statement) (err error) {
		created.TenantUUID, err = s.insertUser(ctx, q, u, emailID.String())
		return err
	})
	if err != nil {
		return store.User{}, err
	}
	return created, nil
}

// insertUser does the work of CreateUser and returns the tenant.
func (s *Store) insertUser(ctx context.Context, q statement, u store.NewUser, emailUUID string) (string, error) {
	if err := q.lock(ctx, s.dialect.LockLogins()); err != nil {
		return "", err
	}
	if err := q.unused(ctx, "", "username", u.Username); err != nil {
		return "", err
	}
	if err := q.unused(ctx, "", "email_address", u.Email); err != nil {
		return "", err
	}
	if err := q.refuse(ctx, "uuid", u.UUID, sqlUserExists, u.UUID); err != nil {
		return "", err
	}
	var (
		tenant string
		group  sql.NullString
	)
	if err := q.row(ctx, sqlHome, u.TenantUUID).Scan(&tenant, &group); err != nil {
		return "", fmt.Errorf("its tenant: %w", err)
	}
	if !group.Valid {
		return "", fmt.Errorf("%w: tenant %s has no all-users group", store.ErrNotFound, tenant)
	}
	if _, err := q.exec(ctx, sqlInsertUser, u.UUID, null(u.Username), null(u.PasswordHash),
		nullBytes(u.PasswordSalt), u.FirstName, u.LastName,
		u.Enabled, tenant, u.Purpose, u.Method); err != nil {
		return "", err
	}
	if u.Email != "" {
		if _, err := q.exec(ctx, sqlInsertEmail, emailUUID, u.Email, true, true, u.UUID); err != nil {
			return "", err
		}
	}
	if _, err := q.exec(ctx, sqlInsertMember, group.String, u.UUID); err != nil {
		return "", err
	}
	return tenant, s.insertPolicies(ctx, q, u.UUID, u.PolicySlugs)
}

// unused fails with a [store.ConflictError] of field when anybody but owner logs
// in with name. The schema keeps usernames and addresses unique each, but not
// one against the other: that holds among those who hold the lock of logins.
func (q statement) unused(ctx context.Context, owner, field, name string) error {
	if name == "" {
		return nil
	}
	return q.refuse(ctx, field, name, sqlLoginUsed, name, owner)
}

// refuse fails with a [store.ConflictError] when query answers true.
func (q statement) refuse(ctx context.Context, field, value, query string, args ...any) error {
	var taken bool
	if err := q.row(ctx, query, args...).Scan(&taken); err != nil {
		return err
	}
	if taken {
		return &store.ConflictError{Field: field, Value: value}
	}
	return nil
}

func (s *Store) insertPolicies(ctx context.Context, q statement, userUUID string, slugs []string) error {
	if len(slugs) == 0 {
		return nil
	}
	slugs = slices.Compact(slices.Sorted(slices.Values(slugs)))
	n, err := q.exec(ctx, sqlInsertPolicies, userUUID, s.dialect.List(slugs))
	if err != nil {
		return err
	}
	if int(n) != len(slugs) {
		return fmt.Errorf("%w: %d of %d policies", store.ErrNotFound, len(slugs)-int(n), len(slugs))
	}
	return nil
}
