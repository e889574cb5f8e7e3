package sqlstore

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"slices"

	"github.com/google/uuid"

	"github.com/wazo-edge/xivo-auth/authsvc/store"
)

const userColumns = `u.uuid, coalesce(u.username, ''), coalesce(u.firstname, ''), coalesce(u.lastname, ''),
	u.enabled is true, u.tenant_uuid, u.purpose, u.authentication_method`

// A login is a confirmed address before it is a username, so that nobody can
// shadow an address by taking it as a username.
const sqlCredentials = `
select ` + userColumns + `,
	case when u.authentication_method = 'default' then t.default_authentication_method else u.authentication_method end,
	coalesce(u.password_hash, ''), u.password_salt
from (
	select e.user_uuid, 1 as preference from auth_email e where lower(e.address) = lower($1) and e.confirmed
	union all
	select n.uuid, 2 from auth_user n where lower(n.username) = lower($1)
) found
join auth_user u on u.uuid = found.user_uuid
join auth_tenant t on t.uuid = u.tenant_uuid
where u.enabled is true
order by found.preference
limit 1`

const sqlUserByName = `
select ` + userColumns + `
from (
	select e.user_uuid, case when e.confirmed then 1 else 3 end as preference
	from auth_email e where lower(e.address) = lower($1)
	union all
	select n.uuid, 2 from auth_user n where lower(n.username) = lower($1)
) found
join auth_user u on u.uuid = found.user_uuid
order by found.preference
limit 1`

const sqlListUsers = `
select ` + userColumns + `
from auth_user u
order by u.username collate "C" nulls last, u.uuid collate "C"`

const sqlHasUsers = `select exists (select 1 from auth_user)`

const sqlSetPassword = `update auth_user set password_hash = $2, password_salt = $3 where uuid = $1`

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

func scanUser(row interface{ Scan(...any) error }, u *store.User, more ...any) error {
	return row.Scan(append([]any{
		&u.UUID, &u.Username, &u.FirstName, &u.LastName,
		&u.Enabled, &u.TenantUUID, &u.Purpose, &u.Method,
	}, more...)...)
}

// CredentialsByLogin resolves a login as the contract says, by two index
// lookups in one round trip.
func (s *Store) CredentialsByLogin(ctx context.Context, login string) (store.Credentials, error) {
	const op = "resolving a login"
	if !searchable(login) {
		return store.Credentials{}, notFound(op)
	}
	var c store.Credentials
	err := s.call(ctx, op, read, func(ctx context.Context) error {
		return scanUser(s.db.QueryRowContext(ctx, s.q.credentials, login),
			&c.User, &c.EffectiveMethod, &c.PasswordHash, &c.PasswordSalt)
	})
	if err != nil {
		return store.Credentials{}, err
	}
	return c, nil
}

// UserByName finds the owner of a username or address. Should several users
// own it, which only a race of other programs can bring about, the one a
// login would resolve to comes first.
func (s *Store) UserByName(ctx context.Context, name string) (store.User, error) {
	const op = "looking up a user"
	if !searchable(name) {
		return store.User{}, notFound(op)
	}
	var u store.User
	err := s.call(ctx, op, read, func(ctx context.Context) error {
		return scanUser(s.db.QueryRowContext(ctx, s.q.userByName, name), &u)
	})
	if err != nil {
		return store.User{}, err
	}
	return u, nil
}

// HasUsers reports whether there is any user.
func (s *Store) HasUsers(ctx context.Context) (bool, error) {
	var any bool
	err := s.call(ctx, "looking for users", read, func(ctx context.Context) error {
		return s.db.QueryRowContext(ctx, s.q.hasUsers).Scan(&any)
	})
	return any && err == nil, err
}

// ListUsers returns every user, ordered by the bytes of the username, those
// without one last.
func (s *Store) ListUsers(ctx context.Context) ([]store.User, error) {
	var users []store.User
	err := s.call(ctx, "listing users", read, func(ctx context.Context) (err error) {
		users, err = collect(ctx, s.db, func(rows *sql.Rows) (u store.User, err error) {
			return u, scanUser(rows, &u)
		}, s.q.listUsers)
		return err
	})
	if err != nil {
		return nil, err
	}
	return users, nil
}

// SetPassword replaces hash and salt; empty ones are stored as NULL, which no
// password matches.
func (s *Store) SetPassword(ctx context.Context, userUUID, hash string, salt []byte) error {
	const op = "setting a password"
	if !searchable(userUUID) {
		return notFound(op)
	}
	if err := storable(op, "hash", hash); err != nil {
		return err
	}
	return s.call(ctx, op, write, func(ctx context.Context) error {
		res, err := s.db.ExecContext(ctx, s.q.setPassword, userUUID, null(hash), nullBytes(salt))
		if err != nil {
			return err
		}
		if n, err := res.RowsAffected(); err != nil || n == 0 {
			return errors.Join(err, sql.ErrNoRows)
		}
		return nil
	})
}

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

// nullBytes turns no bytes into NULL.
func nullBytes(b []byte) any {
	if len(b) == 0 {
		return nil
	}
	return b
}
