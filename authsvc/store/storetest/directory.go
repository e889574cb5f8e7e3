package storetest

import (
	"errors"
	"fmt"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/wazo-edge/xivo-auth/authsvc/store"
)

var directoryCases = map[string]func(*testing.T, *bench){
	"Directory/Credentials":     testCredentialsByUUID,
	"Directory/Update":          testUpdateUser,
	"Directory/UpdateNamespace": testUpdateUserNamespace,
	"Directory/Emails":          testSetEmails,
	"Directory/EmailsNamespace": testSetEmailsNamespace,
	"Directory/List":            testListAccounts,
	"Directory/Pages":           testListAccountsPages,
	"Directory/Filters":         testListAccountsFilters,
	"Directory/Search":          testListAccountsSearch,
	"Directory/Invalid":         testDirectoryInvalid,
	"AtOnce/Logins":             testLoginsAtOnce,
	"AtOnce/Passwords":          testPasswordsAtOnce,
}

// What a password is checked against is there only for who can log in.
func testCredentialsByUUID(t *testing.T, b *bench) {
	sub := b.tenant("sub", b.top)
	b.exec(`update auth_tenant set default_authentication_method = 'saml' where uuid = $1`, sub)
	salt := []byte{0, 1}
	u, err := b.CreateUser(t.Context(), store.NewUser{
		User: store.User{
			Username: "u", FirstName: new(""), Enabled: true, TenantUUID: sub, Purpose: store.PurposeUser, Method: store.MethodDefault,
		},
		PasswordHash: "abc", PasswordSalt: salt, Email: "u@example.org",
	})
	must(t, "CreateUser", err)
	read := func(what string) store.Credentials {
		t.Helper()
		c, err := b.CredentialsByUUID(t.Context(), u.UUID)
		must(t, what, err)
		return c
	}
	equal(t, "credentials", read("by name"), store.Credentials{User: u, EffectiveMethod: "saml", PasswordHash: "abc", PasswordSalt: salt})
	for _, c := range []struct {
		change string
		usable bool
	}{
		{`update auth_user set username = null`, true},
		{`update auth_email set confirmed = false`, false},
		{`update auth_email set confirmed = true, main = false`, false},
		{`update auth_user set username = 'u'`, true},
		{`update auth_user set enabled = null`, false},
		{`update auth_user set enabled = false`, false},
		{`update auth_user set enabled = true`, true},
		{`delete from auth_email`, true},
		{`update auth_user set username = null`, false},
	} {
		b.exec(c.change)
		got := read(c.change)
		if usable := got.PasswordHash == "abc" && string(got.PasswordSalt) == string(salt); usable != c.usable || !usable && (got.PasswordHash != "" || got.PasswordSalt != nil) {
			t.Errorf("after %s: %+v", c.change, got)
		}
	}
	b.exec(`update auth_user set username = 'u', password_hash = null, password_salt = null, authentication_method = 'native'`)
	got := read("nulls")
	if got.PasswordHash != "" || got.PasswordSalt != nil || got.EffectiveMethod != store.MethodNative {
		t.Errorf("credentials of nulls: %+v", got)
	}
	for _, id := range append([]string{"", newID(), strings.ToUpper(u.UUID)}, unsearchable...) {
		_, err := b.CredentialsByUUID(t.Context(), id)
		want(t, "CredentialsByUUID", err, store.ErrNotFound)
	}
}

