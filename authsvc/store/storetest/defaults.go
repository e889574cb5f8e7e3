package storetest

import (
	"fmt"
	"strings"
	"sync"
	"testing"

	"github.com/wazo-edge/xivo-auth/authsvc/store"
)

var defaultCases = map[string]func(*testing.T, *bench){
	"Defaults/Policies":  testDefaultPolicies,
	"Defaults/AllUsers":  testDefaultAllUsers,
	"Defaults/Groups":    testDefaultGroups,
	"Defaults/Orphans":   testDefaultOrphans,
	"Defaults/OfOthers":  testDefaultsOfOthers,
	"Defaults/AtOnce":    testDefaultsAtOnce,
	"Defaults/Invalid":   testDefaultsInvalid,
	"Defaults/NoTenants": testDefaultsNoTenants,
}

// sync synchronises and returns what is missing; a second time, which must
// change nothing.
func (b *bench) sync(d store.Defaults) store.Synced {
	b.t.Helper()
	done, err := b.SyncDefaults(b.t.Context(), d)
	must(b.t, "SyncDefaults", err)
	again, err := b.SyncDefaults(b.t.Context(), d)
	must(b.t, "SyncDefaults again", err)
	equal(b.t, "changed again", again.Changed, 0)
	return done
}

// held are the slugs of a group's policies.
func (b *bench) held(group string) (slugs []string) {
	b.t.Helper()
	rows, err := b.DB.QueryContext(b.t.Context(), b.Rebind(`select p.slug from auth_policy p join auth_group_policy gp on gp.policy_uuid = p.uuid
where gp.group_uuid = $1`), group)
	must(b.t, "policies of a group", err)
	defer func() { _ = rows.Close() }()
	for rows.Next() {
		var slug string
		must(b.t, "policies of a group", rows.Scan(&slug))
		slugs = append(slugs, slug)
	}
	must(b.t, "policies of a group", rows.Err())
	return sorted(slugs...)
}

func (b *bench) groupCalled(tenant, slug string) string {
	b.t.Helper()
	return b.text(`select uuid from auth_group where tenant_uuid = $1 and slug = $2`, tenant, slug)
}

func (b *bench) allUsers(tenant string) string {
	b.t.Helper()
	return b.groupCalled(tenant, "wazo-all-users-tenant-"+tenant)
}

// grants are the accesses of a policy of the top tenant, in no order.
func (b *bench) grants(slug string) string {
	b.t.Helper()
	rows, err := b.DB.QueryContext(b.t.Context(), b.Rebind(`select a.access from auth_access a join auth_policy_access pa on pa.access_id = a.id
join auth_policy p on p.uuid = pa.policy_uuid where p.slug = $1 and p.tenant_uuid = $2`), slug, b.top)
	must(b.t, "accesses", err)
	defer func() { _ = rows.Close() }()
	var list []string
	for rows.Next() {
		var a string
		must(b.t, "accesses", rows.Scan(&a))
		list = append(list, a)
	}
	must(b.t, "accesses", rows.Err())
	return strings.Join(sorted(list...), " ")
}

func (b *bench) described(slug string) string {
	b.t.Helper()
	var description string
	var managed, shared bool
	must(b.t, "policy", b.DB.QueryRowContext(b.t.Context(), b.Rebind(`select description, config_managed, shared from auth_policy
where slug = $1 and name = $1 and tenant_uuid = $2`), slug, b.top).Scan(&description, &managed, &shared))
	return fmt.Sprint(description, " ", managed, " ", shared)
}

func testDefaultPolicies(t *testing.T, b *bench) {
	// One that somebody made before: it becomes the configuration's.
	before := b.policy(b.top, "before", "a", "b")
	d := store.Defaults{Policies: []store.DefaultPolicy{
		{Slug: "new", ACL: []string{"x", "y", "x"}},
		{Slug: "before", Description: "Told", ACL: []string{"b", "c"}, Shared: true},
		{Slug: "empty"},
	}}
	done := b.sync(d)
	if done.Changed == 0 || done.MissingPolicies != nil || len(done.Orphans) != 0 {
		t.Errorf("done %+v", done)
	}
	equal(t, "new", b.described("new"), "Automatically created true false")
	equal(t, "accesses of new", b.grants("new"), "x y")
	equal(t, "before", b.described("before"), "Told true true")
	equal(t, "accesses of before", b.grants("before"), "b c")
	equal(t, "its uuid", b.text(`select uuid from auth_policy where slug = 'before'`), before)
	equal(t, "empty", b.grants("empty"), "")

	// What somebody makes of them is put right again; NULLs of old rows, too.
	b.exec(`update auth_policy set description = null, config_managed = null, shared = false where slug = 'before'`)
	b.exec(`delete from auth_policy_access where policy_uuid = $1`, before)
	d.Policies[0].ACL = []string{"z"}
	b.sync(d)
	equal(t, "before, mended", b.described("before")+" "+b.grants("before"), "Told true true b c")
	equal(t, "new, changed", b.grants("new"), "z")
}

