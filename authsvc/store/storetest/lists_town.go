package storetest

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/wazo-edge/xivo-auth/authsvc/store"
)

// listed is a row of a resource, as the cases know it.
type listed struct {
	key, tenant, user, client string
	created                   time.Time
	mobile                    bool
}

// resources are the lists. What is generic in a list is tried on each.
var resources = []struct {
	name   string
	orders map[string]func(a, b listed) int // what it can be ordered by
	add    func(*bench, listed)
	list   func(context.Context, store.Store, store.List) (store.Page[string], error)
}{
	{
		name: "ListRefreshTokens",
		orders: map[string]func(a, b listed) int{
			"": byCreated, "created_at": byCreated, "mobile": byMobile,
			"client_id": func(a, b listed) int { return strings.Compare(a.client, b.client) },
		},
		add: func(b *bench, l listed) {
			b.exec(`insert into auth_refresh_token (uuid, client_id, user_uuid, login, created_at, mobile) values ($1, $2, $3, 'x', $4, $5)`,
				l.key, l.client, l.user, l.created.Format("2006-01-02T15:04:05.000000Z"), l.mobile)
		},
		list: func(ctx context.Context, s store.Store, l store.List) (store.Page[string], error) {
			p, err := s.ListRefreshTokens(ctx, l)
			return keys(p, err, func(r store.RefreshToken) string { return r.UUID })
		},
	},
	{
		name:   "ListSessions",
		orders: map[string]func(a, b listed) int{"": func(_, _ listed) int { return 0 }, "mobile": byMobile},
		add: func(b *bench, l listed) {
			b.issued(store.NewToken{
				Session: store.Session{UUID: l.key, Mobile: l.mobile, TenantUUID: l.tenant},
				Token:   store.Token{UUID: newID(), AuthID: l.user},
			})
		},
		list: func(ctx context.Context, s store.Store, l store.List) (store.Page[string], error) {
			p, err := s.ListSessions(ctx, l)
			return keys(p, err, func(s store.ListedSession) string { return s.UUID })
		},
	},
}

func byCreated(a, b listed) int { return a.created.Compare(b.created) }

func byMobile(a, b listed) int {
	return cmp.Compare(map[bool]int{true: 1}[a.mobile], map[bool]int{true: 1}[b.mobile])
}

func keys[T any](p store.Page[T], err error, key func(T) string) (store.Page[string], error) {
	out := store.Page[string]{Total: p.Total, Filtered: p.Filtered}
	if p.Items != nil {
		out.Items = []string{}
	}
	for _, item := range p.Items {
		out.Items = append(out.Items, key(item))
	}
	return out, err
}

// town is a tree of tenants four deep, with users in each and the same rows in
// every resource and store: what lists answer is worked out from it.
type town struct {
	tenants []string // each the parent of the next
	beside  string   // a tenant under the first
	users   []string
	rows    []listed
}

func (b *bench) town() *town {
	b.t.Helper()
	v := &town{}
	parent := b.top
	for i := range 4 {
		parent = b.tenant(fmt.Sprintf("t%d", i), parent)
		v.tenants = append(v.tenants, parent)
	}
	v.beside = b.tenant("beside", v.tenants[0])
	at := time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)
	// Two users in each, three rows each. Many rows are equal in what they
	// can be ordered by; keys are in no order of making.
	for i, tenant := range append(slices.Clone(v.tenants), v.beside) {
		for j := range 2 {
			u := b.user(fmt.Sprintf("user%d%d", i, j), "")
			b.exec(`update auth_user set tenant_uuid = $1 where uuid = $2`, tenant, u.UUID)
			v.users = append(v.users, u.UUID)
			for k := range 3 {
				n := len(v.rows)
				row := listed{
					key:    fmt.Sprintf("%08x-0000-4000-8000-%012x", n*7919%31, n),
					tenant: tenant, user: u.UUID, mobile: n%3 == 0,
					client:  []string{"b", "B", "é", "a-c", "ab", "_"}[n%2*3+k],
					created: at.Add(time.Duration(n%4) * time.Microsecond),
				}
				for _, r := range resources {
					r.add(b, row)
				}
				v.rows = append(v.rows, row)
			}
		}
	}
	return v
}

// page works out what a list without search and filters answers.
func (v *town) page(l store.List, order func(a, b listed) int) store.Page[string] {
	scope := []string{l.Tenant}
	if at := slices.Index(v.tenants, l.Tenant); l.Recurse && at >= 0 {
		scope = v.tenants[at:]
		if at == 0 {
			scope = append(slices.Clone(scope), v.beside)
		}
	}
	var rows []listed
	for _, row := range v.rows {
		if slices.Contains(scope, row.tenant) && (l.User == "" || l.User == row.user) {
			rows = append(rows, row)
		}
	}
	slices.SortFunc(rows, func(a, b listed) int {
		by := order(a, b)
		if l.Descending {
			by = -by
		}
		return cmp.Or(by, strings.Compare(a.key, b.key))
	})
	p := store.Page[string]{Total: len(rows), Filtered: len(rows), Items: []string{}}
	for i, row := range rows {
		if int64(i) >= l.Offset && (l.Limit == nil || int64(len(p.Items)) < *l.Limit) {
			p.Items = append(p.Items, row.key)
		}
	}
	return p
}