func testUpdateUser(t *testing.T, b *bench) {
	sub := b.tenant("sub", b.top)
	u, err := b.CreateUser(t.Context(), store.NewUser{
		User:         store.User{Username: "u", FirstName: new("Ann"), Enabled: true, TenantUUID: sub, Purpose: store.PurposeUser},
		PasswordHash: "abc", Email: "u@example.org",
	})
	must(t, "CreateUser", err)
	tokens, other := b.household(u)
	b.user("bystander", "")
	update := func(to store.User) []store.EndedToken {
		t.Helper()
		to.UUID = u.UUID
		ended, err := b.UpdateUser(t.Context(), to)
		must(t, "UpdateUser", err)
		to.TenantUUID = sub
		got, err := b.UserByUUID(t.Context(), u.UUID)
		must(t, "UserByUUID", err)
		equal(t, "updated", got, to)
		return ended
	}
	full := store.User{
		Username: "Ü", FirstName: new(""), LastName: new("O'Hara"), Enabled: true, Purpose: store.PurposeExternalAPI, Method: "ldap",
		TenantUUID: b.top, // stays where it is
	}
	equal(t, "ended", len(update(full)), 0)
	equal(t, "again", len(update(full)), 0)
	equal(t, "password and address stay", b.count(`select count(*) from auth_user u join auth_email e on e.user_uuid = u.uuid
where u.password_hash = 'abc' and e.address = 'u@example.org'`), 1)
	bare := store.User{Purpose: store.PurposeUser, Method: store.MethodDefault}
	equal(t, "ended by disabling", byToken(update(bare)), byToken(tokens))
	equal(t, "nulls", b.count(`select count(*) from auth_user where username is null and firstname is null and lastname is null and enabled = false`), 1)
	equal(t, "refresh tokens", len(b.refreshTokens(u)), 1)
	equal(t, "tokens left", b.texts(`select uuid from auth_token`), []string{other.Token.UUID})
	equal(t, "ended by disabling again", len(update(bare)), 0)

	stray := b.foreign(newID())
	for _, id := range append([]string{"", newID(), stray.Token.AuthID, strings.ToUpper(u.UUID)}, unsearchable...) {
		for _, enabled := range []bool{true, false} {
			ended, err := b.UpdateUser(t.Context(), store.User{UUID: id, Enabled: enabled, Purpose: store.PurposeUser, Method: store.MethodDefault})
			want(t, "UpdateUser", err, store.ErrNotFound)
			equal(t, "ended", len(ended), 0)
		}
	}
	equal(t, "a stray token stays", b.hasToken(stray.Token.UUID), true)
	_, err = b.UpdateUser(t.Context(), store.User{UUID: u.UUID, Purpose: "robot", Method: store.MethodDefault})
	want(t, "unknown purpose", err, store.ErrInvalid)
	_, err = b.UpdateUser(t.Context(), store.User{UUID: u.UUID, Purpose: store.PurposeUser, Username: strings.Repeat("x", 257)})
	want(t, "long name", err, store.ErrInvalid)
}

// taken is conflict that tells the value, too.
func taken(t *testing.T, what string, err error, field, value string) {
	t.Helper()
	conflict(t, what, err, field)
	if e, ok := errors.AsType[*store.ConflictError](err); ok {
		equal(t, what, e.Value, value)
	}
}

func testUpdateUserNamespace(t *testing.T, b *bench) {
	u := b.user("Élodie", "E@example.org")
	b.user("bob", "Bob@example.org")
	b.exec(`update auth_email set confirmed = false`)
	rename := func(name string) error {
		_, err := b.UpdateUser(t.Context(), store.User{UUID: u.UUID, Username: name, Enabled: true, Purpose: store.PurposeUser, Method: store.MethodDefault})
		return err
	}
	for _, name := range []string{"bob", "BOB", "bob@example.org", "BOB@EXAMPLE.ORG"} {
		taken(t, "renaming to "+name, rename(name), "username", name)
	}
	for _, name := range []string{"Élodie", "éLODIE", "e@EXAMPLE.org", ""} {
		must(t, "renaming to "+name, rename(name))
	}
	equal(t, "renamed", b.count(`select count(*) from auth_user where username is null`), 1)
	b.user("élodie", "") // free again
	taken(t, "renaming back", rename("Élodie"), "username", "Élodie")
}

// address is what SetEmails is told of a new address or one that stays.
func address(text string, main bool) store.NewEmail { return store.NewEmail{Address: text, Main: main} }

