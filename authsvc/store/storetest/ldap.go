package storetest

import (
	"errors"
	"strings"
	"testing"

	"github.com/wazo-edge/xivo-auth/authsvc/store"
)

var ldapCases = map[string]func(*testing.T, *bench){
	"LDAP/Change":  testChangeLDAPConfig,
	"LDAP/Invalid": testChangeLDAPConfigInvalid,
	"LDAP/AtOnce":  testChangeLDAPConfigAtOnce,
}

func testChangeLDAPConfig(t *testing.T, b *bench) {
	acme := b.tenant("acme", b.top)
	_, err := b.LDAPConfig(t.Context(), acme)
	want(t, "none yet", err, store.ErrNotFound)
	must(t, "DeleteLDAPConfig", b.DeleteLDAPConfig(t.Context(), acme))

	least := store.LDAPConfig{TenantUUID: acme, Host: "h", Port: -1, UserBaseDN: "dn"}
	full := store.LDAPConfig{
		TenantUUID: acme, Host: "ldap.example.org", Port: 1<<31 - 1, ProtocolVersion: new(int16(2)), ProtocolSecurity: new("ldaps"), BindDN: new("cn=é"),
		BindPassword: new(" s3cre7\n"), UserBaseDN: "", UserLoginAttribute: new("uid"), UserEmailAttribute: new(""), SearchFilters: new("(a=%s)"),
	}
	before := store.LDAPConfig{TenantUUID: acme}
	for _, next := range []store.LDAPConfig{least, full, least} {
		got, err := b.ChangeLDAPConfig(t.Context(), acme, func(c *store.LDAPConfig) error {
			equal(t, "before", *c, before)
			*c = next
			return nil
		})
		must(t, "ChangeLDAPConfig", err)
		equal(t, "changed", got, next)
		stored, err := b.LDAPConfig(t.Context(), acme)
		must(t, "LDAPConfig", err)
		equal(t, "stored", stored, next)
		before = next
	}
	_, err = b.LDAPConfig(t.Context(), b.top)
	want(t, "of another tenant", err, store.ErrNotFound)
	_, err = b.ChangeLDAPConfig(t.Context(), b.top, func(c *store.LDAPConfig) error { c.Host = "top"; return nil })
	must(t, "of another tenant", err)

	for range 2 {
		must(t, "DeleteLDAPConfig", b.DeleteLDAPConfig(t.Context(), acme))
		_, err = b.LDAPConfig(t.Context(), acme)
		want(t, "deleted", err, store.ErrNotFound)
	}
	equal(t, "left", b.text(`select host from auth_ldap_config`), "top")
}

func testChangeLDAPConfigInvalid(t *testing.T, b *bench) {
	change := func(f func(*store.LDAPConfig)) error {
		_, err := b.ChangeLDAPConfig(t.Context(), b.top, func(c *store.LDAPConfig) error { f(c); return nil })
		return err
	}
	must(t, "ChangeLDAPConfig", change(func(c *store.LDAPConfig) { c.Host = "h" }))
	for _, bad := range append([]string{strings.Repeat("a", 600)}, unsearchable...) {
		want(t, "host", change(func(c *store.LDAPConfig) { c.Host = bad }), store.ErrInvalid)
		want(t, "security", change(func(c *store.LDAPConfig) { c.ProtocolSecurity = &bad }), store.ErrInvalid)
		want(t, "bind dn", change(func(c *store.LDAPConfig) { c.BindDN = &bad }), store.ErrInvalid)
		want(t, "base dn", change(func(c *store.LDAPConfig) { c.UserBaseDN = bad }), store.ErrInvalid)
		want(t, "login", change(func(c *store.LDAPConfig) { c.UserLoginAttribute = &bad }), store.ErrInvalid)
		want(t, "email", change(func(c *store.LDAPConfig) { c.UserEmailAttribute = &bad }), store.ErrInvalid)
	}
	for _, bad := range unsearchable {
		want(t, "password", change(func(c *store.LDAPConfig) { c.BindPassword = &bad }), store.ErrInvalid)
		want(t, "filters", change(func(c *store.LDAPConfig) { c.SearchFilters = &bad }), store.ErrInvalid)
		_, err := b.LDAPConfig(t.Context(), bad)
		want(t, "tenant", err, store.ErrNotFound)
		_, err = b.ChangeLDAPConfig(t.Context(), bad, func(*store.LDAPConfig) error { return nil })
		want(t, "tenant", err, store.ErrNotFound)
		must(t, "tenant", b.DeleteLDAPConfig(t.Context(), bad))
	}
	_, err := b.ChangeLDAPConfig(t.Context(), newID(), func(*store.LDAPConfig) error { return nil })
	want(t, "no such tenant", err, store.ErrNotFound)
	refused := errors.New("refused")
	_, err = b.ChangeLDAPConfig(t.Context(), b.top, func(c *store.LDAPConfig) error { c.Host = "other"; return refused })
	want(t, "refused", err, refused)
	equal(t, "host", b.text(`select host from auth_ldap_config`), "h")
}

// Nobody's change is lost, be it the first or another one.
func testChangeLDAPConfigAtOnce(t *testing.T, b *bench) {
	const n = 8
	for range 3 {
		b.together(n, func(_ int, s store.Store) {
			_, err := s.ChangeLDAPConfig(t.Context(), b.top, func(c *store.LDAPConfig) error { c.Port++; return nil })
			if err != nil {
				t.Errorf("ChangeLDAPConfig: %v", err)
			}
		})
		equal(t, "changes", b.count(`select port from auth_ldap_config`), n)
		must(t, "DeleteLDAPConfig", b.DeleteLDAPConfig(t.Context(), b.top))
	}
}
