package storetest

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/wazo-edge/xivo-auth/authsvc/store"
)

var faultCases = map[string]func(*testing.T, *bench){
	"Fault/Cancelled":     testCancelled,
	"Fault/Deadline":      testDeadline,
	"Fault/CancelledWait": testCancelledWait,
	"Fault/Timeout":       testTimeout,
	"Fault/PoolExhausted": testPoolExhausted,
	"Fault/Closed":        testClosed,
	"Fault/NUL":           testNUL,
	"Fault/NULWrites":     testNULWrites,
}

// calls calls every method of the interface but Close.
var calls = []struct {
	method string
	call   func(context.Context, *bench) error
}{
	{"State", func(ctx context.Context, b *bench) error { _, err := b.State(ctx); return err }},
	{"Migrate", func(ctx context.Context, b *bench) error { _, err := b.Migrate(ctx); return err }},
	{"Ping", func(ctx context.Context, b *bench) error { return b.Ping(ctx) }},
	{"CreateToken", func(ctx context.Context, b *bench) error {
		return b.CreateToken(ctx, store.Session{UUID: newID(), TenantUUID: b.top}, store.Token{UUID: newID(), AuthID: "a"})
	}},
	{"Clock", func(ctx context.Context, b *bench) error { _, err := b.Clock(ctx); return err }},
	{"Token", func(ctx context.Context, b *bench) error { _, err := b.Token(ctx, newID()); return err }},
	{"DeleteToken", func(ctx context.Context, b *bench) error { _, err := b.DeleteToken(ctx, newID()); return err }},
	{"DeleteExpiredTokens", func(ctx context.Context, b *bench) error { _, err := b.DeleteExpiredTokens(ctx, 1, 1); return err }},
	{"DeleteUserSessions", func(ctx context.Context, b *bench) error { _, err := b.DeleteUserSessions(ctx, "a"); return err }},
	{"CredentialsByLogin", func(ctx context.Context, b *bench) error { _, err := b.CredentialsByLogin(ctx, "a"); return err }},
	{"UserByName", func(ctx context.Context, b *bench) error { _, err := b.UserByName(ctx, "a"); return err }},
	{"CreateUser", func(ctx context.Context, b *bench) error {
		_, err := b.CreateUser(ctx, store.NewUser{User: store.User{Username: "a", Purpose: store.PurposeUser}})
		return err
	}},
	{"SetPassword", func(ctx context.Context, b *bench) error {
		_, err := b.SetPassword(ctx, newID(), store.NewPassword{Hash: "a", Salt: []byte("a")})
		return err
	}},
	{"CredentialsByUUID", func(ctx context.Context, b *bench) error { _, err := b.CredentialsByUUID(ctx, newID()); return err }},
	{"ListAccounts", func(ctx context.Context, b *bench) error {
		_, err := b.ListAccounts(ctx, store.List{Tenant: newID()})
		return err
	}},
	{"Emails", func(ctx context.Context, b *bench) error { _, err := b.Emails(ctx, newID()); return err }},
	{"UpdateUser", func(ctx context.Context, b *bench) error {
		_, err := b.UpdateUser(ctx, store.User{UUID: newID(), Purpose: store.PurposeUser})
		return err
	}},
	{"SetEmails", func(ctx context.Context, b *bench) error { _, err := b.SetEmails(ctx, newID(), nil); return err }},
	{"HasUsers", func(ctx context.Context, b *bench) error { _, err := b.HasUsers(ctx); return err }},
	{"ListUsers", func(ctx context.Context, b *bench) error { _, err := b.ListUsers(ctx); return err }},
	{"GroupByUUID", func(ctx context.Context, b *bench) error { _, err := b.GroupByUUID(ctx, newID()); return err }},
	{"InstallIndexes", func(ctx context.Context, b *bench) error { _, err := b.InstallIndexes(ctx); return err }},
	{"RemoveIndexes", func(ctx context.Context, b *bench) error { return b.RemoveIndexes(ctx) }},
	{"MissingIndexes", func(ctx context.Context, b *bench) error { _, err := b.MissingIndexes(ctx); return err }},
	{"SyncDefaults", func(ctx context.Context, b *bench) error { _, err := b.SyncDefaults(ctx, store.Defaults{}); return err }},
	{"ListGroups", func(ctx context.Context, b *bench) error {
		_, err := b.ListGroups(ctx, store.List{Tenant: newID()})
		return err
	}},
	{"CreateGroup", func(ctx context.Context, b *bench) error {
		_, err := b.CreateGroup(ctx, store.Group{TenantUUID: b.top, Name: "a"}, []string{"a"})
		return err
	}},
	{"RenameGroup", func(ctx context.Context, b *bench) error { _, err := b.RenameGroup(ctx, newID(), "a"); return err }},
	{"DeleteGroup", func(ctx context.Context, b *bench) error { return b.DeleteGroup(ctx, newID()) }},
	{"AddGroupMember", func(ctx context.Context, b *bench) error { return b.AddGroupMember(ctx, newID(), newID()) }},
	{"RemoveGroupMember", func(ctx context.Context, b *bench) error {
		_, err := b.RemoveGroupMember(ctx, newID(), newID())
		return err
	}},
	{"SetUserMethods", func(ctx context.Context, b *bench) error { return b.SetUserMethods(ctx, []string{newID()}, "ldap") }},
	{"ResetUserMethod", func(ctx context.Context, b *bench) error { return b.ResetUserMethod(ctx, newID(), "ldap") }},
	{"LDAPConfig", func(ctx context.Context, b *bench) error { _, err := b.LDAPConfig(ctx, newID()); return err }},
	{"ChangeLDAPConfig", func(ctx context.Context, b *bench) error {
		_, err := b.ChangeLDAPConfig(ctx, b.top, func(*store.LDAPConfig) error { return nil })
		return err
	}},
	{"DeleteLDAPConfig", func(ctx context.Context, b *bench) error { return b.DeleteLDAPConfig(ctx, newID()) }},
	{"UserAccesses", func(ctx context.Context, b *bench) error { _, err := b.UserAccesses(ctx, newID(), "a"); return err }},
	{"PolicyByUUID", func(ctx context.Context, b *bench) error { _, err := b.PolicyByUUID(ctx, newID(), newID()); return err }},
	{"PolicyBySlug", func(ctx context.Context, b *bench) error { _, err := b.PolicyBySlug(ctx, newID(), "a"); return err }},
	{"ListPolicies", func(ctx context.Context, b *bench) error {
		_, err := b.ListPolicies(ctx, store.List{Tenant: newID()})
		return err
	}},
	{"CreatePolicy", func(ctx context.Context, b *bench) error {
		_, err := b.CreatePolicy(ctx, store.NewPolicy{TenantUUID: b.top, Name: "a", Slugs: []string{"a"}})
		return err
	}},
	{"UpdatePolicy", func(ctx context.Context, b *bench) error {
		_, err := b.UpdatePolicy(ctx, b.top, newID(), func(*store.Policy) error { return nil })
		return err
	}},
	{"DeletePolicy", func(ctx context.Context, b *bench) error { return b.DeletePolicy(ctx, b.top, newID(), anybody) }},
	{"AddPolicy", func(ctx context.Context, b *bench) error {
		return b.AddPolicy(ctx, store.Holder{User: newID()}, newID())
	}},
	{"RemovePolicy", func(ctx context.Context, b *bench) error {
		return b.RemovePolicy(ctx, store.Holder{User: newID()}, newID())
	}},
	{"IssueToken", func(ctx context.Context, b *bench) error { _, err := b.IssueToken(ctx, b.issue("a")); return err }},
	{"IssueOfflineToken", func(ctx context.Context, b *bench) error {
		_, err := b.IssueOfflineToken(ctx, b.issue("a"), store.RefreshToken{UUID: newID(), ClientID: "c", UserUUID: "a"})
		return err
	}},
	{"CredentialsByRefreshToken", func(ctx context.Context, b *bench) error {
		_, _, err := b.CredentialsByRefreshToken(ctx, newID(), "c")
		return err
	}},
	{"UserIsAdmin", func(ctx context.Context, b *bench) error { _, err := b.UserIsAdmin(ctx, newID()); return err }},
	{"ListRefreshTokens", func(ctx context.Context, b *bench) error {
		_, err := b.ListRefreshTokens(ctx, store.List{Tenant: newID()})
		return err
	}},
	{"DeleteRefreshToken", func(ctx context.Context, b *bench) error {
		_, err := b.DeleteRefreshToken(ctx, newID(), "c")
		return err
	}},
	{"ListSessions", func(ctx context.Context, b *bench) error {
		_, err := b.ListSessions(ctx, store.List{Tenant: newID()})
		return err
	}},
	{"DeleteSession", func(ctx context.Context, b *bench) error {
		_, err := b.DeleteSession(ctx, newID(), newID())
		return err
	}},
	{"UserByUUID", func(ctx context.Context, b *bench) error { _, err := b.UserByUUID(ctx, newID()); return err }},
	{"SetUserEnabled", func(ctx context.Context, b *bench) error { _, err := b.SetUserEnabled(ctx, newID(), false); return err }},
	{"DeleteUser", func(ctx context.Context, b *bench) error { _, err := b.DeleteUser(ctx, newID()); return err }},
	{"InstallLog", func(ctx context.Context, b *bench) error { return b.InstallLog(ctx) }},
	{"RemoveLog", func(ctx context.Context, b *bench) error { return b.RemoveLog(ctx) }},
	{"LogEnd", func(ctx context.Context, b *bench) error { _, err := b.LogEnd(ctx); return err }},
	{"ReadLog", func(ctx context.Context, b *bench) error {
		_, _, _, err := b.ReadLog(ctx, store.Position{})
		return err
	}},
	{"PruneLog", func(ctx context.Context, b *bench) error { _, err := b.PruneLog(ctx, time.Time{}); return err }},
	{"ListTenants", func(ctx context.Context, b *bench) error {
		_, err := b.ListTenants(ctx, store.List{Tenant: b.top})
		return err
	}},
	{"TenantByUUID", func(ctx context.Context, b *bench) error { _, err := b.TenantByUUID(ctx, b.top, b.top); return err }},
	{"TenantDomains", func(ctx context.Context, b *bench) error { _, err := b.TenantDomains(ctx, b.top); return err }},
	{"CreateTenant", func(ctx context.Context, b *bench) error {
		_, _, err := b.CreateTenant(ctx, store.NewTenant{TenantProfile: wholeTenant(b.top), Slugs: []string{"acme"}})
		return err
	}},
	{"UpdateTenant", func(ctx context.Context, b *bench) error {
		_, err := b.UpdateTenant(ctx, wholeTenant(b.top), b.top)
		return err
	}},
	{"MoveTenant", func(ctx context.Context, b *bench) error { return b.MoveTenant(ctx, newID(), newID(), b.top) }},
	{"DeleteTenant", func(ctx context.Context, b *bench) error { _, err := b.DeleteTenant(ctx, newID(), b.top); return err }},
	{"TenantTree", func(ctx context.Context, b *bench) error { _, err := b.TenantTree(ctx); return err }},
}

