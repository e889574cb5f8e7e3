package sqlstore

import (
	"context"
	"database/sql"
	"fmt"

	"github.com/google/uuid"

	"github.com/wazo-edge/xivo-auth/authsvc/store"
)

// accountListing finds what is equal to a text by the indexes there are, which
// ignore case, before it compares the case.
var accountListing = listing[store.User]{
	columns: userColumns,
	from:    `auth_user u`,
	tenant:  `u.tenant_uuid = $1`,
	below:   `u.tenant_uuid = ` + anyBelow,
	group:   `u.uuid in (select m.user_uuid from auth_user_group m where m.group_uuid = %s)`,
	key:     `u.uuid collate "C"`,
	search: []string{
		like(`u.firstname`), like(`u.lastname`), like(`u.username`),
		`exists (select 1 from auth_email e where e.user_uuid = u.uuid and ` + like(`e.address`) + `)`,
	},
	filters: map[string]string{
		"uuid":          `u.uuid = %s`,
		"username":      `lower(u.username) = lower(%[1]s) and u.username = %[1]s`,
		"firstname":     `u.firstname = %s`,
		"lastname":      `u.lastname = %s`,
		"purpose":       `u.purpose = %s`,
		"email_address": `u.uuid in (select e.user_uuid from auth_email e where lower(e.address) = lower(%[1]s) and e.address = %[1]s)`,
		"group_uuid":    `u.uuid in (select m.user_uuid from auth_user_group m where m.group_uuid = %s)`,
		"policy_uuid":   `u.uuid in (select o.user_uuid from auth_user_policy o where o.policy_uuid = %s)`,
		"policy_slug":   `u.uuid in (select o.user_uuid from auth_user_policy o where o.policy_uuid in (` + policiesOfSlug + `))`,
		"has_policy_uuid": `u.uuid in (
			select o.user_uuid from auth_user_policy o where o.policy_uuid = %[1]s
			union all
			select m.user_uuid from auth_group_policy g join auth_user_group m on m.group_uuid = g.group_uuid where g.policy_uuid = %[1]s
		)`,
		"has_policy_slug": `u.uuid in (
			select o.user_uuid from auth_user_policy o where o.policy_uuid in (` + policiesOfSlug + `)
			union all
			select m.user_uuid from auth_group_policy g join auth_user_group m on m.group_uuid = g.group_uuid where g.policy_uuid in (` + policiesOfSlug + `)
		)`,
	},
	orders: map[string]string{
		"": `u.username collate "C"`, "username": `u.username collate "C"`,
		"firstname": `u.firstname collate "C"`, "lastname": `u.lastname collate "C"`,
	},
	scan: func(rows *sql.Rows) (store.User, error) { return scanOneUser(rows) },
}

const policiesOfSlug = `select p.uuid from auth_policy p where lower(p.slug) = lower(%[1]s) and p.slug = %[1]s`

const (
	sqlUserByUUID = `select ` + userColumns + ` from auth_user u where u.uuid = $1`

	sqlEmails = `
select e.user_uuid, e.uuid, e.address, e.main, e.confirmed
from auth_email e
where e.user_uuid = any($1)
order by case when e.main then 0 else 1 end, e.address collate "C", e.uuid`

	sqlSetEnabled = `update auth_user set enabled = cast($2 as boolean) where uuid = $1`

	sqlUpdateUser = `update auth_user set username = $2, firstname = $3, lastname = $4, enabled = $5,
	purpose = $6, authentication_method = $7 where uuid = $1`

	sqlDeleteUser = `delete from auth_user where uuid = $1`
)

// ListAccounts implements [store.Accounts].
func (s *Store) ListAccounts(ctx context.Context, want store.List) (page store.Page[store.Account], err error) {
	const op = "listing users"
	found, err := list(ctx, s, op, &accountListing, want)
	if err != nil {
		return page, err
	}
	uuids := make([]string, len(found.Items))
	for i, u := range found.Items {
		uuids[i] = u.UUID
	}
	emails, err := s.emails(ctx, op, uuids)
	if err != nil {
		return page, err
	}
	page = store.Page[store.Account]{Total: found.Total, Filtered: found.Filtered, Items: make([]store.Account, len(uuids))}
	for i, u := range found.Items {
		page.Items[i] = store.Account{User: u, Emails: orNone(emails[u.UUID])}
	}
	return page, nil
}

