package storetest

import (
	"math"
	"strings"
	"testing"

	"github.com/wazo-edge/xivo-auth/authsvc/store"
)

var tokenCases = map[string]func(*testing.T, *bench){
	"Token/RoundTrip":       testTokenRoundTrip,
	"Token/Nulls":           testTokenNulls,
	"Token/ACL":             testTokenACL,
	"Token/Text":            testTokenText,
	"Token/UserTenant":      testTokenUserTenant,
	"Token/Expired":         testTokenExpired,
	"Token/Missing":         testTokenMissing,
	"Token/CreateConflict":  testTokenConflict,
	"Token/CreateInvalid":   testTokenInvalid,
	"Token/Delete":          testDeleteToken,
	"Token/DeleteShared":    testDeleteTokenShared,
	"Token/DeleteForeign":   testDeleteTokenOthers,
	"Token/DeleteSessions":  testDeleteUserSessions,
	"Token/DeleteSessions0": testDeleteUserSessionsNone,
}

func testTokenRoundTrip(t *testing.T, b *bench) {
	u := b.user("u", "")
	sess := store.Session{UUID: newID(), Mobile: true, TenantUUID: b.top}
	tok := store.Token{
		UUID: newID(), AuthID: u.UUID, PBXUserUUID: u.UUID, XiVOUUID: newID(), IssuedAt: 1700000000, ExpiresAt: 1700007200,
		Metadata: `{"uuid": "é", "admin": true}`, SessionUUID: sess.UUID, UserAgent: "agent/1.0 (\"x\")",
		RemoteAddr: "192.0.2.1", ACL: []string{"confd.#", "!confd.users.*.read"},
	}
	must(t, "CreateToken", b.CreateToken(t.Context(), sess, tok))
	got, err := b.Token(t.Context(), tok.UUID)
	must(t, "Token", err)
	tok.UserTenant = u.TenantUUID
	equal(t, "Token", got, tok)
	equal(t, "session", b.count(`select count(*) from auth_session where uuid = $1 and mobile and tenant_uuid = $2`,
		sess.UUID, b.top), 1)
}

func testTokenNulls(t *testing.T, b *bench) {
	tok := b.token("wazo-auth", 0)
	equal(t, "columns that are null", b.count(`select count(*) from auth_token
where pbx_user_uuid is null and xivo_uuid is null and metadata is null and refresh_token_uuid is null
	and user_agent = '' and remote_addr = ''`), 1)
	got, err := b.Token(t.Context(), tok.UUID)
	must(t, "Token", err)
	equal(t, "Token", got, tok)

	// Rows of other programs may hold NULL in every nullable column.
	b.exec(`update auth_token set issued_t = null, expire_t = null, user_agent = null, remote_addr = null`)
	got, err = b.Token(t.Context(), tok.UUID)
	must(t, "Token", err)
	equal(t, "Token of nulls", got, tok)
	ended, err := b.DeleteExpiredTokens(t.Context(), math.MaxInt32, 10)
	must(t, "DeleteExpiredTokens", err)
	equal(t, "tokens without expiry are not purged", len(ended), 0)
}

func testTokenACL(t *testing.T, b *bench) {
	long := make([]string, 1000)
	for i := range long {
		long[i] = strings.Repeat("x", i%50) + ".read"
	}
	for name, acl := range map[string][]string{
		"nil":        nil,
		"empty":      {},
		"one":        {"#"},
		"duplicates": {"b", "a", "b", "b", "a"},
		"long":       long,
		"quoting": {
			"", " ", `"`, `""`, `'`, `''`, `\`, `\\`, `\"`, `{`, `}`, `{}`, `{a,b}`, `,`, `a,b`, "NULL", "null", "[]", `["a"]`,
			"\n", "\r\n", "\t", "a\nb", "é", "Ünïcode", "日本", "👩‍🚀", "\u2028", "\ufeff", "\ufffd", "<&>", "$1", "?1", "%s", ";--",
		},
	} {
		tok := store.Token{UUID: newID(), AuthID: "a", SessionUUID: newID(), ACL: acl}
		must(t, name, b.CreateToken(t.Context(), store.Session{UUID: tok.SessionUUID, TenantUUID: b.top}, tok))
		got, err := b.Token(t.Context(), tok.UUID)
		must(t, name, err)
		if acl == nil {
			acl = []string{}
		}
		equal(t, "ACL "+name, got.ACL, acl)
	}
	// The column's default, as a row inserted by others has it.
	tok := b.sibling(b.token("a", 1), "a", 1)
	got, err := b.Token(t.Context(), tok.UUID)
	must(t, "Token", err)
	equal(t, "default ACL", got.ACL, []string{})
}

