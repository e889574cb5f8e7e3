package storetest

import (
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/wazo-edge/xivo-auth/authsvc/store"
)

// Cases whose names begin with Schema/ get a database without tables.
var schemaCases = map[string]func(*testing.T, *bench){
	"Schema/Migrate":        testMigrate,
	"Schema/MigrateAtOnce":  testMigrateAtOnce,
	"Schema/Empty":          testSchemaEmpty,
	"Schema/Others":         testSchemaOthers,
	"Schema/OldRevision":    testSchemaOldRevision,
	"Schema/NoRevision":     testSchemaNoRevision,
	"Schema/TwoRevisions":   testSchemaTwoRevisions,
	"Schema/TableMissing":   testSchemaTableMissing,
	"Schema/TableByItself":  testSchemaTableByItself,
	"Schema/BeforeMigrate":  testBeforeMigrate,
	"Schema/SeededRows":     testSeededRows,
	"Schema/NextAccessID":   testNextAccessID,
	"Schema/DeleteCascades": testDeleteCascades,
}

func (b *bench) state(want store.SchemaState) {
	b.t.Helper()
	got, err := b.State(b.t.Context())
	if err != nil || got != want {
		b.t.Errorf("State = %v, %v; want %v", got, err, want)
	}
}

// refuses checks that State and Migrate fail with ErrSchema, naming each of
// the words, and that Migrate adds no table.
func (b *bench) refuses(words ...string) {
	b.t.Helper()
	_, err := b.State(b.t.Context())
	want(b.t, "State", err, store.ErrSchema)
	for _, word := range words {
		if err != nil && !strings.Contains(err.Error(), word) {
			b.t.Errorf("State: the error does not say %q: %v", word, err)
		}
	}
	created, err := b.Migrate(b.t.Context())
	want(b.t, "Migrate", err, store.ErrSchema)
	if created {
		b.t.Error("Migrate reports that it created the schema")
	}
	if _, err := b.DB.ExecContext(b.t.Context(), `select 1 from auth_saml_pysaml2_cache`); err == nil {
		b.t.Error("Migrate left tables behind")
	}
}

func testMigrate(t *testing.T, b *bench) {
	b.state(store.SchemaEmpty)
	for i, first := range []bool{true, false, false} {
		created, err := b.Migrate(t.Context())
		if err != nil || created != first {
			t.Errorf("Migrate, time %d = %v, %v; want %v", i+1, created, err, first)
		}
		b.state(store.SchemaCurrent)
	}
	equal(t, "revision", b.text(`select version_num from alembic_version_auth`), "1c862ebfbb3a")
	must(t, "Ping", b.Ping(t.Context()))
}

func testMigrateAtOnce(t *testing.T, b *bench) {
	const openers = 6
	var (
		wg      sync.WaitGroup
		created [openers]bool
	)
	for i := range openers {
		f := b.reopen(store.Options{Timeout: patience})
		wg.Go(func() {
			var err error
			if created[i], err = f.Store.Migrate(t.Context()); err != nil {
				t.Errorf("Migrate: %v", err)
			}
			if state, err := f.Store.State(t.Context()); err != nil || state != store.SchemaCurrent {
				t.Errorf("State = %v, %v", state, err)
			}
		})
	}
	wg.Wait()
	n := 0
	for _, c := range created {
		if c {
			n++
		}
	}
	equal(t, "stores that created the schema", n, 1)
	equal(t, "tenants", b.count(`select count(*) from auth_tenant`), 1)
}

func testSchemaEmpty(t *testing.T, b *bench) {
	b.state(store.SchemaEmpty)
	must(t, "Ping", b.Ping(t.Context()))
}

// The database of the stack holds many tables of other services.
func testSchemaOthers(t *testing.T, b *bench) {
	b.exec(`create table userfeatures (id integer primary key, uuid varchar(38))`)
	b.exec(`create table alembic_version (version_num varchar(32))`)
	b.exec(`insert into alembic_version values ('0123456789ab')`)
	b.state(store.SchemaEmpty)
	if created, err := b.Migrate(t.Context()); err != nil || !created {
		t.Errorf("Migrate = %v, %v", created, err)
	}
	b.state(store.SchemaCurrent)
	equal(t, "others' revision", b.text(`select version_num from alembic_version`), "0123456789ab")
}

// The 2017 schema has the same version table and a table auth_token of its
// own shape. Nothing of it may change.
func testSchemaOldRevision(_ *testing.T, b *bench) {
	b.exec(`create table alembic_version_auth (version_num varchar(32) not null)`)
	b.exec(`insert into alembic_version_auth values ('2c1a43889d04')`)
	b.exec(`create table auth_token (uuid varchar(38) primary key, auth_id text not null, user_uuid varchar(38))`)
	b.exec(`insert into auth_token values ('t', 'a', 'u')`)
	b.refuses("2c1a43889d04", "1c862ebfbb3a", "2017")
	equal(b.t, "its token", b.text(`select auth_id from auth_token where user_uuid = 'u'`), "a")
	equal(b.t, "its revision", b.text(`select version_num from alembic_version_auth`), "2c1a43889d04")
}

func testSchemaNoRevision(_ *testing.T, b *bench) {
	b.exec(`create table alembic_version_auth (version_num varchar(32) not null)`)
	b.refuses("no revision", "1c862ebfbb3a")
}

