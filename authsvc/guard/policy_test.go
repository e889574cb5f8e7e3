package guard_test

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/wazo-edge/xivo-auth/authsvc/acl"
	"github.com/wazo-edge/xivo-auth/authsvc/grant"
	"github.com/wazo-edge/xivo-auth/authsvc/guard"
	"github.com/wazo-edge/xivo-auth/authsvc/routes"
)

// holder is a store in which every token has the same ACL.
type holder []string

func (h holder) Lookup(_ context.Context, token string) (*grant.Grant, grant.State, error) {
	id, ok := grant.ParseID(token)
	if !ok {
		return nil, grant.Refused, grant.ErrUnknown
	}
	return grant.New(grant.Fields{
		Token: id, AuthID: user, SessionUUID: unknown, ExpiresAt: 2_000_000_000, UserTenant: own, ACL: acl.Compile(h),
	}, time.Now()), grant.Hit, nil
}

func route(method, template, needs string, query bool) routes.Route {
	r := routes.Route{Method: method, Template: template, QueryToken: query}
	var word bool
	if r.Kind, word = routes.ParseKind(needs); !word {
		r.Kind, r.ACL = routes.Access, needs
	}
	return r
}

// services are two behind one guard, the second left open where nothing
// matches.
func services(t testing.TB, unmatched routes.Kind) guard.Policies {
	t.Helper()
	confd, problems := routes.New([]routes.Route{
		route("GET", "/1.1/users", "confd.users.read", false),
		route("GET", "/1.1/users/{user_id}", "confd.users.{user_id}.read", false),
		route("GET", "/1.1/recording", "confd.recording.read", true),
		route("GET", "/1.1/wizard", "public", false),
		route("GET", "/1.1/infos", "token", false),
		route("GET", "/1.1/closed", "deny", false),
	})
	if len(problems) > 0 {
		t.Fatal(problems)
	}
	return guard.NewPolicies(
		&guard.Policy{Service: "outer", Prefix: routes.Prefix{"api"}, Table: new(routes.Table)},
		&guard.Policy{Service: "confd", Prefix: routes.Prefix{"api", "confd"}, Table: confd, Unmatched: unmatched},
	)
}