func testTokenText(t *testing.T, b *bench) {
	for _, text := range []string{"é", "a'b\"c\\d", "{,}", "line\nline", "\x01\x7f", "👩‍🚀", strings.Repeat("ü", 5000)} {
		tok := store.Token{
			UUID: newID(), AuthID: text, Metadata: text, SessionUUID: newID(), UserAgent: text, RemoteAddr: text, ACL: []string{text},
		}
		must(t, text, b.CreateToken(t.Context(), store.Session{UUID: tok.SessionUUID, TenantUUID: b.top}, tok))
		got, err := b.Token(t.Context(), tok.UUID)
		must(t, text, err)
		equal(t, "Token", got, tok)
	}
}

// The user's present tenant counts, not the one he had at login.
func testTokenUserTenant(t *testing.T, b *bench) {
	u := b.user("u", "")
	tok := b.token(u.UUID, 1)
	tenantOf := func(uuid string) string {
		t.Helper()
		got, err := b.Token(t.Context(), uuid)
		must(t, "Token", err)
		return got.UserTenant
	}
	equal(t, "tenant", tenantOf(tok.UUID), b.top)
	other := b.tenant("other", b.top)
	b.exec(`update auth_user set tenant_uuid = $1, enabled = false where uuid = $2`, other, u.UUID)
	equal(t, "tenant after a move", tenantOf(tok.UUID), other)
	b.exec(`delete from auth_user where uuid = $1`, u.UUID)
	equal(t, "tenant of a deleted user", tenantOf(tok.UUID), "")
	equal(t, "tenant of wazo-auth", tenantOf(b.token("wazo-auth", 1).UUID), "")
}

func testTokenExpired(t *testing.T, b *bench) {
	tok := b.token("a", 1)
	got, err := b.Token(t.Context(), tok.UUID)
	must(t, "Token of an expired token", err)
	equal(t, "expiry", got.ExpiresAt, int64(1))
}

func testTokenMissing(t *testing.T, b *bench) {
	tok := b.token("a", 1)
	for _, id := range []string{newID(), "", "not-a-uuid", strings.ToUpper(tok.UUID), strings.Repeat("x", 10000), "%", "' or '1'='1"} {
		_, err := b.Token(t.Context(), id)
		want(t, "Token", err, store.ErrNotFound)
		_, err = b.DeleteToken(t.Context(), id)
		want(t, "DeleteToken", err, store.ErrNotFound)
	}
	if !b.hasToken(tok.UUID) {
		t.Error("the only token is gone")
	}
}

func testTokenConflict(t *testing.T, b *bench) {
	tok := b.token("a", 1)
	fresh := newID()
	// The same token in a new session: the session must not stay.
	err := b.CreateToken(t.Context(), store.Session{UUID: fresh, TenantUUID: b.top}, store.Token{UUID: tok.UUID, AuthID: "a"})
	want(t, "CreateToken, token taken", err, store.ErrConflict)
	if b.hasSession(fresh) {
		t.Error("a session stayed without its token")
	}
	err = b.CreateToken(t.Context(), store.Session{UUID: tok.SessionUUID, TenantUUID: b.top}, store.Token{UUID: fresh, AuthID: "a"})
	want(t, "CreateToken, session taken", err, store.ErrConflict)
	err = b.CreateToken(t.Context(), store.Session{UUID: fresh, TenantUUID: newID()}, store.Token{UUID: fresh, AuthID: "a"})
	want(t, "CreateToken, no such tenant", err, store.ErrNotFound)
	equal(t, "tokens", b.count(`select count(*) from auth_token`), 1)
	equal(t, "sessions", b.count(`select count(*) from auth_session`), 1)
}

func testTokenInvalid(t *testing.T, b *bench) {
	for name, spoil := range map[string]func(*store.Session, *store.Token){
		"no uuid":         func(_ *store.Session, t *store.Token) { t.UUID = "" },
		"no session uuid": func(s *store.Session, _ *store.Token) { s.UUID = "" },
		"other session":   func(_ *store.Session, t *store.Token) { t.SessionUUID = newID() },
		"long uuid":       func(_ *store.Session, t *store.Token) { t.UUID = strings.Repeat("x", 39) },
		"long xivo uuid":  func(_ *store.Session, t *store.Token) { t.XiVOUUID = strings.Repeat("é", 39) },
		"after 2038":      func(_ *store.Session, t *store.Token) { t.ExpiresAt = math.MaxInt32 + 1 },
		"long ago":        func(_ *store.Session, t *store.Token) { t.IssuedAt = math.MinInt32 - 1 },
	} {
		s, tok := store.Session{UUID: newID(), TenantUUID: b.top}, store.Token{UUID: newID(), AuthID: "a"}
		spoil(&s, &tok)
		want(t, name, b.CreateToken(t.Context(), s, tok), store.ErrInvalid)
	}
	equal(t, "tokens", b.count(`select count(*) from auth_token`), 0)
	equal(t, "sessions", b.count(`select count(*) from auth_session`), 0)
	// The last second a 32-bit column holds.
	tok := b.token("a", math.MaxInt32)
	got, err := b.Token(t.Context(), tok.UUID)
	must(t, "Token", err)
	equal(t, "expiry", got.ExpiresAt, int64(math.MaxInt32))
}

