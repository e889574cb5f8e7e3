package storetest

import (
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/wazo-edge/xivo-auth/authsvc/store"
)

var refreshCases = map[string]func(*testing.T, *bench){
	"Offline/New":          testOfflineNew,
	"Offline/Known":        testOfflineKnown,
	"Offline/MobileSame":   testOfflineMobileSame,
	"Offline/MobileOthers": testOfflineMobileOthers,
	"Offline/Limit":        testOfflineLimit,
	"Offline/Refused":      testOfflineRefused,
	"Offline/AtOnce":       testOfflineAtOnce,
	"Refresh/Credentials":  testRefreshCredentials,
	"Refresh/Login":        testRefreshLogin,
	"Refresh/Method":       testRefreshMethod,
	"Refresh/Delete":       testDeleteRefreshToken,
}

// ticks makes every refresh token of the suite a microsecond younger than the
// one before.
var ticks atomic.Int64

func tick() time.Time {
	return time.Date(2026, 11, 23, 12, 0, 0, 999_000_000, time.UTC).Add(time.Duration(ticks.Add(1)) * time.Microsecond)
}

// wanted is the refresh token an offline login asks for.
func wanted(u store.User, client string, mobile bool) store.RefreshToken {
	return store.RefreshToken{
		UUID: newID(), ClientID: client, UserUUID: u.UUID, Backend: "wazo_user", Login: u.Username,
		UserAgent: "agent", RemoteAddr: "192.0.2.1", CreatedAt: tick(), Mobile: mobile,
	}
}

// offline logs u in offline.
func (b *bench) offline(u store.User, client string, mobile bool) (store.NewToken, store.Offline) {
	b.t.Helper()
	n := b.issue(u.UUID)
	n.Session.Mobile = mobile
	o, err := b.IssueOfflineToken(b.t.Context(), n, wanted(u, client, mobile))
	must(b.t, "IssueOfflineToken", err)
	return n, o
}

// stored inserts a refresh token as another program would, and a session
// issued from it.
func (b *bench) stored(u store.User, r store.RefreshToken) (store.RefreshToken, store.NewToken) {
	b.t.Helper()
	b.exec(`insert into auth_refresh_token (uuid, client_id, user_uuid, backend, login, user_agent, remote_addr, created_at, mobile)
values ($1, $2, $3, $4, $5, $6, $7, $8, $9)`, r.UUID, r.ClientID, r.UserUUID, r.Backend, r.Login, r.UserAgent, r.RemoteAddr,
		r.CreatedAt.Format("2006-01-02T15:04:05.000000Z"), r.Mobile)
	r.Metadata, r.TenantUUID = "{}", u.TenantUUID
	n := b.issue(u.UUID)
	n.RefreshToken = r.UUID
	return r, b.issued(n)
}

// refreshTokens lists what a user has.
func (b *bench) refreshTokens(u store.User) []store.RefreshToken {
	b.t.Helper()
	p, err := b.ListRefreshTokens(b.t.Context(), store.List{Tenant: u.TenantUUID, User: u.UUID})
	must(b.t, "ListRefreshTokens", err)
	return p.Items
}

// sessionOver is how a token of n is reported when its session goes.
func (b *bench) sessionOver(n store.NewToken) store.EndedToken {
	return store.EndedToken{
		UUID: n.Token.UUID, AuthID: n.Token.AuthID, SessionUUID: n.Session.UUID, SessionTenant: n.Session.TenantUUID, SessionEnded: true,
	}
}

// refreshed returns whose login a refresh token stands for, "" for nobody's.
func (b *bench) refreshed(uuid, client string) string {
	b.t.Helper()
	c, r, err := b.CredentialsByRefreshToken(b.t.Context(), uuid, client)
	if err != nil {
		want(b.t, "CredentialsByRefreshToken", err, store.ErrNotFound)
		equal(b.t, "credentials of nobody", c, store.Credentials{})
		equal(b.t, "no refresh token", r, store.RefreshToken{})
	}
	return c.UUID
}

func testRefreshCredentials(t *testing.T, b *bench) {
	u, other := b.user("Élodie", ""), b.user("other", "")
	r := wanted(u, "Client", true)
	r.Metadata, r.Login = `{"a":  1}`, "éLODIE"
	_, err := b.IssueOfflineToken(t.Context(), b.issue(u.UUID), r)
	must(t, "IssueOfflineToken", err)
	theirs := wanted(other, "other", false)
	_, err = b.IssueOfflineToken(t.Context(), b.issue(other.UUID), theirs)
	must(t, "IssueOfflineToken", err)

	c, got, err := b.CredentialsByRefreshToken(t.Context(), r.UUID, "Client")
	must(t, "CredentialsByRefreshToken", err)
	r.TenantUUID = b.top
	equal(t, "refresh token", got, r)
	equal(t, "user", c.User, u)
	equal(t, "effective method", c.EffectiveMethod, store.MethodNative)
	for _, client := range []string{"", "client", "Client ", "%", "other"} {
		equal(t, "client "+client, b.refreshed(r.UUID, client), "")
	}
	for _, id := range []string{"", newID(), "not-a-uuid", strings.ToUpper(r.UUID), "%", theirs.UUID} {
		equal(t, "refresh token "+id, b.refreshed(id, "Client"), "")
	}
	for _, bad := range unsearchable {
		equal(t, "unsearchable", b.refreshed(bad, "Client")+b.refreshed(r.UUID, bad), "")
	}

	b.exec(`update auth_refresh_token set backend = null, user_agent = null, remote_addr = null, created_at = null where uuid = $1`, r.UUID)
	_, got, err = b.CredentialsByRefreshToken(t.Context(), r.UUID, "Client")
	must(t, "CredentialsByRefreshToken of nulls", err)
	r.Backend, r.UserAgent, r.RemoteAddr, r.CreatedAt = "", "", "", time.Time{}
	equal(t, "refresh token of nulls", got, r)
	b.exec(`update auth_refresh_token set login = null where uuid = $1`, r.UUID)
	equal(t, "without login", b.refreshed(r.UUID, "Client"), "")
}

