package postgres_test

import (
	"errors"
	"os"
	"strconv"
	"testing"

	"github.com/wazo-edge/xivo-auth/authsvc/store"
	"github.com/wazo-edge/xivo-auth/authsvc/store/storetest"
)

// id is the n-th uuid of a kind (its first digit) in testdata/reference.sql.
func id(kind, n int) string {
	return strconv.Itoa(kind) + "0000000-0000-4000-8000-0000000000" + string([]byte{'0' + byte(n/10), '0' + byte(n%10)})
}

const (
	tenants = 1
	users   = 4
	session = 6
	token   = 8
)

func reference(t *testing.T) storetest.Fixture {
	t.Helper()
	f := open(t, store.Options{})
	if _, err := f.Store.Migrate(t.Context()); err != nil {
		t.Fatal(err)
	}
	rows, err := os.ReadFile("testdata/reference.sql")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := f.DB.ExecContext(t.Context(), string(rows)); err != nil {
		t.Fatal(err)
	}
	return f
}

func check[T any](t *testing.T, what string, got T, err error, ok bool) {
	t.Helper()
	if err != nil || !ok {
		t.Errorf("%s: %+v, %v", what, got, err)
	}
}

// TestReferenceDatabase works on rows as the Python service leaves them.
func TestReferenceDatabase(t *testing.T) {
	t.Parallel()
	f := reference(t)
	s, ctx := f.Store, t.Context()
	before := describe(t, f.DB) + rows(t, f.DB)

	state, err := s.State(ctx)
	check(t, "State", state, err, state == store.SchemaCurrent)
	created, err := s.Migrate(ctx)
	check(t, "Migrate", created, err, !created)
	if after := describe(t, f.DB) + rows(t, f.DB); after != before {
		t.Error("Migrate changed a database that was current")
	}

	tree, err := s.TenantTree(ctx)
	check(t, "TenantTree", tree, err, len(tree) == 3)
	for _, tenant := range tree {
		if (tenant.UUID == tenant.Parent) != (tenant.UUID == id(tenants, 1)) {
			t.Errorf("tenant %+v", tenant)
		}
	}

	for login, want := range map[string]store.Credentials{
		"WAZO-auth-cli":        {User: store.User{UUID: id(users, 1), Method: "native"}, EffectiveMethod: "native", PasswordHash: "878c7e9b", PasswordSalt: []byte{0, 1, 2, 0xff}},
		"éLODIE":               {User: store.User{UUID: id(users, 3), Method: "default"}, EffectiveMethod: "ldap"},
		"elodie@ACME.example":  {User: store.User{UUID: id(users, 3), Method: "default"}, EffectiveMethod: "ldap"},
		"api@b0x.example":      {User: store.User{UUID: id(users, 4), Method: "default"}, EffectiveMethod: "native", PasswordHash: "bb", PasswordSalt: []byte{1}},
		"pending@acme.example": {},
		"older":                {},
	} {
		got, err := s.CredentialsByLogin(ctx, login)
		if want.UUID == "" {
			check(t, login, got, nil, errors.Is(err, store.ErrNotFound))
			continue
		}
		check(t, login, got, err, got.UUID == want.UUID && got.Method == want.Method && got.Enabled &&
			got.EffectiveMethod == want.EffectiveMethod && got.PasswordHash == want.PasswordHash &&
			string(got.PasswordSalt) == string(want.PasswordSalt))
	}
	older, err := s.UserByName(ctx, "OLDER")
	check(t, "UserByName", older, err, older.UUID == id(users, 2) && !older.Enabled && older.FirstName == nil)
	list, err := s.ListUsers(ctx)
	check(t, "ListUsers", list, err, len(list) == 4 && list[0].UUID == id(users, 2) && list[3].UUID == id(users, 4))

	// Default policy; groups: the tenant's users, administrators, support; own.
	accesses, err := s.UserAccesses(ctx, id(users, 3), "wazo_default_user_policy")
	check(t, "UserAccesses", accesses, err, len(accesses) == 9 &&
		accesses[0] == "confd.users.me.read" && accesses[1] == "calld.users.me.calls.#" &&
		accesses[7] == "confd.users.me.read" && accesses[8] == "calld.users.me.calls.#")
}

