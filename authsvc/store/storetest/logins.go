package storetest

import (
	"errors"
	"math"
	"strings"
	"sync"
	"testing"

	"github.com/wazo-edge/xivo-auth/authsvc/store"
)

var loginCases = map[string]func(*testing.T, *bench){
	"Issue/RoundTrip":    testIssueRoundTrip,
	"Issue/Accesses":     testIssueAccesses,
	"Issue/Limit":        testIssueLimit,
	"Issue/LimitCounts":  testIssueLimitCounts,
	"Issue/RefreshToken": testIssueRefreshToken,
	"Issue/Refused":      testIssueRefused,
	"Issue/AtOnce":       testIssueAtOnce,
}

// issued issues a token.
func (b *bench) issued(n store.NewToken) store.NewToken {
	b.t.Helper()
	acl, err := b.IssueToken(b.t.Context(), n)
	must(b.t, "IssueToken", err)
	n.Token.ACL, n.Token.SessionUUID = acl, n.Session.UUID
	return n
}

// someone makes an enabled user with this uuid, which need not look like one,
// and returns it.
func (b *bench) someone(uuid string) string {
	b.t.Helper()
	b.exec(`insert into auth_user (uuid, tenant_uuid, purpose, enabled) values ($1, $2, 'internal', $3)`, uuid, b.top, true)
	return uuid
}

// foreign stores a token that another program issued: nobody asked whether
// there is such a user, or whether he may log in.
func (b *bench) foreign(authID string) store.NewToken {
	b.t.Helper()
	n := b.issue(authID)
	n.Token.SessionUUID, n.Token.ACL = n.Session.UUID, []string{}
	must(b.t, "CreateToken", b.CreateToken(b.t.Context(), n.Session, n.Token))
	return n
}

// loginRows are the keys of all rows that logins make, for tests that a
// failure changes nothing.
func (b *bench) loginRows() string {
	b.t.Helper()
	var keys []string
	for _, query := range []string{
		`select 'session ' || uuid from auth_session`,
		`select 'token ' || uuid || ' ' || session_uuid || coalesce(' of ' || refresh_token_uuid, '') from auth_token`,
		`select 'refresh token ' || uuid || ' ' || coalesce(login, '') from auth_refresh_token`,
	} {
		keys = append(keys, b.texts(query)...)
	}
	return strings.Join(sorted(keys...), "\n")
}

// texts returns the values of a query's only column.
func (b *bench) texts(query string, args ...any) []string {
	b.t.Helper()
	rows, err := b.DB.QueryContext(b.t.Context(), b.Rebind(query), args...)
	must(b.t, query, err)
	defer func() { _ = rows.Close() }()
	values := []string{}
	for rows.Next() {
		var v string
		must(b.t, query, rows.Scan(&v))
		values = append(values, v)
	}
	must(b.t, query, rows.Err())
	return values
}

// link is the refresh token that a token was issued from, "" for none.
func (b *bench) link(token string) string {
	b.t.Helper()
	return b.text(`select coalesce(refresh_token_uuid, '') from auth_token where uuid = $1`, token)
}

// spoilt calls f with copies of n, each with one text no row can hold.
func spoilt(n store.NewToken, bad string, f func(store.NewToken)) {
	for _, field := range []func(*store.NewToken) *string{
		func(n *store.NewToken) *string { return &n.Session.UUID },
		func(n *store.NewToken) *string { return &n.Session.TenantUUID },
		func(n *store.NewToken) *string { return &n.Token.UUID },
		func(n *store.NewToken) *string { return &n.Token.AuthID },
		func(n *store.NewToken) *string { return &n.Token.PBXUserUUID },
		func(n *store.NewToken) *string { return &n.Token.XiVOUUID },
		func(n *store.NewToken) *string { return &n.Token.Metadata },
		func(n *store.NewToken) *string { return &n.Token.UserAgent },
		func(n *store.NewToken) *string { return &n.Token.RemoteAddr },
		func(n *store.NewToken) *string { return &n.BasePolicy },
		func(n *store.NewToken) *string { return &n.RefreshToken },
	} {
		copied := n
		*field(&copied) = bad
		f(copied)
	}
}