// The login that is stored has to be the user's still. The reference lets
// whoever has that login now in, which is no way to come to an account.
func testRefreshLogin(t *testing.T, b *bench) {
	u := b.user("u", "")
	_, o := b.offline(u, "c", false)
	login := func() string { t.Helper(); return b.refreshed(o.RefreshToken, "c") }
	equal(t, "by name", login(), u.UUID)
	for _, enabled := range []any{false, nil} {
		b.exec(`update auth_user set enabled = $1`, enabled)
		equal(t, "disabled", login(), "")
	}
	b.exec(`update auth_user set enabled = true`)
	equal(t, "enabled again", login(), u.UUID)
	b.exec(`update auth_user set username = 'renamed' where uuid = $1`, u.UUID)
	equal(t, "renamed", login(), "")
	heir := b.user("u", "")
	equal(t, "with the name given to another", login(), "")
	equal(t, "the name itself", b.login("u"), heir.UUID)
	b.exec(`update auth_user set enabled = false where uuid = $1`, heir.UUID)
	b.exec(`update auth_user set username = 'U' || username where uuid = $1`, heir.UUID)
	b.exec(`update auth_user set username = 'U' where uuid = $1`, u.UUID)
	equal(t, "with the name back", login(), u.UUID)

	// By address, which has to stay confirmed and his.
	mail := b.user("", "Mail@example.org")
	r := wanted(mail, "c", false)
	r.Login = "mail@EXAMPLE.org"
	_, err := b.IssueOfflineToken(t.Context(), b.issue(mail.UUID), r)
	must(t, "IssueOfflineToken", err)
	equal(t, "by address", b.refreshed(r.UUID, "c"), mail.UUID)
	b.exec(`update auth_email set confirmed = false`)
	equal(t, "by an address that is not confirmed", b.refreshed(r.UUID, "c"), "")
	b.exec(`update auth_email set confirmed = true, user_uuid = $1`, u.UUID)
	equal(t, "by an address given to another", b.refreshed(r.UUID, "c"), "")
	b.exec(`update auth_email set user_uuid = $1`, mail.UUID)
	equal(t, "by the address given back", b.refreshed(r.UUID, "c"), mail.UUID)

	b.exec(`delete from auth_user where uuid = $1`, u.UUID)
	equal(t, "deleted", login(), "")
}

func testRefreshMethod(t *testing.T, b *bench) {
	sub := b.tenant("sub", b.top)
	u := b.user("u", "")
	_, o := b.offline(u, "c", false)
	b.exec(`update auth_user set tenant_uuid = $1`, sub)
	b.exec(`update auth_tenant set default_authentication_method = 'saml' where uuid = $1`, sub)
	for own, effective := range map[string]string{"default": "saml", "native": "native", "ldap": "ldap"} {
		b.exec(`update auth_user set authentication_method = $1`, own)
		c, r, err := b.CredentialsByRefreshToken(t.Context(), o.RefreshToken, "c")
		must(t, "CredentialsByRefreshToken", err)
		equal(t, "effective method of "+own, c.EffectiveMethod, effective)
		equal(t, "own method", c.Method, own)
		equal(t, "tenants", c.TenantUUID+" "+r.TenantUUID, sub+" "+sub)
	}
}

func testDeleteRefreshToken(t *testing.T, b *bench) {
	u, other := b.user("u", ""), b.user("other", "")
	n, o := b.offline(u, "client", true)
	second := b.issue(u.UUID)
	second.RefreshToken = o.RefreshToken
	second = b.issued(second)
	b.offline(u, "kept", false)
	b.offline(other, "client", false)
	mine := b.refreshTokens(u)

	for _, c := range []struct{ user, client string }{
		{u.UUID, "nope"}, {u.UUID, "CLIENT"}, {u.UUID, ""}, {u.UUID, "%"}, {"", "client"}, {newID(), "client"},
		{strings.ToUpper(u.UUID), "client"}, {u.UUID, "client\x00"}, {"\xff", "client"},
	} {
		r, err := b.DeleteRefreshToken(t.Context(), c.user, c.client)
		want(t, "DeleteRefreshToken", err, store.ErrNotFound)
		equal(t, "deleted", r, store.RefreshToken{})
	}
	equal(t, "refresh tokens", b.count(`select count(*) from auth_refresh_token`), 3)

	r, err := b.DeleteRefreshToken(t.Context(), u.UUID, "client")
	must(t, "DeleteRefreshToken", err)
	equal(t, "deleted", r, mine[0])
	equal(t, "left", b.refreshTokens(u), mine[1:])
	equal(t, "another's", len(b.refreshTokens(other)), 1)
	for _, token := range []string{n.Token.UUID, second.Token.UUID} {
		if _, err := b.Token(t.Context(), token); err != nil {
			t.Errorf("a token went with its refresh token: %v", err)
		}
		equal(t, "link", b.link(token), "")
	}
	_, err = b.DeleteRefreshToken(t.Context(), u.UUID, "client")
	want(t, "DeleteRefreshToken again", err, store.ErrNotFound)
	equal(t, "credentials", b.refreshed(o.RefreshToken, "client"), "")
	late := b.issue(u.UUID)
	late.RefreshToken = o.RefreshToken
	_, err = b.IssueToken(t.Context(), late)
	want(t, "IssueToken from it", err, store.ErrNotFound)
}
