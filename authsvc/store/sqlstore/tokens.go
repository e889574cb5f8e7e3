package sqlstore

import (
	"context"
	"database/sql"
	"fmt"
	"time"

	"github.com/wazo-edge/xivo-auth/authsvc/store"
)

// SQLInsertSession and SQLInsertToken take [SessionArgs] and [TokenArgs].
// Dialects run them in a transaction or join them into one statement.
const (
	SQLInsertSession = `insert into auth_session (uuid, mobile, tenant_uuid) values ($1, $2, $3)`

	SQLInsertToken = `insert into auth_token (uuid, auth_id, pbx_user_uuid, xivo_uuid, issued_t, expire_t,
	metadata, session_uuid, user_agent, remote_addr, acl)
values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)`
)

// SQLTokenColumns and SQLTokenByUUID read the token $1 into [TokenFields].
const (
	SQLTokenColumns = `t.uuid, t.auth_id, coalesce(t.pbx_user_uuid, ''), coalesce(t.xivo_uuid, ''),
	coalesce(t.issued_t, 0), coalesce(t.expire_t, 0), coalesce(t.metadata, ''), t.session_uuid,
	coalesce(t.user_agent, ''), coalesce(t.remote_addr, ''), t.acl, coalesce(u.tenant_uuid, '')`

	SQLTokenByUUID = `from auth_token t
left join auth_user u on u.uuid = t.auth_id
where t.uuid = $1`

	sqlToken = `select ` + SQLTokenColumns + ` ` + SQLTokenByUUID
)

// TokenFields are where the columns of [SQLTokenColumns] go; acl fills t.ACL.
func TokenFields(t *store.Token, acl sql.Scanner) []any {
	return []any{
		&t.UUID, &t.AuthID, &t.PBXUserUUID, &t.XiVOUUID, &t.IssuedAt, &t.ExpiresAt, &t.Metadata, &t.SessionUUID,
		&t.UserAgent, &t.RemoteAddr, acl, &t.UserTenant,
	}
}

// SessionArgs are the arguments of [SQLInsertSession].
func SessionArgs(s store.Session) []any { return []any{s.UUID, s.Mobile, s.TenantUUID} }

// TokenArgs are the arguments of [SQLInsertToken]; acl is the wrapped list.
func TokenArgs(t store.Token, acl any) []any {
	return []any{
		t.UUID, t.AuthID, null(t.PBXUserUUID), null(t.XiVOUUID), t.IssuedAt, t.ExpiresAt,
		null(t.Metadata), t.SessionUUID, t.UserAgent, t.RemoteAddr, acl,
	}
}

// CreateToken inserts the session and its token. A token whose SessionUUID is
// "" gets the session's. [store.ErrConflict] when a uuid is taken,
// [store.ErrNotFound] when the session's tenant does not exist,
// [store.ErrInvalid] for text no row can hold, a missing uuid, a token of
// another session, and times beyond 32 bits (19 January 2038).
func (s *Store) CreateToken(ctx context.Context, sess store.Session, t store.Token) error {
	const op = "creating a token"
	if t.SessionUUID == "" {
		t.SessionUUID = sess.UUID
	}
	if t.UUID == "" || sess.UUID == "" || t.SessionUUID != sess.UUID {
		return fmt.Errorf("%s: %w: token and session need a uuid and belong together", op, store.ErrInvalid)
	}
	if err := storable(op, "uuid", t.UUID, "session", sess.UUID, "tenant", sess.TenantUUID, "auth id", t.AuthID,
		"user", t.PBXUserUUID, "xivo uuid", t.XiVOUUID, "metadata", t.Metadata,
		"user agent", t.UserAgent, "address", t.RemoteAddr); err != nil {
		return err
	}
	for _, access := range t.ACL {
		if err := storable(op, "access", access); err != nil {
			return err
		}
	}
	session, token := SessionArgs(sess), TokenArgs(t, s.dialect.List(t.ACL))
	return s.call(ctx, op, write, func(ctx context.Context) error {
		return s.dialect.CreateToken(ctx, s.db, session, token)
	})
}

// Token returns the row of a token by primary key, whether or not it expired,
// in one round trip. A row without expiry reads as expired in 1970, since
// nothing that was issued properly lacks one.
func (s *Store) Token(ctx context.Context, uuid string) (store.Token, error) {
	const op = "reading a token"
	if !searchable(uuid) {
		return store.Token{}, notFound(op)
	}
	if s.replica != nil {
		var cancel func()
		ctx, cancel = context.WithTimeout(ctx, s.timeout) // for both
		defer cancel()
		if t, ok := s.replicaToken(ctx, uuid); ok {
			return t, nil
		}
	}
	var t store.Token
	err := s.call(ctx, op, read, func(ctx context.Context) error {
		return s.db.QueryRowContext(ctx, s.q.token, uuid).Scan(TokenFields(&t, s.dialect.ScanList(&t.ACL))...)
	})
	if err != nil {
		return store.Token{}, err
	}
	return t, nil
}

// DeleteToken removes a token, and its session unless another token shares
// it. Of concurrent calls for one token exactly one succeeds.
func (s *Store) DeleteToken(ctx context.Context, uuid string) (store.EndedToken, error) {
	const op = "deleting a token"
	if !searchable(uuid) {
		return store.EndedToken{}, notFound(op)
	}
	var ended store.EndedToken
	err := s.call(ctx, op, write, func(ctx context.Context) (err error) {
		ended, err = s.dialect.DeleteToken(ctx, s.db, uuid)
		return err
	})
	if err != nil {
		return store.EndedToken{}, err
	}
	return ended, nil
}

// DeleteExpiredTokens removes up to limit expired tokens, oldest first. A
// session goes with its last token; one that a token still alive shares
// stays. A limit below one removes nothing. Cost: a scan of auth_token, as
// the historical schema has no index on the expiry.
func (s *Store) DeleteExpiredTokens(ctx context.Context, now int64, limit int) ([]store.EndedToken, error) {
	if limit < 1 {
		return nil, nil
	}
	var ended []store.EndedToken
	err := s.call(ctx, "purging tokens", write, func(ctx context.Context) (err error) {
		ended, err = s.dialect.DeleteExpiredTokens(ctx, s.db, now, limit)
		return err
	})
	if err != nil {
		return nil, err
	}
	return ended, nil
}

const sqlClock = `select %s`

// Clock implements [store.Tokens].
func (s *Store) Clock(ctx context.Context) (time.Time, error) {
	var seconds int64
	err := s.call(ctx, "reading the clock", read, func(ctx context.Context) error {
		return s.db.QueryRowContext(ctx, s.q.clock).Scan(&seconds)
	})
	if err != nil {
		return time.Time{}, err
	}
	return time.Unix(seconds, 0), nil
}

// DeleteUserSessions removes every session that has a token of authID and
// returns all tokens that went with them, ordered by uuid.
func (s *Store) DeleteUserSessions(ctx context.Context, authID string) ([]store.EndedToken, error) {
	if !searchable(authID) {
		return nil, nil
	}
	var ended []store.EndedToken
	err := s.call(ctx, "deleting sessions", write, func(ctx context.Context) (err error) {
		ended, err = s.dialect.DeleteUserSessions(ctx, s.db, authID)
		return err
	})
	if err != nil {
		return nil, err
	}
	return ended, nil
}