func testIssueRoundTrip(t *testing.T, b *bench) {
	u := b.user("u", "")
	sub := b.tenant("sub", b.top)
	n := store.NewToken{
		Session: store.Session{UUID: newID(), Mobile: true, TenantUUID: sub},
		Token: store.Token{
			UUID: newID(), AuthID: u.UUID, PBXUserUUID: u.UUID, XiVOUUID: newID(), IssuedAt: 1700000000, ExpiresAt: math.MaxInt32,
			Metadata: `{"uuid": "é", "admin": true}`, UserAgent: "agent/1.0 (\"x\")", RemoteAddr: "192.0.2.1",
			// What the store has to find out itself.
			ACL: []string{"forged"}, SessionUUID: "forged", UserTenant: "forged",
		},
	}
	acl, err := b.IssueToken(t.Context(), n)
	must(t, "IssueToken", err)
	equal(t, "ACL of a user without any access", acl, []string{})
	want := n.Token
	want.ACL, want.SessionUUID, want.UserTenant = []string{}, n.Session.UUID, b.top
	got, err := b.Token(t.Context(), n.Token.UUID)
	must(t, "Token", err)
	equal(t, "Token", got, want)
	equal(t, "session", b.count(`select count(*) from auth_session where uuid = $1 and mobile and tenant_uuid = $2`, n.Session.UUID, sub), 1)
	equal(t, "link", b.link(n.Token.UUID), "")

	bare := b.issued(b.issue(b.someone("bare")))
	equal(t, "columns that are null", b.count(`select count(*) from auth_token
where uuid = $1 and pbx_user_uuid is null and xivo_uuid is null and metadata is null and refresh_token_uuid is null
	and user_agent = '' and remote_addr = ''`, bare.Token.UUID), 1)
}