// issue is a token as a login asks for it.
func (b *bench) issue(authID string) store.NewToken {
	return store.NewToken{
		Session: store.Session{UUID: newID(), TenantUUID: b.top}, Token: store.Token{UUID: newID(), AuthID: authID},
	}
}

func testCancelled(t *testing.T, b *bench) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	rows := b.userRows()
	for _, c := range calls {
		want(t, c.method, c.call(ctx, b), store.ErrUnavailable, context.Canceled)
	}
	equal(t, "rows written after all", b.userRows(), rows)
	must(t, "Ping afterwards", b.Ping(t.Context()))
}

func testDeadline(t *testing.T, b *bench) {
	ctx, cancel := context.WithDeadline(t.Context(), time.Now().Add(-time.Second))
	defer cancel()
	for _, c := range calls {
		want(t, c.method, c.call(ctx, b), store.ErrUnavailable, context.DeadlineExceeded)
	}
	must(t, "Ping afterwards", b.Ping(t.Context()))
}

// hold inserts a session in a transaction that stays open, so that whoever
// inserts the same one has to wait.
func (b *bench) hold(session string) (release func()) {
	b.t.Helper()
	tx, err := b.DB.BeginTx(context.Background(), nil)
	must(b.t, "begin", err)
	if _, err := tx.ExecContext(b.t.Context(), b.Rebind(`insert into auth_session (uuid, mobile, tenant_uuid)
values ($1, false, $2)`), session, b.top); err != nil {
		_ = tx.Rollback()
		b.t.Fatal(err)
	}
	return func() { _ = tx.Rollback() }
}

