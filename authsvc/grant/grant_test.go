package grant_test

import (
	"fmt"
	"math"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/wazo-edge/xivo-auth/authsvc/acl"
	"github.com/wazo-edge/xivo-auth/authsvc/grant"
)

func TestGrant_Expired(t *testing.T) {
	t.Parallel()
	last := time.Unix(expiresAt, 0)
	for _, c := range []struct {
		name string
		now  time.Time
		want bool
	}{
		{"long before", last.Add(-time.Hour), false},
		{"a nanosecond before its last second", last.Add(-1), false},
		{"the stored second exactly", last, false},
		{"the same in another zone", last.In(time.FixedZone("", 7200)), false},
		{"a nanosecond later", last.Add(1), true},
		{"a second later", last.Add(time.Second), true},
		{"years later", last.AddDate(20, 0, 0), true},
		{"before 1970", time.Unix(-5, 0), false},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			if got := newGrant(nil).Expired(c.now); got != c.want {
				t.Errorf("Expired = %v, want %v", got, c.want)
			}
		})
	}
	t.Run("the last second of the column", func(t *testing.T) {
		t.Parallel()
		g := newGrant(func(f *grant.Fields) { f.ExpiresAt = math.MaxInt32 })
		if g.Expired(time.Unix(math.MaxInt32, 0)) || !g.Expired(time.Unix(math.MaxInt32, 1)) {
			t.Error("a token ends in 2038 at another moment than the stored one")
		}
	})
}

func TestGrant_Age(t *testing.T) {
	t.Parallel()
	validated := time.Unix(issuedAt, 7)
	g := grant.New(fields(nil), validated)
	for _, want := range []time.Duration{0, 1, time.Minute, -time.Hour} {
		if got := g.Age(validated.Add(want)); got != want {
			t.Errorf("Age = %v, want %v", got, want)
		}
	}
}

func TestGrant_Allows(t *testing.T) {
	t.Parallel()
	compiled := acl.Compile([]string{"auth.users.me.read", "auth.sessions.my_session.delete", "confd.#", "!confd.secret"})
	odd := func(f *grant.Fields) { f.AuthID, f.SessionUUID = grant.InternalAuthID, "S-1" }
	empty := func(f *grant.Fields) { f.AuthID, f.SessionUUID = "", "" }
	for _, c := range []struct {
		name, required string
		edit           func(*grant.Fields)
		want           bool
	}{
		{"literally me", "auth.users.me.read", nil, true},
		{"own id", "auth.users." + someUser + ".read", nil, true},
		{"own id in upper case", "auth.users." + strings.ToUpper(someUser) + ".read", nil, false},
		{"another's id", "auth.users." + someTenant + ".read", nil, false},
		{"own session", "auth.sessions." + someSession + ".delete", nil, true},
		{"another session", "auth.sessions." + someUser + ".delete", nil, false},
		{"my_session is not me", "auth.users." + someSession + ".read", nil, false},
		{"wildcard", "confd.users.read", nil, true},
		{"negative", "confd.secret", nil, false},
		{"nothing required is not the empty access", "", nil, false},
		{"auth id that is no uuid", "auth.users.wazo-auth.read", odd, true},
		{"session that is no uuid", "auth.sessions.S-1.delete", odd, true},
		{"the former id with an odd one", "auth.users." + someUser + ".read", odd, false},
		{"nil uuid is not the odd one", "auth.users.00000000-0000-0000-0000-000000000000.read", odd, false},
		{"nil uuid is not the empty one", "auth.users.00000000-0000-0000-0000-000000000000.read", empty, false},
		{"nil uuid is not the empty session", "auth.sessions.00000000-0000-0000-0000-000000000000.delete", empty, false},
		{"nil uuid as an id", "auth.users.00000000-0000-0000-0000-000000000000.read", func(f *grant.Fields) {
			f.AuthID = "00000000-0000-0000-0000-000000000000"
		}, true},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			g := newGrant(func(f *grant.Fields) {
				f.ACL = compiled
				if c.edit != nil {
					c.edit(f)
				}
			})
			if got := g.Allows(c.required); got != c.want {
				t.Errorf("Allows(%q) = %v, want %v", c.required, got, c.want)
			}
		})
	}
}