func TestGuard_Routes(t *testing.T) {
	t.Parallel()
	g := &guard.Guard{
		Grants:  holder{"confd.users.read", "confd.users.*.read", "!confd.users." + sub + ".read", "confd.recording.read"},
		Tenants: &fakeTenants{},
	}
	const (
		confd = "/api/confd/1.1"
		deny  = routes.Deny
	)
	one := []string{good}
	for _, c := range []struct {
		name      string
		unmatched routes.Kind
		request   guard.Request
		verdict   guard.Verdict
		reason    guard.Reason
		required  string
	}{
		{"allowed", deny, guard.Request{Method: "GET", Target: confd + "/users", Tokens: one}, guard.Allow, guard.Granted, ""},
		{"HEAD is GET", deny, guard.Request{Method: "HEAD", Target: confd + "/users?x=/../y", Tokens: one}, guard.Allow, guard.Granted, ""},
		{"no token", deny, guard.Request{Method: "GET", Target: confd + "/users/7"}, guard.Unauthenticated, guard.NoToken, "confd.users.7.read"},
		{"bad token", deny, guard.Request{Method: "GET", Target: confd + "/users/007", Tokens: []string{"x"}}, guard.Unauthenticated, guard.UnknownToken, "confd.users.7.read"},
		{"negative access", deny, guard.Request{Method: "GET", Target: confd + "/users/" + sub, Tokens: one}, guard.Forbidden, guard.MissingAccess, "confd.users." + sub + ".read"},
		{"negative access in upper case", deny, guard.Request{Method: "GET", Target: confd + "/users/" + strings.ToUpper(sub), Tokens: one}, guard.Forbidden, guard.MissingAccess, "confd.users." + sub + ".read"},
		{"upper case, both forms allowed", deny, guard.Request{Method: "GET", Target: confd + "/users/" + strings.ToUpper(own), Tokens: one}, guard.Allow, guard.Granted, ""},
		{"public", deny, guard.Request{Method: "GET", Target: confd + "/wizard"}, guard.Anonymous, guard.PublicRoute, ""},
		{"public with a bad token", deny, guard.Request{Method: "GET", Target: confd + "/wizard", Tokens: []string{"x"}}, guard.Anonymous, guard.PublicRoute, ""},
		{"public with two tokens", deny, guard.Request{Method: "GET", Target: confd + "/wizard", Tokens: []string{"x", "y"}}, guard.Malformed, guard.DuplicateToken, ""},
		{"a token is enough", deny, guard.Request{Method: "GET", Target: confd + "/infos", Tokens: one}, guard.Allow, guard.Granted, ""},
		{"a token is needed", deny, guard.Request{Method: "GET", Target: confd + "/infos"}, guard.Unauthenticated, guard.NoToken, ""},
		{"denied", deny, guard.Request{Method: "GET", Target: confd + "/closed", Tokens: one}, guard.Forbidden, guard.DeniedRoute, ""},
		{"no route", deny, guard.Request{Method: "GET", Target: confd + "/x", Tokens: one}, guard.Forbidden, guard.NoRoute, ""},
		{"no route, public", routes.Public, guard.Request{Method: "GET", Target: confd + "/x"}, guard.Anonymous, guard.PublicRoute, ""},
		{"no route, token", routes.Token, guard.Request{Method: "GET", Target: confd + "/x"}, guard.Unauthenticated, guard.NoToken, ""},
		{"no route, a token", routes.Token, guard.Request{Method: "GET", Target: confd + "/x", Tokens: one}, guard.Allow, guard.Granted, ""},
		{"other method, public", routes.Public, guard.Request{Method: "PUT", Target: confd + "/users", Tokens: one}, guard.Forbidden, guard.NoRoute, ""},
		{"slash at the end, public", routes.Public, guard.Request{Method: "GET", Target: confd + "/users/", Tokens: one}, guard.Forbidden, guard.NoRoute, ""},
		{"method in lower case, public", routes.Public, guard.Request{Method: "get", Target: confd + "/users"}, guard.Malformed, guard.BadPath, ""},
		{"bad path, public", routes.Public, guard.Request{Method: "GET", Target: confd + "/x/../users"}, guard.Malformed, guard.BadPath, ""},
		{"denied though unmatched is public", routes.Public, guard.Request{Method: "GET", Target: confd + "/closed", Tokens: one}, guard.Forbidden, guard.DeniedRoute, ""},
		{"other service", routes.Public, guard.Request{Method: "GET", Target: "/api/confd-x/1.1/wizard"}, guard.Forbidden, guard.NoRoute, ""},
		{"no service", routes.Public, guard.Request{Method: "GET", Target: "/confd/1.1/wizard"}, guard.Forbidden, guard.NoRoute, ""},
		{"preflight", deny, guard.Request{Method: "OPTIONS", Target: confd + "/users", Preflight: true}, guard.Anonymous, guard.Preflight, ""},
		{"preflight of no route", deny, guard.Request{Method: "OPTIONS", Target: confd + "/x", Preflight: true}, guard.Anonymous, guard.Preflight, ""},
		{"preflight of a bad path", deny, guard.Request{Method: "OPTIONS", Target: confd + "/%2e", Preflight: true}, guard.Malformed, guard.BadPath, ""},
		{"preflight of no service", deny, guard.Request{Method: "OPTIONS", Target: "/x", Preflight: true}, guard.Forbidden, guard.NoRoute, ""},
		{"OPTIONS that is no preflight", deny, guard.Request{Method: "OPTIONS", Target: confd + "/users", Tokens: one}, guard.Forbidden, guard.NoRoute, ""},
		{"another method with a preflight's headers", deny, guard.Request{Method: "GET", Target: confd + "/users", Preflight: true}, guard.Unauthenticated, guard.NoToken, "confd.users.read"},
		{"token in the query", deny, guard.Request{Method: "GET", Target: confd + "/recording?a=b&token=" + good}, guard.Allow, guard.Granted, ""},
		{"token in the query, encoded", deny, guard.Request{Method: "GET", Target: confd + "/recording?%74oken=" + strings.ReplaceAll(good, "-", "%2D")}, guard.Allow, guard.Granted, ""},
		{"the query wins", deny, guard.Request{Method: "GET", Target: confd + "/recording?token=x", Tokens: one}, guard.Unauthenticated, guard.UnknownToken, "confd.recording.read"},
		{"an empty one does not", deny, guard.Request{Method: "GET", Target: confd + "/recording?token=", Tokens: one}, guard.Allow, guard.Granted, ""},
		{"two in the query", deny, guard.Request{Method: "GET", Target: confd + "/recording?token=" + good + "&token=x"}, guard.Malformed, guard.DuplicateToken, "confd.recording.read"},
		{"an empty one, then another", deny, guard.Request{Method: "GET", Target: confd + "/recording?token=&token=" + good, Tokens: one}, guard.Malformed, guard.DuplicateToken, "confd.recording.read"},
		{"one, then an empty one", deny, guard.Request{Method: "GET", Target: confd + "/recording?token=" + good + "&token=", Tokens: one}, guard.Malformed, guard.DuplicateToken, "confd.recording.read"},
		{"empty, twice", deny, guard.Request{Method: "GET", Target: confd + "/recording?token=&token=", Tokens: one}, guard.Malformed, guard.DuplicateToken, "confd.recording.read"},
		{"without a value, then another", deny, guard.Request{Method: "GET", Target: confd + "/recording?token&%74oken=" + good, Tokens: one}, guard.Malformed, guard.DuplicateToken, "confd.recording.read"},
		{"without a value", deny, guard.Request{Method: "GET", Target: confd + "/recording?token", Tokens: one}, guard.Allow, guard.Granted, ""},
		{"in the query of another route", deny, guard.Request{Method: "GET", Target: confd + "/users?token=" + good}, guard.Unauthenticated, guard.NoToken, "confd.users.read"},
		{"cookie", deny, guard.Request{Method: "GET", Target: confd + "/users", Cookies: one}, guard.Allow, guard.Granted, ""},
		{"the header wins over the cookie", deny, guard.Request{Method: "GET", Target: confd + "/users", Tokens: []string{"x"}, Cookies: one}, guard.Unauthenticated, guard.UnknownToken, "confd.users.read"},
		{"two cookies", deny, guard.Request{Method: "GET", Target: confd + "/users", Cookies: []string{good, good}}, guard.Malformed, guard.DuplicateToken, "confd.users.read"},
		{"wrong tenant", deny, guard.Request{Method: "GET", Target: confd + "/users", Tokens: one, Tenants: []string{unrelated}}, guard.Forbidden, guard.WrongTenant, "confd.users.read"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			ps := services(t, c.unmatched)
			d := g.Decide(t.Context(), ps, c.request)
			if d.Verdict != c.verdict || d.Reason != c.reason || d.Required != c.required {
				t.Errorf("%v because %s, required %q; want %v because %s, %q", d.Verdict, d.Reason, d.Required, c.verdict, c.reason, c.required)
			}
			if (d.Rule != "") != (d.Reason == guard.BadPath) {
				t.Errorf("rule %q with reason %s", d.Rule, d.Reason)
			}
			if d.Verdict == guard.Anonymous && d.Grant != nil || d.Verdict == guard.Allow && d.Grant == nil {
				t.Errorf("%v with the grant %v", d.Verdict, d.Grant)
			}
			// Explain says the same.
			same, e := g.Explain(t.Context(), ps, c.request)
			if same.Verdict != d.Verdict || e.Verdict != d.Verdict.String() || e.Reason != d.Reason {
				t.Errorf("explained as %+v", e)
			}
			if c.required != "" && e.Required != c.required {
				t.Errorf("explain requires %q, want %q", e.Required, c.required)
			}
		})
	}
}