// Whatever a call waits for, it returns when its context ends, and the store
// works on.
func testCancelledWait(t *testing.T, b *bench) {
	other := b.reopen(store.Options{Timeout: patience})
	session := newID()
	release := b.hold(session)
	defer release()
	ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
	defer cancel()
	err := promptly(ctx, t, "CreateToken", func() error {
		return other.Store.CreateToken(ctx, store.Session{UUID: session, TenantUUID: b.top}, store.Token{UUID: newID(), AuthID: "a"})
	})
	want(t, "CreateToken", err, store.ErrUnavailable, context.DeadlineExceeded)
	release()
	must(t, "CreateToken afterwards", other.Store.CreateToken(t.Context(),
		store.Session{UUID: session, TenantUUID: b.top}, store.Token{UUID: newID(), AuthID: "a"}))
}

// Without a deadline of the caller's, the store's own counts.
func testTimeout(t *testing.T, b *bench) {
	const timeout = 100 * time.Millisecond
	other := b.reopen(store.Options{Timeout: timeout})
	session := newID()
	defer b.hold(session)()
	start := time.Now()
	err := other.Store.CreateToken(t.Context(), store.Session{UUID: session, TenantUUID: b.top}, store.Token{UUID: newID(), AuthID: "a"})
	want(t, "CreateToken", err, store.ErrUnavailable)
	if d := time.Since(start); d > timeout+slack {
		t.Errorf("returned after %v", d)
	}
}

