package storetest

import (
	"errors"
	"strings"
	"testing"

	"github.com/wazo-edge/xivo-auth/authsvc/store"
)

var createCases = map[string]func(*testing.T, *bench){
	"CreateUser/Whole":      testCreateUser,
	"CreateUser/Tenant":     testCreateUserTenant,
	"CreateUser/Namespace":  testCreateUserNamespace,
	"CreateUser/NoUsername": testCreateUserNoUsername,
	"CreateUser/NotFound":   testCreateUserNotFound,
	"CreateUser/Invalid":    testCreateUserInvalid,
}

// userRows counts what CreateUser inserts, for tests that nothing stays.
func (b *bench) userRows() int {
	b.t.Helper()
	return b.count(`select (select count(*) from auth_user) + (select count(*) from auth_email)
	+ (select count(*) from auth_user_group) + (select count(*) from auth_user_policy)`)
}

func testCreateUser(t *testing.T, b *bench) {
	b.policy(b.top, "extra")
	u := store.NewUser{
		User: store.User{
			UUID: newID(), Username: "Ann", FirstName: new("Änn"), LastName: new("O'Hara\\"), Enabled: true,
			Purpose: store.PurposeUser, Method: store.MethodNative,
		},
		PasswordHash: "abc", PasswordSalt: []byte{0, 1}, Email: "Ann@Example.org",
		PolicySlugs: []string{"extra", "wazo_default_master_user_policy", "extra"},
	}
	created, err := b.CreateUser(t.Context(), u)
	must(t, "CreateUser", err)
	u.TenantUUID = b.top
	equal(t, "created", created, u.User)
	equal(t, "address", b.count(`select count(*) from auth_email
where address = 'Ann@Example.org' and confirmed and main and user_uuid = $1 and length(uuid) = 36`, u.UUID), 1)
	equal(t, "membership", b.text(`select g.name from auth_user_group ug join auth_group g on g.uuid = ug.group_uuid
where ug.user_uuid = $1`, u.UUID), "wazo-all-users-tenant-"+b.top)
	equal(t, "policies", b.count(`select count(*) from auth_user_policy where user_uuid = $1`, u.UUID), 2)
	equal(t, "login", b.login("ann@example.org"), u.UUID)

	disabled, err := b.CreateUser(t.Context(), store.NewUser{User: store.User{Username: "off", Purpose: store.PurposeInternal}})
	must(t, "CreateUser", err)
	if len(disabled.UUID) != 36 || disabled.UUID != strings.ToLower(disabled.UUID) || disabled.Method != store.MethodDefault {
		t.Errorf("defaults: %+v", disabled)
	}
	equal(t, "stored as disabled, not null", b.count(`select count(*) from auth_user where enabled = false`), 1)
	equal(t, "nulls", b.count(`select count(*) from auth_user where uuid = $1 and firstname is null and lastname is null
	and password_hash is null and password_salt is null`, disabled.UUID), 1)
	equal(t, "addresses", b.count(`select count(*) from auth_email`), 1)
}

// Policies are the top tenant's, the all-users group is the tenant's own.
func testCreateUserTenant(t *testing.T, b *bench) {
	sub := b.tenant("sub", b.top)
	b.policy(sub, "extra")
	policy := b.policy(b.top, "extra")
	u, err := b.CreateUser(t.Context(), store.NewUser{
		User:        store.User{Username: "u", TenantUUID: sub, Purpose: store.PurposeUser},
		PolicySlugs: []string{"extra"},
	})
	must(t, "CreateUser", err)
	equal(t, "tenant", u.TenantUUID, sub)
	equal(t, "group's tenant", b.text(`select g.tenant_uuid from auth_user_group ug
join auth_group g on g.uuid = ug.group_uuid where ug.user_uuid = $1`, u.UUID), sub)
	equal(t, "policy", b.text(`select policy_uuid from auth_user_policy where user_uuid = $1`, u.UUID), policy)
}

