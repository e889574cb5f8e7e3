package storetest

import (
	"testing"

	"github.com/wazo-edge/xivo-auth/authsvc/store"
)

var methodCases = map[string]func(*testing.T, *bench){
	"Method/Set":   testSetUserMethods,
	"Method/Reset": testResetUserMethod,
}

func (b *bench) method(u store.User) string {
	b.t.Helper()
	return b.text(`select authentication_method from auth_user where uuid = $1`, u.UUID)
}

func testSetUserMethods(t *testing.T, b *bench) {
	u, v, other := b.user("u", ""), b.user("v", ""), b.user("other", "")
	ids := append([]string{u.UUID, newID(), v.UUID, u.UUID, ""}, unsearchable...)
	for _, method := range []string{"ldap", "ldap", "native"} {
		must(t, "SetUserMethods", b.SetUserMethods(t.Context(), ids, method))
		equal(t, "methods", [3]string{b.method(u), b.method(v), b.method(other)}, [3]string{method, method, "default"})
	}
	must(t, "of nobody", b.SetUserMethods(t.Context(), nil, "saml"))
	equal(t, "method", b.method(u), "native")
	for _, bad := range unsearchable {
		want(t, "method", b.SetUserMethods(t.Context(), ids, bad), store.ErrInvalid)
	}
}

func testResetUserMethod(t *testing.T, b *bench) {
	u, other := b.user("u", ""), b.user("other", "")
	must(t, "SetUserMethods", b.SetUserMethods(t.Context(), []string{u.UUID, other.UUID}, "ldap"))
	for _, method := range append([]string{"saml", "LDAP", "", "default"}, unsearchable...) {
		must(t, "another method", b.ResetUserMethod(t.Context(), u.UUID, method))
		equal(t, "method", b.method(u), "ldap")
	}
	for _, id := range append([]string{newID(), ""}, unsearchable...) {
		must(t, "nobody", b.ResetUserMethod(t.Context(), id, "ldap"))
	}
	for range 2 {
		must(t, "ResetUserMethod", b.ResetUserMethod(t.Context(), u.UUID, "ldap"))
		equal(t, "methods", [2]string{b.method(u), b.method(other)}, [2]string{"default", "ldap"})
	}
}