// TestGuard_OneTokenTwoQuestions: grants are cached and never verdicts, so no
// scope, tenant or service answers for another (Oathkeeper GHSA-4mq7-pvjg-xp2r).
func TestGuard_OneTokenTwoQuestions(t *testing.T) {
	t.Parallel()
	g := &guard.Guard{Grants: holder{"confd.users.read"}, Tenants: &fakeTenants{}}
	ps := services(t, routes.Deny)
	r := guard.Request{Method: "GET", Target: "/api/confd/1.1/users", Tokens: []string{good}}
	for range 3 {
		if d := g.Decide(t.Context(), ps, r); d.Verdict != guard.Allow {
			t.Fatal(d.Reason)
		}
		other := r
		other.Target = "/api/confd/1.1/users/1"
		if d := g.Decide(t.Context(), ps, other); d.Verdict != guard.Forbidden {
			t.Fatal("another access", d.Reason)
		}
		other = r
		other.Tenants = []string{unrelated}
		if d := g.Decide(t.Context(), ps, other); d.Verdict != guard.Forbidden {
			t.Fatal("another tenant", d.Reason)
		}
		other = r
		other.Target = "/api/calld/1.1/users"
		if d := g.Decide(t.Context(), ps, other); d.Verdict != guard.Forbidden || d.Service() != "outer" {
			t.Fatal("another service", d.Reason, d.Service())
		}
	}
}

