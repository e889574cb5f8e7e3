package caddymodule

import (
	"context"
	"database/sql"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/wazo-edge/xivo-auth/authsvc/grant"
	"github.com/wazo-edge/xivo-auth/authsvc/store"
	"github.com/wazo-edge/xivo-auth/authsvc/store/sqlite"
	"github.com/wazo-edge/xivo-auth/authsvc/users"
)

// mint puts a token in the database that nobody asked for.
func (n *node) mint(who store.User, acl ...string) string {
	n.t.Helper()
	return mint(n.t, n.db, who, time.Now().Add(time.Hour), acl...)
}

func mint(t testing.TB, db string, who store.User, expires time.Time, acl ...string) string {
	t.Helper()
	st, err := sqlite.Open(db, store.Options{MaxConns: 1})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = st.Close() }()
	return mintIn(t, st, who, expires, acl...)
}

func mintIn(t testing.TB, st store.Store, who store.User, expires time.Time, acl ...string) string {
	t.Helper()
	pbx := ""
	if who.Purpose == store.PurposeUser {
		pbx = who.UUID
	}
	token, session := uuid.NewString(), uuid.NewString()
	err := st.CreateToken(context.Background(), store.Session{UUID: session, TenantUUID: who.TenantUUID}, store.Token{
		UUID: token, AuthID: who.UUID, PBXUserUUID: pbx, IssuedAt: time.Now().Unix(), ExpiresAt: expires.Unix(),
		Metadata:    grant.Metadata(who.UUID, who.TenantUUID, pbx, "", who.Purpose),
		SessionUUID: session, ACL: acl, UserTenant: who.TenantUUID,
	})
	if err != nil {
		t.Fatal(err)
	}
	return token
}

// people are the accounts of every test's database, made once since hashing
// their password is slow.
type people struct {
	file  string
	admin store.User // of purpose internal, may do everything
	alice store.User // an ordinary user of the top tenant
	bob   store.User // one of the tenant below
	below string     // that tenant's uuid
}

const (
	adminPassword = "admin-s3cret-5f1c" // for those who are created in a test
	alicePassword = "alice-s3cret-77aa" // of everybody in the world
)

var world = sync.OnceValues(func() (people, error) {
	var p people
	ctx := context.Background()
	p.file = filepath.Join(os.Getenv("XDG_DATA_HOME"), "world.db")
	st, err := sqlite.Open(p.file, store.Options{MaxConns: 1})
	if err != nil {
		return p, err
	}
	defer func() { _ = st.Close() }()
	if _, err := st.Migrate(ctx); err != nil {
		return p, err
	}
	svc := usersOn(st)
	if _, err := svc.FirstStart(ctx, "admin", alicePassword); err != nil {
		return p, err
	}
	if p.admin, err = st.UserByName(ctx, "admin"); err != nil {
		return p, err
	}
	if p.alice, err = svc.Create(ctx, users.New{Username: "alice", Password: alicePassword}); err != nil {
		return p, err
	}
	// There is no API for tenants yet.
	p.below = uuid.NewString()
	db, err := sql.Open("sqlite", p.file)
	if err != nil {
		return p, err
	}
	defer func() { _ = db.Close() }()
	if _, err = db.ExecContext(ctx, `insert into auth_tenant (uuid, name, slug, parent_uuid) values (?1, 'below', 'below', ?2)`,
		p.below, p.admin.TenantUUID); err != nil {
		return p, err
	}
	p.bob = store.User{UUID: uuid.NewString(), Username: "bob", TenantUUID: p.below, Purpose: store.PurposeUser}
	_, err = db.ExecContext(ctx, `insert into auth_user (uuid, username, tenant_uuid, purpose, authentication_method, enabled)
		values (?1, 'bob', ?2, 'user', 'default', 1)`, p.bob.UUID, p.below)
	return p, err
})

func theWorld(t testing.TB) people {
	t.Helper()
	p, err := world()
	if err != nil {
		t.Fatal(err)
	}
	return p
}
