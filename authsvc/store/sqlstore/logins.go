package sqlstore

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/wazo-edge/xivo-auth/authsvc/store"
)

// SQLIssueSession and SQLIssueToken take [IssueArgs]. The session is inserted
// unless the user was disabled or deleted, or got another password, since his
// password was looked at, or has too many; where it is not, there must be no
// token. lock makes the statement wait for who is
// changing the user, so that his sessions are not ended just before this one
// begins. Dialects run both in a transaction or join them into one statement.
func SQLIssueSession(lock string) string {
	return `insert into auth_session (uuid, mobile, tenant_uuid)
select $1, cast($2 as boolean), $3
where exists (
	select 1 from auth_user u
	where u.uuid = $5 and u.enabled is true and (cast($16 as text) = '' or u.password_hash = $16)` + lock + `
) and (
	cast($4 as integer) = 0
	or (select count(distinct t.session_uuid) from auth_token t where t.auth_id = $5) < cast($4 as integer)
)`
}

// SQLIssueToken puts the ACL together with gather, an expression that holds
// the rows of a query as a list (see [Dialect]). It ends where a from clause
// may follow.
func SQLIssueToken(gather func(query string) string) string {
	accesses := strings.NewReplacer("$1", "$5", "$2", "$14").Replace(sqlUserAccesses)
	return `insert into auth_token (auth_id, uuid, pbx_user_uuid, xivo_uuid, issued_t, expire_t,
	metadata, session_uuid, user_agent, remote_addr, refresh_token_uuid, acl)
select cast($5 as text), $6, $7, $8, cast($9 as integer), cast($10 as integer), $11, $1, $12, $13, $15, ` + gather(accesses)
}

// IssueArgs are the arguments of [SQLIssueSession] and [SQLIssueToken].
func IssueArgs(n store.NewToken) []any {
	s, t := n.Session, n.Token
	return []any{
		s.UUID, s.Mobile, s.TenantUUID, n.MaxSessions, t.AuthID,
		t.UUID, null(t.PBXUserUUID), null(t.XiVOUUID), t.IssuedAt, t.ExpiresAt,
		null(t.Metadata), t.UserAgent, t.RemoteAddr, n.BasePolicy, null(n.RefreshToken),
		n.PasswordHash,
	}
}

// The refresh token's own user must be who its login resolves to: a login
// that was given away since must not open somebody else's account.
var sqlRefreshCredentials = strings.NewReplacer(
	"lower($1)", "lower((select r.login from auth_refresh_token r where r.uuid = $1 and r.client_id = $2))",
	"coalesce(u.password_hash, ''), u.password_salt", refreshColumns,
	"join auth_tenant t", "join auth_refresh_token r on r.uuid = $1 and r.client_id = $2 and r.user_uuid = u.uuid\njoin auth_tenant t",
).Replace(sqlCredentials)

const (
	refreshColumns = refreshOwnColumns + `, u.tenant_uuid`

	refreshOwnColumns = `r.uuid, coalesce(r.client_id, ''), coalesce(r.user_uuid, ''), coalesce(r.backend, ''), coalesce(r.login, ''),
	coalesce(r.user_agent, ''), coalesce(r.remote_addr, ''), r.created_at, r.mobile, cast(r.metadata as text)`
)

const (
	sqlMayLogIn = `select exists (
	select 1 from auth_user where uuid = $1 and enabled is true and (cast($2 as text) = '' or password_hash = $2)
)`

	sqlCountSessions = `select count(distinct session_uuid) from auth_token where auth_id = $1`

	// The update changes nothing. It returns the row that is there, and locks
	// it: whoever deletes it waits until there is a token of it.
	sqlInsertRefresh = `insert into auth_refresh_token (uuid, client_id, user_uuid, backend, login, user_agent,
	remote_addr, created_at, mobile, metadata)
values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)
on conflict (client_id, user_uuid) do update set mobile = auth_refresh_token.mobile
returning uuid, cast(metadata as text)`

	// The one of this client goes before the new one comes, the others after.
	sqlReplacedRefresh = `select ` + refreshColumns + `
from auth_refresh_token r
join auth_user u on u.uuid = r.user_uuid
where r.user_uuid = $1 and (r.client_id = $2 or r.mobile)
order by case when r.client_id = $2 then 0 else 1 end, r.created_at, r.uuid`

	sqlRefreshTokens = `
select t.uuid, t.auth_id, t.session_uuid, s.tenant_uuid, true
from auth_token t
join auth_session s on s.uuid = t.session_uuid
where t.session_uuid in (select o.session_uuid from auth_token o where o.refresh_token_uuid = any($1))
order by s.uuid`

	sqlDeleteSessions = `delete from auth_session where uuid = any($1)`

	sqlDeleteRefreshTokens = `delete from auth_refresh_token where uuid = any($1)`

	sqlIsAdmin = `
select exists (
	select 1 from auth_user_policy up
	join auth_policy p on p.uuid = up.policy_uuid
	where up.user_uuid = $1 and p.slug = 'wazo_default_admin_policy'
) or exists (
	select 1 from auth_user_group ug
	join auth_group g on g.uuid = ug.group_uuid
	where ug.user_uuid = $1 and g.slug = 'wazo_default_admin_group'
)`
)