func testDefaultAllUsers(t *testing.T, b *bench) {
	tenants := []string{b.top, b.tenant("one", b.top)}
	tenants = append(tenants, b.tenant("two", tenants[1]))
	own := b.policy(b.top, "own", "o")
	b.exec(`insert into auth_group_policy (group_uuid, policy_uuid) values ($1, $2)`, b.allUsers(b.top), own)
	d := store.Defaults{
		Policies: []store.DefaultPolicy{{Slug: "p"}, {Slug: "q"}, {Slug: "r"}},
		AllUsers: store.DefaultPolicies{"p": true, "q": true, "r": false, "nowhere": true},
	}
	done := b.sync(d)
	equal(t, "missing", done.MissingPolicies, []string{"nowhere"})
	equal(t, "top", b.held(b.allUsers(tenants[0])), []string{"own", "p", "q"})
	equal(t, "one", b.held(b.allUsers(tenants[1])), []string{"p", "q"})
	equal(t, "two", b.held(b.allUsers(tenants[2])), []string{"p", "q"})

	// Off is not taken away; a slug that is gone is, in the top tenant and
	// where it is the configuration's, as on the reference.
	d.AllUsers = store.DefaultPolicies{"p": false}
	b.sync(d)
	equal(t, "top, later", b.held(b.allUsers(tenants[0])), []string{"own", "p"})
	equal(t, "one, later", b.held(b.allUsers(tenants[1])), []string{"p", "q"})
}

func testDefaultGroups(t *testing.T, b *bench) {
	one := b.tenant("one", b.top)
	two := b.tenant("two", one)
	b.group(one, "Taken")
	theirs := b.group(two, "admins")
	extra := b.policy(b.top, "extra")
	b.exec(`insert into auth_group_policy (group_uuid, policy_uuid) values ($1, $2)`, theirs, extra)
	d := store.Defaults{
		Policies: []store.DefaultPolicy{{Slug: "p"}, {Slug: "q"}},
		Groups: []store.DefaultGroup{
			{Slug: "admins", Policies: store.DefaultPolicies{"p": true, "q": false, "nowhere": true}},
			{Slug: "named", Name: "Taken"},
		},
	}
	done := b.sync(d)
	equal(t, "missing", done.MissingPolicies, []string{"nowhere"})
	equal(t, "taken", done.TakenGroups, []string{one})
	equal(t, "of the top tenant", b.held(b.groupCalled(b.top, "admins")), []string{"p"})
	equal(t, "its name", b.text(`select name from auth_group where tenant_uuid = $1 and slug = 'named'`, b.top), "Taken")
	equal(t, "one that was there", b.held(theirs), []string{"extra", "p"})
	equal(t, "managed by the system", b.count(`select count(*) from auth_group where slug in ('admins', 'named') and system_managed`), 0)

	d.Groups[0].Policies = store.DefaultPolicies{"p": false, "q": true}
	b.sync(d)
	for _, tenant := range []string{b.top, one} {
		equal(t, "later", b.held(b.groupCalled(tenant, "admins")), []string{"q"})
	}
	equal(t, "one that was there, later", b.held(theirs), []string{"extra", "q"})
}

func testDefaultOrphans(t *testing.T, b *bench) {
	d := store.Defaults{Policies: []store.DefaultPolicy{{Slug: "kept"}, {Slug: "gone"}, {Slug: "of-user"}, {Slug: "of-group"}}}
	b.sync(d)
	b.policy(b.top, "by-hand")
	u := b.user("alice", "")
	b.exec(`insert into auth_user_policy (user_uuid, policy_uuid) select $1, uuid from auth_policy where slug = 'of-user'`, u.UUID)
	b.exec(`insert into auth_group_policy (group_uuid, policy_uuid) select $1, uuid from auth_policy where slug = 'of-group'`, b.group(b.top, "g"))
	d.Policies = d.Policies[:1]
	done := b.sync(d)
	equal(t, "orphans", done.Orphans, []string{"of-group", "of-user"})
	equal(t, "left", b.count(`select count(*) from auth_policy where slug in ('kept', 'of-user', 'of-group', 'by-hand', 'wazo_default_master_user_policy')`), 5)
	equal(t, "gone", b.count(`select count(*) from auth_policy where slug = 'gone'`), 0)
}

