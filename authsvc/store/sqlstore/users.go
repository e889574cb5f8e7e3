package sqlstore

import (
	"context"
	"database/sql"

	"github.com/wazo-edge/xivo-auth/authsvc/store"
)

const userColumns = `u.uuid, coalesce(u.username, ''), u.firstname, u.lastname,
	u.enabled is true, u.tenant_uuid, u.purpose, u.authentication_method`

// userMethod is the effective method of a user u of a tenant t.
const userMethod = `case when u.authentication_method = 'default' then t.default_authentication_method else u.authentication_method end`

// A login is a confirmed address before it is a username, so that nobody can
// shadow an address by taking it as a username.
const sqlCredentials = `
select ` + userColumns + `,
	` + userMethod + `,
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

// userUsable is whether a user u can log in with something.
const userUsable = `u.enabled is true and (u.username is not null
		or exists (select 1 from auth_email e where e.user_uuid = u.uuid and e.main and e.confirmed))`

const sqlCredentialsByUUID = `
select ` + userColumns + `,
	` + userMethod + `,
	case when ` + userUsable + ` then coalesce(u.password_hash, '') else '' end,
	case when ` + userUsable + ` then u.password_salt end
from auth_user u
join auth_tenant t on t.uuid = u.tenant_uuid
where u.uuid = $1`

const sqlSetPassword = `update auth_user set password_hash = $2, password_salt = $3
where uuid = $1 and (cast($4 as text) = '' or password_hash = $4)`

func scanUser(row scanner, u *store.User, more ...any) error {
	return row.Scan(append([]any{
		&u.UUID, &u.Username, &u.FirstName, &u.LastName,
		&u.Enabled, &u.TenantUUID, &u.Purpose, &u.Method,
	}, more...)...)
}

func scanOneUser(row scanner) (u store.User, err error) {
	err = scanUser(row, &u)
	return u, err
}

func scanCredentials(row scanner) (c store.Credentials, err error) {
	err = scanUser(row, &c.User, &c.EffectiveMethod, &c.PasswordHash, &c.PasswordSalt)
	return c, err
}

// CredentialsByLogin resolves a login as the contract says, by two index
// lookups in one round trip.
func (s *Store) CredentialsByLogin(ctx context.Context, login string) (store.Credentials, error) {
	return one(ctx, s, "resolving a login", scanCredentials, sqlCredentials, login)
}

// CredentialsByUUID implements [store.Users].
func (s *Store) CredentialsByUUID(ctx context.Context, uuid string) (store.Credentials, error) {
	return one(ctx, s, "reading credentials", scanCredentials, sqlCredentialsByUUID, uuid)
}

// UserByName finds the owner of a username or address. Should several users
// own it, which only a race of other programs can bring about, the one a
// login would resolve to comes first.
func (s *Store) UserByName(ctx context.Context, name string) (store.User, error) {
	return one(ctx, s, "looking up a user", scanOneUser, sqlUserByName, name)
}

// HasUsers reports whether there is any user.
func (s *Store) HasUsers(ctx context.Context) (some bool, err error) {
	return one(ctx, s, "looking for users", func(row scanner) (some bool, err error) {
		err = row.Scan(&some)
		return some, err
	}, sqlHasUsers)
}

// ListUsers returns every user, ordered by the bytes of the username, those
// without one last.
func (s *Store) ListUsers(ctx context.Context) (users []store.User, err error) {
	err = s.view(ctx, "listing users", func(ctx context.Context, q statement) (err error) {
		users, err = rows(ctx, q, func(rows *sql.Rows) (store.User, error) { return scanOneUser(rows) }, sqlListUsers)
		return err
	})
	if err != nil {
		return nil, err
	}
	return users, nil
}

// SetPassword implements [store.Users].
func (s *Store) SetPassword(ctx context.Context, userUUID string, p store.NewPassword) ([]store.EndedToken, error) {
	const op = "setting a password"
	if err := storable(op, "hash", p.Hash, "hash", p.Was); err != nil {
		return nil, err
	}
	return s.endUser(ctx, op, userUUID, true, sqlSetPassword, userUUID, null(p.Hash), nullBytes(p.Salt), p.Was)
}

// nullBytes turns no bytes into NULL.
func nullBytes(b []byte) any {
	if len(b) == 0 {
		return nil
	}
	return b
}