// Emails implements [store.Accounts].
func (s *Store) Emails(ctx context.Context, userUUID string) ([]store.Email, error) {
	if !searchable(userUUID) {
		return []store.Email{}, nil
	}
	found, err := s.emails(ctx, "reading addresses", []string{userUUID})
	if err != nil {
		return nil, err
	}
	return orNone(found[userUUID]), nil
}

// emails returns the addresses of these users by the users' uuids.
func (s *Store) emails(ctx context.Context, op string, users []string) (byUser map[string][]store.Email, err error) {
	if len(users) == 0 {
		return nil, nil
	}
	err = s.view(ctx, op, func(ctx context.Context, q statement) error {
		byUser = make(map[string][]store.Email, len(users))
		_, err := rows(ctx, q, func(rows *sql.Rows) (e store.Email, err error) {
			var user string
			err = rows.Scan(&user, &e.UUID, &e.Address, &e.Main, &e.Confirmed)
			byUser[user] = append(byUser[user], e)
			return e, err
		}, sqlEmails, s.dialect.List(users))
		return err
	})
	return byUser, err
}

func orNone(emails []store.Email) []store.Email {
	if emails == nil {
		return []store.Email{}
	}
	return emails
}

// UserByUUID implements [store.Accounts].
func (s *Store) UserByUUID(ctx context.Context, uuid string) (store.User, error) {
	return one(ctx, s, "reading a user", scanOneUser, sqlUserByUUID, uuid)
}

// SetUserEnabled implements [store.Accounts].
func (s *Store) SetUserEnabled(ctx context.Context, uuid string, enabled bool) ([]store.EndedToken, error) {
	return s.endUser(ctx, "enabling or disabling a user", uuid, !enabled, sqlSetEnabled, uuid, enabled)
}

// DeleteUser implements [store.Accounts].
func (s *Store) DeleteUser(ctx context.Context, uuid string) ([]store.EndedToken, error) {
	return s.endUser(ctx, "deleting a user", uuid, true, sqlDeleteUser, uuid)
}

// UpdateUser implements [store.Accounts].
func (s *Store) UpdateUser(ctx context.Context, u store.User) (ended []store.EndedToken, err error) {
	const op = "changing a user"
	if !searchable(u.UUID) {
		return nil, notFound(op)
	}
	if err := storableUser(op, u); err != nil {
		return nil, err
	}
	err = s.change(ctx, op, func(ctx context.Context, q statement) (err error) {
		ended = nil
		if err := q.lock(ctx, s.dialect.LockLogins()); err != nil {
			return err
		}
		if err := q.unused(ctx, u.UUID, "username", u.Username); err != nil {
			return err
		}
		if !u.Enabled {
			if ended, err = s.endUserSessions(ctx, q.on, u.UUID); err != nil {
				return err
			}
		}
		return q.must(ctx, sqlUpdateUser, u.UUID, null(u.Username), u.FirstName, u.LastName, u.Enabled, u.Purpose, u.Method)
	})
	return unsure(ended, err)
}

// endUser changes the row of a user and, when that ends what he may do, his
// sessions, all or nothing. The row changes last, since what its deletion
// cascades to are tokens, and sessions are to be locked before tokens.
func (s *Store) endUser(ctx context.Context, op, uuid string, sessions bool, change string, args ...any) (ended []store.EndedToken, err error) {
	if !searchable(uuid) {
		return nil, notFound(op)
	}
	err = s.change(ctx, op, func(ctx context.Context, q statement) (err error) {
		ended = nil
		if sessions {
			if ended, err = s.endUserSessions(ctx, q.on, uuid); err != nil {
				return err
			}
		}
		return q.must(ctx, change, args...)
	})
	return unsure(ended, err)
}

