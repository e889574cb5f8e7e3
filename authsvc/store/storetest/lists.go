package storetest

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/wazo-edge/xivo-auth/authsvc/store"
)

var listCases = map[string]func(*testing.T, *bench){
	"List/Scope":    testListScope,
	"List/Pages":    testListPages,
	"List/Search":   testListSearch,
	"List/Filters":  testListFilters,
	"List/Nulls":    testListNulls,
	"List/Invalid":  testListInvalid,
	"List/Circle":   testListCircle,
	"List/Sessions": testListSessions,
}

func testListScope(t *testing.T, b *bench) {
	v := b.town()
	for _, r := range resources {
		for _, tenant := range append(slices.Clone(v.tenants), v.beside, newID(), "", "%") {
			for _, recurse := range []bool{false, true} {
				for _, user := range []string{"", v.users[0], v.users[5], v.users[9], newID(), "%"} {
					l := store.List{Tenant: tenant, Recurse: recurse, User: user}
					p, err := r.list(t.Context(), b.Store, l)
					must(t, r.name, err)
					equal(t, fmt.Sprintf("%s %+v", r.name, l), p, v.page(l, r.orders[""]))
				}
			}
		}
		// Of one user, wherever: not what another tenant asks about.
		p, err := r.list(t.Context(), b.Store, store.List{Everywhere: true, User: v.users[5], Tenant: v.beside})
		must(t, r.name, err)
		equal(t, r.name+" everywhere", p.Total, 3)
		_, err = r.list(t.Context(), b.Store, store.List{Everywhere: true})
		want(t, r.name+" of everybody", err, store.ErrInvalid)
		_, err = r.list(t.Context(), b.Store, store.List{Tenant: b.top, Group: newID()})
		want(t, r.name+" of a group", err, store.ErrInvalid)
		// The top tenant is its own parent.
		p, err = r.list(t.Context(), b.Store, store.List{Tenant: b.top, Recurse: true})
		must(t, r.name, err)
		equal(t, r.name+" from the top", p.Total, len(v.rows))
		p, err = r.list(t.Context(), b.Store, store.List{Tenant: b.top})
		must(t, r.name, err)
		equal(t, r.name+" of the top alone", p, store.Page[string]{Items: []string{}})
	}
}

func testListPages(t *testing.T, b *bench) {
	v := b.town()
	for _, r := range resources {
		for order, compare := range r.orders {
			for _, descending := range []bool{false, true} {
				l := store.List{Tenant: v.tenants[0], Recurse: true, Order: order, Descending: descending}
				list := func(limit *int64, offset int64) []string {
					t.Helper()
					l := l
					l.Limit, l.Offset = limit, offset
					p, err := r.list(t.Context(), b.Store, l)
					must(t, r.name, err)
					equal(t, fmt.Sprintf("%s %+v from %d", r.name, l, offset), p, v.page(l, compare))
					return p.Items
				}
				whole := list(nil, 0)
				n := int64(len(whole))
				for size := int64(1); size <= n+1; size++ {
					var pages []string
					for offset := int64(0); offset < n; offset += size {
						pages = append(pages, list(&size, offset)...)
					}
					equal(t, fmt.Sprintf("%s by %q in pages of %d", r.name, order, size), pages, whole)
				}
				zero, all := int64(0), int64(1)<<62
				for _, offset := range []int64{0, 1, n - 1, n, n + 1, all} {
					list(nil, offset)
					list(&zero, offset)
					list(&all, offset)
				}
			}
		}
	}
}

