package sqlstore

import (
	"context"
	"database/sql"
	"errors"
	"strings"

	"github.com/wazo-edge/xivo-auth/authsvc/store"
)

var refreshListing = listing[store.RefreshToken]{
	columns: refreshColumns,
	from:    `auth_refresh_token r join auth_user u on u.uuid = r.user_uuid`,
	tenant:  `u.tenant_uuid = $1`,
	below:   `u.tenant_uuid = ` + anyBelow,
	user:    `r.user_uuid = %s`,
	key:     `r.uuid collate "C"`,
	search:  []string{like(`r.client_id`)},
	filters: map[string]string{"client_id": `r.client_id = %s`, "created_at": `r.created_at = %s`, "mobile": `r.mobile = %s`},
	orders: map[string]string{
		"": `r.created_at`, "created_at": `r.created_at`, "client_id": `r.client_id collate "C"`, "mobile": `r.mobile`,
	},
	scan: func(rows *sql.Rows) (r store.RefreshToken, err error) {
		err = rows.Scan(scanRefresh(&r)...)
		return r, err
	},
}

var sessionListing = listing[store.ListedSession]{
	columns: `s.uuid, s.mobile, s.tenant_uuid, coalesce(t.auth_id, '')`,
	// A session has one token; should it share several, one of them names
	// its user, so that it is listed once.
	from: `auth_session s left join auth_token t on t.session_uuid = s.uuid
		and not exists (select 1 from auth_token o where o.session_uuid = s.uuid and o.uuid < t.uuid)`,
	tenant:  `s.tenant_uuid = $1`,
	below:   `s.tenant_uuid = ` + anyBelow,
	user:    `exists (select 1 from auth_token o where o.session_uuid = s.uuid and o.auth_id = %s)`,
	key:     `s.uuid collate "C"`,
	filters: map[string]string{"uuid": `s.uuid = %s`},
	orders:  map[string]string{"mobile": `s.mobile`},
	scan: func(rows *sql.Rows) (l store.ListedSession, err error) {
		err = rows.Scan(&l.UUID, &l.Mobile, &l.TenantUUID, &l.AuthID)
		return l, err
	},
}

// SQLite does not know a table by its alias after returning.
var sqlDeleteRefresh = `delete from auth_refresh_token where user_uuid = $1 and client_id = $2
returning ` + strings.ReplaceAll(refreshOwnColumns, "r.", "auth_refresh_token.") + `, (select u.tenant_uuid from auth_user u where u.uuid = $1)`

const (
	sqlSessionTokens = sqlBelow + `
select t.uuid, t.auth_id, t.session_uuid, s.tenant_uuid, true
from auth_token t
join auth_session s on s.uuid = t.session_uuid
where s.uuid = $2 and s.tenant_uuid in (select uuid from below)
order by s.uuid`

	sqlDeleteSession = sqlBelow + `
delete from auth_session where uuid = $2 and tenant_uuid in (select uuid from below)`

	sqlUserTokens = `
select t.uuid, t.auth_id, t.session_uuid, s.tenant_uuid, true
from auth_token t
join auth_session s on s.uuid = t.session_uuid
where t.session_uuid in (select o.session_uuid from auth_token o where o.auth_id = $1)
order by s.uuid`

	sqlUserRefreshTokens = `select r.uuid from auth_refresh_token r where r.user_uuid = $1 order by r.uuid`
)

// ListRefreshTokens implements [store.RefreshTokens].
func (s *Store) ListRefreshTokens(ctx context.Context, want store.List) (store.Page[store.RefreshToken], error) {
	return list(ctx, s, "listing refresh tokens", &refreshListing, want)
}

// ListSessions implements [store.Sessions].
func (s *Store) ListSessions(ctx context.Context, want store.List) (store.Page[store.ListedSession], error) {
	return list(ctx, s, "listing sessions", &sessionListing, want)
}

// DeleteRefreshToken implements [store.RefreshTokens]. Tokens that were issued
// from it stay.
func (s *Store) DeleteRefreshToken(ctx context.Context, userUUID, clientID string) (store.RefreshToken, error) {
	const op = "deleting a refresh token"
	var r store.RefreshToken
	if !searchable(userUUID) || !searchable(clientID) {
		return r, notFound(op)
	}
	err := s.call(ctx, op, write, func(ctx context.Context) error {
		return s.db.QueryRowContext(ctx, s.q.deleteRefresh, userUUID, clientID).Scan(scanRefresh(&r)...)
	})
	if err != nil {
		return store.RefreshToken{}, err
	}
	return r, nil
}

// DeleteSession implements [store.Sessions].
func (s *Store) DeleteSession(ctx context.Context, sessionUUID, tenant string) (ended []store.EndedToken, err error) {
	if !searchable(sessionUUID) || !searchable(tenant) {
		return nil, nil
	}
	err = s.call(ctx, "deleting a session", write, func(ctx context.Context) error {
		return InTx(ctx, s.db, func(tx *sql.Tx) (err error) {
			if ended, err = s.endedTokens(ctx, tx, s.q.sessionTokens, tenant, sessionUUID); err != nil {
				return err
			}
			_, err = tx.ExecContext(ctx, s.q.deleteSession, tenant, sessionUUID)
			return err
		})
	})
	return unsure(ended, err)
}

// unsure returns what a transaction ended. When its commit may have happened
// and only the answer was lost, the tokens are returned beside the error: their
// rows may be gone, and asking again would find nothing to tell of.
func unsure(ended []store.EndedToken, err error) ([]store.EndedToken, error) {
	if err != nil && !errors.Is(err, store.ErrUnavailable) {
		return nil, err
	}
	return ended, err
}