// endUserSessions ends the sessions of a user. His row and those of his refresh
// tokens are locked first: logins that use them wait, or are seen here.
func (s *Store) endUserSessions(ctx context.Context, tx executor, uuid string) ([]store.EndedToken, error) {
	if lock := s.dialect.LockUser(); lock != "" {
		if _, err := tx.ExecContext(ctx, lock, uuid); err != nil {
			return nil, err
		}
		if _, err := tx.ExecContext(ctx, s.locking(s.q.userRefreshTokens, "r"), uuid); err != nil {
			return nil, err
		}
	}
	return s.endSessions(ctx, tx, s.q.userTokens, uuid)
}

// storableUser is [storable] for what a client says of a user.
func storableUser(op string, u store.User) error {
	named := []string{"username", u.Username, "method", u.Method, "purpose", u.Purpose}
	if u.FirstName != nil {
		named = append(named, "first name", *u.FirstName)
	}
	if u.LastName != nil {
		named = append(named, "last name", *u.LastName)
	}
	return storable(op, named...)
}

const (
	sqlOwnEmails = `select e.uuid, e.address, e.main, e.confirmed from auth_email e where e.user_uuid = $1 order by e.uuid`

	sqlDeleteEmail = `delete from auth_email where uuid = $1`

	sqlUpdateEmail = `update auth_email set main = $2, confirmed = $3 where uuid = $1`
)

// SetEmails implements [store.Accounts]. Addresses that go do so first: one of
// which the case changes takes the place of itself.
func (s *Store) SetEmails(ctx context.Context, userUUID string, want []store.NewEmail) (stored []store.StoredEmail, err error) {
	const op = "setting addresses"
	if !searchable(userUUID) {
		return nil, notFound(op)
	}
	for _, e := range want {
		if err := storable(op, "address", e.Address); err != nil {
			return nil, err
		}
	}
	err = s.change(ctx, op, func(ctx context.Context, q statement) (err error) {
		if err := q.lock(ctx, s.dialect.LockLogins()); err != nil {
			return err
		}
		for _, e := range want {
			if err := q.unused(ctx, userUUID, "email_address", e.Address); err != nil {
				return err
			}
		}
		if _, err := scanOneUser(q.row(ctx, sqlUserByUUID, userUUID)); err != nil {
			return err
		}
		stored, err = s.replaceEmails(ctx, q, userUUID, want)
		return err
	})
	if err != nil {
		return nil, err
	}
	return stored, nil
}

func (s *Store) replaceEmails(ctx context.Context, q statement, userUUID string, want []store.NewEmail) ([]store.StoredEmail, error) {
	had, err := rows(ctx, q, func(rows *sql.Rows) (e store.Email, err error) {
		err = rows.Scan(&e.UUID, &e.Address, &e.Main, &e.Confirmed)
		return e, err
	}, s.locking(sqlOwnEmails, "e"), userUUID)
	if err != nil {
		return nil, err
	}
	known := make(map[string]store.Email, len(had))
	for _, e := range had {
		known[e.Address] = e
	}
	stored := make([]store.StoredEmail, len(want))
	for i, w := range want {
		e, has := known[w.Address]
		if !has {
			id, err := uuid.NewRandom()
			if err != nil {
				return nil, fmt.Errorf("a uuid: %w", err)
			}
			e = store.Email{UUID: id.String(), Address: w.Address}
		}
		e.Main = w.Main
		if w.Confirmed != nil {
			e.Confirmed = *w.Confirmed
		}
		stored[i] = store.StoredEmail{Email: e, Known: has}
		delete(known, w.Address)
	}
	for _, e := range had {
		if _, goes := known[e.Address]; goes {
			if _, err := q.exec(ctx, sqlDeleteEmail, e.UUID); err != nil {
				return nil, err
			}
		}
	}
	for _, e := range stored {
		if e.Known {
			_, err = q.exec(ctx, sqlUpdateEmail, e.UUID, e.Main, e.Confirmed)
		} else {
			_, err = q.exec(ctx, sqlInsertEmail, e.UUID, e.Address, e.Confirmed, e.Main, userUUID)
		}
		if err != nil {
			return nil, err
		}
	}
	return stored, nil
}
