package storetest

import (
	"bytes"
	"strings"
	"testing"

	"github.com/wazo-edge/xivo-auth/authsvc/store"
)

var userCases = map[string]func(*testing.T, *bench){
	"User/LoginOrder":    testLoginOrder,
	"User/LoginDisabled": testLoginDisabled,
	"User/LoginCase":     testLoginCase,
	"User/LoginNulls":    testLoginNulls,
	"User/Method":        testEffectiveMethod,
	"User/ByName":        testUserByName,
	"User/SetPassword":   testSetPassword,
	"User/List":          testListUsers,
	"User/HasUsers":      testHasUsers,
}

// login returns the uuid a login resolves to, "" for none.
func (b *bench) login(login string) string {
	b.t.Helper()
	c, err := b.CredentialsByLogin(b.t.Context(), login)
	if err != nil {
		want(b.t, "CredentialsByLogin", err, store.ErrNotFound)
		return ""
	}
	return c.UUID
}

func testLoginOrder(t *testing.T, b *bench) {
	owner := b.user("owner", "shared@example.org")
	unconfirmed := b.user("unconfirmed", "pending@example.org")
	b.exec(`update auth_email set confirmed = false where user_uuid = $1`, unconfirmed.UUID)
	// Only a race of other programs makes such a pair.
	shadow := b.user("shadow", "")
	b.exec(`update auth_user set username = 'shared@example.org' where uuid = $1`, shadow.UUID)
	claimed := b.user("claimed", "")
	b.exec(`update auth_user set username = 'pending@example.org' where uuid = $1`, claimed.UUID)

	equal(t, "username", b.login("owner"), owner.UUID)
	equal(t, "a confirmed address beats a username", b.login("shared@example.org"), owner.UUID)
	equal(t, "an unconfirmed address does not", b.login("pending@example.org"), claimed.UUID)
	b.exec(`delete from auth_user where uuid = $1`, claimed.UUID)
	equal(t, "an unconfirmed address is no login", b.login("pending@example.org"), "")
	equal(t, "its owner logs in by name", b.login("unconfirmed"), unconfirmed.UUID)
	equal(t, "nobody", b.login("nobody"), "")
	equal(t, "nothing", b.login(""), "")
	equal(t, "no patterns", b.login("own%"), "")
	equal(t, "no trimming", b.login(" owner"), "")
	// Disabled, the owner of the address no longer hides the username.
	b.exec(`update auth_user set enabled = false where uuid = $1`, owner.UUID)
	equal(t, "the address of a disabled user", b.login("shared@example.org"), shadow.UUID)
}

func testLoginDisabled(t *testing.T, b *bench) {
	u := b.user("u", "u@example.org")
	for _, enabled := range []any{false, nil} {
		b.exec(`update auth_user set enabled = $1`, enabled)
		equal(t, "by name", b.login("u"), "")
		equal(t, "by address", b.login("u@example.org"), "")
		got, err := b.UserByName(t.Context(), "u")
		must(t, "UserByName", err)
		u.Enabled = false
		equal(t, "UserByName", got, u)
	}
	b.exec(`update auth_user set enabled = true`)
	equal(t, "enabled again", b.login("u"), u.UUID)
}

// lower() of the database folds all of Unicode.
func testLoginCase(t *testing.T, b *bench) {
	u := b.user("Élodie", "Ünal@Example.ORG")
	g := b.user("ΑΛΦΑ", "ЖУК@example.org")
	for login, id := range map[string]string{
		"Élodie": u.UUID, "élodie": u.UUID, "ÉLODIE": u.UUID, "Elodie": "", "e\u0301lodie": "",
		"ünal@example.org": u.UUID, "ÜNAL@EXAMPLE.ORG": u.UUID,
		"αλφα": g.UUID, "Αλφα": g.UUID, "жук@example.org": g.UUID, "Жук@EXAMPLE.org": g.UUID,
	} {
		equal(t, "login "+login, b.login(login), id)
		got, err := b.UserByName(t.Context(), login)
		if err != nil {
			want(t, "UserByName", err, store.ErrNotFound)
		}
		equal(t, "name "+login, got.UUID, id)
	}
}

func testLoginNulls(t *testing.T, b *bench) {
	salt := []byte{0, 1, 2, 0xff, '\\', '\'', 0}
	u, err := b.CreateUser(t.Context(), store.NewUser{
		User: store.User{
			Username: "full", FirstName: new("Ann"), LastName: new("O'Hara"), Enabled: true,
			Purpose: store.PurposeExternalAPI, Method: "ldap",
		},
		PasswordHash: "c0ffee", PasswordSalt: salt,
	})
	must(t, "CreateUser", err)
	got, err := b.CredentialsByLogin(t.Context(), "full")
	must(t, "CredentialsByLogin", err)
	equal(t, "credentials", got, store.Credentials{User: u, EffectiveMethod: "ldap", PasswordHash: "c0ffee", PasswordSalt: salt})

	b.user("bare", "")
	b.exec(`update auth_user set firstname = null, lastname = null where username = 'bare'`)
	got, err = b.CredentialsByLogin(t.Context(), "bare")
	must(t, "CredentialsByLogin", err)
	if got.PasswordHash != "" || got.PasswordSalt != nil || got.FirstName != nil || got.LastName != nil {
		t.Errorf("credentials of nulls: %+v", got)
	}
	u = b.user("", "only@example.org")
	got, err = b.CredentialsByLogin(t.Context(), "only@example.org")
	must(t, "CredentialsByLogin", err)
	equal(t, "a user without username", got.User, u)
}