func testDeleteToken(t *testing.T, b *bench) {
	tok, kept := b.token("someone", 1), b.token("someone", 1)
	ended, err := b.DeleteToken(t.Context(), tok.UUID)
	must(t, "DeleteToken", err)
	equal(t, "ended", ended, store.EndedToken{
		UUID: tok.UUID, AuthID: "someone", SessionUUID: tok.SessionUUID, SessionTenant: b.top, SessionEnded: true,
	})
	_, err = b.DeleteToken(t.Context(), tok.UUID)
	want(t, "DeleteToken again", err, store.ErrNotFound)
	_, err = b.Token(t.Context(), tok.UUID)
	want(t, "Token", err, store.ErrNotFound)
	if b.hasSession(tok.SessionUUID) {
		t.Error("the session stayed")
	}
	if !b.hasToken(kept.UUID) || !b.hasSession(kept.SessionUUID) {
		t.Error("another token went too")
	}
}

func testDeleteTokenShared(t *testing.T, b *bench) {
	first := b.token("a", 1)
	second := b.sibling(first, "b", 2)
	ended, err := b.DeleteToken(t.Context(), first.UUID)
	must(t, "DeleteToken", err)
	equal(t, "first", ended, store.EndedToken{UUID: first.UUID, AuthID: "a", SessionUUID: first.SessionUUID, SessionTenant: b.top})
	if !b.hasSession(first.SessionUUID) || !b.hasToken(second.UUID) {
		t.Fatal("the shared session or its other token went with the first token")
	}
	ended, err = b.DeleteToken(t.Context(), second.UUID)
	must(t, "DeleteToken", err)
	equal(t, "second", ended, store.EndedToken{
		UUID: second.UUID, AuthID: "b", SessionUUID: first.SessionUUID, SessionTenant: b.top, SessionEnded: true,
	})
	if b.hasSession(first.SessionUUID) {
		t.Error("the session outlived its last token")
	}
}

// Tokens of internal callers and of deleted users end like others.
func testDeleteTokenOthers(t *testing.T, b *bench) {
	u := b.user("u", "")
	tok := b.token(u.UUID, 1)
	b.exec(`delete from auth_user where uuid = $1`, u.UUID)
	for _, id := range []string{tok.UUID, b.token("wazo-auth", 1).UUID} {
		ended, err := b.DeleteToken(t.Context(), id)
		if err != nil || !ended.SessionEnded {
			t.Errorf("DeleteToken = %+v, %v", ended, err)
		}
	}
}

func testDeleteUserSessions(t *testing.T, b *bench) {
	first, second, other := b.token("a", 1), b.token("a", 5000000), b.token("b", 1)
	// A session shared with another's token goes whole, and says so.
	guest := b.sibling(second, "guest", 1)
	ended, err := b.DeleteUserSessions(t.Context(), "a")
	must(t, "DeleteUserSessions", err)
	equal(t, "tokens", uuidsOf(ended), sorted(first.UUID, second.UUID, guest.UUID))
	for _, e := range ended {
		if !e.SessionEnded || e.SessionTenant != b.top || (e.AuthID == "guest") != (e.UUID == guest.UUID) {
			t.Errorf("ended: %+v", e)
		}
	}
	if b.hasSession(first.SessionUUID) || b.hasSession(second.SessionUUID) || b.hasToken(guest.UUID) {
		t.Error("a session stayed")
	}
	if !b.hasToken(other.UUID) || !b.hasSession(other.SessionUUID) {
		t.Error("another user's session went")
	}
}

func testDeleteUserSessionsNone(t *testing.T, b *bench) {
	b.token("a", 1)
	for _, id := range []string{"", newID(), "A", "%"} {
		ended, err := b.DeleteUserSessions(t.Context(), id)
		if err != nil || len(ended) != 0 {
			t.Errorf("DeleteUserSessions(%q) = %+v, %v", id, ended, err)
		}
	}
}