func scanRefresh(r *store.RefreshToken) []any {
	return []any{
		&r.UUID, &r.ClientID, &r.UserUUID, &r.Backend, &r.Login,
		&r.UserAgent, &r.RemoteAddr, (*instant)(&r.CreatedAt), &r.Mobile, &r.Metadata, &r.TenantUUID,
	}
}

func (n issue) check(op string) error {
	t := n.Token
	if t.UUID == "" || n.Session.UUID == "" || t.AuthID == "" {
		return fmt.Errorf("%s: %w: token, session and user need a uuid", op, store.ErrInvalid)
	}
	return storable(op, "uuid", t.UUID, "session", n.Session.UUID, "tenant", n.Session.TenantUUID, "auth id", t.AuthID,
		"user", t.PBXUserUUID, "xivo uuid", t.XiVOUUID, "metadata", t.Metadata,
		"user agent", t.UserAgent, "address", t.RemoteAddr, "policy", n.BasePolicy, "refresh token", n.RefreshToken, "hash", n.PasswordHash)
}

type issue store.NewToken

// IssueToken implements [store.Logins].
func (s *Store) IssueToken(ctx context.Context, n store.NewToken) (acl []string, err error) {
	const op = "issuing a token"
	if err := issue(n).check(op); err != nil {
		return nil, err
	}
	args := IssueArgs(n)
	err = s.call(ctx, op, write, func(ctx context.Context) (err error) {
		acl, err = s.dialect.IssueToken(ctx, s.db, args)
		if errors.Is(err, sql.ErrNoRows) {
			return s.refused(ctx, n.Token.AuthID, n.PasswordHash)
		}
		return err
	})
	if err != nil {
		return nil, err
	}
	return acl, nil
}

// refused tells why no session was inserted: [store.ErrLimit], or
// [store.ErrNotFound] when the user may not log in any more.
func (s *Store) refused(ctx context.Context, userUUID, passwordHash string) error {
	var allowed bool
	if err := s.db.QueryRowContext(ctx, s.q.mayLogIn, userUUID, passwordHash).Scan(&allowed); err != nil {
		return err
	}
	if allowed {
		return store.ErrLimit
	}
	return fmt.Errorf("%w: no enabled user with this password", store.ErrNotFound)
}

// IssueOfflineToken implements [store.Logins]. Logins of one user wait for
// each other.
func (s *Store) IssueOfflineToken(ctx context.Context, n store.NewToken, r store.RefreshToken) (o store.Offline, err error) {
	const op = "issuing a token with a refresh token"
	if err := issue(n).check(op); err != nil {
		return o, err
	}
	if err := storable(op, "uuid", r.UUID, "client", r.ClientID, "user", r.UserUUID, "backend", r.Backend,
		"login", r.Login, "user agent", r.UserAgent, "address", r.RemoteAddr, "metadata", r.Metadata); err != nil {
		return o, err
	}
	if r.UUID == "" {
		return o, fmt.Errorf("%s: %w: the refresh token needs a uuid", op, store.ErrInvalid)
	}
	if r.Metadata == "" {
		r.Metadata = "{}"
	}
	err = s.call(ctx, op, write, func(ctx context.Context) error {
		return InTx(ctx, s.db, func(tx *sql.Tx) (err error) {
			o, err = s.issueOffline(ctx, tx, n, r)
			return err
		})
	})
	if err != nil {
		o.Ended, err = unsure(o.Ended, err)
		return store.Offline{Ended: o.Ended}, err
	}
	return o, nil
}