func testSetEmails(t *testing.T, b *bench) {
	u, other := b.user("u", "first@example.org"), b.user("other", "other@example.org")
	set := func(emails ...store.NewEmail) []store.StoredEmail {
		t.Helper()
		stored, err := b.SetEmails(t.Context(), u.UUID, emails)
		must(t, "SetEmails", err)
		have, err := b.Emails(t.Context(), u.UUID)
		must(t, "Emails", err)
		equal(t, "how many", len(have), len(emails))
		for i, e := range stored {
			found := false
			for _, h := range have {
				found = found || h == e.Email
			}
			if !found || e.Address != emails[i].Address || e.Main != emails[i].Main || len(e.UUID) != 36 {
				t.Errorf("stored %+v of %+v, told %+v", have, emails[i], e)
			}
		}
		return stored
	}
	before, err := b.Emails(t.Context(), u.UUID)
	must(t, "Emails", err)

	// What stays keeps uuid and flag; what is new is not confirmed.
	stored := set(address("zz@example.org", true), address("first@example.org", false))
	equal(t, "known", [2]bool{stored[0].Known, stored[1].Known}, [2]bool{false, true})
	equal(t, "uuid", stored[1].UUID, before[0].UUID)
	equal(t, "confirmed", [2]bool{stored[0].Confirmed, stored[1].Confirmed}, [2]bool{false, true})
	have, err := b.Emails(t.Context(), u.UUID)
	must(t, "Emails", err)
	equal(t, "the main one first", have[0].Address, "zz@example.org")

	// Flags are set where they are given.
	yes, no := true, false
	stored = set(store.NewEmail{Address: "zz@example.org", Confirmed: &yes}, store.NewEmail{Address: "first@example.org", Main: true, Confirmed: &no},
		store.NewEmail{Address: "new@example.org", Confirmed: &yes})
	equal(t, "confirmed", [3]bool{stored[0].Confirmed, stored[1].Confirmed, stored[2].Confirmed}, [3]bool{true, false, true})

	// An address whose case changes is another one in the same place.
	stored = set(address("FIRST@example.org", true))
	equal(t, "known", stored[0].Known, false)
	equal(t, "other rows", b.count(`select count(*) from auth_email`), 2)
	equal(t, "of none", len(set()), 0)
	have, err = b.Emails(t.Context(), u.UUID)
	must(t, "Emails", err)
	equal(t, "none", have, []store.Email{})
	set(address("first@example.org", true), address("b@example.org", false), address("B2@example.org", false))

	for _, id := range append([]string{"", newID(), strings.ToUpper(u.UUID)}, unsearchable...) {
		_, err := b.SetEmails(t.Context(), id, nil)
		want(t, "SetEmails of nobody", err, store.ErrNotFound)
		_, err = b.SetEmails(t.Context(), id, []store.NewEmail{address("free@example.org", true)})
		want(t, "SetEmails of nobody", err, store.ErrNotFound)
		have, err := b.Emails(t.Context(), id)
		must(t, "Emails of nobody", err)
		equal(t, "of nobody", have, []store.Email{})
	}
	equal(t, "the other's", b.count(`select count(*) from auth_email where user_uuid = $1`, other.UUID), 1)
}

func testSetEmailsNamespace(t *testing.T, b *bench) {
	u := b.user("u", "u@example.org")
	b.user("Bob", "Bob@example.org")
	b.exec(`update auth_email set confirmed = false where address = 'Bob@example.org'`)
	rows := b.texts(`select address from auth_email order by address`)
	set := func(id string, addresses ...string) error {
		var emails []store.NewEmail
		for i, a := range addresses {
			emails = append(emails, address(a, i == 0))
		}
		_, err := b.SetEmails(t.Context(), id, emails)
		return err
	}
	for _, name := range []string{"bob", "BOB", "Bob@example.org", "bob@EXAMPLE.org"} {
		taken(t, name, set(u.UUID, "free@example.org", name, "u@example.org"), "email_address", name)
		// Before it is known that there is no such user.
		taken(t, name, set(newID(), name), "email_address", name)
	}
	err := set(u.UUID, "a@example.org", "A@example.org")
	want(t, "two that differ in case", err, store.ErrConflict)
	if _, explained := errors.AsType[*store.ConflictError](err); explained {
		t.Errorf("two that differ in case: %v says which", err)
	}
	equal(t, "addresses after failures", b.texts(`select address from auth_email order by address`), rows)
	// One's own username is free to be one's address.
	must(t, "own name", set(u.UUID, "U"))
}

