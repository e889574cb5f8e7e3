package storetest

import (
	"strings"
	"sync/atomic"
	"testing"

	"github.com/wazo-edge/xivo-auth/authsvc/store"
)

var accountCases = map[string]func(*testing.T, *bench){
	"Account/IsAdmin":       testUserIsAdmin,
	"Account/ByUUID":        testUserByUUID,
	"Account/SetEnabled":    testSetUserEnabled,
	"Account/Delete":        testDeleteUser,
	"Account/AtOnce":        testAccountsAtOnce,
	"Session/Delete":        testDeleteSession,
	"Session/DeleteNothing": testDeleteSessionNothing,
}

func testUserIsAdmin(t *testing.T, b *bench) {
	const policySlug, groupSlug = "wazo_default_admin_policy", "wazo_default_admin_group"
	sub := b.tenant("sub", b.top)
	admin := func(u store.User) bool {
		t.Helper()
		is, err := b.UserIsAdmin(t.Context(), u.UUID)
		must(t, "UserIsAdmin", err)
		return is
	}
	plain, direct, member := b.user("plain", ""), b.user("direct", ""), b.user("member", "")
	policy, group := b.policy(sub, policySlug, "#"), b.group(sub, groupSlug)
	// The slug counts, not the name, nor what else bears that slug.
	b.exec(`update auth_policy set name = 'p' where uuid = $1`, policy)
	b.exec(`update auth_group set name = 'g' where uuid = $1`, group)
	other := b.group(b.top, "other")
	b.exec(`insert into auth_group_policy (group_uuid, policy_uuid) values ($1, $2)`, other, policy)
	for _, p := range []string{
		b.policy(b.top, "named"), b.policy(b.top, groupSlug), b.policy(b.top, "Wazo_default_admin_policy"), b.policy(b.top, policySlug+"x"),
	} {
		b.exec(`insert into auth_user_policy (user_uuid, policy_uuid) values ($1, $2)`, plain.UUID, p)
	}
	for _, g := range []string{other, b.group(b.top, policySlug), b.group(b.top, "WAZO_default_admin_group")} {
		b.exec(`insert into auth_user_group (group_uuid, user_uuid) values ($1, $2)`, g, plain.UUID)
	}
	b.exec(`update auth_policy set name = $1 where name = 'named'`, policySlug)
	b.exec(`insert into auth_user_policy (user_uuid, policy_uuid) values ($1, $2)`, direct.UUID, policy)
	b.exec(`insert into auth_user_group (group_uuid, user_uuid) values ($1, $2)`, group, member.UUID)

	equal(t, "by policy", admin(direct), true)
	equal(t, "by group", admin(member), true)
	equal(t, "others", admin(plain), false)
	b.exec(`insert into auth_user_group (group_uuid, user_uuid) values ($1, $2)`, group, direct.UUID)
	equal(t, "by both", admin(direct), true)
	for _, id := range append([]string{"", newID(), strings.ToUpper(direct.UUID), "wazo-auth"}, unsearchable...) {
		equal(t, "nobody", admin(store.User{UUID: id}), false)
	}
	b.exec(`delete from auth_user_group`)
	b.exec(`delete from auth_user_policy`)
	equal(t, "no longer", admin(direct) || admin(member), false)
}

func testUserByUUID(t *testing.T, b *bench) {
	u, err := b.CreateUser(t.Context(), store.NewUser{User: store.User{
		Username: "Ann", FirstName: new("Änn"), LastName: new("O'Hara"), Enabled: true, Purpose: store.PurposeExternalAPI, Method: "ldap",
	}})
	must(t, "CreateUser", err)
	got, err := b.UserByUUID(t.Context(), u.UUID)
	must(t, "UserByUUID", err)
	equal(t, "user", got, u)
	bare := b.user("", "")
	for _, enabled := range []any{false, nil} {
		b.exec(`update auth_user set enabled = $1, firstname = null, lastname = null where uuid = $2`, enabled, bare.UUID)
		got, err = b.UserByUUID(t.Context(), bare.UUID)
		must(t, "UserByUUID", err)
		bare.Enabled = false
		equal(t, "disabled user", got, bare)
	}
	for _, id := range append([]string{"", newID(), strings.ToUpper(u.UUID), "%", "Ann"}, unsearchable...) {
		got, err := b.UserByUUID(t.Context(), id)
		want(t, "UserByUUID", err, store.ErrNotFound)
		equal(t, "nobody", got, store.User{})
	}
}

