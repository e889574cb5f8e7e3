package sqlstore

import (
	"context"
	"database/sql"

	"github.com/wazo-edge/xivo-auth/authsvc/store"
)

// The order inside a part is free. This one is the same on every node and for
// every user with the same groups, so that equal grants yield equal lists.
// The base policy is the top tenant's: were it looked for in all, whoever may
// create policies in any tenant could call one so, and with "!#" in it end
// everybody's rights in all of them.
const sqlUserAccesses = `
select a.access
from (
	select 1 as part, '' as holder, base.uuid as policy
	from (
		select p.uuid
		from auth_policy p
		join auth_tenant t on t.uuid = p.tenant_uuid and t.uuid = t.parent_uuid
		where p.name = $2 and $2 <> ''
		order by p.uuid collate "C"
		limit 1
	) base
	union all
	select 2, ug.group_uuid, gp.policy_uuid
	from auth_user_group ug
	join auth_group_policy gp on gp.group_uuid = ug.group_uuid
	where ug.user_uuid = $1
	union all
	select 3, '', up.policy_uuid
	from auth_user_policy up
	where up.user_uuid = $1
) held
join auth_policy_access pa on pa.policy_uuid = held.policy
join auth_access a on a.id = pa.access_id
order by held.part, held.holder collate "C", held.policy collate "C", a.id`

const sqlTenantTree = `select uuid, parent_uuid, slug from auth_tenant`

// UserAccesses returns what the user's token is issued with. A user nobody
// knows has the base policy's accesses only. The result is never nil.
func (s *Store) UserAccesses(ctx context.Context, userUUID, basePolicy string) ([]string, error) {
	// Names no row can have match none.
	if !searchable(userUUID) {
		userUUID = ""
	}
	if !searchable(basePolicy) {
		basePolicy = ""
	}
	var accesses []string
	err := s.call(ctx, "reading accesses", read, func(ctx context.Context) (err error) {
		accesses, err = Strings(ctx, s.db, s.q.userAccesses, userUUID, basePolicy)
		return err
	})
	if err != nil {
		return nil, err
	}
	return accesses, nil
}

// TenantTree returns every tenant with its parent.
func (s *Store) TenantTree(ctx context.Context) ([]store.Tenant, error) {
	var tenants []store.Tenant
	err := s.call(ctx, "reading tenants", read, func(ctx context.Context) (err error) {
		tenants, err = collect(ctx, s.db, func(rows *sql.Rows) (t store.Tenant, err error) {
			err = rows.Scan(&t.UUID, &t.Parent, &t.Slug)
			return t, err
		}, s.q.tenantTree)
		return err
	})
	if err != nil {
		return nil, err
	}
	return tenants, nil
}
