package sqlstore

import (
	"context"
	"database/sql"
	"errors"

	"github.com/wazo-edge/xivo-auth/authsvc/store"
)

const (
	sqlLDAPConfig = `
select c.tenant_uuid, c.host, c.port, c.protocol_version, c.protocol_security, c.bind_dn, c.bind_password,
	c.user_base_dn, c.user_login_attribute, c.user_email_attribute, c.search_filters
from auth_ldap_config c where c.tenant_uuid = $1`

	sqlInsertLDAPConfig = `
insert into auth_ldap_config (tenant_uuid, host, port, protocol_version, protocol_security, bind_dn, bind_password,
	user_base_dn, user_login_attribute, user_email_attribute, search_filters)
values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)`

	sqlUpdateLDAPConfig = `
update auth_ldap_config set host = $2, port = $3, protocol_version = $4, protocol_security = $5, bind_dn = $6, bind_password = $7,
	user_base_dn = $8, user_login_attribute = $9, user_email_attribute = $10, search_filters = $11
where tenant_uuid = $1`

	sqlDeleteLDAPConfig = `delete from auth_ldap_config where tenant_uuid = $1`
)

func scanLDAPConfig(row scanner) (c store.LDAPConfig, err error) {
	err = row.Scan(&c.TenantUUID, &c.Host, &c.Port, &c.ProtocolVersion, &c.ProtocolSecurity, &c.BindDN, &c.BindPassword,
		&c.UserBaseDN, &c.UserLoginAttribute, &c.UserEmailAttribute, &c.SearchFilters)
	return c, err
}

// LDAPConfig implements [store.LDAPConfigs].
func (s *Store) LDAPConfig(ctx context.Context, tenant string) (store.LDAPConfig, error) {
	return one(ctx, s, "reading an LDAP configuration", scanLDAPConfig, sqlLDAPConfig, tenant)
}

// ChangeLDAPConfig implements [store.LDAPConfigs]. A row that is there is locked
// while change sees it; when another one is made meanwhile, the insertion is
// refused and all of it is done again.
func (s *Store) ChangeLDAPConfig(ctx context.Context, tenant string, change func(*store.LDAPConfig) error) (c store.LDAPConfig, err error) {
	const op = "changing an LDAP configuration"
	if !searchable(tenant) {
		return c, notFound(op)
	}
	err = s.change(ctx, op, func(ctx context.Context, q statement) (err error) {
		write := sqlUpdateLDAPConfig
		c, err = scanLDAPConfig(q.row(ctx, s.locking(sqlLDAPConfig, "c"), tenant))
		if errors.Is(err, sql.ErrNoRows) {
			c, err, write = store.LDAPConfig{TenantUUID: tenant}, nil, sqlInsertLDAPConfig
		}
		if err != nil {
			return err
		}
		if err := change(&c); err != nil {
			return err
		}
		for _, text := range []*string{
			&c.Host, c.ProtocolSecurity, c.BindDN, c.BindPassword, &c.UserBaseDN, c.UserLoginAttribute, c.UserEmailAttribute, c.SearchFilters,
		} {
			if text != nil && !searchable(*text) {
				return storable(op, "a value", *text)
			}
		}
		return q.must(ctx, write, tenant, c.Host, c.Port, c.ProtocolVersion, c.ProtocolSecurity, c.BindDN, c.BindPassword,
			c.UserBaseDN, c.UserLoginAttribute, c.UserEmailAttribute, c.SearchFilters)
	})
	if err != nil {
		return store.LDAPConfig{}, err
	}
	return c, nil
}

// DeleteLDAPConfig implements [store.LDAPConfigs].
func (s *Store) DeleteLDAPConfig(ctx context.Context, tenant string) error {
	if !searchable(tenant) {
		return nil
	}
	return s.change(ctx, "deleting an LDAP configuration", func(ctx context.Context, q statement) error {
		_, err := q.exec(ctx, sqlDeleteLDAPConfig, tenant)
		return err
	})
}
