package postgres

import (
	"context"
	"database/sql"
	"slices"

	"github.com/wazo-edge/xivo-auth/authsvc/store"
	"github.com/wazo-edge/xivo-auth/authsvc/store/sqlstore"
)

// This file holds the writes that need a transaction elsewhere and are one
// statement, so one round trip, here. store/sqlite has them in
// transactions.go.
//
// Locks are always taken on the session before its tokens, the order in which
// a cascading delete takes them, so that none of these deadlocks with another
// or with `delete from auth_session`. Purging never waits for a lock at all.
//
// A statement sees the rows as they were when it began. Two deletes of tokens
// that share a session can thus both see the other's token and both leave the
// session; each looks again afterwards, and the last one finds it bare.

const sqlCreateToken = `
with session as (insert into auth_session (uuid, mobile, tenant_uuid) values ($12, $13, $14))
` + sqlstore.SQLInsertToken

const sqlDeleteToken = `
with locked as materialized (
	select s.uuid, s.tenant_uuid
	from auth_session s
	join auth_token t on t.session_uuid = s.uuid
	where t.uuid = $1
	for update of s
), ended as (
	delete from auth_token t
	using locked
	where t.uuid = $1 and t.session_uuid = locked.uuid
	returning t.uuid, t.auth_id, t.session_uuid
), closed as (
	delete from auth_session s
	using ended
	where s.uuid = ended.session_uuid
		and not exists (select 1 from auth_token o where o.session_uuid = s.uuid and o.uuid <> $1)
	returning s.uuid
)
select ended.uuid, ended.auth_id, ended.session_uuid, locked.tenant_uuid, closed.uuid is not null
from ended
join locked on locked.uuid = ended.session_uuid
left join closed on closed.uuid = ended.session_uuid`

const sqlDeleteExpired = `
with expired as materialized (
	select t.uuid, t.auth_id, t.session_uuid, t.expire_t, s.tenant_uuid
	from auth_token t
	join auth_session s on s.uuid = t.session_uuid
	where t.expire_t < cast($1 as bigint)
	order by t.expire_t, t.uuid
	limit cast($2 as bigint)
	for update of t, s skip locked
), ended as (
	delete from auth_token t
	using expired
	where t.uuid = expired.uuid
	returning t.uuid
), closed as (
	delete from auth_session s
	where s.uuid in (select session_uuid from expired)
		and not exists (select 1 from auth_token o
			where o.session_uuid = s.uuid and o.uuid not in (select uuid from expired))
	returning s.uuid
)
select expired.uuid, expired.auth_id, expired.session_uuid, expired.tenant_uuid, closed.uuid is not null
from expired
join ended on ended.uuid = expired.uuid
left join closed on closed.uuid = expired.session_uuid
order by expired.expire_t, expired.uuid`

const sqlDeleteUserSessions = `
with locked as materialized (
	select s.uuid, s.tenant_uuid
	from auth_session s
	where s.uuid in (select session_uuid from auth_token where auth_id = $1)
	order by s.uuid
	for update of s
), ended as (
	delete from auth_token t
	using locked
	where t.session_uuid = locked.uuid
	returning t.uuid, t.auth_id, t.session_uuid
), closed as (
	delete from auth_session s
	using locked
	where s.uuid = locked.uuid
)
select ended.uuid, ended.auth_id, ended.session_uuid, locked.tenant_uuid, true
from ended
join locked on locked.uuid = ended.session_uuid
order by ended.uuid`

const sqlCloseBare = `
delete from auth_session s
where s.uuid = any($1) and not exists (select 1 from auth_token t where t.session_uuid = s.uuid)
returning s.uuid`

// CreateToken inserts both rows; the foreign key is checked at the end of the
// statement, when both are there.
func (dialect) CreateToken(ctx context.Context, db *sql.DB, session, token []any) error {
	_, err := db.ExecContext(ctx, sqlCreateToken, append(slices.Clip(token), session...)...)
	return err
}

// sqlIssueToken yields no row when the session was refused.
var sqlIssueToken = `with session as (` + sqlstore.SQLIssueSession(" for share") + ` returning uuid)
` + sqlstore.SQLIssueToken(func(query string) string { return "array(" + query + ")" }) + `
from session
returning acl`

// IssueToken inserts both rows, with the accesses the user has at this moment.
func (d dialect) IssueToken(ctx context.Context, db *sql.DB, args []any) (acl []string, err error) {
	err = db.QueryRowContext(ctx, sqlIssueToken, args...).Scan(d.ScanList(&acl))
	return acl, err
}

// IssueTokenTx does so inside a transaction.
func (d dialect) IssueTokenTx(ctx context.Context, tx *sql.Tx, args []any) (acl []string, err error) {
	err = tx.QueryRowContext(ctx, sqlIssueToken, args...).Scan(d.ScanList(&acl))
	return acl, err
}

// DeleteToken waits for a concurrent delete of the same session and then
// finds nothing.
func (d dialect) DeleteToken(ctx context.Context, db *sql.DB, uuid string) (store.EndedToken, error) {
	ended, err := d.deleteTokens(ctx, db, sqlDeleteToken, uuid)
	if err != nil {
		return store.EndedToken{}, err
	}
	if len(ended) == 0 {
		return store.EndedToken{}, sql.ErrNoRows
	}
	return ended[0], nil
}

// DeleteExpiredTokens skips rows that are locked: another node purges them.
func (d dialect) DeleteExpiredTokens(ctx context.Context, db *sql.DB, now int64, limit int) ([]store.EndedToken, error) {
	return d.deleteTokens(ctx, db, sqlDeleteExpired, now, limit)
}

// DeleteUserSessions locks the sessions in the order of their uuids.
func (d dialect) DeleteUserSessions(ctx context.Context, db *sql.DB, authID string) ([]store.EndedToken, error) {
	return d.deleteTokens(ctx, db, sqlDeleteUserSessions, authID)
}

// deleteTokens runs one of the statements above and closes the sessions it
// left bare. The second statement is rare: sessions have one token unless
// someone shared them by hand. Its failure does not undo what was deleted, so
// it is not reported; such a session is one idle row.
func (d dialect) deleteTokens(ctx context.Context, db *sql.DB, query string, args ...any) ([]store.EndedToken, error) {
	ended, err := sqlstore.EndedTokens(ctx, db, query, args...)
	if err != nil {
		return nil, err
	}
	var shared []string
	for _, e := range ended {
		if !e.SessionEnded {
			shared = append(shared, e.SessionUUID)
		}
	}
	if shared == nil {
		return ended, nil
	}
	closed, err := sqlstore.Strings(ctx, db, sqlCloseBare, d.List(shared))
	if err != nil {
		return ended, nil //nolint:nilerr // see above: what was deleted must be told
	}
	sqlstore.MarkEnded(ended, closed)
	return ended, nil
}