// Usernames and addresses, confirmed or not, of all tenants are one
// namespace, in which case does not count.
func testCreateUserNamespace(t *testing.T, b *bench) {
	first := b.user("Élodie", "E@example.org")
	b.exec(`update auth_email set confirmed = false`)
	other := b.tenant("other", b.top)
	rows := b.userRows()
	for _, c := range []struct{ name, uuid, username, email string }{
		{"uuid", first.UUID, "free", ""},
		{"username", "", "Élodie", ""},
		{"username in another case", "", "éLODIE", ""},
		{"address", "", "", "E@example.org"},
		{"address in another case", "", "free", "e@EXAMPLE.org"},
		{"username that is an address", "", "e@example.org", ""},
		{"address that is a username", "", "free", "ÉLODIE"},
		{"both", "", "E@EXAMPLE.ORG", "élodie"},
	} {
		for _, tenant := range []string{"", other} {
			_, err := b.CreateUser(t.Context(), store.NewUser{
				User:  store.User{UUID: c.uuid, Username: c.username, TenantUUID: tenant, Purpose: store.PurposeUser},
				Email: c.email,
			})
			want(t, c.name, err, store.ErrConflict)
			if err != nil && strings.Contains(err.Error(), "lodie") {
				t.Errorf("%s: the error repeats the name: %v", c.name, err)
			}
		}
	}
	equal(t, "rows left by failures", b.userRows(), rows)
	// One person may use one text for both.
	u := b.user("both@example.org", "Both@example.org")
	equal(t, "login", b.login("BOTH@example.org"), u.UUID)
}

// NULL is not a name two users could share.
func testCreateUserNoUsername(t *testing.T, b *bench) {
	for _, email := range []string{"", "", "a@example.org", "b@example.org"} {
		b.user("", email)
	}
	equal(t, "nameless users", b.count(`select count(*) from auth_user where username is null`), 4)
	b.user("", "ab@example.org")
}

func testCreateUserNotFound(t *testing.T, b *bench) {
	sub := b.tenant("sub", b.top)
	b.policy(sub, "subs-own")
	b.exec(`insert into auth_tenant (uuid, slug, parent_uuid) values ('groupless', 'groupless', $1)`, b.top)
	rows := b.userRows()
	for name, u := range map[string]store.NewUser{
		"no such tenant":      {User: store.User{TenantUUID: newID()}},
		"no all-users group":  {User: store.User{TenantUUID: "groupless"}},
		"no such policy":      {PolicySlugs: []string{"wazo_default_master_user_policy", "nope"}},
		"another's policy":    {User: store.User{TenantUUID: sub}, PolicySlugs: []string{"subs-own"}},
		"policy, other case":  {PolicySlugs: []string{"WAZO_default_master_user_policy"}},
		"policy without slug": {PolicySlugs: []string{""}},
	} {
		u.Username, u.Email, u.Purpose = "u", "u@example.org", store.PurposeUser
		_, err := b.CreateUser(t.Context(), u)
		want(t, name, err, store.ErrNotFound)
		if errors.Is(err, store.ErrConflict) || errors.Is(err, store.ErrInvalid) {
			t.Errorf("%s: ambiguous error %v", name, err)
		}
	}
	equal(t, "rows left by failures", b.userRows(), rows)
	b.user("u", "u@example.org")
}

func testCreateUserInvalid(t *testing.T, b *bench) {
	for name, u := range map[string]store.NewUser{
		"no purpose":      {},
		"unknown purpose": {User: store.User{Purpose: "robot"}},
		"long uuid":       {User: store.User{Purpose: store.PurposeUser, UUID: strings.Repeat("x", 39)}},
		"long username":   {User: store.User{Purpose: store.PurposeUser, Username: strings.Repeat("é", 257)}},
	} {
		u.Email = "u@example.org"
		_, err := b.CreateUser(t.Context(), u)
		want(t, name, err, store.ErrInvalid)
	}
	equal(t, "rows left by failures", b.userRows(), 0)
	b.user(strings.Repeat("é", 256), "")
}
