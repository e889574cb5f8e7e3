// Package ldap is the directory that a tenant's users can be in: how to reach
// it (contract: routes.yml).
package ldap

import (
	_ "embed" // the document
	"errors"
	"fmt"
	"math"
	"net/http"

	"github.com/wazo-edge/xivo-auth/authsvc/form"
	"github.com/wazo-edge/xivo-auth/authsvc/httpapi"
	"github.com/wazo-edge/xivo-auth/authsvc/store"
)

// Document describes the room's operations.
//
//go:embed api.yml
var Document []byte

// HTTP is the configuration on the wire. It is the request's tenant's own:
// tenants above and below have theirs.
type HTTP struct {
	Store store.LDAPConfigs
}

// Routes lists what the room serves.
func (h HTTP) Routes() []httpapi.Route {
	const path = "/0.1/backends/ldap"
	return []httpapi.Route{
		{Method: http.MethodGet, Path: path, ACL: "auth.backends.ldap.read", HandleAs: h.get},
		{Method: http.MethodPut, Path: path, ACL: "auth.backends.ldap.update", HandleAs: h.put},
		{Method: http.MethodDelete, Path: path, ACL: "auth.backends.ldap.delete", HandleAs: h.delete},
	}
}

// config is one on the wire. The password is written and never read.
type config struct {
	TenantUUID         *string `json:"tenant_uuid"`
	Host               *string `json:"host"`
	Port               *int32  `json:"port"`
	ProtocolVersion    *int16  `json:"protocol_version"`
	ProtocolSecurity   *string `json:"protocol_security"`
	BindDN             *string `json:"bind_dn"`
	UserBaseDN         *string `json:"user_base_dn"`
	UserLoginAttribute *string `json:"user_login_attribute"`
	UserEmailAttribute *string `json:"user_email_attribute"`
	SearchFilters      *string `json:"search_filters"`
}

func spell(c store.LDAPConfig) config {
	return config{
		&c.TenantUUID, &c.Host, &c.Port, c.ProtocolVersion, c.ProtocolSecurity, c.BindDN,
		&c.UserBaseDN, c.UserLoginAttribute, c.UserEmailAttribute, c.SearchFilters,
	}
}

func (h HTTP) get(w http.ResponseWriter, r *http.Request, c *httpapi.Caller) error {
	tenant, err := c.Tenant(r.Context())
	if err != nil {
		return err
	}
	stored, err := h.Store.LDAPConfig(r.Context(), tenant)
	if errors.Is(err, store.ErrNotFound) {
		return httpapi.WriteValue(w, config{})
	}
	if err != nil {
		return err
	}
	return httpapi.WriteValue(w, spell(stored))
}

var body = &form.Schema{Fields: []form.Field{
	{Name: "host", Kind: form.String{Max: 512}, Required: true},
	// What the column holds; the historical service fails on the rest.
	{Name: "port", Kind: form.Integer{Min: new(int64(math.MinInt32)), Max: new(int64(math.MaxInt32))}, Required: true},
	{Name: "protocol_version", Kind: form.Integer{Min: new(int64(2)), Max: new(int64(3))}, Default: int64(3)},
	{Name: "protocol_security", Kind: form.String{OneOf: []string{"ldaps", "tls"}}, Nullable: true},
	{Name: "bind_dn", Kind: form.String{Max: 256}, Nullable: true},
	{Name: "bind_password", Kind: form.String{}, Nullable: true},
	{Name: "user_base_dn", Kind: form.String{Max: 256}, Required: true},
	{Name: "user_login_attribute", Kind: form.String{Max: 64}, Required: true},
	{Name: "user_email_attribute", Kind: form.String{Max: 64}, Required: true},
	{Name: "search_filters", Kind: form.String{}, Nullable: true},
}}

func (h HTTP) put(w http.ResponseWriter, r *http.Request, c *httpapi.Caller) error {
	tenant, err := c.Tenant(r.Context())
	if err != nil {
		return err
	}
	v, err := httpapi.ReadBody(r, body, func(wrong *form.Errors) error { return invalid(wrong.Dict[0].Key) })
	if err != nil {
		return err
	}
	stored, err := h.Store.ChangeLDAPConfig(r.Context(), tenant, func(c *store.LDAPConfig) error {
		was := *c
		fill(c, v)
		if was.BindPassword != nil && !v.Has("bind_password") && way(was) != way(*c) {
			return invalid("bind_password")
		}
		return nil
	})
	if err != nil {
		if errors.Is(err, store.ErrNotFound) {
			err = httpapi.UnknownTenant(tenant)
		}
		return err
	}
	return httpapi.WriteValue(w, spell(stored))
}

// invalid is the 400 of a field.
func invalid(field any) error {
	return httpapi.Reason(http.StatusBadRequest, fmt.Sprint("Invalid value supplied for field: ", field))
}

// way is where the password is sent, and who can listen. Whoever changes that
// has to know the password: else he could have it sent to a server of his own,
// though nothing tells him what it is (Keycloak CVE-2024-5967).
func way(c store.LDAPConfig) string {
	security := ""
	if c.ProtocolSecurity != nil {
		security = *c.ProtocolSecurity
	}
	return fmt.Sprintf("%s %q:%d", security, c.Host, c.Port)
}

// fill takes over what the client sent. What he may leave out keeps the value
// it has, but for the version, which falls back to its default.
func fill(c *store.LDAPConfig, v form.Values) {
	c.Host, c.Port, c.ProtocolVersion = v.Text("host"), int32(v.Int("port")), new(int16(v.Int("protocol_version")))
	c.UserBaseDN = v.Text("user_base_dn")
	for name, to := range map[string]**string{
		"protocol_security": &c.ProtocolSecurity, "bind_dn": &c.BindDN, "bind_password": &c.BindPassword,
		"user_login_attribute": &c.UserLoginAttribute, "user_email_attribute": &c.UserEmailAttribute, "search_filters": &c.SearchFilters,
	} {
		switch {
		case !v.Has(name):
		case v.Get(name) == nil:
			*to = nil
		default:
			*to = new(v.Text(name))
		}
	}
}

func (h HTTP) delete(w http.ResponseWriter, r *http.Request, c *httpapi.Caller) error {
	tenant, err := c.Tenant(r.Context())
	if err != nil {
		return err
	}
	if err := h.Store.DeleteLDAPConfig(r.Context(), tenant); err != nil {
		return err
	}
	httpapi.NoContent(w)
	return nil
}
