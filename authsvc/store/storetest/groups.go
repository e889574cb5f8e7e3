package storetest

import (
	"fmt"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/wazo-edge/xivo-auth/authsvc/store"
)

var groupCases = map[string]func(*testing.T, *bench){
	"Group/ByUUID":        testGroupByUUID,
	"Group/List":          testListGroups,
	"Group/Create":        testCreateGroup,
	"Group/CreateInvalid": testCreateGroupInvalid,
	"Group/CreateAtOnce":  testCreateGroupAtOnce,
	"Group/Rename":        testRenameGroup,
	"Group/Delete":        testDeleteGroup,
	"Group/Members":       testGroupMembers,
}

func testGroupByUUID(t *testing.T, b *bench) {
	tenant := b.tenant("acme", b.top)
	id := newID()
	b.exec(`insert into auth_group (uuid, name, slug, tenant_uuid) values ($1, 'Sales', 'sales', $2)`, id, tenant)
	got, err := b.GroupByUUID(t.Context(), id)
	want(t, "GroupByUUID", err, nil)
	equal(t, "group", got, store.Group{UUID: id, TenantUUID: tenant, Name: "Sales", Slug: "sales"})

	all := b.text(`select uuid from auth_group where tenant_uuid = $1 and uuid <> $2`, tenant, id)
	b.exec(`update auth_group set system_managed = true where uuid = $1`, all)
	got, err = b.GroupByUUID(t.Context(), all)
	want(t, "GroupByUUID", err, nil)
	equal(t, "all users", got, store.Group{UUID: all, TenantUUID: tenant, Name: "wazo-all-users-tenant-" + tenant, Slug: "wazo-all-users-tenant-" + tenant, SystemManaged: true})

	for _, id := range append([]string{"", newID()}, unsearchable...) {
		_, err := b.GroupByUUID(t.Context(), id)
		want(t, "nobody", err, store.ErrNotFound)
	}
}

// What lists have in common is tried in lists.go; this is what groups can be
// searched and filtered by.
func testListGroups(t *testing.T, b *bench) {
	acme := b.tenant("acme", b.top)
	child := b.tenant("child", acme)
	sales, agents, crew := b.group(acme, "Sales"), b.group(acme, "agents"), b.group(child, "crew")
	b.exec(`update auth_group set system_managed = true where uuid = $1`, crew)
	u, other := b.user("u", ""), b.user("other", "")
	b.exec(`delete from auth_group where slug like 'wazo-%'`)
	for _, g := range []string{sales, crew} {
		b.exec(`insert into auth_user_group (group_uuid, user_uuid) values ($1, $2)`, g, u.UUID)
	}
	b.exec(`insert into auth_user_group (group_uuid, user_uuid) values ($1, $2)`, agents, other.UUID)
	listen, talk := b.policy(acme, "listen"), b.policy(child, "talk")
	for _, p := range []string{listen, talk} {
		b.exec(`insert into auth_group_policy (group_uuid, policy_uuid) values ($1, $2)`, sales, p)
	}
	b.exec(`insert into auth_group_policy (group_uuid, policy_uuid) values ($1, $2)`, crew, talk)

	text := func(s string) *string { return &s }
	for name, c := range map[string]struct {
		l    store.List
		want string // names, in order
	}{
		"all":                  {store.List{}, "Sales agents crew"},
		"by name":              {store.List{Order: "name", Descending: true}, "crew agents Sales"},
		"by uuid":              {store.List{Order: "uuid", Filters: map[string]any{"uuid": agents}}, "agents"},
		"searched":             {store.List{Search: text("AL")}, "Sales"},
		"of a user":            {store.List{User: u.UUID}, "Sales crew"},
		"of a user anywhere":   {store.List{User: u.UUID, Everywhere: true}, "Sales crew"},
		"of nobody":            {store.List{User: newID(), Everywhere: true}, ""},
		"named":                {store.List{Filters: map[string]any{"name": "Sales"}}, "Sales"},
		"in another case":      {store.List{Filters: map[string]any{"name": "sales"}}, ""},
		"slug":                 {store.List{Filters: map[string]any{"slug": "crew"}}, "crew"},
		"member":               {store.List{Filters: map[string]any{"user_uuid": u.UUID}}, "Sales crew"},
		"member and of a user": {store.List{User: other.UUID, Filters: map[string]any{"user_uuid": u.UUID}}, ""},
		"policy":               {store.List{Filters: map[string]any{"policy_uuid": listen}}, "Sales"},
		"slug of a policy":     {store.List{Filters: map[string]any{"policy_slug": "talk"}}, "Sales crew"},
		"no policy":            {store.List{Filters: map[string]any{"policy_slug": "Talk"}}, ""},
		"managed":              {store.List{Filters: map[string]any{"system_managed": true}}, "crew"},
		"not managed":          {store.List{Filters: map[string]any{"system_managed": false, "policy_uuid": talk}}, "Sales"},
	} {
		if !c.l.Everywhere {
			c.l.Tenant, c.l.Recurse = acme, true
		}
		p, err := b.ListGroups(t.Context(), c.l)
		must(t, name, err)
		var names []string
		for _, g := range p.Items {
			names = append(names, g.Name)
		}
		equal(t, name, strings.Join(names, " "), c.want)
		equal(t, name+", filtered", p.Filtered, len(names))
	}
	p, err := b.ListGroups(t.Context(), store.List{Tenant: acme, User: u.UUID, Filters: map[string]any{"policy_uuid": newID()}})
	must(t, "ListGroups", err)
	equal(t, "counts", [2]int{p.Total, p.Filtered}, [2]int{1, 0})
	for _, order := range []string{"slug", "read_only", "system_managed"} {
		_, err := b.ListGroups(t.Context(), store.List{Tenant: acme, Order: order})
		want(t, order, err, store.ErrInvalid)
	}
}