// The ACL is UserAccesses' to the letter: order, duplicates, odd text.
func testIssueAccesses(t *testing.T, b *bench) {
	u := b.user("u", "")
	sub := b.tenant("sub", b.top)
	odd := []string{"a.{b}", `q"'\`, "é", "x,y", "line\nbreak", "", "NULL", "null", `{}`, `[]`, "\u2028", "<&>", "$1 ?1"}
	b.policy(b.top, "base", append([]string{"base.read", "common"}, odd...)...)
	b.policy(sub, "base", "usurped")
	own, team := b.policy(b.top, "own", "own.read", "common"), b.policy(sub, "team", "team.read", "common")
	group := b.group(sub, "team")
	b.exec(`insert into auth_user_policy (user_uuid, policy_uuid) values ($1, $2)`, u.UUID, own)
	b.exec(`insert into auth_group_policy (group_uuid, policy_uuid) values ($1, $2), ($1, $3)`, group, team, own)
	b.exec(`insert into auth_user_group (group_uuid, user_uuid) values ($1, $2)`, group, u.UUID)
	long := make([]string, 500)
	for i := range long {
		long[i] = strings.Repeat("x", i) + ".read"
	}
	b.policy(b.top, "long", long...)

	for _, c := range []struct {
		user, base string
		n          int
	}{
		{u.UUID, "base", 8 + len(odd)},
		{u.UUID, "long", 6 + len(long)},
		{u.UUID, "", 6},
		{u.UUID, "nope", 6},
		{b.someone(newID()), "base", 2 + len(odd)},
		{b.someone(newID()), "", 0},
		{b.someone("wazo-auth"), "nope", 0},
	} {
		n := b.issue(c.user)
		n.BasePolicy = c.base
		n = b.issued(n)
		equal(t, "ACL with base "+c.base, n.Token.ACL, b.accesses(c.user, c.base))
		equal(t, "accesses", len(n.Token.ACL), c.n)
		got, err := b.Token(t.Context(), n.Token.UUID)
		must(t, "Token", err)
		equal(t, "stored ACL with base "+c.base, got.ACL, n.Token.ACL)
	}
	// A token keeps what it was issued with.
	n := b.issued(b.issue(u.UUID))
	b.exec(`delete from auth_user_policy`)
	got, err := b.Token(t.Context(), n.Token.UUID)
	must(t, "Token", err)
	equal(t, "ACL after a change", got.ACL, n.Token.ACL)
}

func testIssueLimit(t *testing.T, b *bench) {
	const limit = 3
	for _, uuid := range []string{"a", "A", "one"} {
		b.someone(uuid)
	}
	n := func() store.NewToken {
		n := b.issue("a")
		n.MaxSessions = limit
		return n
	}
	for range limit {
		b.issued(n())
	}
	rows := b.loginRows()
	_, err := b.IssueToken(t.Context(), n())
	want(t, "IssueToken, one too many", err, store.ErrLimit)
	equal(t, "rows after a refused login", b.loginRows(), rows)

	other := n()
	other.Token.AuthID = "A"
	b.issued(other) // another's sessions do not count
	unlimited := n()
	unlimited.MaxSessions = 0
	last := b.issued(unlimited)
	_, err = b.IssueToken(t.Context(), n())
	want(t, "IssueToken, above the limit already", err, store.ErrLimit)
	for _, token := range []string{last.Token.UUID, b.text(`select min(uuid) from auth_token where auth_id = 'a' and uuid <> $1`, last.Token.UUID)} {
		_, err := b.DeleteToken(t.Context(), token)
		must(t, "DeleteToken", err)
	}
	b.issued(n())
	_, err = b.IssueToken(t.Context(), n())
	want(t, "IssueToken, full again", err, store.ErrLimit)

	one := b.issue("one")
	one.MaxSessions = 1
	b.issued(one)
	one.Session.UUID, one.Token.UUID = newID(), newID()
	_, err = b.IssueToken(t.Context(), one)
	want(t, "IssueToken, a second one", err, store.ErrLimit)
}

// It is sessions that count, whatever became of their tokens.
func testIssueLimitCounts(t *testing.T, b *bench) {
	b.someone("guest")
	n := b.issue(b.someone("a"))
	n.MaxSessions = 2
	expired := b.token("a", 1)
	for range 5 {
		b.sibling(expired, "a", 1)
	}
	b.sibling(b.token("b", 1), "guest", 1)
	b.issued(n)
	n.Session.UUID, n.Token.UUID = newID(), newID()
	_, err := b.IssueToken(t.Context(), n)
	want(t, "IssueToken beside an expired session", err, store.ErrLimit)
	ended, err := b.DeleteExpiredTokens(t.Context(), 100, 100)
	must(t, "DeleteExpiredTokens", err)
	equal(t, "purged", len(ended) > 6, true)
	b.issued(n)

	// A part in another's session is a session, too.
	n = b.issue("guest")
	n.MaxSessions = 1
	b.sibling(b.token("b", 1), "guest", 1)
	_, err = b.IssueToken(t.Context(), n)
	want(t, "IssueToken beside a shared session", err, store.ErrLimit)
}

func testIssueRefreshToken(t *testing.T, b *bench) {
	u := b.user("u", "")
	first, o := b.offline(u, "client", false)
	equal(t, "link of an offline token", b.link(first.Token.UUID), o.RefreshToken)
	n := b.issue(u.UUID)
	n.RefreshToken = o.RefreshToken
	n = b.issued(n)
	equal(t, "link", b.link(n.Token.UUID), o.RefreshToken)
	_, err := b.DeleteToken(t.Context(), n.Token.UUID)
	must(t, "DeleteToken", err)
	equal(t, "refresh tokens", b.count(`select count(*) from auth_refresh_token`), 1)
}

func testIssueRefused(t *testing.T, b *bench) {
	taken := b.issued(b.issue(b.someone("a")))
	disabled := b.user("disabled", "")
	_, err := b.SetUserEnabled(t.Context(), disabled.UUID, false)
	must(t, "SetUserEnabled", err)
	rows := b.loginRows()
	for _, c := range []struct {
		name  string
		want  error
		spoil func(*store.NewToken)
	}{
		{"no such user", store.ErrNotFound, func(n *store.NewToken) { n.Token.AuthID = newID() }},
		{"another password", store.ErrNotFound, func(n *store.NewToken) { n.PasswordHash = "old" }},
		{"disabled user", store.ErrNotFound, func(n *store.NewToken) { n.Token.AuthID = disabled.UUID }},
		{"no such tenant", store.ErrNotFound, func(n *store.NewToken) { n.Session.TenantUUID = newID() }},
		{"no such refresh token", store.ErrNotFound, func(n *store.NewToken) { n.RefreshToken = newID() }},
		{"token taken", store.ErrConflict, func(n *store.NewToken) { n.Token.UUID = taken.Token.UUID }},
		{"session taken", store.ErrConflict, func(n *store.NewToken) { n.Session.UUID = taken.Session.UUID }},
		{"no uuid", store.ErrInvalid, func(n *store.NewToken) { n.Token.UUID = "" }},
		{"no session uuid", store.ErrInvalid, func(n *store.NewToken) { n.Session.UUID = "" }},
		{"no auth id", store.ErrInvalid, func(n *store.NewToken) { n.Token.AuthID = "" }},
		{"long uuid", store.ErrInvalid, func(n *store.NewToken) { n.Token.UUID = strings.Repeat("x", 39) }},
		{"long session uuid", store.ErrInvalid, func(n *store.NewToken) { n.Session.UUID = strings.Repeat("x", 37) }},
		{"long xivo uuid", store.ErrInvalid, func(n *store.NewToken) { n.Token.XiVOUUID = strings.Repeat("é", 39) }},
		{"after 2038", store.ErrInvalid, func(n *store.NewToken) { n.Token.ExpiresAt = math.MaxInt32 + 1 }},
		{"long ago", store.ErrInvalid, func(n *store.NewToken) { n.Token.IssuedAt = math.MinInt32 - 1 }},
	} {
		for _, limit := range []int{0, 100} {
			n := b.issue("a")
			n.MaxSessions = limit
			c.spoil(&n)
			acl, err := b.IssueToken(t.Context(), n)
			want(t, c.name, err, c.want)
			if acl != nil {
				t.Errorf("%s: ACL %q", c.name, acl)
			}
		}
	}
	for _, bad := range unsearchable {
		spoilt(b.issue("a"), bad, func(n store.NewToken) {
			_, err := b.IssueToken(t.Context(), n)
			want(t, "IssueToken of "+strings.ToValidUTF8(bad, "?"), err, store.ErrInvalid)
			if errors.Is(err, store.ErrUnavailable) {
				t.Errorf("bad input looks like a broken server: %v", err)
			}
		})
	}
	equal(t, "rows after refused logins", b.loginRows(), rows)
}

// Logins of one user do not disturb each other. Where the database looks at a
// login's moment only, several at once may together pass the limit; later ones
// do not.
func testIssueAtOnce(t *testing.T, b *bench) {
	const (
		logins = 16
		limit  = 5
	)
	for _, max := range []int{0, limit} {
		u := b.user("user"+strings.Repeat("x", max), "")
		var (
			mu sync.Mutex
			ok []string
		)
		b.together(logins, func(_ int, s store.Store) {
			n := b.issue(u.UUID)
			n.MaxSessions = max
			_, err := s.IssueToken(t.Context(), n)
			if err != nil {
				want(t, "IssueToken", err, store.ErrLimit)
				return
			}
			mu.Lock()
			defer mu.Unlock()
			ok = append(ok, n.Token.UUID)
		})
		if max == 0 && len(ok) != logins || len(ok) < limit {
			t.Errorf("limit %d: %d of %d logins succeeded", max, len(ok), logins)
		}
		equal(t, "tokens", b.texts(`select uuid from auth_token where auth_id = $1 order by uuid collate "C"`, u.UUID), sorted(ok...))
		n := b.issue(u.UUID)
		n.MaxSessions = limit
		_, err := b.IssueToken(t.Context(), n)
		want(t, "IssueToken afterwards", err, store.ErrLimit)
	}
}