func testEffectiveMethod(t *testing.T, b *bench) {
	sub := b.tenant("sub", b.top)
	b.exec(`update auth_tenant set default_authentication_method = 'saml' where uuid = $1`, sub)
	for i, c := range []struct{ tenant, own, effective string }{
		{b.top, "", store.MethodNative},
		{b.top, store.MethodDefault, store.MethodNative},
		{b.top, "ldap", "ldap"},
		{sub, store.MethodDefault, "saml"},
		{sub, store.MethodNative, store.MethodNative},
	} {
		name := strings.Repeat("u", i+1)
		created, err := b.CreateUser(t.Context(), store.NewUser{User: store.User{
			Username: name, Enabled: true, TenantUUID: c.tenant, Purpose: store.PurposeInternal, Method: c.own,
		}})
		must(t, "CreateUser", err)
		got, err := b.CredentialsByLogin(t.Context(), name)
		must(t, "CredentialsByLogin", err)
		equal(t, "effective method", got.EffectiveMethod, c.effective)
		equal(t, "user", got.User, created)
		if c.own != "" {
			equal(t, "own method", got.Method, c.own)
		}
	}
}

func testUserByName(t *testing.T, b *bench) {
	u := b.user("name", "main@example.org")
	b.exec(`insert into auth_email (uuid, address, confirmed, main, user_uuid) values ('e', 'Second@example.org', false, false, $1)`, u.UUID)
	for _, name := range []string{"name", "NAME", "main@example.org", "second@EXAMPLE.org"} {
		got, err := b.UserByName(t.Context(), name)
		must(t, name, err)
		equal(t, name, got, u)
	}
	for _, name := range []string{"", "other", "name%", "main"} {
		_, err := b.UserByName(t.Context(), name)
		want(t, "UserByName", err, store.ErrNotFound)
	}
}

func testSetPassword(t *testing.T, b *bench) {
	u, other := b.user("u", ""), b.user("other", "")
	read := func(login string) (string, []byte) {
		t.Helper()
		c, err := b.CredentialsByLogin(t.Context(), login)
		must(t, "CredentialsByLogin", err)
		return c.PasswordHash, c.PasswordSalt
	}
	salt := bytes.Repeat([]byte{0, 0xfe}, 32)
	set := func(id string, p store.NewPassword) (ended []store.EndedToken, err error) {
		return b.SetPassword(t.Context(), id, p)
	}
	tokens, guest := b.household(u)
	ended, err := set(u.UUID, store.NewPassword{Hash: "abc123", Salt: salt})
	must(t, "SetPassword", err)
	equal(t, "ended", byToken(ended), byToken(tokens))
	equal(t, "tokens left", b.texts(`select uuid from auth_token`), []string{guest.Token.UUID})
	equal(t, "refresh tokens", len(b.refreshTokens(u)), 1)
	hash, got := read("u")
	equal(t, "hash", hash, "abc123")
	equal(t, "salt", got, salt)
	hash, got = read("other")
	if hash != "" || got != nil {
		t.Errorf("the password of %s changed too", other.Username)
	}
	// Who knew another password comes too late, and ends nothing.
	late := b.foreign(u.UUID)
	for _, was := range []string{"ABC123", "abc", "other"} {
		ended, err := set(u.UUID, store.NewPassword{Hash: "x", Salt: salt, Was: was})
		want(t, "SetPassword after another", err, store.ErrNotFound)
		equal(t, "ended", len(ended), 0)
	}
	equal(t, "a session stays", b.hasToken(late.Token.UUID), true)
	ended, err = set(u.UUID, store.NewPassword{Hash: "def456", Salt: salt, Was: "abc123"})
	must(t, "SetPassword", err)
	equal(t, "ended", ended, []store.EndedToken{b.sessionOver(late)})
	hash, _ = read("u")
	equal(t, "hash", hash, "def456")
	_, err = set(u.UUID, store.NewPassword{})
	must(t, "SetPassword to nothing", err)
	equal(t, "nulls", b.count(`select count(*) from auth_user where password_hash is null and password_salt is null`), 2)
	for _, id := range []string{newID(), "", strings.ToUpper(u.UUID)} {
		_, err := set(id, store.NewPassword{Hash: "x", Salt: salt})
		want(t, "SetPassword", err, store.ErrNotFound)
	}
}

// The order is that of the bytes, whatever the database's locale.
func testListUsers(t *testing.T, b *bench) {
	users, err := b.ListUsers(t.Context())
	if err != nil || users == nil || len(users) != 0 {
		t.Errorf("ListUsers of none = %#v, %v", users, err)
	}
	for _, name := range []string{"b", "é", "C", "a-c", "ab", "_"} {
		b.user(name, "")
	}
	first, second := b.user("", "x@example.org"), b.user("", "y@example.org")
	b.exec(`update auth_user set enabled = null where username = 'ab'`)
	users, err = b.ListUsers(t.Context())
	must(t, "ListUsers", err)
	var names, nameless []string
	for _, u := range users {
		names = append(names, u.Username)
		if u.Username == "" {
			nameless = append(nameless, u.UUID)
		}
		if u.Enabled != (u.Username != "ab") || u.TenantUUID != b.top || u.Purpose != store.PurposeUser {
			t.Errorf("listed %+v", u)
		}
	}
	equal(t, "order", names, []string{"C", "_", "a-c", "ab", "b", "é", "", ""})
	equal(t, "order of the nameless", nameless, sorted(first.UUID, second.UUID))
}

func testHasUsers(t *testing.T, b *bench) {
	has, err := b.HasUsers(t.Context())
	must(t, "HasUsers", err)
	equal(t, "HasUsers", has, false)
	b.user("u", "")
	b.exec(`update auth_user set enabled = false`)
	has, err = b.HasUsers(t.Context())
	must(t, "HasUsers", err)
	equal(t, "HasUsers", has, true)
}