func TestGrant_Identity(t *testing.T) {
	t.Parallel()
	const nilUUID = "00000000-0000-0000-0000-000000000000"
	for _, c := range []struct {
		name                  string
		edit                  func(*grant.Fields)
		auth, session, tenant string
		user, exists, intern  bool
	}{
		{"ordinary", nil, someUser, someSession, someTenant, true, true, false},
		{"moved since", func(f *grant.Fields) { f.UserTenant = otherTenant }, someUser, someSession, otherTenant, true, true, false},
		{"user gone: the tenant of the metadata", func(f *grant.Fields) { f.UserTenant = "" }, someUser, someSession, someTenant, true, false, false},
		{"user gone, no tenant anywhere", func(f *grant.Fields) {
			f.UserTenant, f.Metadata = "", grant.Metadata(someUser, "", someUser, someStack, "user")
		}, someUser, someSession, "", true, false, false},
		{"internal", func(f *grant.Fields) {
			f.AuthID, f.UserTenant, f.Metadata = grant.InternalAuthID, "", "{}"
		}, grant.InternalAuthID, someSession, "", false, false, true},
		{"internal, in upper case", func(f *grant.Fields) { f.AuthID = "WAZO-AUTH" }, "WAZO-AUTH", someSession, someTenant, false, true, false},
		{"upper-case uuids stay what they are", func(f *grant.Fields) {
			f.AuthID, f.SessionUUID, f.UserTenant = strings.ToUpper(someUser), strings.ToUpper(someSession), strings.ToUpper(someTenant)
		}, strings.ToUpper(someUser), strings.ToUpper(someSession), strings.ToUpper(someTenant), false, true, false},
		{"nil uuids", func(f *grant.Fields) {
			f.AuthID, f.SessionUUID, f.UserTenant = nilUUID, nilUUID, nilUUID
		}, nilUUID, nilUUID, nilUUID, false, true, false},
		{"empty session", func(f *grant.Fields) { f.SessionUUID = "" }, someUser, "", someTenant, true, true, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			g := newGrant(c.edit)
			if g.AuthID() != c.auth || g.SessionUUID() != c.session || g.Tenant() != c.tenant {
				t.Errorf("AuthID, SessionUUID, Tenant = %q, %q, %q; want %q, %q, %q",
					g.AuthID(), g.SessionUUID(), g.Tenant(), c.auth, c.session, c.tenant)
			}
			if auth, session, tenant := g.Identity(); auth != c.auth || session != c.session || tenant != c.tenant {
				t.Errorf("Identity = %q, %q, %q; want %q, %q, %q", auth, session, tenant, c.auth, c.session, c.tenant)
			}
			if g.IsUser() != c.user || g.UserExists() != c.exists || g.IsInternal() != c.intern {
				t.Errorf("IsUser, UserExists, IsInternal = %v, %v, %v; want %v, %v, %v",
					g.IsUser(), g.UserExists(), g.IsInternal(), c.user, c.exists, c.intern)
			}
			if g.Token() != uuid.MustParse(someToken) || !g.ExpiresAt().Equal(time.Unix(expiresAt, 0)) {
				t.Errorf("Token, ExpiresAt = %v, %v", g.Token(), g.ExpiresAt())
			}
		})
	}
}

func TestGrant_TenantIs(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name, held, asked string
		want              bool
	}{
		{"same", someTenant, someTenant, true},
		{"other", someTenant, otherTenant, false},
		{"upper case is another text", someTenant, strings.ToUpper(someTenant), false},
		{"stored in upper case", strings.ToUpper(someTenant), strings.ToUpper(someTenant), true},
		{"stored in upper case, asked in lower", strings.ToUpper(someTenant), someTenant, false},
		{"no uuid", "main", "main", true},
		{"user gone, nil uuid asked", "", "00000000-0000-0000-0000-000000000000", false},
		{"user gone, nothing asked", "", "", false},
		{"nil uuid", "00000000-0000-0000-0000-000000000000", "00000000-0000-0000-0000-000000000000", true},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			g := newGrant(func(f *grant.Fields) { f.UserTenant = c.held })
			if got := g.TenantIs(c.asked); got != c.want {
				t.Errorf("TenantIs(%q) = %v, want %v", c.asked, got, c.want)
			}
		})
	}
}

func TestState_String(t *testing.T) {
	t.Parallel()
	seen := map[string]bool{}
	for s := range grant.State(grant.States) {
		if s.String() == "" || seen[s.String()] {
			t.Errorf("state %d is labelled %q", s, s)
		}
		seen[s.String()] = true
	}
}

