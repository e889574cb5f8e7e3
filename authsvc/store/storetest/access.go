package storetest

import (
	"testing"
)

var accessCases = map[string]func(*testing.T, *bench){
	"Access/Order":      testAccessOrder,
	"Access/BasePolicy": testAccessBasePolicy,
	"Access/Nobody":     testAccessNobody,
	"Access/Text":       testAccessText,
	"Tenant/Tree":       testTenantTree,
}

func (b *bench) accesses(user, base string) []string {
	b.t.Helper()
	accesses, err := b.UserAccesses(b.t.Context(), user, base)
	must(b.t, "UserAccesses", err)
	if accesses == nil {
		b.t.Error("UserAccesses returned nil")
	}
	return accesses
}

func testAccessOrder(t *testing.T, b *bench) {
	u, other := b.user("u", ""), b.user("other", "")
	sub := b.tenant("sub", b.top)
	b.policy(b.top, "base", "base.read", "common")
	own := b.policy(b.top, "own", "own.read", "common")
	everyone := b.policy(sub, "everyone", "everyone.read", "common")
	team := b.policy(sub, "team", "team.read", "common")
	group := b.group(sub, "team")
	b.exec(`insert into auth_user_policy (user_uuid, policy_uuid) values ($1, $2)`, u.UUID, own)
	b.exec(`insert into auth_group_policy (group_uuid, policy_uuid)
select uuid, $1 from auth_group where name = 'wazo-all-users-tenant-' || $2`, everyone, b.top)
	b.exec(`insert into auth_group_policy (group_uuid, policy_uuid) values ($1, $2), ($1, $3)`, group, team, own)
	b.exec(`insert into auth_user_group (group_uuid, user_uuid) values ($1, $2)`, group, u.UUID)

	got := b.accesses(u.UUID, "base")
	if len(got) != 10 {
		t.Fatalf("UserAccesses = %q, want ten with duplicates", got)
	}
	equal(t, "base first", got[:2], []string{"base.read", "common"})
	equal(t, "groups next", sorted(got[2:8]...), []string{"common", "common", "common", "everyone.read", "own.read", "team.read"})
	equal(t, "own last", sorted(got[8:]...), []string{"common", "own.read"})
	for range 5 {
		equal(t, "always the same order", b.accesses(u.UUID, "base"), got)
	}
	equal(t, "without base", b.accesses(u.UUID, ""), got[2:])
	equal(t, "another member", sorted(b.accesses(other.UUID, "")...), []string{"common", "everyone.read"})
	// A disabled user's accesses are still his: whether he may log in is
	// decided elsewhere.
	b.exec(`update auth_user set enabled = false`)
	equal(t, "disabled", b.accesses(u.UUID, "base"), got)
}

// A policy of the same name in a tenant below must neither replace nor be the one
// that every token's accesses begin with.
func testAccessBasePolicy(t *testing.T, b *bench) {
	u := b.user("u", "")
	sub := b.tenant("sub", b.top)
	b.policy(sub, "only-below", "!#")
	equal(t, "in a tenant below", b.accesses(u.UUID, "only-below"), []string{})
	for range 8 { // random uuids sort either way
		b.policy(b.tenant("s"+newID()[:8], sub), "base", "usurped")
	}
	b.policy(b.top, "base", "genuine")
	equal(t, "the top tenant's", b.accesses(u.UUID, "base"), []string{"genuine"})
	b.policy(b.top, "empty")
	equal(t, "none in it", b.accesses(u.UUID, "empty"), []string{})
	equal(t, "unknown", b.accesses(u.UUID, "nope"), []string{})
	equal(t, "by name, as written", b.accesses(u.UUID, "BASE"), []string{})
	b.exec(`update auth_policy set name = 'renamed' where name = 'base' and tenant_uuid = $1`, b.top)
	equal(t, "by name, not slug", b.accesses(u.UUID, "renamed"), []string{"genuine"})
	b.policy(b.top, "", "unnamed")
	equal(t, "no base is not the policy without a name", b.accesses(u.UUID, ""), []string{})
	equal(t, "seeded", b.accesses(u.UUID, "wazo_default_master_user_policy"), []string{"#"})
}

func testAccessNobody(t *testing.T, b *bench) {
	b.policy(b.top, "base", "a", "b")
	equal(t, "base only", b.accesses(newID(), "base"), []string{"a", "b"})
	equal(t, "nothing", b.accesses(newID(), ""), []string{})
	equal(t, "no user", b.accesses("", ""), []string{})
}

func testAccessText(t *testing.T, b *bench) {
	texts := []string{"a.{b}", `q"'\`, "é", "x,y", "line\nbreak", ""}
	b.policy(b.top, "base", texts...)
	equal(t, "accesses", b.accesses("", "base"), texts)
}

func testTenantTree(t *testing.T, b *bench) {
	parent := map[string]string{b.top: b.top}
	sub := b.tenant("sub", b.top)
	parent[sub] = b.top
	for _, slug := range []string{"a", "b", "c"} {
		parent[b.tenant(slug, sub)] = sub
	}
	tree, err := b.TenantTree(t.Context())
	must(t, "TenantTree", err)
	got := map[string]string{}
	for _, tenant := range tree {
		got[tenant.UUID] = tenant.Parent
	}
	equal(t, "tenants", len(tree), 5)
	equal(t, "tree", got, parent)
}