func testSchemaTwoRevisions(_ *testing.T, b *bench) {
	b.exec(`create table alembic_version_auth (version_num varchar(32) not null)`)
	b.exec(`insert into alembic_version_auth values ('1c862ebfbb3a'), ('2c1a43889d04')`)
	b.refuses("1c862ebfbb3a, 2c1a43889d04")
}

func testSchemaTableMissing(_ *testing.T, b *bench) {
	b.exec(`create table alembic_version_auth (version_num varchar(32) not null)`)
	b.exec(`insert into alembic_version_auth values ('1c862ebfbb3a')`)
	b.refuses("auth_token")
}

func testSchemaTableByItself(_ *testing.T, b *bench) {
	b.exec(`create table auth_tenant (uuid varchar(38) primary key)`)
	b.refuses("auth_tenant", "alembic_version_auth")
}

// Asking a database without tables is an operator's mistake, not a missing
// row: "no such token" would lock everybody out silently.
func testBeforeMigrate(t *testing.T, b *bench) {
	needNone := []string{"State", "Migrate", "Ping", "Clock", "RemoveLog", "RemoveIndexes", "MissingIndexes"}
	for _, c := range calls {
		if slices.Contains(needNone, c.method) {
			continue
		}
		want(t, c.method, c.call(t.Context(), b), store.ErrSchema)
	}
}

func testSeededRows(t *testing.T, b *bench) {
	_, err := b.Migrate(t.Context())
	must(t, "Migrate", err)
	tree, err := b.TenantTree(t.Context())
	must(t, "TenantTree", err)
	if len(tree) != 1 || tree[0].UUID != tree[0].Parent || len(tree[0].UUID) != 36 {
		t.Fatalf("TenantTree = %+v, want one tenant that is its own parent", tree)
	}
	top := tree[0].UUID
	for what, query := range map[string]string{
		"tenant": `select count(*) from auth_tenant where uuid = $1 and name = 'master' and slug = 'master'
	and default_authentication_method = 'native' and phone is null and contact_uuid is null`,
		"group": `select count(*) from auth_group where tenant_uuid = $1 and name = 'wazo-all-users-tenant-' || tenant_uuid
	and slug = name and system_managed`,
		"policy": `select count(*) from auth_policy where tenant_uuid = $1 and name = 'wazo_default_master_user_policy'
	and slug = name and not config_managed and not shared and length(description) > 20`,
		"access": `select count(*) from auth_access a join auth_policy_access pa on pa.access_id = a.id
	join auth_policy p on p.uuid = pa.policy_uuid where p.tenant_uuid = $1 and a.id = 1 and a.access = '#'`,
	} {
		equal(t, what, b.count(query, top), 1)
	}
	for table, rows := range map[string]int{
		"auth_access": 1, "auth_group": 1, "auth_policy": 1, "auth_policy_access": 1, "auth_tenant": 1,
		"auth_user": 0, "auth_address": 0, "auth_tenant_domain": 0, "auth_token": 0, "auth_user_group": 0,
	} {
		equal(t, "rows of "+table, b.count(`select count(*) from `+table), rows)
	}
	has, err := b.HasUsers(t.Context())
	if has || err != nil {
		t.Errorf("HasUsers = %v, %v", has, err)
	}
}

func testNextAccessID(t *testing.T, b *bench) {
	_, err := b.Migrate(t.Context())
	must(t, "Migrate", err)
	b.exec(`insert into auth_access (access) values ('next')`)
	equal(t, "next id after the seed", b.count(`select id from auth_access where access = 'next'`), 4)
}

// What goes with a row is the schema's doing, in every store.
func testDeleteCascades(t *testing.T, b *bench) {
	_, err := b.Migrate(t.Context())
	must(t, "Migrate", err)
	b.top = b.text(`select uuid from auth_tenant`)
	tenant := b.tenant("sub", b.top)
	u, err := b.CreateUser(t.Context(), store.NewUser{
		User:  store.User{Username: "u", TenantUUID: tenant, Purpose: store.PurposeUser},
		Email: "u@example.org", PolicySlugs: []string{"wazo_default_master_user_policy"},
	})
	must(t, "CreateUser", err)
	b.exec(`update auth_tenant set contact_uuid = $1 where uuid = $2`, u.UUID, b.top)
	b.exec(`insert into auth_refresh_token (uuid, client_id, user_uuid) values ('r', 'c', $1)`, u.UUID)
	tok := b.token(u.UUID, 1)
	b.exec(`update auth_token set refresh_token_uuid = 'r' where uuid = $1`, tok.UUID)

	b.exec(`delete from auth_tenant where uuid = $1`, tenant)
	for _, table := range []string{"auth_user", "auth_email", "auth_user_group", "auth_user_policy", "auth_refresh_token"} {
		equal(t, "rows of "+table, b.count(`select count(*) from `+table), 0)
	}
	equal(t, "groups", b.count(`select count(*) from auth_group`), 1)
	equal(t, "contacts", b.count(`select count(contact_uuid) from auth_tenant`), 0)
	equal(t, "tokens, which outlive their user, without refresh token",
		b.count(`select count(*) from auth_token where refresh_token_uuid is null`), 1)
	b.exec(`delete from auth_session where uuid = $1`, tok.SessionUUID)
	equal(t, "tokens", b.count(`select count(*) from auth_token`), 0)
}