func testPoolExhausted(t *testing.T, b *bench) {
	other := b.reopen(store.Options{Timeout: 100 * time.Millisecond, MaxConns: 1})
	conn, err := other.DB.Conn(t.Context())
	must(t, "Conn", err)
	want(t, "Ping", other.Store.Ping(t.Context()), store.ErrUnavailable, context.DeadlineExceeded)
	must(t, "Close", conn.Close())
	must(t, "Ping afterwards", b.Ping(t.Context()))
}

func testClosed(t *testing.T, b *bench) {
	f := b.reopen(store.Options{})
	must(t, "Ping", f.Store.Ping(t.Context()))
	must(t, "Close", f.Store.Close())
	must(t, "Close again", f.Store.Close())
	closed := *b
	closed.Store = f.Store
	for _, c := range calls {
		want(t, c.method, c.call(t.Context(), &closed), store.ErrUnavailable)
	}
	must(t, "the other store's Ping", b.Ping(t.Context()))
}

// unsearchable is text no row can hold. Postgres refuses it with an error of
// the statement, which must not look like one of the server.
var unsearchable = []string{"\x00", "a\x00", "a\x00b", "\xff", "a\xc3", "\xed\xa0\x80"}

func testNUL(t *testing.T, b *bench) {
	b.user("a", "a@example.org")
	b.policy(b.top, "base", "x")
	b.token("a", 1)
	for _, s := range unsearchable {
		ctx := t.Context()
		_, err := b.Token(ctx, s)
		want(t, "Token", err, store.ErrNotFound)
		_, err = b.DeleteToken(ctx, s)
		want(t, "DeleteToken", err, store.ErrNotFound)
		_, err = b.CredentialsByLogin(ctx, s)
		want(t, "CredentialsByLogin", err, store.ErrNotFound)
		_, err = b.UserByName(ctx, s)
		want(t, "UserByName", err, store.ErrNotFound)
		_, err = b.SetPassword(ctx, s, store.NewPassword{Hash: "x"})
		want(t, "SetPassword", err, store.ErrNotFound)
		ended, err := b.DeleteUserSessions(ctx, s)
		if err != nil || len(ended) != 0 {
			t.Errorf("DeleteUserSessions(%q) = %v, %v", s, ended, err)
		}
		equal(t, "accesses", b.accesses(s, "base"), []string{"x"})
		equal(t, "accesses", b.accesses("", s), []string{})
		_, err = b.CreateUser(ctx, store.NewUser{User: store.User{Purpose: store.PurposeUser, TenantUUID: s}})
		want(t, "CreateUser, tenant", err, store.ErrNotFound)
		_, err = b.CreateUser(ctx, store.NewUser{User: store.User{Purpose: store.PurposeUser}, PolicySlugs: []string{s}})
		want(t, "CreateUser, policy", err, store.ErrNotFound)
	}
}

