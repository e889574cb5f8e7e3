package sqlite

import (
	"context"
	"database/sql"
	"errors"

	"github.com/wazo-edge/xivo-auth/authsvc/store"
	"github.com/wazo-edge/xivo-auth/authsvc/store/sqlstore"
)

// This file holds, as short transactions, the writes that store/postgres does
// in one statement each (its onestatement.go). SQLite cannot delete inside a
// with clause; without a network between, the round trips cost nothing. Every
// transaction begins by locking the file, so these run one after another.

var (
	sqlInsertSession = dialect{}.Rebind(sqlstore.SQLInsertSession)
	sqlInsertToken   = dialect{}.Rebind(sqlstore.SQLInsertToken)

	sqlIssueSession = dialect{}.Rebind(sqlstore.SQLIssueSession(""))
	sqlIssueToken   = dialect{}.Rebind(sqlstore.SQLIssueToken(func(query string) string {
		return "(select json_group_array(access) from (" + query + "))"
	}) + " returning acl")
)

const sqlEndedColumns = `select t.uuid, t.auth_id, t.session_uuid, s.tenant_uuid, false
from auth_token t
join auth_session s on s.uuid = t.session_uuid
`

const (
	sqlFindToken = sqlEndedColumns + `where t.uuid = ?1`

	sqlFindExpired = sqlEndedColumns + `where t.expire_t < ?1 order by t.expire_t, t.uuid limit ?2`

	sqlFindUserTokens = sqlEndedColumns + `
where t.session_uuid in (select session_uuid from auth_token where auth_id = ?1)
order by t.uuid`

	sqlDeleteTokens = `delete from auth_token where uuid in (select value from json_each(?1))`

	sqlCloseBare = `
delete from auth_session
where uuid in (select value from json_each(?1))
	and not exists (select 1 from auth_token t where t.session_uuid = auth_session.uuid)
returning uuid`
)

// IssueToken inserts both rows, with the accesses the user has at this moment.
func (d dialect) IssueToken(ctx context.Context, db *sql.DB, args []any) (acl []string, err error) {
	err = sqlstore.InTx(ctx, db, func(tx *sql.Tx) (err error) {
		acl, err = d.IssueTokenTx(ctx, tx, args)
		return err
	})
	return acl, err
}

// IssueTokenTx does so inside a transaction.
func (d dialect) IssueTokenTx(ctx context.Context, tx *sql.Tx, args []any) (acl []string, err error) {
	res, err := tx.ExecContext(ctx, sqlIssueSession, args...)
	if err != nil {
		return nil, err
	}
	if n, err := res.RowsAffected(); err != nil || n == 0 {
		return nil, errors.Join(err, sql.ErrNoRows)
	}
	err = tx.QueryRowContext(ctx, sqlIssueToken, args...).Scan(d.ScanList(&acl))
	return acl, err
}

// CreateToken inserts both rows.
func (dialect) CreateToken(ctx context.Context, db *sql.DB, session, token []any) error {
	return sqlstore.InTx(ctx, db, func(tx *sql.Tx) error {
		if _, err := tx.ExecContext(ctx, sqlInsertSession, session...); err != nil {
			return err
		}
		_, err := tx.ExecContext(ctx, sqlInsertToken, token...)
		return err
	})
}

// DeleteToken deletes the token, then its session when that is bare.
func (d dialect) DeleteToken(ctx context.Context, db *sql.DB, uuid string) (store.EndedToken, error) {
	ended, err := d.deleteTokens(ctx, db, sqlFindToken, uuid)
	if err != nil {
		return store.EndedToken{}, err
	}
	if len(ended) == 0 {
		return store.EndedToken{}, sql.ErrNoRows
	}
	return ended[0], nil
}

// DeleteExpiredTokens deletes the oldest expired tokens.
func (d dialect) DeleteExpiredTokens(ctx context.Context, db *sql.DB, now int64, limit int) ([]store.EndedToken, error) {
	return d.deleteTokens(ctx, db, sqlFindExpired, now, limit)
}

// DeleteUserSessions deletes all tokens of the sessions, then the sessions.
func (d dialect) DeleteUserSessions(ctx context.Context, db *sql.DB, authID string) ([]store.EndedToken, error) {
	return d.deleteTokens(ctx, db, sqlFindUserTokens, authID)
}

// deleteTokens deletes the tokens that query finds and the sessions they
// leave bare.
func (d dialect) deleteTokens(ctx context.Context, db *sql.DB, query string, args ...any) (ended []store.EndedToken, err error) {
	err = sqlstore.InTx(ctx, db, func(tx *sql.Tx) error {
		ended, err = sqlstore.EndedTokens(ctx, tx, query, args...)
		if err != nil || len(ended) == 0 {
			return err
		}
		tokens, sessions := make([]string, len(ended)), make([]string, len(ended))
		for i, e := range ended {
			tokens[i], sessions[i] = e.UUID, e.SessionUUID
		}
		if _, err := tx.ExecContext(ctx, sqlDeleteTokens, d.List(tokens)); err != nil {
			return err
		}
		closed, err := sqlstore.Strings(ctx, tx, sqlCloseBare, d.List(sessions))
		if err != nil {
			return err
		}
		sqlstore.MarkEnded(ended, closed)
		return nil
	})
	if err != nil {
		return nil, err
	}
	return ended, nil
}
