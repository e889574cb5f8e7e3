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

const sqlLoginTaken = `
select exists (select 1 from auth_user where lower(username) in (lower($1), lower($2)))
	or exists (select 1 from auth_email where lower(address) in (lower($1), lower($2)))`

const (
	sqlInsertUser = `insert into auth_user (uuid, username, password_hash, password_salt, firstname, lastname,
	enabled, tenant_uuid, purpose, authentication_method)
values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)`

	sqlInsertEmail = `insert into auth_email (uuid, address, confirmed, main, user_uuid) values ($1, $2, true, true, $3)`

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
	if err := storable(op, "uuid", u.UUID, "username", u.Username, "first name", u.FirstName,
		"last name", u.LastName, "method", u.Method, "purpose", u.Purpose,
		"address", u.Email, "hash", u.PasswordHash); err != nil {
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
	err = s.call(ctx, op, write, func(ctx context.Context) error {
		return InTx(ctx, s.db, func(tx *sql.Tx) (err error) {
			created.TenantUUID, err = s.insertUser(ctx, tx, u, emailID.String())
			return err
		})
	})
	if err != nil {
		return store.User{}, err
	}
	return created, nil
}

// insertUser does the work of CreateUser inside tx and returns the tenant.
func (s *Store) insertUser(ctx context.Context, tx *sql.Tx, u store.NewUser, emailUUID string) (string, error) {
	if err := s.reserveLogins(ctx, tx, u.Username, u.Email); err != nil {
		return "", err
	}
	var (
		tenant string
		group  sql.NullString
	)
	if err := tx.QueryRowContext(ctx, s.q.home, u.TenantUUID).Scan(&tenant, &group); err != nil {
		return "", fmt.Errorf("its tenant: %w", err)
	}
	if !group.Valid {
		return "", fmt.Errorf("%w: tenant %s has no all-users group", store.ErrNotFound, tenant)
	}
	if _, err := tx.ExecContext(ctx, s.q.insertUser, u.UUID, null(u.Username), null(u.PasswordHash),
		nullBytes(u.PasswordSalt), null(u.FirstName), null(u.LastName),
		u.Enabled, tenant, u.Purpose, u.Method); err != nil {
		return "", err
	}
	if u.Email != "" {
		if _, err := tx.ExecContext(ctx, s.q.insertEmail, emailUUID, u.Email, u.UUID); err != nil {
			return "", err
		}
	}
	if _, err := tx.ExecContext(ctx, s.q.insertMember, group.String, u.UUID); err != nil {
		return "", err
	}
	return tenant, s.insertPolicies(ctx, tx, u.UUID, u.PolicySlugs)
}

// reserveLogins fails when a user has one of the names already. The schema
// keeps usernames and addresses unique each, but not one against the other.
func (s *Store) reserveLogins(ctx context.Context, tx *sql.Tx, username, email string) error {
	if lock := s.dialect.LockLogins(); lock != "" {
		if _, err := tx.ExecContext(ctx, lock); err != nil {
			return err
		}
	}
	if username == "" {
		username = email
	}
	if email == "" {
		email = username
	}
	if username == "" {
		return nil
	}
	var taken bool
	if err := tx.QueryRowContext(ctx, s.q.loginTaken, username, email).Scan(&taken); err != nil {
		return err
	}
	if taken {
		return fmt.Errorf("%w: username or address is taken", store.ErrConflict)
	}
	return nil
}

func (s *Store) insertPolicies(ctx context.Context, tx *sql.Tx, userUUID string, slugs []string) error {
	if len(slugs) == 0 {
		return nil
	}
	slugs = slices.Compact(slices.Sorted(slices.Values(slugs)))
	res, err := tx.ExecContext(ctx, s.q.insertPolicies, userUUID, s.dialect.List(slugs))
	if err != nil {
		return err
	}
	n, err := res.RowsAffected()
	if err != nil {
		return err
	}
	if int(n) != len(slugs) {
		return fmt.Errorf("%w: %d of %d policies", store.ErrNotFound, len(slugs)-int(n), len(slugs))
	}
	return nil
}
