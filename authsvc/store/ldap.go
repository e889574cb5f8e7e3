package store

import "context"

// LDAPConfig is one row of auth_ldap_config: the directory of a tenant. What
// may be NULL is a pointer.
type LDAPConfig struct {
	TenantUUID         string
	Host               string
	Port               int32
	ProtocolVersion    *int16
	ProtocolSecurity   *string // ldaps or tls
	BindDN             *string
	BindPassword       *string // as it is: the directory has to be told
	UserBaseDN         string
	UserLoginAttribute *string
	UserEmailAttribute *string
	SearchFilters      *string
}

// LDAPConfigs keeps the directories of tenants, one for each at most.
type LDAPConfigs interface {
	// LDAPConfig returns the tenant's own; [ErrNotFound] when it has none.
	LDAPConfig(ctx context.Context, tenant string) (LDAPConfig, error)
	// ChangeLDAPConfig stores what change makes of the tenant's configuration,
	// or of an empty one, and returns it. It may call change several times,
	// and stores nothing when change returns an error. [ErrNotFound] when
	// there is no such tenant.
	ChangeLDAPConfig(ctx context.Context, tenant string, change func(*LDAPConfig) error) (LDAPConfig, error)
	// DeleteLDAPConfig removes it; where there is none it does nothing.
	DeleteLDAPConfig(ctx context.Context, tenant string) error
}