func testCreateGroup(t *testing.T, b *bench) {
	acme := b.tenant("acme", b.top)
	create := func(tenant, name string, slugs ...string) (store.Group, error) {
		g, err := b.CreateGroup(t.Context(), store.Group{TenantUUID: tenant, Name: name, Slug: "ignored", SystemManaged: true}, slugs)
		if err == nil {
			stored, err := b.GroupByUUID(t.Context(), g.UUID)
			must(t, "GroupByUUID", err)
			equal(t, "stored", stored, g)
		}
		return g, err
	}
	for _, c := range []struct {
		tenant, name string
		slugs        []string
		slug         string
		taken        string // field
	}{
		{acme, "Sales", []string{"Sales", "abc"}, "Sales", ""},
		{acme, "sales", []string{"sales", "abc"}, "abc", ""},
		{acme, "Sales ", []string{"SALES", "ABC", "def"}, "def", ""},
		{acme, "日本", []string{""}, "", ""},
		{acme, "Sales", []string{"free"}, "", "name"},
		{acme, "Agents", []string{"sALES"}, "", "slug"},
		{acme, "Agents", []string{"abc", "DEF"}, "", "slug"},
		{b.top, "Sales", []string{"Sales"}, "Sales", ""},
	} {
		g, err := create(c.tenant, c.name, c.slugs...)
		if c.taken != "" {
			want(t, c.name, err, store.ErrConflict)
			conflict(t, c.name, err, c.taken)
			continue
		}
		must(t, c.name, err)
		equal(t, "group", g, store.Group{UUID: g.UUID, TenantUUID: c.tenant, Name: c.name, Slug: c.slug})
	}
	_, err := create(newID(), "lost", "lost")
	want(t, "no such tenant", err, store.ErrNotFound)
	equal(t, "groups", b.count(`select count(*) from auth_group where name in ('Agents', 'lost')`), 0)
}

func testCreateGroupInvalid(t *testing.T, b *bench) {
	for _, bad := range unsearchable {
		_, err := b.CreateGroup(t.Context(), store.Group{TenantUUID: bad, Name: "a"}, []string{"a"})
		want(t, "tenant", err, store.ErrNotFound)
		_, err = b.CreateGroup(t.Context(), store.Group{TenantUUID: b.top, Name: bad}, []string{"a"})
		want(t, "name", err, store.ErrInvalid)
		_, err = b.CreateGroup(t.Context(), store.Group{TenantUUID: b.top, Name: "a"}, []string{"a", bad})
		want(t, "slug", err, store.ErrInvalid)
		_, err = b.RenameGroup(t.Context(), bad, "a")
		want(t, "RenameGroup", err, store.ErrNotFound)
		_, err = b.RenameGroup(t.Context(), newID(), bad)
		want(t, "RenameGroup, name", err, store.ErrInvalid)
		want(t, "DeleteGroup", b.DeleteGroup(t.Context(), bad), store.ErrNotFound)
		want(t, "AddGroupMember", b.AddGroupMember(t.Context(), bad, newID()), store.ErrNotFound)
		want(t, "AddGroupMember", b.AddGroupMember(t.Context(), newID(), bad), store.ErrNotFound)
		_, err = b.RemoveGroupMember(t.Context(), bad, bad)
		must(t, "RemoveGroupMember", err)
	}
	_, err := b.CreateGroup(t.Context(), store.Group{TenantUUID: b.top, Name: "a"}, []string{strings.Repeat("a", 81)})
	want(t, "a slug too long", err, store.ErrInvalid)
}

