package sqlstore

import (
	"context"

	"github.com/wazo-edge/xivo-auth/authsvc/store"
)

const groupColumns = `g.uuid, g.tenant_uuid, g.name, g.slug, g.system_managed`

func scanGroup(row scanner) (g store.Group, err error) {
	err = row.Scan(&g.UUID, &g.TenantUUID, &g.Name, &g.Slug, &g.SystemManaged)
	return g, err
}

const sqlGroupByUUID = `select ` + groupColumns + ` from auth_group g where g.uuid = $1`

// GroupByUUID implements [store.Groups].
func (s *Store) GroupByUUID(ctx context.Context, uuid string) (g store.Group, err error) {
	return one(ctx, s, "reading a group", scanGroup, sqlGroupByUUID, uuid)
}