func (s *Store) issueOffline(ctx context.Context, tx *sql.Tx, n store.NewToken, r store.RefreshToken) (o store.Offline, err error) {
	if lock := s.dialect.LockUser(); lock != "" {
		if _, err := tx.ExecContext(ctx, lock, r.UserUUID); err != nil {
			return o, err
		}
	}
	if n.MaxSessions > 0 {
		var sessions int
		if err := tx.QueryRowContext(ctx, s.q.countSessions, n.Token.AuthID).Scan(&sessions); err != nil {
			return o, err
		}
		if sessions >= n.MaxSessions {
			return o, store.ErrLimit
		}
	}
	if r.Mobile {
		if o.Replaced, o.Ended, err = s.replaceRefresh(ctx, tx, r); err != nil {
			return o, err
		}
	}
	if err := tx.QueryRowContext(ctx, s.q.insertRefresh, r.UUID, r.ClientID, r.UserUUID, r.Backend, r.Login, r.UserAgent,
		r.RemoteAddr, instantText(r.CreatedAt), r.Mobile, r.Metadata).Scan(&o.RefreshToken, &o.Metadata); err != nil {
		return o, err
	}
	o.Created = o.RefreshToken == r.UUID
	n.MaxSessions = 0 // looked at above
	n.RefreshToken = o.RefreshToken
	o.ACL, err = s.dialect.IssueTokenTx(ctx, tx, IssueArgs(n))
	return o, err
}

// replaceRefresh removes what a mobile login replaces. The rows are locked, so
// that a login with one of them is over, and its session seen, or fails.
func (s *Store) replaceRefresh(ctx context.Context, tx *sql.Tx, r store.RefreshToken) ([]store.RefreshToken, []store.EndedToken, error) {
	replaced, err := collect(ctx, tx, func(rows *sql.Rows) (r store.RefreshToken, err error) {
		err = rows.Scan(scanRefresh(&r)...)
		return r, err
	}, s.locking(s.q.replacedRefresh, "r"), r.UserUUID, r.ClientID)
	if err != nil || len(replaced) == 0 {
		return nil, nil, err
	}
	uuids := make([]string, len(replaced))
	for i, r := range replaced {
		uuids[i] = r.UUID
	}
	ended, err := s.endSessions(ctx, tx, s.q.refreshTokens, s.dialect.List(uuids))
	if err != nil {
		return nil, nil, err
	}
	_, err = tx.ExecContext(ctx, s.q.deleteRefreshTokens, s.dialect.List(uuids))
	return replaced, ended, err
}

// endSessions deletes the sessions of the tokens that query finds, and so all
// their tokens.
func (s *Store) endSessions(ctx context.Context, tx executor, query string, args ...any) ([]store.EndedToken, error) {
	ended, err := s.endedTokens(ctx, tx, query, args...)
	if err != nil || len(ended) == 0 {
		return nil, err
	}
	sessions := make([]string, len(ended))
	for i, e := range ended {
		sessions[i] = e.SessionUUID
	}
	_, err = tx.ExecContext(ctx, s.q.deleteSessions, s.dialect.List(sessions))
	return ended, err
}

// endedTokens runs a query for tokens in the order of their sessions s, which
// it locks, so that none of them is ended twice and all who end sessions take
// them in one order. It returns them in that of the tokens.
func (s *Store) endedTokens(ctx context.Context, tx Queryer, query string, args ...any) ([]store.EndedToken, error) {
	ended, err := EndedTokens(ctx, tx, s.locking(query, "s"), args...)
	slices.SortFunc(ended, func(a, b store.EndedToken) int { return strings.Compare(a.UUID, b.UUID) })
	return ended, err
}

// locking makes a query lock the rows of one of its tables, unless its
// transaction has the database for itself.
func (s *Store) locking(query, table string) string {
	if s.dialect.SingleWriter() {
		return query
	}
	return query + "\nfor update of " + table
}

// CredentialsByRefreshToken implements [store.Logins].
func (s *Store) CredentialsByRefreshToken(ctx context.Context, uuid, clientID string) (store.Credentials, store.RefreshToken, error) {
	const op = "resolving a refresh token"
	var (
		c store.Credentials
		r store.RefreshToken
	)
	if !searchable(uuid) || !searchable(clientID) {
		return c, r, notFound(op)
	}
	err := s.call(ctx, op, read, func(ctx context.Context) error {
		return scanUser(s.db.QueryRowContext(ctx, s.q.refreshCredentials, uuid, clientID),
			&c.User, append([]any{&c.EffectiveMethod}, scanRefresh(&r)...)...)
	})
	if err != nil {
		return store.Credentials{}, store.RefreshToken{}, err
	}
	return c, r, nil
}

// UserIsAdmin implements [store.Logins].
func (s *Store) UserIsAdmin(ctx context.Context, userUUID string) (admin bool, err error) {
	if !searchable(userUUID) {
		return false, nil
	}
	err = s.call(ctx, "looking for administrators", read, func(ctx context.Context) error {
		return s.db.QueryRowContext(ctx, s.q.isAdmin, userUUID).Scan(&admin)
	})
	return admin && err == nil, err
}