// A tenant that makes a policy of the slug that everybody's groups are to get
// must not get it into them.
func testDefaultsOfOthers(t *testing.T, b *bench) {
	mallory := b.tenant("mallory", b.top)
	b.policy(mallory, "admin", "#")
	d := store.Defaults{
		AllUsers: store.DefaultPolicies{"admin": true},
		Groups:   []store.DefaultGroup{{Slug: "admins", Policies: store.DefaultPolicies{"admin": true}}},
	}
	done := b.sync(d)
	equal(t, "missing", done.MissingPolicies, []string{"admin"})
	equal(t, "all users", b.held(b.allUsers(b.top)), nil)
	equal(t, "group", b.held(b.groupCalled(b.top, "admins")), nil)

	// Nor is it the configuration's to change or remove.
	b.exec(`update auth_policy set config_managed = true where tenant_uuid = $1`, mallory)
	d.Policies = []store.DefaultPolicy{{Slug: "admin", ACL: []string{"mild"}}}
	b.sync(d)
	equal(t, "the top tenant's", b.grants("admin"), "mild")
	equal(t, "theirs", b.count(`select count(*) from auth_policy p join auth_policy_access pa on pa.policy_uuid = p.uuid
join auth_access a on a.id = pa.access_id where p.tenant_uuid = $1 and a.access = '#'`, mallory), 1)
}

// Several nodes start at once.
func testDefaultsAtOnce(t *testing.T, b *bench) {
	one := b.tenant("one", b.top)
	d := store.Defaults{
		Policies: []store.DefaultPolicy{{Slug: "p", ACL: []string{"a", "b", "c"}}, {Slug: "q", ACL: []string{"c", "b", "d"}}},
		AllUsers: store.DefaultPolicies{"p": true},
		Groups:   []store.DefaultGroup{{Slug: "g", Policies: store.DefaultPolicies{"q": true}}},
	}
	var mu sync.Mutex
	var errs []error
	b.together(6, func(_ int, s store.Store) {
		if _, err := s.SyncDefaults(t.Context(), d); err != nil {
			mu.Lock()
			defer mu.Unlock()
			errs = append(errs, err)
		}
	})
	equal(t, "errors", errs, nil)
	equal(t, "policies", b.count(`select count(*) from auth_policy where slug in ('p', 'q')`), 2)
	equal(t, "groups", b.count(`select count(*) from auth_group where slug = 'g'`), 2)
	equal(t, "of the group", b.held(b.groupCalled(one, "g")), []string{"q"})
	equal(t, "accesses", b.grants("p")+" "+b.grants("q"), "a b c b c d")
	equal(t, "dictionary", b.count(`select count(*) from auth_access where access in ('a', 'b', 'c', 'd')`), 4)
}

func testDefaultsInvalid(t *testing.T, b *bench) {
	for name, d := range map[string]store.Defaults{
		"slug":   {Policies: []store.DefaultPolicy{{Slug: strings.Repeat("x", 81)}}},
		"NUL":    {Policies: []store.DefaultPolicy{{Slug: "p", ACL: []string{"a\x00"}}}},
		"group":  {Groups: []store.DefaultGroup{{Slug: "g\x00"}}},
		"broken": {AllUsers: store.DefaultPolicies{"\xff": true}},
	} {
		_, err := b.SyncDefaults(t.Context(), d)
		want(t, name, err, store.ErrInvalid)
	}
	equal(t, "left behind", b.count(`select count(*) from auth_policy where config_managed`), 0)
}

func testDefaultsNoTenants(t *testing.T, b *bench) {
	b.exec(`delete from auth_policy`)
	b.exec(`delete from auth_group`)
	b.exec(`update auth_tenant set parent_uuid = uuid`)
	b.exec(`delete from auth_tenant`)
	_, err := b.SyncDefaults(t.Context(), store.Defaults{})
	want(t, "SyncDefaults", err, store.ErrNotFound)
}