func testDirectoryInvalid(t *testing.T, b *bench) {
	u := b.user("u", "u@example.org")
	for _, bad := range unsearchable {
		for name, spoil := range map[string]func(*store.User){
			"username":  func(u *store.User) { u.Username = bad },
			"firstname": func(u *store.User) { u.FirstName = &bad },
			"lastname":  func(u *store.User) { u.LastName = &bad },
			"purpose":   func(u *store.User) { u.Purpose = bad },
			"method":    func(u *store.User) { u.Method = bad },
		} {
			changed := u
			spoil(&changed)
			_, err := b.UpdateUser(t.Context(), changed)
			want(t, "UpdateUser, "+name, err, store.ErrInvalid)
		}
		_, err := b.SetEmails(t.Context(), u.UUID, []store.NewEmail{address(bad, true)})
		want(t, "SetEmails", err, store.ErrInvalid)
		for name, l := range map[string]store.List{
			"tenant": {Tenant: bad},
			"group":  {Everywhere: true, Group: bad},
			"search": {Tenant: b.top, Search: &bad},
			"filter": {Tenant: b.top, Filters: map[string]any{"username": bad}},
		} {
			_, err := b.ListAccounts(t.Context(), l)
			want(t, "ListAccounts, "+name, err, store.ErrInvalid)
		}
	}
	for name, l := range map[string]store.List{
		"order":  {Tenant: b.top, Order: "uuid"},
		"filter": {Tenant: b.top, Filters: map[string]any{"enabled": true}},
		"user":   {Tenant: b.top, User: u.UUID},
		"scope":  {Everywhere: true},
	} {
		_, err := b.ListAccounts(t.Context(), l)
		want(t, "ListAccounts, "+name, err, store.ErrInvalid)
	}
	got, err := b.UserByUUID(t.Context(), u.UUID)
	must(t, "UserByUUID", err)
	equal(t, "user", got, u)
}

// One name that is taken as username and as address, by new users and by those
// there are, has one owner in the end.
func testLoginsAtOnce(t *testing.T, b *bench) {
	const workers = 9
	var users []store.User
	for i := range workers {
		users = append(users, b.user(fmt.Sprintf("user%d", i), ""))
	}
	for round := range 4 {
		name := fmt.Sprintf("Name%d@example.org", round)
		var owners atomic.Int32
		b.together(workers, func(i int, s store.Store) {
			var err error
			switch i % 3 {
			case 0:
				u := users[i]
				u.Username = strings.ToUpper(name)
				_, err = s.UpdateUser(t.Context(), u)
			case 1:
				_, err = s.SetEmails(t.Context(), users[i].UUID, []store.NewEmail{address(strings.ToLower(name), true)})
			case 2:
				_, err = s.CreateUser(t.Context(), store.NewUser{User: store.User{Username: name, Purpose: store.PurposeUser}})
			}
			if err == nil {
				owners.Add(1)
			} else if _, ok := errors.AsType[*store.ConflictError](err); !ok {
				t.Errorf("worker %d: %v", i, err)
			}
		})
		equal(t, "owners", owners.Load(), 1)
		equal(t, "rows", b.count(`select (select count(*) from auth_user where lower(username) = lower($1)) + (select count(*) from auth_email where lower(address) = lower($1))`, name), 1)
	}
}

// Of many who know one password and replace it at once, one does.
func testPasswordsAtOnce(t *testing.T, b *bench) {
	u := b.user("u", "")
	_, err := b.SetPassword(t.Context(), u.UUID, store.NewPassword{Hash: "old", Salt: []byte{1}})
	must(t, "SetPassword", err)
	var done atomic.Int32
	b.together(8, func(i int, s store.Store) {
		_, err := s.SetPassword(t.Context(), u.UUID, store.NewPassword{Hash: fmt.Sprintf("new%d", i), Salt: []byte{1}, Was: "old"})
		if err == nil {
			done.Add(1)
		} else {
			want(t, "SetPassword", err, store.ErrNotFound)
		}
	})
	equal(t, "successes", done.Load(), 1)
}
