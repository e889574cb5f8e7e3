package storetest

import (
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/wazo-edge/xivo-auth/authsvc/store"
)

var tenantAtOnceCases = map[string]func(*testing.T, *bench){
	"AtOnce/CreateTenant":      testCreateTenantAtOnce,
	"AtOnce/SlugCandidates":    testSlugCandidatesAtOnce,
	"AtOnce/MoveTenant":        testMoveTenantAtOnce,
	"AtOnce/DeleteTenant":      testDeleteTenantAtOnce,
	"AtOnce/DeleteTenantLogin": testDeleteTenantLoginAtOnce,
}

// Of many tenants with one slug, domain or uuid there is one, and the others
// are told why.
func testCreateTenantAtOnce(t *testing.T, b *bench) {
	for field, same := range map[string]func(n *store.NewTenant, value string){
		"slug":         func(n *store.NewTenant, v string) { n.Slugs = []string{v[:10]} },
		"domain_names": func(n *store.NewTenant, v string) { n.Domains = append(n.Domains, v+".org") },
		"uuid":         func(n *store.NewTenant, v string) { n.UUID = v },
	} {
		value, before := newID(), b.count(`select count(*) from auth_tenant`)
		var ok atomic.Int32
		b.together(8, func(i int, s store.Store) {
			n := store.NewTenant{
				TenantProfile: store.TenantProfile{Tenant: store.Tenant{Parent: b.top}, Method: store.MethodNative, Domains: []string{fmt.Sprintf("%s%d.org", field, i)}},
				Slugs:         []string{fmt.Sprintf("%.4s%d", field, i)},
			}
			same(&n, value)
			_, _, err := s.CreateTenant(t.Context(), n)
			if err == nil {
				ok.Add(1)
				return
			}
			if taken, told := errors.AsType[*store.ConflictError](err); !told || taken.Field != field {
				t.Errorf("%s: %v", field, err)
			}
		})
		equal(t, "created with one "+field, ok.Load(), 1)
		equal(t, "tenants", b.count(`select count(*) from auth_tenant`), before+1)
	}
}

// Who lets the service choose never meets a conflict.
func testSlugCandidatesAtOnce(t *testing.T, b *bench) {
	b.together(8, func(i int, s store.Store) {
		n := store.NewTenant{
			TenantProfile: store.TenantProfile{Tenant: store.Tenant{Parent: b.top}, Method: store.MethodNative},
			Slugs:         []string{"name", fmt.Sprintf("r%d", i)},
		}
		_, _, err := s.CreateTenant(t.Context(), n)
		must2(t, "CreateTenant", err)
	})
	equal(t, "named", b.count(`select count(*) from auth_tenant where slug = 'name'`), 1)
	equal(t, "created", b.count(`select count(*) from auth_tenant`), 9)
}

// Each of several tenants is moved below the next, all at once: whatever
// happens, every tenant is below the top one afterwards.
func testMoveTenantAtOnce(t *testing.T, b *bench) {
	const n = 4
	var ring []string
	for i := range n {
		ring = append(ring, b.tenant(fmt.Sprintf("t%d", i), b.top))
	}
	for round := range 10 {
		size := 2 + round%(n-1) // two are the shortest circle
		var ok atomic.Int32
		b.together(size, func(i int, s store.Store) {
			switch err := s.MoveTenant(t.Context(), ring[i], ring[(i+1)%size], b.top); {
			case err == nil:
				ok.Add(1)
			case !errors.Is(err, store.ErrDescendant):
				t.Errorf("MoveTenant: %v", err)
			}
		})
		equal(t, "moved", ok.Load(), int32(size-1))
		equal(t, "below the top", b.count(`with recursive below (uuid) as (
	select cast($1 as text) union select t.uuid from auth_tenant t join below b on t.parent_uuid = b.uuid
) select count(*) from below`, b.top), n+1)
		b.exec(`update auth_tenant set parent_uuid = $1`, b.top)
	}
}

// A tenant is deleted while others are created below it, moved there, or given
// a user: it goes alone, or stays with them.
func testDeleteTenantAtOnce(t *testing.T, b *bench) {
	beside := b.tenant("beside", b.top)
	for round := range 6 {
		doomed := b.tenant(fmt.Sprintf("t%d", round), b.top)
		b.exec(`update auth_tenant set parent_uuid = $1 where uuid = $2`, b.top, beside)
		var deleted, joined atomic.Int32
		b.together(4, func(i int, s store.Store) {
			var err error
			switch i {
			case 0, 1:
				if _, err = s.DeleteTenant(t.Context(), doomed, b.top); err == nil {
					deleted.Add(1)
				}
			case 2:
				n := store.NewTenant{TenantProfile: store.TenantProfile{Tenant: store.Tenant{Parent: doomed}, Method: store.MethodNative}, Slugs: []string{fmt.Sprintf("c%d", round)}}
				if _, _, err = s.CreateTenant(t.Context(), n); err == nil {
					joined.Add(1)
				}
			case 3:
				if err = s.MoveTenant(t.Context(), beside, doomed, b.top); err == nil {
					joined.Add(1)
				}
			}
			if err != nil && !errors.Is(err, store.ErrNotFound) && !errors.Is(err, store.ErrHasChildren) {
				t.Errorf("%d: %v", i, err)
			}
		})
		if deleted.Load() > 1 || (deleted.Load() == 1) == (joined.Load() > 0) {
			t.Errorf("deleted %d times, joined by %d", deleted.Load(), joined.Load())
		}
	}
}

// People log in while their tenant is deleted: every token is refused, or told
// as ended, or was never there; none is left.
func testDeleteTenantLoginAtOnce(t *testing.T, b *bench) {
	for round := range 6 {
		doomed := b.tenant(fmt.Sprintf("t%d", round), b.top)
		var users []string
		for i := range 3 {
			u, err := b.CreateUser(t.Context(), store.NewUser{User: store.User{Username: fmt.Sprintf("u%d-%d", round, i), TenantUUID: doomed, Enabled: true, Purpose: store.PurposeUser}})
			must(t, "CreateUser", err)
			users = append(users, u.UUID)
		}
		var (
			mu            sync.Mutex
			issued, ended = map[string]bool{}, map[string]bool{}
		)
		b.together(7, func(i int, s store.Store) {
			if i == 3 {
				tokens, err := s.DeleteTenant(t.Context(), doomed, b.top)
				must2(t, "DeleteTenant", err)
				mu.Lock()
				defer mu.Unlock()
				for _, e := range tokens {
					ended[e.UUID] = true
				}
				return
			}
			n := b.issue(users[i%3])
			n.Session.TenantUUID, n.Token.ExpiresAt = doomed, never
			switch _, err := s.IssueToken(t.Context(), n); {
			case err == nil:
				mu.Lock()
				defer mu.Unlock()
				issued[n.Token.UUID] = true
			case !errors.Is(err, store.ErrNotFound):
				t.Errorf("IssueToken: %v", err)
			}
		})
		equal(t, "ended", ended, issued)
		equal(t, "tokens left", b.count(`select count(*) from auth_token`), 0)
	}
}