// Of one name at once one is created; of one slug at once all are, when there
// are others to take.
func testCreateGroupAtOnce(t *testing.T, b *bench) {
	for round := range 5 {
		var same, others atomic.Int32
		b.together(8, func(i int, s store.Store) {
			name, slug := fmt.Sprintf("same%d", round), fmt.Sprintf("s%d-%d", round, i)
			_, err := s.CreateGroup(t.Context(), store.Group{TenantUUID: b.top, Name: name}, []string{slug})
			if err == nil {
				same.Add(1)
			} else {
				want(t, "one name", err, store.ErrConflict)
				conflict(t, "one name", err, "name")
			}
			_, err = s.CreateGroup(t.Context(), store.Group{TenantUUID: b.top, Name: "other" + slug}, []string{fmt.Sprintf("slug%d", round), "o" + slug})
			if err == nil {
				others.Add(1)
			} else {
				t.Errorf("one slug: %v", err)
			}
		})
		equal(t, "created of one name", same.Load(), 1)
		equal(t, "created of one slug", others.Load(), 8)
	}
}

func testRenameGroup(t *testing.T, b *bench) {
	acme := b.tenant("acme", b.top)
	id := b.group(acme, "Sales")
	b.group(acme, "Agents")
	b.group(b.top, "Crew")
	for _, name := range []string{"sales", "sales", "Crew", "agents"} {
		g, err := b.RenameGroup(t.Context(), id, name)
		must(t, name, err)
		equal(t, "renamed", g, store.Group{UUID: id, TenantUUID: acme, Name: name, Slug: "Sales"})
		stored, err := b.GroupByUUID(t.Context(), id)
		must(t, "GroupByUUID", err)
		equal(t, "stored", stored, g)
	}
	_, err := b.RenameGroup(t.Context(), id, "Agents")
	want(t, "taken", err, store.ErrConflict)
	conflict(t, "taken", err, "name")
	_, err = b.RenameGroup(t.Context(), newID(), "x")
	want(t, "no such group", err, store.ErrNotFound)
}

func testDeleteGroup(t *testing.T, b *bench) {
	id, kept, u, p := b.group(b.top, "a"), b.group(b.top, "b"), b.user("u", ""), b.policy(b.top, "p")
	for _, g := range []string{id, kept} {
		must(t, "AddGroupMember", b.AddGroupMember(t.Context(), g, u.UUID))
		b.exec(`insert into auth_group_policy (group_uuid, policy_uuid) values ($1, $2)`, g, p)
	}
	must(t, "DeleteGroup", b.DeleteGroup(t.Context(), id))
	want(t, "again", b.DeleteGroup(t.Context(), id), store.ErrNotFound)
	equal(t, "links left", b.count(`select (select count(*) from auth_user_group where group_uuid = $1) + (select count(*) from auth_group_policy where group_uuid = $1)`, id), 0)
	equal(t, "links of the other", b.count(`select (select count(*) from auth_user_group where group_uuid = $1) + (select count(*) from auth_group_policy where group_uuid = $1)`, kept), 2)
}

func testGroupMembers(t *testing.T, b *bench) {
	g, u, other := b.group(b.top, "g"), b.user("u", ""), b.user("other", "")
	members := func() int { return b.count(`select count(*) from auth_user_group where group_uuid = $1`, g) }
	for range 2 {
		must(t, "AddGroupMember", b.AddGroupMember(t.Context(), g, u.UUID))
		equal(t, "members", members(), 1)
	}
	must(t, "AddGroupMember", b.AddGroupMember(t.Context(), g, other.UUID))
	want(t, "no such user", b.AddGroupMember(t.Context(), g, newID()), store.ErrNotFound)
	want(t, "no such group", b.AddGroupMember(t.Context(), newID(), u.UUID), store.ErrNotFound)
	for _, member := range []bool{true, false} {
		was, err := b.RemoveGroupMember(t.Context(), g, u.UUID)
		must(t, "RemoveGroupMember", err)
		equal(t, "was one", was, member)
		equal(t, "members", members(), 1)
	}
	was, err := b.RemoveGroupMember(t.Context(), newID(), newID())
	must(t, "RemoveGroupMember", err)
	equal(t, "was one of no group", was, false)
}
