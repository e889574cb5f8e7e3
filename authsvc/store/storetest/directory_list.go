package storetest

import (
	"fmt"
	"strings"
	"testing"

	"github.com/wazo-edge/xivo-auth/authsvc/store"
)

// neighbourhood is three tenants in a row with users of all kinds, by name.
func (b *bench) neighbourhood() (tenants []string, users map[string]store.User) {
	b.t.Helper()
	tenants = []string{b.tenant("a", b.top)}
	tenants = append(tenants, b.tenant("b", tenants[0]))
	users = map[string]store.User{}
	for i, n := range []store.NewUser{
		{User: store.User{Username: "Ann", FirstName: new("Ann"), LastName: new("O'Hara"), Purpose: store.PurposeUser}, Email: "Ann@example.org"},
		{User: store.User{Username: "ben", FirstName: new(""), LastName: new("Ōe"), Purpose: store.PurposeInternal}, Email: "ben@example.org"},
		{User: store.User{Username: "c%d", FirstName: new("ann"), Purpose: store.PurposeExternalAPI}},
		{User: store.User{Purpose: store.PurposeUser}, Email: "nameless@example.org"},
		{User: store.User{Purpose: store.PurposeUser}},
	} {
		n.TenantUUID, n.Enabled, n.Method = tenants[i%2], i%2 == 0, store.MethodDefault
		u, err := b.CreateUser(b.t.Context(), n)
		must(b.t, "CreateUser", err)
		users[[]string{"ann", "ben", "c", "nameless", "nobody"}[i]] = u
	}
	b.exec(`insert into auth_email (uuid, address, confirmed, main, user_uuid) values ('2', 'zoe@example.org', false, false, $1), ('3', 'Second@example.org', true, false, $1)`,
		users["ann"].UUID)
	return tenants, users
}

// called returns what a list answers, as names of neighbours in their order.
func (b *bench) called(users map[string]store.User, l store.List) (names string, total, filtered int) {
	b.t.Helper()
	page, err := b.ListAccounts(b.t.Context(), l)
	must(b.t, "ListAccounts", err)
	var list []string
	for _, a := range page.Items {
		for name, u := range users {
			if u.UUID == a.UUID {
				list = append(list, name)
			}
		}
	}
	return strings.Join(list, " "), page.Total, page.Filtered
}

func testListAccounts(t *testing.T, b *bench) {
	tenants, users := b.neighbourhood()
	b.exec(`update auth_user set enabled = null where uuid = $1`, users["c"].UUID)
	page, err := b.ListAccounts(t.Context(), store.List{Tenant: tenants[0], Limit: new(int64(1))})
	must(t, "ListAccounts", err)
	equal(t, "counts", [2]int{page.Total, page.Filtered}, [2]int{3, 3})
	equal(t, "account", page.Items[0].User, users["ann"])
	main := b.text(`select uuid from auth_email where address = 'Ann@example.org'`)
	equal(t, "addresses", page.Items[0].Emails, []store.Email{
		{UUID: main, Address: "Ann@example.org", Main: true, Confirmed: true},
		{UUID: "3", Address: "Second@example.org", Confirmed: true},
		{UUID: "2", Address: "zoe@example.org"},
	})
	page, err = b.ListAccounts(t.Context(), store.List{Tenant: tenants[0], Filters: map[string]any{"uuid": users["c"].UUID}})
	must(t, "ListAccounts", err)
	c := users["c"]
	c.Enabled = false
	equal(t, "nulls", page.Items, []store.Account{{User: c, Emails: []store.Email{}}})

	group := b.group(tenants[0], "g")
	for _, name := range []string{"ben", "c"} {
		b.exec(`insert into auth_user_group (group_uuid, user_uuid) values ($1, $2)`, group, users[name].UUID)
	}
	for _, c := range []struct {
		list store.List
		want string
	}{
		{store.List{Tenant: tenants[0]}, "ann c nobody"},
		{store.List{Tenant: tenants[1]}, "ben nameless"},
		{store.List{Tenant: tenants[1], Recurse: true}, "ben nameless"},
		{store.List{Tenant: b.top}, ""},
		{store.List{Tenant: ""}, ""},
		{store.List{Tenant: newID(), Recurse: true}, ""},
		{store.List{Everywhere: true, Group: group}, "ben c"},
		{store.List{Everywhere: true, Group: newID()}, ""},
		{store.List{Tenant: tenants[0], Group: group}, "c"},
	} {
		c.list.Order = "username"
		names, total, filtered := b.called(users, c.list)
		equal(t, fmt.Sprintf("%+v", c.list), names, c.want)
		equal(t, "counts", [2]int{total, filtered}, [2]int{len(strings.Fields(c.want)), len(strings.Fields(c.want))})
	}
	_, total, _ := b.called(users, store.List{Tenant: tenants[0], Recurse: true})
	equal(t, "with those below", total, 5)
}