// TestReferenceTokens reads, ends and adds tokens beside those of the Python
// service.
func TestReferenceTokens(t *testing.T) {
	t.Parallel()
	f := reference(t)
	s, ctx := f.Store, t.Context()

	tok, err := s.Token(ctx, id(token, 1))
	check(t, "offline token", tok, err, tok.UserTenant == id(tenants, 2) && tok.ExpiresAt == 2000007200 && len(tok.ACL) == 3 &&
		tok.ACL[1] == "dird.directories.search.{profile}.read" && tok.SessionUUID == id(session, 1) && tok.UserAgent == "Dart/2.1 (dart:io)")
	tok, err = s.Token(ctx, id(token, 2))
	check(t, "token of a deleted user", tok, err, tok.UserTenant == "" && tok.ACL != nil && len(tok.ACL) == 0)
	tok, err = s.Token(ctx, id(token, 6))
	check(t, "token of nulls", tok, err, tok.ExpiresAt == 0 && tok.UserAgent == "" && len(tok.ACL) == 1 && tok.ACL[0] == "#")

	ended, err := s.DeleteExpiredTokens(ctx, 1700000000, 2)
	check(t, "purge", ended, err, len(ended) == 2 && ended[0].UUID == id(token, 4) && ended[1].UUID == id(token, 3))
	ended, err = s.DeleteExpiredTokens(ctx, 1700000000, 2)
	check(t, "purge again", ended, err, len(ended) == 1 && ended[0].AuthID == "wazo-auth" && ended[0].SessionTenant == id(tenants, 2))

	u, err := s.CreateUser(ctx, store.NewUser{
		User:        store.User{Username: "new", TenantUUID: id(tenants, 3), Purpose: store.PurposeUser, Enabled: true},
		PolicySlugs: []string{"wazo_default_admin_policy"},
	})
	check(t, "CreateUser", u, err, u.TenantUUID == id(tenants, 3))
	accesses, err := s.UserAccesses(ctx, u.UUID, "")
	check(t, "its accesses", accesses, err, len(accesses) == 1 && accesses[0] == "auth.#")
	_, err = s.CreateUser(ctx, store.NewUser{User: store.User{Username: "ELODIE@acme.example", Purpose: store.PurposeUser}})
	check(t, "a taken address", "", nil, errors.Is(err, store.ErrConflict))

	err = s.CreateToken(ctx, store.Session{UUID: id(session, 9), TenantUUID: id(tenants, 3)},
		store.Token{UUID: id(token, 9), AuthID: id(users, 3), IssuedAt: 2000000001, ExpiresAt: 2000000002, ACL: []string{"a"}})
	check(t, "CreateToken", "", err, true)
	ended, err = s.DeleteUserSessions(ctx, id(users, 3))
	check(t, "DeleteUserSessions", ended, err, len(ended) == 2 && ended[0].UUID == id(token, 1) && ended[1].UUID == id(token, 9) &&
		ended[1].SessionTenant == id(tenants, 3))
	var refresh int
	if err := f.DB.QueryRowContext(ctx, `select count(*) from auth_refresh_token`).Scan(&refresh); err != nil || refresh != 1 {
		t.Errorf("refresh tokens: %d, %v; they outlive sessions", refresh, err)
	}
}

// schema2017 is the database of xivo-auth 17.04, in the same database and
// with the same version table.
const schema2017 = `
create extension "uuid-ossp";
create table alembic_version_auth (version_num varchar(32) not null);
insert into alembic_version_auth values ('2c1a43889d04');
create table auth_policy (uuid varchar(38) primary key default uuid_generate_v4(), name varchar(80) not null unique, description text);
create table auth_acl_template (id serial primary key, template text not null unique);
create table auth_policy_template (
	policy_uuid varchar(38) references auth_policy on delete cascade,
	template_id integer references auth_acl_template on delete cascade,
	primary key (policy_uuid, template_id));
create table auth_token (
	uuid varchar(38) primary key default uuid_generate_v4(), auth_id text not null,
	user_uuid varchar(38), xivo_uuid varchar(38), issued_t integer, expire_t integer);
create table auth_acl (id serial primary key, value text not null, token_uuid varchar(38) references auth_token on delete cascade);
insert into auth_policy (name) values ('wazo_default_user_policy');
insert into auth_token (auth_id, issued_t, expire_t) values ('someone', 1, 2);
insert into auth_acl (value, token_uuid) select 'confd.#', uuid from auth_token;`

func TestForeignSchemasAreLeftAlone(t *testing.T) {
	t.Parallel()
	for name, ddl := range map[string]string{
		"2017":           schema2017,
		"older revision": schema2017 + `update alembic_version_auth set version_num = 'bc01e1bcd163'`,
		"no revision":    schema2017 + `delete from alembic_version_auth`,
		"no version":     schema2017 + `drop table alembic_version_auth`,
		"a view":         `create view auth_tenant as select 1 as uuid`,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f := open(t, store.Options{})
			if _, err := f.DB.ExecContext(t.Context(), ddl); err != nil {
				t.Fatal(err)
			}
			before := describe(t, f.DB) + rows(t, f.DB)
			if _, err := f.Store.State(t.Context()); !errors.Is(err, store.ErrSchema) {
				t.Errorf("State: %v", err)
			}
			if created, err := f.Store.Migrate(t.Context()); created || !errors.Is(err, store.ErrSchema) {
				t.Errorf("Migrate: %v, %v", created, err)
			}
			if after := describe(t, f.DB) + rows(t, f.DB); after != before {
				t.Errorf("changed:\n%s\nto\n%s", before, after)
			}
		})
	}
}