// household gives u two sessions, one of them from a refresh token and shared
// with a guest, and somebody else one; it returns u's and the guest's tokens.
func (b *bench) household(u store.User) (ended []store.EndedToken, other store.NewToken) {
	b.t.Helper()
	first, _ := b.offline(u, "client", false)
	second := b.issued(b.issue(u.UUID))
	guest := b.sessionOver(second)
	guest.UUID, guest.AuthID = b.sibling(store.Token{SessionUUID: second.Session.UUID}, "guest", 1).UUID, "guest"
	return []store.EndedToken{b.sessionOver(first), b.sessionOver(second), guest}, b.foreign("other")
}

func testSetUserEnabled(t *testing.T, b *bench) {
	u := b.user("u", "")
	b.user("bystander", "")
	enabled := func() int { return b.count(`select count(*) from auth_user where enabled is true`) }
	set := func(to bool) []store.EndedToken {
		t.Helper()
		ended, err := b.SetUserEnabled(t.Context(), u.UUID, to)
		must(t, "SetUserEnabled", err)
		return ended
	}
	tokens, other := b.household(u)
	rows := b.loginRows()
	equal(t, "ended by enabling who is", len(set(true)), 0)
	b.exec(`update auth_user set enabled = null where uuid = $1`, u.UUID)
	equal(t, "ended by enabling", len(set(true)), 0)
	equal(t, "enabled", enabled(), 2)
	equal(t, "rows", b.loginRows(), rows)

	equal(t, "ended by disabling", byToken(set(false)), byToken(tokens))
	equal(t, "stored as disabled, not null", b.count(`select count(*) from auth_user where enabled = false and uuid = $1`, u.UUID), 1)
	equal(t, "refresh tokens", len(b.refreshTokens(u)), 1)
	equal(t, "tokens left", b.texts(`select uuid from auth_token`), []string{other.Token.UUID})
	equal(t, "sessions left", b.texts(`select uuid from auth_session`), []string{other.Session.UUID})
	equal(t, "ended by disabling again", len(set(false)), 0)
	equal(t, "enabled", enabled(), 1)
	equal(t, "login", b.login("u"), "")
	// What was issued to him meanwhile ends, too, though he is disabled.
	late := b.foreign(u.UUID)
	equal(t, "ended later", set(false), []store.EndedToken{b.sessionOver(late)})
	set(true)
	equal(t, "login", b.login("u"), u.UUID)

	// Tokens may bear the auth id of no user.
	stray := newID()
	strayToken := b.foreign(stray)
	for _, id := range append([]string{"", newID(), stray, strings.ToUpper(u.UUID)}, unsearchable...) {
		for _, to := range []bool{true, false} {
			ended, err := b.SetUserEnabled(t.Context(), id, to)
			want(t, "SetUserEnabled", err, store.ErrNotFound)
			equal(t, "ended", len(ended), 0)
		}
	}
	equal(t, "users enabled", enabled(), 2)
	equal(t, "a stray token stays", b.hasToken(strayToken.Token.UUID), true)
}