func testListAccountsPages(t *testing.T, b *bench) {
	tenants, users := b.neighbourhood()
	nulls := []string{"nameless", "nobody"}
	if users["nobody"].UUID < users["nameless"].UUID {
		nulls = []string{"nobody", "nameless"}
	}
	last := strings.Join(nulls, " ")
	for _, c := range []struct{ order, up, down string }{
		{"", "ann ben c " + last, last + " c ben ann"},
		{"username", "ann ben c " + last, last + " c ben ann"},
		{"firstname", "ben ann c " + last, last + " c ann ben"},
	} {
		for descending, all := range map[bool]string{false: c.up, true: c.down} {
			l := store.List{Tenant: tenants[0], Recurse: true, Order: c.order, Descending: descending}
			names, _, _ := b.called(users, l)
			equal(t, fmt.Sprintf("by %q, descending %t", c.order, descending), names, all)
			l.Limit = new(int64(2))
			var pages []string
			for l.Offset = 0; l.Offset < 5; l.Offset += 2 {
				names, total, filtered := b.called(users, l)
				equal(t, "counts", [2]int{total, filtered}, [2]int{5, 5})
				pages = append(pages, names)
			}
			equal(t, "pages", strings.Join(pages, " "), all)
		}
	}
	names, _, _ := b.called(users, store.List{Tenant: tenants[0], Order: "lastname", Limit: new(int64(1))})
	equal(t, "by lastname", names, "ann")
}

func testListAccountsFilters(t *testing.T, b *bench) {
	tenants, users := b.neighbourhood()
	group := b.group(tenants[0], "g")
	own, through, both := b.policy(b.top, "Own"), b.policy(tenants[1], "through"), b.policy(tenants[1], "both")
	for policy, holders := range map[string][]string{own: {"ann", "ben"}, both: {"ann"}} {
		for _, name := range holders {
			b.exec(`insert into auth_user_policy (user_uuid, policy_uuid) values ($1, $2)`, users[name].UUID, policy)
		}
	}
	for _, policy := range []string{through, both} {
		b.exec(`insert into auth_group_policy (group_uuid, policy_uuid) values ($1, $2)`, group, policy)
	}
	for _, name := range []string{"ann", "c"} {
		b.exec(`insert into auth_user_group (group_uuid, user_uuid) values ($1, $2)`, group, users[name].UUID)
	}
	for _, c := range []struct{ filter, value, want string }{
		{"uuid", users["ben"].UUID, "ben"}, {"uuid", strings.ToUpper(users["ben"].UUID), ""},
		{"username", "Ann", "ann"}, {"username", "ann", ""}, {"username", "c%d", "c"}, {"username", "c%", ""}, {"username", "", ""},
		{"firstname", "Ann", "ann"}, {"firstname", "ann", "c"}, {"firstname", "", "ben"},
		{"lastname", "Ōe", "ben"}, {"lastname", "ōe", ""},
		{"purpose", store.PurposeInternal, "ben"}, {"purpose", "robot", ""},
		{"email_address", "Ann@example.org", "ann"}, {"email_address", "ann@example.org", ""}, {"email_address", "zoe@example.org", "ann"},
		{"email_address", "nameless@example.org", "nameless"},
		{"group_uuid", group, "ann c"}, {"group_uuid", newID(), ""},
		{"policy_uuid", own, "ann ben"}, {"policy_uuid", both, "ann"}, {"policy_uuid", through, ""},
		{"policy_slug", "Own", "ann ben"}, {"policy_slug", "own", ""}, {"policy_slug", "through", ""},
		{"has_policy_uuid", own, "ann ben"}, {"has_policy_uuid", through, "ann c"}, {"has_policy_uuid", both, "ann c"}, {"has_policy_uuid", "%", ""},
		{"has_policy_slug", "Own", "ann ben"}, {"has_policy_slug", "own", ""}, {"has_policy_slug", "through", "ann c"}, {"has_policy_slug", "both", "ann c"},
	} {
		names, total, filtered := b.called(users, store.List{Tenant: tenants[0], Recurse: true, Filters: map[string]any{c.filter: c.value}})
		equal(t, fmt.Sprintf("%s=%q", c.filter, c.value), names, c.want)
		equal(t, "counts", [2]int{total, filtered}, [2]int{5, len(strings.Fields(c.want))})
	}
	names, _, _ := b.called(users, store.List{Tenant: tenants[0], Recurse: true, Filters: map[string]any{"has_policy_slug": "both", "firstname": "ann"}})
	equal(t, "two filters", names, "c")
}

func testListAccountsSearch(t *testing.T, b *bench) {
	tenants, users := b.neighbourhood()
	for search, found := range map[string]string{
		"ANN": "ann c", "o'h": "ann", "ō": "ben", "C%D": "ann c", "second@": "ann", "ZOE": "ann", "ben@example": "ben",
		// Who has nothing to be searched is not found.
		"": "ann ben c nameless", "%": "ann ben c nameless",
		"example": "ann ben nameless", "example org": "ann ben nameless", "nothing": "", "'": "ann",
	} {
		names, total, filtered := b.called(users, store.List{Tenant: tenants[0], Recurse: true, Search: &search})
		equal(t, fmt.Sprintf("search %q", search), names, found)
		equal(t, "counts", [2]int{total, filtered}, [2]int{5, len(strings.Fields(found))})
	}
}