func TestGuard_Explain(t *testing.T) {
	t.Parallel()
	g := &guard.Guard{Grants: holder{"x", "confd.users.*.read", "!confd.users." + sub + ".read"}, Tenants: &fakeTenants{}}
	ps := services(t, routes.Token)
	ask := func(target string, tenants ...string) guard.Explanation {
		_, e := g.Explain(t.Context(), ps, guard.Request{Method: "GET", Target: target, Tokens: []string{good}, Tenants: tenants})
		return e
	}
	e := ask("/api/confd/1.1/users/%37?x=y", sub)
	if e.Verdict != "allow" || e.Path != "/api/confd/1.1/users/7" || e.Template != "GET /1.1/users/{user_id}" ||
		e.Demand != "confd.users.{user_id}.read" || e.Required != "confd.users.7.read" || e.DecidedBy != "confd.users.*.read" ||
		e.CacheState != "hit" || e.Identity.AuthID != user || e.Identity.Accesses != 3 || e.Tenant.Named != sub || e.Tenant.Own != own || !e.Tenant.Allowed {
		t.Errorf("%+v %+v %+v", e, e.Identity, e.Tenant)
	}
	e = ask("/api/confd/1.1/users/" + sub)
	if e.Verdict != "forbidden" || e.DecidedBy != "!confd.users."+sub+".read" || e.Tenant != nil {
		t.Errorf("%+v", e)
	}
	e = ask("/api/confd/1.1/users/007", unrelated)
	if e.Reason != guard.WrongTenant || e.AsSent != "confd.users.007.read" || e.Tenant.Allowed {
		t.Errorf("%+v %+v", e, e.Tenant)
	}
	if e = ask("/api/confd/1.1/users"); e.Reason != guard.MissingAccess || e.DecidedBy != "" {
		t.Errorf("%+v", e)
	}
	if e = ask("/api/confd/x"); e.Verdict != "allow" || e.Template != "" || e.Demand != "token" {
		t.Errorf("%+v", e)
	}
	if e = ask("/api/confd/%2F"); e.Rule != routes.Reserved || e.Path != "" || e.Demand != "" {
		t.Errorf("%+v", e)
	}
}

func TestGuard_InternalTenantIsText(t *testing.T) {
	t.Parallel()
	g := &guard.Guard{Grants: &fakeGrants{}, Tenants: &fakeTenants{}}
	for tenant, want := range map[string]guard.Verdict{"anything": guard.Allow, "\xff": guard.Forbidden} {
		d := g.Decide(t.Context(), guard.NewPolicies(new(guard.Policy)), guard.Request{
			Method: "GET", Target: "/", Tokens: []string{internal}, Tenants: []string{tenant},
		})
		if d.Verdict != want {
			t.Errorf("an internal token in %q: %v", tenant, d.Verdict)
		}
	}
}

func TestWithoutToken(t *testing.T) {
	t.Parallel()
	for query, want := range map[string]string{
		"": "", "token=x": "", "a=b&token=x&c=d": "a=b&c=d", "%74oken=x&a": "a", "Token=x": "Token=x", "a=token&tokens=1": "a=token&tokens=1",
		"token&token=&a=%zz": "a=%zz",
	} {
		if got := guard.WithoutToken(query); got != want {
			t.Errorf("%q without token is %q, want %q", query, got, want)
		}
	}
}
