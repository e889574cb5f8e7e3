package storetest

import (
	"fmt"
	"testing"
	"time"

	"github.com/wazo-edge/xivo-auth/authsvc/store"
)

// forest makes 2000 tenants: 50 below the top one, and 39 below each of those,
// each with a domain and an address.
func (b *bench) forest() {
	b.t.Helper()
	const numbers = `with recursive n (i) as (select 1 union all select i + 1 from n where i < 2000) `
	b.exec(`insert into auth_tenant (uuid, name, slug, parent_uuid) `+numbers+`
select 'tenant-' || i, 'Tenant ' || i, 't' || i, case when i <= 50 then cast($1 as text) else 'tenant-' || (i % 50 + 1) end from n`, b.top)
	b.exec(`insert into auth_tenant_domain (uuid, tenant_uuid, name) ` + numbers + `select 'domain-' || i, 'tenant-' || i, 't' || i || '.example.org' from n`)
	b.exec(`insert into auth_address (tenant_uuid, city) ` + numbers + `select 'tenant-' || i, 'Oslo' from n`)
}

// Bench measures what a busy node does, one call per operation unless the
// name says otherwise.
func Bench(b *testing.B, open Opener) {
	w := newBench(b, open, true)
	policies := []string{}
	for i := range 3 {
		accesses := make([]string, 20)
		for j := range accesses {
			accesses[j] = fmt.Sprintf("service%d.resource%d.#", i, j)
		}
		w.policy(w.top, fmt.Sprintf("policy%d", i), accesses...)
		policies = append(policies, fmt.Sprintf("policy%d", i))
	}
	u, err := w.CreateUser(b.Context(), store.NewUser{
		User:         store.User{Username: "user", Enabled: true, Purpose: store.PurposeUser},
		PasswordHash: "00", PasswordSalt: make([]byte, 64), Email: "user@example.org", PolicySlugs: policies,
	})
	must(b, "CreateUser", err)
	acl, err := w.UserAccesses(b.Context(), u.UUID, "")
	must(b, "UserAccesses", err)
	create := func(expires int64) string {
		id := newID()
		must2(b, "CreateToken", w.CreateToken(b.Context(), store.Session{UUID: newID(), TenantUUID: w.top},
			store.Token{UUID: id, AuthID: u.UUID, ACL: acl, Metadata: `{"purpose": "user"}`, ExpiresAt: expires}))
		return id
	}
	never := time.Now().Add(time.Hour).Unix()
	known := create(never)

	each := func(name string, f func()) {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				f()
			}
		})
		b.Run(name+"/parallel", func(b *testing.B) {
			b.ReportAllocs()
			b.RunParallel(func(pb *testing.PB) {
				for pb.Next() {
					f()
				}
			})
		})
	}
	each("Token/hit", func() { _, err := w.Token(b.Context(), known); must2(b, "Token", err) })
	each("Token/miss", func() { _, _ = w.Token(b.Context(), "00000000-0000-4000-8000-000000000000") })
	each("CredentialsByLogin", func() {
		_, err := w.CredentialsByLogin(b.Context(), "USER@example.org")
		must2(b, "CredentialsByLogin", err)
	})
	each("UserAccesses", func() { _, err := w.UserAccesses(b.Context(), u.UUID, "policy0"); must2(b, "UserAccesses", err) })
	each("CreateToken", func() { create(never) })
	each("CreateThenDelete", func() { _, err := w.DeleteToken(b.Context(), create(never)); must2(b, "DeleteToken", err) })
	w.forest()
	list := func(tenant string, want int) {
		page, err := w.ListTenants(b.Context(), store.List{Tenant: tenant, Recurse: true})
		if must2(b, "ListTenants", err); len(page.Items) != want {
			b.Errorf("%d tenants, want %d", len(page.Items), want)
		}
	}
	each("ListTenants/2001", func() { list(w.top, 2001) })
	each("ListTenants/40of2001", func() { list("tenant-7", 40) })
	each("ListTenants/1of2001", func() { list("tenant-1999", 1) })
	b.Run("Purge100", func(b *testing.B) {
		for b.Loop() {
			b.StopTimer()
			for range 100 {
				create(1)
			}
			b.StartTimer()
			_, err := w.DeleteExpiredTokens(b.Context(), 10, 100)
			must2(b, "DeleteExpiredTokens", err)
		}
	})
}
