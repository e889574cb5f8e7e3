package storetest

import (
	"testing"

	"github.com/wazo-edge/xivo-auth/authsvc/store"
)

var groupCases = map[string]func(*testing.T, *bench){
	"Group/ByUUID": testGroupByUUID,
}

func testGroupByUUID(t *testing.T, b *bench) {
	tenant := b.tenant("acme", b.top)
	id := newID()
	b.exec(`insert into auth_group (uuid, name, slug, tenant_uuid) values ($1, 'Sales', 'sales', $2)`, id, tenant)
	got, err := b.GroupByUUID(t.Context(), id)
	want(t, "GroupByUUID", err, nil)
	equal(t, "group", got, store.Group{UUID: id, TenantUUID: tenant, Name: "Sales", Slug: "sales"})

	all := b.text(`select uuid from auth_group where tenant_uuid = $1 and uuid <> $2`, tenant, id)
	b.exec(`update auth_group set system_managed = true where uuid = $1`, all)
	got, err = b.GroupByUUID(t.Context(), all)
	want(t, "GroupByUUID", err, nil)
	equal(t, "all users", got, store.Group{UUID: all, TenantUUID: tenant, Name: "wazo-all-users-tenant-" + tenant, Slug: "wazo-all-users-tenant-" + tenant, SystemManaged: true})

	for _, id := range append([]string{"", newID()}, unsearchable...) {
		_, err := b.GroupByUUID(t.Context(), id)
		want(t, "nobody", err, store.ErrNotFound)
	}
}
