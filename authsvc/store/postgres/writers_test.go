package postgres_test

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/wazo-edge/xivo-auth/authsvc/store"
	"github.com/wazo-edge/xivo-auth/authsvc/store/sqlstore"
	"github.com/wazo-edge/xivo-auth/internal/pgtest"
)

// writer is one of many who want the same few names. What it changes later is
// its own, so that of all that can be in the way only names are.
type writer struct {
	*sqlstore.Store
	*rand.Rand
	id       int
	tenants  []string
	users    []store.User
	groups   []store.Group
	policies []store.Policy
	made     []store.TenantProfile
}

// login is one of few logins, in some case.
func (w *writer) login() string {
	name := fmt.Sprintf("login%d@example.org", w.IntN(24))
	if w.IntN(2) == 0 {
		return strings.ToUpper(name)
	}
	return name
}

func (w *writer) word() string { return fmt.Sprintf("word%d", w.IntN(16)) }

func (w *writer) own() string { return fmt.Sprintf("own-%d-%d", w.id, w.Uint32()) }

func (w *writer) tenant() string { return w.tenants[w.IntN(len(w.tenants))] }

// last puts what was made behind all.
func last[T any](all *[]T, v T, err error) error {
	if err == nil {
		*all = append(*all, v)
	}
	return err
}

// some is one of all; false when there is none yet.
func some[T any](w *writer, all []T) (v *T, ok bool) {
	if len(all) == 0 {
		return nil, false
	}
	return &all[w.IntN(len(all))], true
}

// errNothing is of a write that had nothing of its own yet to change.
var errNothing = errors.New("nothing to do")

// writes are what they do, and which conflicts each may meet.
var writes = []struct {
	name   string
	fields []string
	op     func(context.Context, *writer) error
}{
	{"CreateUser", []string{"username", "email_address"}, func(ctx context.Context, w *writer) error {
		n := store.NewUser{User: store.User{TenantUUID: w.tenant(), Enabled: true, Purpose: store.PurposeUser, Username: w.own()}}
		switch w.IntN(4) {
		case 0:
			n.Username = w.login()
		case 1:
			n.Email = w.login()
		}
		u, err := w.CreateUser(ctx, n)
		return last(&w.users, u, err)
	}},
	{"UpdateUser", []string{"username"}, func(ctx context.Context, w *writer) error {
		u, ok := some(w, w.users)
		if !ok {
			return errNothing
		}
		n := *u
		n.Username = w.login()
		_, err := w.UpdateUser(ctx, n)
		return err
	}},
	{"SetEmails", []string{"email_address"}, func(ctx context.Context, w *writer) error {
		u, ok := some(w, w.users)
		if !ok {
			return errNothing
		}
		_, err := w.SetEmails(ctx, u.UUID, []store.NewEmail{{Address: w.login(), Main: true}, {Address: w.own() + "@example.org"}})
		return err
	}},
	{"DeleteUser", nil, func(ctx context.Context, w *writer) error {
		if len(w.users) < 2 {
			return errNothing
		}
		u := w.users[0]
		w.users = w.users[1:]
		_, err := w.DeleteUser(ctx, u.UUID)
		return err
	}},
	{"CreateGroup", []string{"name", "slug"}, func(ctx context.Context, w *writer) error {
		g, err := w.CreateGroup(ctx, store.Group{TenantUUID: w.tenant(), Name: w.word()}, []string{strings.ToUpper(w.word())})
		return last(&w.groups, g, err)
	}},
	{"RenameGroup", []string{"name"}, func(ctx context.Context, w *writer) error {
		g, ok := some(w, w.groups)
		if !ok {
			return errNothing
		}
		_, err := w.RenameGroup(ctx, g.UUID, w.word())
		return err
	}},
	{"CreatePolicy", []string{"name", "slug"}, func(ctx context.Context, w *writer) error {
		p, err := w.CreatePolicy(ctx, store.NewPolicy{
			TenantUUID: w.tenant(), Name: w.word(), Slugs: []string{w.word()}, Shared: w.IntN(3) == 0, ACL: []string{w.word(), w.word()},
		})
		return last(&w.policies, p, err)
	}},
	{"UpdatePolicy", []string{"name"}, func(ctx context.Context, w *writer) error {
		p, ok := some(w, w.policies)
		if !ok {
			return errNothing
		}
		_, err := w.UpdatePolicy(ctx, p.TenantUUID, p.UUID, func(p *store.Policy) error {
			p.Name, p.ACL = w.word(), []string{w.word(), w.word()}
			return nil
		})
		return err
	}},
	{"DeletePolicy", nil, func(ctx context.Context, w *writer) error {
		if len(w.policies) < 2 {
			return errNothing
		}
		p := w.policies[0]
		w.policies = w.policies[1:]
		return w.DeletePolicy(ctx, p.TenantUUID, p.UUID, func(store.Policy) error { return nil })
	}},
	{"links", nil, func(ctx context.Context, w *writer) error {
		u, has := some(w, w.users)
		g, grouped := some(w, w.groups)
		p, may := some(w, w.policies)
		if !has || !grouped || !may {
			return errNothing
		}
		return errors.Join(
			w.AddGroupMember(ctx, g.UUID, u.UUID),
			w.AddPolicy(ctx, store.Holder{User: u.UUID}, p.UUID),
			w.AddPolicy(ctx, store.Holder{Group: g.UUID}, p.UUID),
		)
	}},
	{"CreateTenant", []string{"slug", "domain_names"}, func(ctx context.Context, w *writer) error {
		n := store.NewTenant{Slugs: []string{w.word()}}
		n.Parent, n.Method, n.Domains = w.tenant(), store.MethodNative, []string{w.word() + ".example"}
		made, _, err := w.CreateTenant(ctx, n)
		return last(&w.made, made, err)
	}},
	{"UpdateTenant", []string{"domain_names"}, func(ctx context.Context, w *writer) error {
		made, ok := some(w, w.made)
		if !ok {
			return errNothing
		}
		n := *made
		n.Domains, n.Address.City = []string{w.word() + ".example", w.own() + ".example"}, w.word()
		_, err := w.UpdateTenant(ctx, n, n.UUID)
		return err
	}},
}

