package sqlstore

import (
	"context"
	"database/sql"
	"fmt"
	"slices"
	"strings"

	"github.com/google/uuid"

	"github.com/wazo-edge/xivo-auth/authsvc/store"
)

// Revision is the one this version works with, as the historical migrations
// name it.
const Revision = "1c862ebfbb3a"

const versionTable = "alembic_version_auth"

// tables are the service's tables, without the one that holds the revision.
var tables = []string{
	"auth_access", "auth_address", "auth_email", "auth_external_auth_config", "auth_external_auth_type",
	"auth_group", "auth_group_policy", "auth_ldap_config", "auth_policy", "auth_policy_access",
	"auth_refresh_token", "auth_saml_config", "auth_saml_pysaml2_cache", "auth_saml_session", "auth_session",
	"auth_tenant", "auth_tenant_domain", "auth_token", "auth_user", "auth_user_external_auth",
	"auth_user_group", "auth_user_policy",
}

const sqlRevision = `select version_num from alembic_version_auth order by version_num`

// masterPolicyDescription tells operators what reads it in a list of policies.
const masterPolicyDescription = `Grants every access to whoever holds it, in every tenant.
The system relies on it for the users it creates itself:
please leave this policy as it is and make your own instead.`

// The rows of a new database. Dialects leave the sequence of auth_access as
// the historical seed did: the next access gets number 4.
const (
	sqlSeedAccess = `insert into auth_access (id, access) values (1, '#')`

	sqlSeedTenant = `insert into auth_tenant (uuid, name, slug, parent_uuid) values ($1, 'master', 'master', $1)`

	sqlSeedGroup = `insert into auth_group (uuid, name, slug, tenant_uuid, system_managed)
select $1, 'wazo-all-users-tenant-' || uuid, 'wazo-all-users-tenant-' || uuid, uuid, true
from auth_tenant`

	sqlSeedPolicy = `insert into auth_policy (uuid, name, slug, tenant_uuid, description, config_managed, shared)
select $1, 'wazo_default_master_user_policy', 'wazo_default_master_user_policy', uuid, $2, false, false
from auth_tenant`

	sqlSeedPolicyAccess = `insert into auth_policy_access (policy_uuid, access_id) values ($1, 1)`

	sqlSeedRevision = `insert into alembic_version_auth (version_num) values ($1)`
)

// State tells whether the tables exist at the revision this version works
// with. Tables of others in the same database do not matter.
func (s *Store) State(ctx context.Context) (store.SchemaState, error) {
	var state store.SchemaState
	err := s.call(ctx, "inspecting the schema", read, func(ctx context.Context) (err error) {
		state, err = s.state(ctx, s.db)
		return err
	})
	return state, err
}

// Migrate creates tables and first rows in a database without any, in one
// transaction; several processes may try at once and one of them does it.
func (s *Store) Migrate(ctx context.Context) (created bool, err error) {
	err = s.call(ctx, "migrating", migrate, func(ctx context.Context) error {
		created = false
		return InTx(ctx, s.db, func(tx *sql.Tx) error {
			if lock := s.dialect.LockSchema(); lock != "" {
				if _, err := tx.ExecContext(ctx, lock); err != nil {
					return err
				}
			}
			state, err := s.state(ctx, tx)
			if err != nil || state == store.SchemaCurrent {
				return err
			}
			if err := s.dialect.CreateTables(ctx, tx); err != nil {
				return err
			}
			created = true
			return s.seed(ctx, tx)
		})
	})
	return created && err == nil, err
}

func (s *Store) seed(ctx context.Context, tx *sql.Tx) error {
	var ids [3]string
	for i := range ids {
		id, err := uuid.NewRandom()
		if err != nil {
			return err
		}
		ids[i] = id.String()
	}
	tenant, group, policy := ids[0], ids[1], ids[2]
	for _, row := range []struct {
		sql  string
		args []any
	}{
		{sqlSeedAccess, nil},
		{sqlSeedTenant, []any{tenant}},
		{sqlSeedGroup, []any{group}},
		{sqlSeedPolicy, []any{policy, masterPolicyDescription}},
		{sqlSeedPolicyAccess, []any{policy}},
		{sqlSeedRevision, []any{Revision}},
	} {
		if _, err := tx.ExecContext(ctx, s.dialect.Rebind(row.sql), row.args...); err != nil {
			return err
		}
	}
	return nil
}

// state inspects the database through q, without changing anything.
func (s *Store) state(ctx context.Context, q Queryer) (store.SchemaState, error) {
	known := append([]string{versionTable}, tables...)
	found, err := Strings(ctx, q, s.q.listTables, s.dialect.List(known))
	if err != nil {
		return store.SchemaEmpty, err
	}
	if len(found) == 0 {
		return store.SchemaEmpty, nil
	}
	if !slices.Contains(found, versionTable) {
		slices.Sort(found)
		return store.SchemaEmpty, fmt.Errorf("%w: found %s but no %s: these tables were not made by this service "+
			"or only in part; give it a database (or search_path) without them", store.ErrSchema, strings.Join(found, ", "), versionTable)
	}
	revisions, err := Strings(ctx, q, s.q.revision)
	if err != nil {
		return store.SchemaEmpty, err
	}
	if len(revisions) != 1 || revisions[0] != Revision {
		return store.SchemaEmpty, wrongRevision(revisions)
	}
	var missing []string
	for _, table := range tables {
		if !slices.Contains(found, table) {
			missing = append(missing, table)
		}
	}
	if missing != nil {
		return store.SchemaEmpty, fmt.Errorf("%w: revision %s but no table %s: restore a complete backup "+
			"(or correct the search_path)", store.ErrSchema, Revision, strings.Join(missing, ", "))
	}
	return store.SchemaCurrent, nil
}

// wrongRevision says what was found and what to do about it.
func wrongRevision(revisions []string) error {
	found := "no revision at all"
	if len(revisions) > 0 {
		found = "revision " + strings.Join(revisions, ", ")
	}
	return fmt.Errorf("%w: found %s in %s, need %s: a database of an older release is upgraded by that release's "+
		"own tools (up to 25.14 or later), one of the 2017 xivo-auth is not upgraded but replaced by a new database; "+
		"nothing was changed", store.ErrSchema, found, versionTable, Revision)
}
