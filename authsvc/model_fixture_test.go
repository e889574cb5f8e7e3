package authsvc_test

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/wazo-edge/xivo-auth/authsvc/password"
	"github.com/wazo-edge/xivo-auth/authsvc/store"
	"github.com/wazo-edge/xivo-auth/authsvc/store/postgres"
	"github.com/wazo-edge/xivo-auth/authsvc/store/sqlite"
	"github.com/wazo-edge/xivo-auth/authsvc/store/sqlstore"
	"github.com/wazo-edge/xivo-auth/authsvc/users"
	"github.com/wazo-edge/xivo-auth/internal/pgtest"
)

const (
	modelLimit    = 5
	modelPassword = "first"
	modelAccess   = "calld.calls.read" // what a token of anybody allows
	modelNoAccess = "confd.users.read" // and what only an administrator's does
	modelPolicy   = "model-user"
	tenYears      = 315_360_000
)

// modelOptions opens stores that wait rather than fail on a busy machine.
var modelOptions = store.Options{Timeout: time.Minute, MaxConns: 8}

// furniture is what stands in the database before a sequence begins.
type furniture struct {
	top, acme, child, other string
	users                   []modelUser // the administrators of top and acme first
}

// furnish makes the schema, four tenants and their users.
func furnish(ctx context.Context, st *sqlstore.Store) (f furniture, err error) {
	if _, err := st.Migrate(ctx); err != nil {
		return f, err
	}
	exec := func(query string, args ...any) {
		if err == nil {
			_, err = st.DB().ExecContext(ctx, st.Rebind(query), args...)
		}
	}
	if err := st.DB().QueryRowContext(ctx, `select uuid from auth_tenant where uuid = parent_uuid`).Scan(&f.top); err != nil {
		return f, err
	}
	tenant := func(name, parent string) string {
		id := uuid.NewString()
		exec(`insert into auth_tenant (uuid, name, slug, parent_uuid) values ($1, $2, $3, $4)`, id, name, name, parent)
		group := "wazo-all-users-tenant-" + id
		exec(`insert into auth_group (uuid, name, slug, tenant_uuid, system_managed) values ($1, $2, $3, $4, true)`, uuid.NewString(), group, group, id)
		return id
	}
	f.acme, f.other = tenant("acme", f.top), tenant("other", f.top)
	f.child = tenant("child", f.acme)
	policy := uuid.NewString()
	exec(`insert into auth_policy (uuid, name, slug, tenant_uuid) values ($1, $2, $3, $4)`, policy, modelPolicy, modelPolicy, f.top)
	for _, access := range []string{"calld.#", "auth.users.me.#"} {
		exec(`insert into auth_access (access) values ($1) on conflict do nothing`, access)
		exec(`insert into auth_policy_access (policy_uuid, access_id) select $1, id from auth_access where access = $2`, policy, access)
	}
	if err != nil {
		return f, err
	}
	for _, u := range []modelUser{
		{name: "root", tenant: f.top, purpose: store.PurposeInternal, admin: true},
		{name: "boss", tenant: f.acme, purpose: store.PurposeInternal, admin: true},
		{name: "alice", tenant: f.acme, purpose: store.PurposeUser},
		{name: "kid", tenant: f.child, purpose: store.PurposeUser},
		{name: "stranger", tenant: f.other, purpose: store.PurposeExternalAPI},
		{name: "robot", tenant: f.acme, purpose: store.PurposeInternal},
	} {
		u.enabled, u.password = true, modelPassword
		if u.uuid, err = createUser(ctx, st, u); err != nil {
			return f, err
		}
		f.users = append(f.users, u)
	}
	return f, nil
}

// modelHash is what modelPassword hashes to.
var modelHash = sync.OnceValues(func() (h struct {
	hash string
	salt []byte
}, err error,
) {
	h.hash, h.salt, err = password.Hash(modelPassword)
	return h, err
})

func createUser(ctx context.Context, st *sqlstore.Store, u modelUser) (string, error) {
	h, err := modelHash()
	if err != nil {
		return "", err
	}
	policy := modelPolicy
	if u.admin {
		policy = users.MasterPolicy
	}
	created, err := st.CreateUser(ctx, store.NewUser{
		User:         store.User{Username: u.name, Enabled: true, TenantUUID: u.tenant, Purpose: u.purpose, Method: store.MethodDefault},
		PasswordHash: h.hash, PasswordSalt: h.salt, PolicySlugs: []string{policy},
	})
	return created.UUID, err
}

// furnished is a SQLite file that furnish was at, to be copied.
var furnished = sync.OnceValues(func() (t struct {
	furniture
	file []byte
}, err error,
) {
	dir, err := os.MkdirTemp("", "xivo-auth-model")
	if err != nil {
		return t, err
	}
	defer os.RemoveAll(dir)
	path := filepath.Join(dir, "auth.db")
	st, err := sqlite.Open(path, modelOptions)
	if err != nil {
		return t, err
	}
	t.furniture, err = furnish(context.Background(), st)
	if err := errors.Join(err, st.Close()); err != nil {
		return t, err
	}
	t.file, err = os.ReadFile(path)
	return t, err
})

// openFurnished opens a copy of it.
func openFurnished(dir string) (*sqlstore.Store, furniture, error) {
	t, err := furnished()
	if err != nil {
		return nil, furniture{}, err
	}
	path := filepath.Join(dir, uuid.NewString()+".db")
	if err := os.WriteFile(path, t.file, 0o600); err != nil {
		return nil, furniture{}, err
	}
	st, err := sqlite.Open(path, modelOptions)
	return st, t.furniture, err
}

// sqliteWorld is a world in a directory of the test's.
func sqliteWorld(t testing.TB, hashing bool, limit int) (*world, error) {
	st, f, err := openFurnished(t.TempDir())
	if err != nil {
		return nil, err
	}
	return newWorld(t.Context(), st, f, hashing, limit)
}

// postgresWorld is one in a database of its own.
func postgresWorld(t testing.TB, limit int) (*world, error) {
	st, err := postgres.Open(pgtest.DSN(t), modelOptions)
	if err != nil {
		return nil, err
	}
	f, err := furnish(t.Context(), st)
	if err != nil {
		_ = st.Close()
		return nil, err
	}
	return newWorld(t.Context(), st, f, false, limit)
}
