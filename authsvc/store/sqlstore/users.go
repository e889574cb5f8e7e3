package sqlstore

import (
	"context"
	"database/sql"
	"errors"

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

func scanUser(row scanner, u *store.User, more ...any) error {
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
	var some bool
	err := s.call(ctx, "looking for users", read, func(ctx context.Context) error {
		return s.db.QueryRowContext(ctx, s.q.hasUsers).Scan(&some)
	})
	return some && err == nil, err
}

// ListUsers returns every user, ordered by the bytes of the username, those
// without one last.
func (s *Store) ListUsers(ctx context.Context) ([]store.User, error) {
	var users []store.User
	err := s.call(ctx, "listing users", read, func(ctx context.Context) (err error) {
		users, err = collect(ctx, s.db, func(rows *sql.Rows) (u store.User, err error) {
			err = scanUser(rows, &u)
			return u, err
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

// nullBytes turns no bytes into NULL.
func nullBytes(b []byte) any {
	if len(b) == 0 {
		return nil
	}
	return b
}