func testListSearch(t *testing.T, b *bench) {
	u := b.user("u", "")
	clients := []string{
		"alpha", "Alpha Beta", "beta ALPHA", "ÉLODIE", "élan", "ΑΛΦΑ", "жук", "100%", "100", "a_b", "axb", `back\slash`, `back\`,
		"it's", `"q"`, "a  b", "tab\tbed", "", "日本 語",
	}
	for _, client := range clients {
		b.stored(u, wanted(u, client, client == "alpha"))
	}
	for _, c := range []struct {
		search string
		want   []string
	}{
		{"", clients},
		{" ", clients},
		{" \t\n ", clients},
		{"alpha", []string{"alpha", "Alpha Beta", "beta ALPHA"}},
		{"ALPHA", []string{"alpha", "Alpha Beta", "beta ALPHA"}},
		{"  lph ", []string{"alpha", "Alpha Beta", "beta ALPHA"}},
		{"alpha beta", []string{"Alpha Beta"}},
		{"a   b", []string{"Alpha Beta", "a_b", "axb", "a  b", "tab\tbed"}},
		{"beta alpha", []string{"beta ALPHA"}},
		{"alphabeta", nil},
		{"Élodie", []string{"ÉLODIE"}},
		{"éL", []string{"ÉLODIE", "élan"}},
		{"el", nil},
		{"αλφα", []string{"ΑΛΦΑ"}},
		{"ЖУК", []string{"жук"}},
		{"日 語", []string{"日本 語"}},
		{"%", clients},
		{"1%0", []string{"100%", "100"}},
		{`100\%`, []string{"100%"}},
		{"100_", []string{"100%"}},
		{"x_", []string{"axb"}},
		{`a\_b`, []string{"a_b"}},
		{"a_b", []string{"Alpha Beta", "a_b", "axb"}},
		{`\\`, []string{`back\slash`, `back\`}},
		{`k\\s`, []string{`back\slash`}},
		{`\s`, []string{`back\slash`, "it's"}},
		{`\`, []string{"100%"}}, // it takes the wildcard after it for itself
		{"'", []string{"it's"}},
		{"' or '1'='1", nil},
		{`"q"`, []string{`"q"`}},
		{"$1", nil},
		{"nothing", nil},
	} {
		p, err := b.ListRefreshTokens(t.Context(), store.List{Tenant: b.top, Search: &c.search})
		must(t, "ListRefreshTokens", err)
		found := []string{}
		for _, r := range p.Items {
			found = append(found, r.ClientID)
		}
		equal(t, fmt.Sprintf("search %q", c.search), sorted(found...), sorted(append([]string{}, c.want...)...))
		equal(t, fmt.Sprintf("counts of %q", c.search), [2]int{p.Total, p.Filtered}, [2]int{len(clients), len(c.want)})
		// With a filter, and in a page.
		one := int64(1)
		p, err = b.ListRefreshTokens(t.Context(), store.List{
			Tenant: b.top, Recurse: true, User: u.UUID, Search: &c.search, Filters: map[string]any{"mobile": true}, Limit: &one,
		})
		must(t, "ListRefreshTokens", err)
		equal(t, "total", p.Total, len(clients))
		equal(t, fmt.Sprintf("filtered %q", c.search), p.Filtered == 1 && len(p.Items) == 1 && p.Items[0].ClientID == "alpha", slices.Contains(c.want, "alpha"))
		// Sessions have nothing to search.
		s, err := b.ListSessions(t.Context(), store.List{Tenant: b.top, Search: &c.search})
		must(t, "ListSessions", err)
		equal(t, "sessions", [2]int{s.Total, s.Filtered}, [2]int{len(clients), len(clients)})
	}
}

func testListFilters(t *testing.T, b *bench) {
	u := b.user("u", "")
	at := time.Date(2026, 3, 1, 12, 0, 0, 123_456_000, time.UTC)
	for i, client := range []string{"a", "A", "a ", "%", "é"} {
		r := wanted(u, client, i%2 == 0)
		r.CreatedAt = at.Add(time.Duration(i/2) * time.Microsecond)
		b.stored(u, r)
	}
	for _, c := range []struct {
		filters map[string]any
		want    string
	}{
		{nil, "%|A|a|a |é"},
		{map[string]any{}, "%|A|a|a |é"},
		{map[string]any{"client_id": "a"}, "a"},
		{map[string]any{"client_id": "a "}, "a "},
		{map[string]any{"client_id": "%"}, "%"},
		{map[string]any{"client_id": "É"}, ""},
		{map[string]any{"client_id": ""}, ""},
		{map[string]any{"mobile": true}, "a|a |é"},
		{map[string]any{"mobile": false}, "%|A"},
		{map[string]any{"created_at": at}, "A|a"},
		{map[string]any{"created_at": at.Add(time.Microsecond)}, "%|a "},
		{map[string]any{"created_at": at.In(time.FixedZone("", -3*3600))}, "A|a"},
		{map[string]any{"created_at": at.Add(-time.Microsecond)}, ""},
		{map[string]any{"created_at": at.Truncate(time.Second)}, ""},
		{map[string]any{"created_at": time.Time{}}, ""},
		{map[string]any{"created_at": at, "mobile": true, "client_id": "a"}, "a"},
		{map[string]any{"created_at": at, "mobile": false, "client_id": "a"}, ""},
	} {
		for _, user := range []string{"", u.UUID} {
			p, err := b.ListRefreshTokens(t.Context(), store.List{Tenant: b.top, User: user, Filters: c.filters})
			must(t, "ListRefreshTokens", err)
			got := []string{}
			for _, r := range p.Items {
				got = append(got, r.ClientID)
			}
			equal(t, fmt.Sprintf("filters %v", c.filters), strings.Join(sorted(got...), "|"), c.want)
			equal(t, "counts", [2]int{p.Total, p.Filtered}, [2]int{5, len(got)})
		}
	}
}

// Rows of other programs may lack what they are ordered by. They come where
// Postgres has them, whatever the database: last, or first when descending.
func testListNulls(t *testing.T, b *bench) {
	u := b.user("u", "")
	for i := range 4 {
		r := wanted(u, strconv.Itoa(i), false)
		r.UUID = strconv.Itoa(i)
		b.stored(u, r)
	}
	b.exec(`update auth_refresh_token set client_id = null, created_at = null where uuid in ('1', '2')`)
	for _, order := range []string{"client_id", "created_at"} {
		for descending, want := range map[bool]string{false: "0312", true: "1230"} {
			p, err := resources[0].list(t.Context(), b.Store, store.List{Tenant: b.top, Order: order, Descending: descending})
			must(t, "ListRefreshTokens", err)
			equal(t, "order by "+order, strings.Join(p.Items, ""), want)
		}
	}
	p, err := b.ListRefreshTokens(t.Context(), store.List{Tenant: b.top, Order: "client_id", Descending: true})
	must(t, "ListRefreshTokens", err)
	equal(t, "what is null", p.Items[0].ClientID == "" && p.Items[0].CreatedAt.IsZero(), true)
	empty := ""
	found, err := b.ListRefreshTokens(t.Context(), store.List{Tenant: b.top, Search: &empty})
	must(t, "ListRefreshTokens", err)
	equal(t, "found", found.Filtered, 2)
	// One whose user is not known belongs to no tenant.
	b.exec(`update auth_refresh_token set user_uuid = null where uuid = '1'`)
	found, err = b.ListRefreshTokens(t.Context(), store.List{Tenant: b.top, Recurse: true})
	must(t, "ListRefreshTokens", err)
	equal(t, "total", found.Total, 3)
}

func testListInvalid(t *testing.T, b *bench) {
	minus := int64(-1)
	for _, r := range resources {
		for name, l := range map[string]store.List{
			"unknown order":   {Order: "login"},
			"order, upper":    {Order: "MOBILE"},
			"order, injected": {Order: "mobile, uuid"},
			"unknown filter":  {Filters: map[string]any{"login": "x"}},
			"injected filter": {Filters: map[string]any{"1 = 1 or mobile": true}},
			"negative limit":  {Limit: &minus},
			"negative offset": {Offset: -1},
		} {
			l.Tenant = b.top
			p, err := r.list(t.Context(), b.Store, l)
			want(t, r.name+" "+name, err, store.ErrInvalid)
			equal(t, name, p, store.Page[string]{})
		}
		for _, bad := range unsearchable {
			for name, l := range map[string]store.List{
				"tenant": {Tenant: bad},
				"user":   {Tenant: b.top, User: bad},
				"search": {Tenant: b.top, Search: &bad},
				"order":  {Tenant: b.top, Order: bad},
				"filter": {Tenant: b.top, Filters: map[string]any{"client_id": bad}},
			} {
				_, err := r.list(t.Context(), b.Store, l)
				want(t, r.name+" NUL in "+name, err, store.ErrInvalid)
			}
		}
	}
	_, err := b.ListSessions(t.Context(), store.List{Tenant: b.top, Filters: map[string]any{"mobile": true}})
	want(t, "ListSessions, filtered", err, store.ErrInvalid)
}

// Tenants that somebody made each other's parents are both below each.
func testListCircle(t *testing.T, b *bench) {
	v := b.town()
	b.exec(`update auth_tenant set parent_uuid = $1 where uuid = $2`, v.tenants[3], v.tenants[0])
	for _, r := range resources {
		for _, tenant := range v.tenants {
			p, err := r.list(t.Context(), b.Store, store.List{Tenant: tenant, Recurse: true})
			must(t, r.name, err)
			equal(t, r.name+" in a circle", p.Total, len(v.rows))
			equal(t, r.name+" in a circle, once each", len(slices.Compact(sorted(p.Items...))), len(v.rows))
		}
		p, err := r.list(t.Context(), b.Store, store.List{Tenant: b.top, Recurse: true})
		must(t, r.name, err)
		equal(t, r.name+" outside the circle", p.Total, 0)
	}
}

func testListSessions(t *testing.T, b *bench) {
	sub := b.tenant("sub", b.top)
	u, guest := b.user("u", ""), b.user("guest", "")
	first := b.issue(u.UUID)
	first.Session = store.Session{UUID: "1", Mobile: true, TenantUUID: sub}
	b.issued(first)
	shared := b.issue(u.UUID)
	shared.Session.UUID, shared.Token.UUID = "2", "t2"
	b.issued(shared)
	b.exec(`insert into auth_token (uuid, auth_id, session_uuid) values ('t1', $1, '2'), ('t3', 'wazo-auth', '2')`, guest.UUID)
	b.exec(`insert into auth_session (uuid, mobile, tenant_uuid) values ('3', false, $1)`, b.top)
	list := func(l store.List) []store.ListedSession {
		t.Helper()
		l.Recurse = true
		p, err := b.ListSessions(t.Context(), l)
		must(t, "ListSessions", err)
		equal(t, "counts", [2]int{p.Total, p.Filtered}, [2]int{len(p.Items), len(p.Items)})
		return p.Items
	}
	mine := store.ListedSession{Session: first.Session, AuthID: u.UUID}
	both := store.ListedSession{Session: store.Session{UUID: "2", TenantUUID: b.top}, AuthID: guest.UUID}
	bare := store.ListedSession{Session: store.Session{UUID: "3", TenantUUID: b.top}}
	equal(t, "all, each once", list(store.List{Tenant: b.top}), []store.ListedSession{mine, both, bare})
	equal(t, "by mobile", list(store.List{Tenant: b.top, Order: "mobile"}), []store.ListedSession{both, bare, mine})
	equal(t, "of one tenant", list(store.List{Tenant: sub}), []store.ListedSession{mine})
	// Whoever has a token of a session finds it.
	equal(t, "of a user", list(store.List{Tenant: b.top, User: u.UUID}), []store.ListedSession{mine, both})
	equal(t, "of a guest", list(store.List{Tenant: b.top, User: guest.UUID}), []store.ListedSession{both})
	equal(t, "of the service", len(list(store.List{Tenant: b.top, User: "wazo-auth"})), 1)
	for _, c := range []struct {
		user, session   string
		total, filtered int
	}{{u.UUID, "2", 2, 1}, {guest.UUID, "2", 1, 1}, {guest.UUID, "1", 1, 0}, {"", "3", 3, 1}, {u.UUID, "3", 2, 0}, {u.UUID, "%", 2, 0}} {
		p, err := b.ListSessions(t.Context(), store.List{
			Tenant: b.top, Recurse: true, User: c.user, Filters: map[string]any{"uuid": c.session},
		})
		must(t, "ListSessions", err)
		equal(t, fmt.Sprintf("one session: %+v", c), [3]int{p.Total, p.Filtered, len(p.Items)}, [3]int{c.total, c.filtered, c.filtered})
	}
}