func testDeleteUser(t *testing.T, b *bench) {
	u, err := b.CreateUser(t.Context(), store.NewUser{
		User:  store.User{Username: "u", Enabled: true, Purpose: store.PurposeUser},
		Email: "u@example.org", PolicySlugs: []string{"wazo_default_master_user_policy"},
	})
	must(t, "CreateUser", err)
	tokens, other := b.household(u)
	b.exec(`update auth_tenant set contact_uuid = $1`, u.UUID)
	// A token of somebody else may hang on his refresh token.
	stranger := b.foreign("stranger")
	b.exec(`update auth_token set refresh_token_uuid = $1 where uuid = $2`, b.refreshTokens(u)[0].UUID, stranger.Token.UUID)

	ended, err := b.DeleteUser(t.Context(), u.UUID)
	must(t, "DeleteUser", err)
	equal(t, "ended", byToken(ended), byToken(tokens))
	equal(t, "rows of his", b.userRows(), 0)
	equal(t, "refresh tokens", b.count(`select count(*) from auth_refresh_token`), 0)
	equal(t, "tokens left", sorted(b.texts(`select uuid from auth_token`)...), sorted(other.Token.UUID, stranger.Token.UUID))
	equal(t, "sessions left", sorted(b.texts(`select uuid from auth_session`)...), sorted(other.Session.UUID, stranger.Session.UUID))
	equal(t, "link", b.link(stranger.Token.UUID), "")
	equal(t, "tenants", b.count(`select count(*) from auth_tenant where contact_uuid is null`), 1)
	b.user("u", "u@example.org") // the names are free again

	ended, err = b.DeleteUser(t.Context(), b.user("sessionless", "").UUID)
	if err != nil || len(ended) != 0 {
		t.Errorf("DeleteUser without sessions = %+v, %v", ended, err)
	}
	strayToken := b.foreign(u.UUID)
	for _, id := range append([]string{"", newID(), u.UUID, "other"}, unsearchable...) {
		ended, err := b.DeleteUser(t.Context(), id)
		want(t, "DeleteUser", err, store.ErrNotFound)
		equal(t, "ended", len(ended), 0)
	}
	equal(t, "tokens of no user stay", b.hasToken(strayToken.Token.UUID) && b.hasToken(other.Token.UUID), true)
}

// Accounts end while their users come and go. Nothing may fail that exists,
// and every token ends once.
func testAccountsAtOnce(t *testing.T, b *bench) {
	const (
		workers = 8
		rounds  = 8
	)
	users := []store.User{b.user("a", ""), b.user("b", "")}
	ends := make(chan []store.EndedToken, workers*rounds*4)
	var issued atomic.Int64
	b.together(workers, func(i int, s store.Store) {
		u := users[i/2%2]
		for round := range rounds {
			n := b.issue(u.UUID)
			o, err := s.IssueOfflineToken(t.Context(), n, wanted(u, string(rune('a'+round%3)), i%2 == 0))
			if err == nil {
				issued.Add(1)
			} else {
				want(t, "IssueOfflineToken of who may be disabled", err, store.ErrNotFound)
			}
			ends <- o.Ended
			var ended []store.EndedToken
			switch (i + round) % 4 {
			case 0:
				ended, err = s.SetUserEnabled(t.Context(), u.UUID, false)
				must2(t, "SetUserEnabled", err)
				_, err = s.SetUserEnabled(t.Context(), u.UUID, true)
				must2(t, "SetUserEnabled", err)
			case 1:
				ended, err = s.DeleteSession(t.Context(), n.Session.UUID, b.top)
				must2(t, "DeleteSession", err)
			case 2:
				ended, err = s.DeleteUserSessions(t.Context(), u.UUID)
				must2(t, "DeleteUserSessions", err)
			case 3:
				if e, err := s.DeleteToken(t.Context(), n.Token.UUID); err == nil {
					ended = []store.EndedToken{e}
				} else {
					want(t, "DeleteToken", err, store.ErrNotFound)
				}
				if _, err := s.DeleteRefreshToken(t.Context(), u.UUID, "a"); err != nil {
					want(t, "DeleteRefreshToken", err, store.ErrNotFound)
				}
			}
			ends <- ended
		}
	})
	b.together(4, func(i int, s store.Store) {
		ended, err := s.DeleteUser(t.Context(), users[i/2].UUID)
		if err != nil {
			want(t, "DeleteUser", err, store.ErrNotFound)
		}
		ends <- ended
	})
	close(ends)
	times := map[string]int{}
	for ended := range ends {
		for _, e := range ended {
			if times[e.UUID]++; times[e.UUID] > 1 {
				t.Errorf("token %s ended %d times", e.UUID, times[e.UUID])
			}
		}
	}
	equal(t, "tokens ended", len(times), int(issued.Load()))
	if len(times) < workers*rounds/2 {
		t.Errorf("only %d of %d logins succeeded", len(times), workers*rounds)
	}
	equal(t, "rows left", b.loginRows(), "")
}