// TestManyWriters has 32 writers on two nodes take the same few logins, names,
// slugs and domains from each other. Each is refused with the name of what is
// taken, or succeeds, and what is left breaks no invariant.
func TestManyWriters(t *testing.T) {
	t.Parallel()
	const rounds = 40
	dsn := pgtest.DSN(t)
	o := store.Options{Timeout: time.Minute, MaxConns: 16}
	first, top := migrated(t, dsn, o)
	stores := []*sqlstore.Store{first, openStore(t, dsn, o)}
	tree := []string{top}
	for i := range 6 { // two lines, four deep
		n := store.NewTenant{Slugs: []string{fmt.Sprintf("tenant%d", i)}}
		n.Parent, n.Method = tree[max(0, i-1)], store.MethodNative
		made, _, err := first.CreateTenant(t.Context(), n)
		if err != nil {
			t.Fatal(err)
		}
		tree = append(tree, made.UUID)
	}

	var (
		mu    sync.Mutex
		count = map[string]int{}
		wg    sync.WaitGroup
	)
	for i := range 32 {
		w := &writer{Store: stores[i%2], Rand: rand.New(rand.NewPCG(26, uint64(i))), id: i, tenants: tree}
		wg.Go(func() {
			for range rounds {
				do := writes[w.IntN(len(writes))]
				err := do.op(t.Context(), w)
				outcome := "done"
				taken, told := errors.AsType[*store.ConflictError](err)
				switch {
				case told && slices.Contains(do.fields, taken.Field):
					outcome = taken.Field
				case errors.Is(err, errNothing):
					outcome = "nothing"
				case err != nil:
					t.Errorf("%s: %v", do.name, err)
				}
				mu.Lock()
				count[do.name+" "+outcome]++
				mu.Unlock()
			}
		})
	}
	wg.Wait()
	for _, do := range writes {
		for _, outcome := range append([]string{"done"}, do.fields...) {
			if count[do.name+" "+outcome] == 0 {
				t.Errorf("no %s had the outcome %s", do.name, outcome)
			}
		}
	}
	for _, outcome := range slices.Sorted(maps.Keys(count)) {
		t.Logf("%4d %s", count[outcome], outcome)
	}
	holds(t, first.DB())

	// Deadlocks are resolved and the call repeated, but they are not to happen.
	// Sessions tell what they counted at their end.
	for _, s := range stores {
		_ = s.Close()
	}
	after := openStore(t, dsn, store.Options{}).DB()
	for others := -1; others != 0; {
		if err := after.QueryRowContext(t.Context(), `select count(*) from pg_stat_activity
where datname = current_database() and pid <> pg_backend_pid() and backend_type = 'client backend'`).Scan(&others); err != nil {
			t.Fatal(err)
		}
	}
	if dead := lines(t, after, `select deadlocks::text from pg_stat_database where datname = current_database()`); !slices.Equal(dead, []string{"0"}) {
		t.Errorf("deadlocks: %v", dead)
	}
}