// TestGrant_DoesNotAllocate is not parallel: AllocsPerRun counts the whole
// process.
func TestGrant_DoesNotAllocate(t *testing.T) {
	ordinary := newGrant(nil)
	odd := newGrant(func(f *grant.Fields) { f.AuthID, f.SessionUUID, f.UserTenant = grant.InternalAuthID, "S", "T" })
	now := time.Now()
	for _, c := range []struct {
		name string
		f    func()
	}{
		{"Allows", func() { ordinary.Allows("auth.users." + someUser + ".read") }},
		{"Allows of an odd one", func() { odd.Allows("auth.users.wazo-auth.read") }},
		{"TenantIs", func() { ordinary.TenantIs(someTenant); odd.TenantIs("T") }},
		{"Expired", func() { ordinary.Expired(now); ordinary.Age(now) }},
		{"ParseID", func() { grant.ParseID(someToken) }},
		{"Purpose", func() { ordinary.Purpose() }},
	} {
		t.Run(c.name, func(t *testing.T) {
			if n := testing.AllocsPerRun(100, c.f); n != 0 {
				t.Errorf("%v allocations", n)
			}
		})
	}
	if n := testing.AllocsPerRun(100, func() { ordinary.Identity() }); n > 1 {
		t.Errorf("Identity: %v allocations", n)
	}
}

// TestGrant_Size compares what is charged with what the heap grows by.
func TestGrant_Size(t *testing.T) {
	shared := acl.Compile([]string{"confd.#"})
	var lists [][]string
	for i := range 2000 {
		list := make([]string, 50)
		for j := range list {
			list[j] = fmt.Sprintf("service-%d.resource-%d.*.read", i, j)
		}
		lists = append(lists, list)
	}
	for _, c := range []struct {
		name     string
		n        int
		edit     func(i int, f *grant.Fields)
		low, top float64 // heap per byte charged
	}{
		// The rest of a grant's place is what the cache keeps beside it.
		{"ordinary", 20_000, func(int, *grant.Fields) {}, 0.9, 1.5},
		{"unusual metadata", 20_000, func(i int, f *grant.Fields) {
			f.Metadata = fmt.Sprintf(`{"n": %d, "text": %q}`, i, strings.Repeat("x", 300))
		}, 0.9, 1.5},
		{"an ACL of its own", 2000, func(i int, f *grant.Fields) {
			f.ACL, f.OwnACL = acl.Compile(lists[i]), true
		}, 0.6, 1.5},
		{"an address cut out of a huge header", 5000, func(i int, f *grant.Fields) {
			f.RemoteAddr = fmt.Sprintf("%d %s", i, strings.Repeat("x", 4000))[:5]
		}, 0.9, 1.5},
		// Last: what is interned goes a little later than the rest.
		{"a huge User-Agent", 1000, func(i int, f *grant.Fields) {
			f.UserAgent = fmt.Sprintf("%d %s", i, strings.Repeat("x", 20_000))
		}, 0.9, 1.5},
	} {
		t.Run(c.name, func(t *testing.T) {
			held := make([]*grant.Grant, c.n)
			before := liveHeap()
			charged := 0
			for i := range held {
				held[i] = newGrant(func(f *grant.Fields) {
					f.ACL, f.RemoteAddr = shared, fmt.Sprintf("192.0.2.%d", i%250)
					c.edit(i, f)
				})
				charged += held[i].Size()
			}
			ratio := float64(liveHeap()-before) / float64(charged)
			runtime.KeepAlive(held)
			t.Logf("%d bytes charged each, heap %.2f times that", charged/c.n, ratio)
			if ratio < c.low || ratio > c.top {
				t.Errorf("the heap grew by %.2f times what is charged, want %v to %v", ratio, c.low, c.top)
			}
		})
	}
}

func liveHeap() int64 {
	runtime.GC()
	runtime.GC() // the first leaves weak things, as unique handles are, to the second
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc)
}

func BenchmarkGrant_AppendJSON(b *testing.B) {
	g := newGrant(nil)
	buf := make([]byte, 0, 2048)
	b.ReportAllocs()
	for b.Loop() {
		buf = g.AppendJSON(buf[:0], time.UTC)
	}
}