func testDeleteSession(t *testing.T, b *bench) {
	a := b.tenant("a", b.top)
	below := b.tenant("b", b.tenant("ab", a))
	b.someone("user")
	elsewhere := b.tenant("c", b.top)
	in := func(tenant string) store.NewToken {
		n := b.issue("user")
		n.Session.TenantUUID = tenant
		return b.issued(n)
	}
	own, deep, other, above := in(a), in(below), in(elsewhere), in(b.top)
	guest := b.sessionOver(deep)
	guest.UUID, guest.AuthID = b.sibling(store.Token{SessionUUID: deep.Session.UUID}, "guest", 1).UUID, "guest"

	for _, n := range []store.NewToken{other, above} {
		ended, err := b.DeleteSession(t.Context(), n.Session.UUID, a)
		if err != nil || len(ended) != 0 || !b.hasToken(n.Token.UUID) {
			t.Errorf("DeleteSession out of sight = %+v, %v", ended, err)
		}
	}
	for n, want := range map[*store.NewToken][]store.EndedToken{
		&own:  {b.sessionOver(own)},
		&deep: {b.sessionOver(deep), guest},
	} {
		ended, err := b.DeleteSession(t.Context(), n.Session.UUID, a)
		must(t, "DeleteSession", err)
		equal(t, "ended", byToken(ended), byToken(want))
		if b.hasSession(n.Session.UUID) || b.hasToken(n.Token.UUID) || b.hasToken(guest.UUID) && n == &deep {
			t.Error("the session or a token of it stayed")
		}
		ended, err = b.DeleteSession(t.Context(), n.Session.UUID, a)
		if err != nil || len(ended) != 0 {
			t.Errorf("DeleteSession again = %+v, %v", ended, err)
		}
	}
	for _, n := range []store.NewToken{other, above} {
		ended, err := b.DeleteSession(t.Context(), n.Session.UUID, b.top)
		must(t, "DeleteSession from the top", err)
		equal(t, "ended", ended, []store.EndedToken{b.sessionOver(n)})
	}
	equal(t, "rows left", b.loginRows(), "")
}

func testDeleteSessionNothing(t *testing.T, b *bench) {
	n := b.issued(b.issue(b.someone("a")))
	for _, c := range []struct{ session, tenant string }{
		{newID(), b.top}, {"", b.top}, {n.Session.UUID, ""}, {n.Session.UUID, newID()}, {n.Token.UUID, b.top},
		{strings.ToUpper(n.Session.UUID), b.top}, {"%", b.top}, {n.Session.UUID, "%"}, {"\x00", b.top}, {n.Session.UUID, "\xff"},
	} {
		ended, err := b.DeleteSession(t.Context(), c.session, c.tenant)
		if err != nil || len(ended) != 0 {
			t.Errorf("DeleteSession(%q, %q) = %+v, %v", c.session, c.tenant, ended, err)
		}
	}
	equal(t, "tokens", b.count(`select count(*) from auth_token`), 1)

	// A session that lost its token by hand goes all the same.
	b.exec(`delete from auth_token`)
	ended, err := b.DeleteSession(t.Context(), n.Session.UUID, b.top)
	if err != nil || len(ended) != 0 || b.hasSession(n.Session.UUID) {
		t.Errorf("DeleteSession of a bare one = %+v, %v", ended, err)
	}

	// Tenants that somebody made each other's parents.
	x, y := b.tenant("x", b.top), b.tenant("y", b.top)
	b.exec(`update auth_tenant set parent_uuid = $1 where uuid = $2`, y, x)
	b.exec(`update auth_tenant set parent_uuid = $1 where uuid = $2`, x, y)
	n = b.issue("a")
	n.Session.TenantUUID = y
	n = b.issued(n)
	ended, err = b.DeleteSession(t.Context(), n.Session.UUID, x)
	must(t, "DeleteSession in a circle", err)
	equal(t, "ended", ended, []store.EndedToken{b.sessionOver(n)})
}