func testNULWrites(t *testing.T, b *bench) {
	u := b.user("a", "")
	for _, bad := range unsearchable {
		var errs []error
		for _, spoil := range []func(*store.Session, *store.Token){
			func(s *store.Session, t *store.Token) { s.UUID, t.SessionUUID = bad, bad },
			func(s *store.Session, _ *store.Token) { s.TenantUUID = bad },
			func(_ *store.Session, t *store.Token) { t.UUID = bad },
			func(_ *store.Session, t *store.Token) { t.AuthID = bad },
			func(_ *store.Session, t *store.Token) { t.PBXUserUUID = bad },
			func(_ *store.Session, t *store.Token) { t.XiVOUUID = bad },
			func(_ *store.Session, t *store.Token) { t.Metadata = bad },
			func(_ *store.Session, t *store.Token) { t.UserAgent = bad },
			func(_ *store.Session, t *store.Token) { t.RemoteAddr = bad },
			func(_ *store.Session, t *store.Token) { t.ACL = []string{"ok", bad} },
		} {
			s, tok := store.Session{UUID: newID(), TenantUUID: b.top}, store.Token{UUID: newID(), AuthID: "a"}
			spoil(&s, &tok)
			errs = append(errs, b.CreateToken(t.Context(), s, tok))
		}
		for _, spoil := range []func(*store.NewUser){
			func(u *store.NewUser) { u.UUID = bad },
			func(u *store.NewUser) { u.Username = bad },
			func(u *store.NewUser) { u.FirstName = &bad },
			func(u *store.NewUser) { u.LastName = &bad },
			func(u *store.NewUser) { u.Purpose = bad },
			func(u *store.NewUser) { u.Method = bad },
			func(u *store.NewUser) { u.Email = bad },
			func(u *store.NewUser) { u.PasswordHash = bad },
		} {
			n := store.NewUser{User: store.User{Username: "n", Purpose: store.PurposeUser}}
			spoil(&n)
			_, err := b.CreateUser(t.Context(), n)
			errs = append(errs, err)
		}
		for _, p := range []store.NewPassword{{Hash: bad, Salt: []byte(bad)}, {Hash: "x", Was: bad}} {
			_, err := b.SetPassword(t.Context(), u.UUID, p)
			errs = append(errs, err)
		}
		for i, err := range errs {
			want(t, "write of "+strings.ToValidUTF8(bad, "?"), err, store.ErrInvalid)
			if errors.Is(err, store.ErrUnavailable) {
				t.Errorf("write %d: bad input looks like a broken server: %v", i, err)
			}
		}
	}
	equal(t, "tokens", b.count(`select count(*) from auth_token`), 0)
	equal(t, "users", b.count(`select count(*) from auth_user`), 1)
	// Bytes are not text: a salt may hold anything.
	_, err := b.SetPassword(t.Context(), u.UUID, store.NewPassword{Hash: "x", Salt: []byte{0, 0xff, 0}})
	must(t, "SetPassword", err)
	c, err := b.CredentialsByLogin(t.Context(), "a")
	if err == nil {
		equal(t, "salt", c.PasswordSalt, []byte{0, 0xff, 0})
	}
}
