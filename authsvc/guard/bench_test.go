package guard_test

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/wazo-edge/xivo-auth/authsvc/acl"
	"github.com/wazo-edge/xivo-auth/authsvc/cache"
	"github.com/wazo-edge/xivo-auth/authsvc/grant"
	"github.com/wazo-edge/xivo-auth/authsvc/guard"
	"github.com/wazo-edge/xivo-auth/authsvc/routes"
	"github.com/wazo-edge/xivo-auth/authsvc/store"
	"github.com/wazo-edge/xivo-auth/authsvc/tenants"
)

// accessList is one a user of the stack holds: n accesses over a dozen
// services, some with ids and wildcards, the one asked for last.
func accessList(n int) []string {
	services := []string{"confd", "calld", "auth", "dird", "chatd", "webhookd", "agentd", "amid", "provd", "call-logd"}
	shapes := []string{"%s.resource-%d.read", "%s.users.me.resource-%d.#", "%s.resource-%d.*.update", "!%s.resource-%d.*.secrets.read"}
	list := make([]string, 0, n)
	for i := range n - 1 {
		list = append(list, fmt.Sprintf(shapes[i%len(shapes)], services[i%len(services)], i))
	}
	return append(list, "confd.users.*.lines.read")
}

const required = "confd.users." + user + ".lines.read"

type noLoader struct{}

func (noLoader) LoadGrant(context.Context, uuid.UUID, time.Time) (*grant.Grant, error) {
	return nil, errDown
}

type tenantRows []store.Tenant

func (r tenantRows) TenantTree(context.Context) ([]store.Tenant, error) { return r, nil }

// resident is a guard over a real cache that holds the tokens it returns, each
// with the same list of n accesses.
func resident(tb testing.TB, n, tokens int) (*guard.Guard, []string) {
	tb.Helper()
	c, err := cache.New(noLoader{}, cache.Config{Grants: 100_000})
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(c.Close)
	c.SetLimits(cache.Limits{MaxAge: 24 * time.Hour})
	compiled := acl.Compile(accessList(n))
	ids := make([]string, tokens)
	now := time.Now()
	for i := range ids {
		id := uuid.New()
		ids[i] = id.String()
		c.Put(grant.New(grant.Fields{
			Token: id, AuthID: user, PBXUserUUID: user, SessionUUID: uuid.NewString(), UserTenant: own,
			IssuedAt: now.Unix(), ExpiresAt: now.Unix() + 86_400, ACL: compiled,
			Metadata: grant.Metadata(user, own, user, "", "user"),
		}, now))
	}
	c.Wait()
	tree := tenants.NewSnapshot(tenantRows{{UUID: own, Parent: own, Slug: "top"}, {UUID: sub, Parent: own, Slug: "sub"}},
		func() time.Time { return now }) // never too old
	return &guard.Guard{Grants: c, Tenants: tree}, ids
}

const target = "/api/confd/1.1/users/" + user + "/lines"

var (
	scopePolicy = guard.NewPolicies(&guard.Policy{Scope: required})
	tablePolicy = guard.NewPolicies(&guard.Policy{Service: "confd", Prefix: routes.Prefix{"api", "confd"}, Table: tableOf(1000)})
)

// tableOf is a table of n routes, the one of target among them.
func tableOf(n int) *routes.Table {
	list := []routes.Route{{Method: "GET", Template: "/1.1/users/{user_uuid}/lines", Kind: routes.Access, ACL: "confd.users.{user_uuid}.lines.read"}}
	for i := range n - 1 {
		list = append(list, routes.Route{
			Method: "GET", Template: fmt.Sprintf("/1.1/resource-%d/{id}/lines", i), Kind: routes.Access, ACL: fmt.Sprintf("confd.resource-%d.{id}.read", i),
		})
	}
	t, problems := routes.New(list)
	if len(problems) > 0 {
		panic(problems[0].Err)
	}
	return t
}

var hitCases = []struct {
	name     string
	policies guard.Policies
	tenants  []string
}{
	{"no tenant", scopePolicy, nil},
	{"own tenant", scopePolicy, []string{own}},
	{"sub tenant", scopePolicy, []string{sub}},
	{"route table", tablePolicy, []string{own}},
}

// BenchmarkGuardHit is the decision on a resident grant.
func BenchmarkGuardHit(b *testing.B) {
	for _, n := range []int{30, 300} {
		for _, c := range hitCases {
			name := fmt.Sprintf("acl=%d/%s", n, c.name)
			// Enough tokens that they do not all sit in the first cache level.
			g, ids := resident(b, n, 4096)
			b.Run(name, func(b *testing.B) {
				b.ReportAllocs()
				token := make([]string, 1)
				i := 0
				for b.Loop() {
					token[0] = ids[i&4095]
					i++
					if d := g.Decide(b.Context(), c.policies, guard.Request{Method: "GET", Target: target, Tokens: token, Tenants: c.tenants}); d.Verdict != guard.Allow {
						b.Fatal(d)
					}
				}
			})
			b.Run(name+"/parallel", func(b *testing.B) {
				b.ReportAllocs()
				b.RunParallel(func(pb *testing.PB) {
					token := make([]string, 1)
					i := 0
					for pb.Next() {
						token[0] = ids[i&4095]
						i++
						if d := g.Decide(b.Context(), c.policies, guard.Request{Method: "GET", Target: target, Tokens: token, Tenants: c.tenants}); d.Verdict != guard.Allow {
							b.Error(d)
							return
						}
					}
				})
			})
		}
	}
}

// BenchmarkGuardHit_Routes: the cost of a decision does not grow with the table.
func BenchmarkGuardHit_Routes(b *testing.B) {
	g, ids := resident(b, 30, 1)
	for _, n := range []int{10, 1000, 10_000} {
		policies := guard.NewPolicies(&guard.Policy{Prefix: routes.Prefix{"api", "confd"}, Table: tableOf(n)})
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if d := g.Decide(b.Context(), policies, guard.Request{Method: "GET", Target: target, Tokens: ids}); d.Verdict != guard.Allow {
					b.Fatal(d)
				}
			}
		})
	}
}

// BenchmarkGuardHit_OneToken has all cores decide on one and the same token.
func BenchmarkGuardHit_OneToken(b *testing.B) {
	g, ids := resident(b, 30, 1)
	b.ReportAllocs()
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			if d := g.Decide(b.Context(), scopePolicy, guard.Request{Method: "GET", Target: target, Tokens: ids}); d.Verdict != guard.Allow {
				b.Error(d)
				return
			}
		}
	})
}
