package routes_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/wazo-edge/xivo-auth/authsvc/routes"
)

const upper = "6F1A2C3E-0B77-4C7E-9A55-3D4F5E6A7B8C"

var lower = strings.ToLower(upper)

func acl(method, template, acl string) routes.Route {
	return routes.Route{Method: method, Template: template, Kind: routes.Access, ACL: acl}
}

func table(t testing.TB, list ...routes.Route) *routes.Table {
	t.Helper()
	tb, problems := routes.New(list)
	for _, p := range problems {
		t.Fatalf("%s: %v", &p.Route, p.Err)
	}
	return tb
}

// required is what a request needs: an access, "?" before one that is not
// sure, a word, or "" when nothing matches.
func required(t testing.TB, tb *routes.Table, method, path string) string {
	t.Helper()
	var p routes.Path
	if rule := p.Parse(path); rule != "" {
		t.Fatalf("%q is refused: %s", path, rule)
	}
	m, ok := tb.Match(method, &p, 0)
	if !ok {
		return ""
	}
	if m.Route.Kind != routes.Access {
		return m.Route.Kind.String()
	}
	access, sure := m.AppendAccess(nil, &p)
	if !sure {
		return "?" + string(access) + " and " + string(m.AppendAsSent(nil, &p))
	}
	return string(access)
}

func TestTable_Match(t *testing.T) {
	t.Parallel()
	tb := table(t,
		acl("GET", "/", "root.read"),
		acl("GET", "/users", "users.read"),
		acl("POST", "/users", "users.create"),
		acl("HEAD", "/users/export", "users.export.head"),
		acl("GET", "/users/export", "users.export.read"),
		acl("GET", "/users/{user_id}", "users.{user_id}.read"),
		acl("POST", "/users/{user_id}", "users.{user_id}.create"),
		acl("GET", "/users/{user_id}/lines/{line_id}", "users.{user_id}.lines.{line_id}.read"),
		acl("GET", "/slash/", "slash.read"),
		routes.Route{Method: "GET", Template: "/status", Kind: routes.Public},
		routes.Route{Method: "*", Template: "/ws", Kind: routes.Token},
		acl("POST", "/ws", "ws.create"),
		routes.Route{Method: "GET", Template: "/typed/{uuid}/{n}", Kind: routes.Access, ACL: "typed.{uuid}.{n}", Types: map[string]routes.Type{"uuid": routes.UUID, "n": routes.Integer}},
		acl("GET", "/services/{service_name}", "services.{service}.read"), // another name in the ACL
		acl("GET", "/reversed/{a}/{b}", "reversed.{b}.{a}"),
		acl("GET", "/twice/{a}", "twice.{a}.of.{a}"),
		acl("GET", "/q", "q.read"),
		routes.Route{Method: "*", Template: "/q", Kind: routes.Public},
		acl("HEAD", "/users/{user_id}", "users.{user_id}.head"),
		acl("GET", "/users/me", "users.me.read"),
		acl("GET", "/a%20b", "escaped.read"),
	)
	for _, c := range []struct{ method, path, want string }{
		{"GET", "/", "root.read"},
		{"GET", "/users", "users.read"},
		{"HEAD", "/users", "users.read"},
		{"POST", "/users", "users.create"},
		{"PUT", "/users", ""},
		{"GET", "/Users", ""},
		{"GET", "/users/", ""},
		{"GET", "/slash/", "slash.read"},
		{"GET", "/slash", ""},
		{"GET", "/users/export", "users.export.read"},
		{"HEAD", "/users/export", "users.export.head"},
		{"GET", "/users/%65xport", "users.export.read"},
		{"GET", "/users/Export", "users.Export.read"},
		{"POST", "/users/export", "users.export.create"}, // the literal leads nowhere
		{"GET", "/users/export/lines/1", "users.export.lines.1.read"},
		{"GET", "/users/42", "users.42.read"},
		{"GET", "/users/a.b.c", "users.a_b_c.read"},
		{"GET", "/users/a%2Eb", "users.a_b.read"},
		{"GET", "/users/*", "users.*.read"},
		{"GET", "/users/a%20b", "users.a b.read"},
		{"GET", "/users/0042", "?users.42.read and users.0042.read"},
		{"GET", "/users/000", "?users.0.read and users.000.read"},
		{"GET", "/users/" + lower, "users." + lower + ".read"},
		{"GET", "/users/" + upper, "?users." + lower + ".read and users." + upper + ".read"},
		{"GET", "/users/" + upper[:35], "users." + upper[:35] + ".read"},
		{"GET", "/users/1/lines/", ""},
		{"GET", "/users/1/lines", ""},
		{"GET", "/typed/" + upper + "/007", "typed." + lower + ".7"},
		{"GET", "/typed/007/" + upper, "typed.007." + upper}, // not what the upstream's router takes; as it stands
		{"GET", "/status", "public"},
		{"POST", "/status", ""},
		{"GET", "/ws", "token"},
		{"DELETE", "/ws", "token"},
		{"POST", "/ws", "ws.create"},
		{"GET", "/services/dnd", "services.dnd.read"},
		{"GET", "/reversed/1/2", "reversed.2.1"},
		{"GET", "/twice/x", "twice.x.of.x"},
		{"HEAD", "/q", "q.read"}, // and not what holds for all other methods
		{"POST", "/q", "public"},
		{"HEAD", "/users/me", "users.me.read"}, // and not the parameter's HEAD
		{"HEAD", "/users/1", "users.1.head"},
		{"GET", "/a%20b", "escaped.read"},
	} {
		if got := required(t, tb, c.method, c.path); got != c.want {
			t.Errorf("%s %s needs %q, want %q", c.method, c.path, got, c.want)
		}
	}
	if got := tb.Mapped()["GET /services/{service_name}"]; !slices.Equal(got, []string{"{service} is {service_name}"}) {
		t.Errorf("mapped %v", got)
	}
}

func TestTable_Known(t *testing.T) {
	t.Parallel()
	tb := table(t, acl("GET", "/users", "u"), acl("GET", "/users/{id}", "u.{id}"), acl("GET", "/slash/", "s"))
	for path, want := range map[string]bool{
		"/users": true, "/users/": true, "/users/1": true, "/users/1/": true, "/slash/": true, "/slash": true,
		"/": false, "/user": false, "/users/1/x": false, "/USERS": false,
		"/" + strings.TrimSuffix(strings.Repeat("a/", 32), "/"): false,
	} {
		var p routes.Path
		if rule := p.Parse(path); rule != "" {
			t.Fatal(path, rule)
		}
		if got := tb.Known(&p, 0); got != want {
			t.Errorf("%s is known: %v, want %v", path, got, want)
		}
	}
}

// TestNew_Problems: what cannot be made sense of denies, and is told.
func TestNew_Problems(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name  string
		route routes.Route
		want  string
		lost  bool
	}{
		{"no method", acl("", "/x", "x"), "no method", true},
		{"lower-case method", acl("get", "/x", "x"), "no method", true},
		{"no slash", acl("GET", "x", "x"), "slash", true},
		{"part of a segment", acl("GET", "/x.{format}", "x"), "whole segment", true},
		{"nameless", acl("GET", "/{}", "x"), "whole segment", true},
		{"twice", acl("GET", "/{a}/{a}", "x"), "twice", true},
		{"empty segment", acl("GET", "/a//b", "x"), "empty segment", true},
		{"dot segment", acl("GET", "/a/../b", "x"), "dot_segment", true},
		{"too deep", acl("GET", "/"+strings.Repeat("a/", 40), "x"), "segments", true},
		{"no ACL", acl("GET", "/x", ""), "empty", false},
		{"unclosed", acl("GET", "/x/{id}", "x.{id"), "without }", false},
		{"unopened", acl("GET", "/x/{id}", "x.id}"), "} without {", false},
		{"not in the path", acl("GET", "/graphql", "graphql.{field}"), "{field}", false},
		{"more than in the path", acl("GET", "/x/{a}", "x.{b}.{c}"), "{b}, {c}", false},
		{"fewer than in the path", acl("GET", "/x/{a}/{b}", "x.{c}"), "{c}", false},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			tb, problems := routes.New([]routes.Route{c.route})
			if len(problems) != 1 || !strings.Contains(problems[0].Err.Error(), c.want) || problems[0].Lost != c.lost {
				t.Fatalf("%+v, want one with %q, lost %v", problems, c.want, c.lost)
			}
			if !c.lost {
				if got := required(t, tb, c.route.Method, strings.NewReplacer("{", "", "}", "").Replace(c.route.Template)); got != "deny" {
					t.Errorf("needs %q, want deny", got)
				}
			}
		})
	}
}

// TestNew_Conflicts: of two routes for the same requests neither is picked.
func TestNew_Conflicts(t *testing.T) {
	t.Parallel()
	tb, problems := routes.New([]routes.Route{
		acl("GET", "/users/{id}", "users.{id}.read"), acl("GET", "/users/{uuid}", "users.{uuid}.get"),
	})
	if len(problems) != 1 || required(t, tb, "GET", "/users/1") != "deny" {
		t.Errorf("%v, %q", problems, required(t, tb, "GET", "/users/1"))
	}
	tb, problems = routes.New([]routes.Route{
		acl("GET", "/users/{id}", "users.{id}.read"), acl("GET", "/users/{uuid}", "users.{uuid}.read"),
	})
	if len(problems) != 0 || required(t, tb, "GET", "/users/1") != "users.1.read" {
		t.Errorf("the same in other names: %v", problems)
	}
	// A public route and one that is not, whichever comes first.
	for _, list := range [][]routes.Route{
		{{Method: "GET", Template: "/x", Kind: routes.Public}, acl("GET", "/x", "x")},
		{acl("GET", "/x", "x"), {Method: "GET", Template: "/x", Kind: routes.Public}},
	} {
		if tb, problems := routes.New(list); len(problems) != 1 || required(t, tb, "GET", "/x") != "deny" {
			t.Errorf("public and not: %v", problems)
		}
	}
}

func TestMethod(t *testing.T) {
	t.Parallel()
	for method, want := range map[string]routes.Rule{"GET": "", "M-SEARCH": "", "get": routes.LowerMethod, "Get": routes.LowerMethod, "CONNECT": routes.ConnectTo, "connect": routes.LowerMethod} {
		if got := routes.Method(method); got != want {
			t.Errorf("%s: %q", method, got)
		}
	}
}

func TestKind_Words(t *testing.T) {
	t.Parallel()
	for _, k := range []routes.Kind{routes.Deny, routes.Token, routes.Public} {
		if got, ok := routes.ParseKind(k.String()); !ok || got != k {
			t.Errorf("%v is read as %v", k, got)
		}
	}
	if _, ok := routes.ParseKind("acl"); ok {
		t.Error("acl is no kind without an ACL")
	}
	var zero routes.Route
	if zero.Kind != routes.Deny || zero.Demand() != "deny" {
		t.Error("a route nobody described does not deny")
	}
}

func TestOverlap(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		a, b string
		want bool
	}{
		{"/users/export", "/users/{id}", true}, {"/a/{x}/c", "/a/b/{y}", true},
		{"/users/{id}", "/users/{uuid}", false}, {"/users", "/users/{id}", false}, {"/a/b", "/a/c", false}, {"/x/{a}", "/x/", false},
	} {
		if got := routes.Overlap(c.a, c.b); got != c.want || routes.Overlap(c.b, c.a) != c.want {
			t.Errorf("%s and %s: %v", c.a, c.b, got)
		}
	}
}

// FuzzMatch: whatever a client puts in a parameter's place, the access it needs
// has as many segments as the ACL, so that no value reaches into another.
func FuzzMatch(f *testing.F) {
	tb := table(f, acl("GET", "/a/{x}/b/{y}", "a.{x}.b.{y}.read"), acl("GET", "/a/me/b/{y}", "a.me.b.{y}.read"))
	f.Add("x", "y")
	f.Add("a.b", "%2e%2E")
	f.Add(upper, "007")
	f.Fuzz(func(t *testing.T, x, y string) {
		var p routes.Path
		if p.Parse("/a/"+x+"/b/"+y) != "" {
			return
		}
		m, ok := tb.Match("GET", &p, 0)
		if !ok {
			return
		}
		access, sure := m.AppendAccess(nil, &p)
		sent := m.AppendAsSent(nil, &p)
		for _, a := range []string{string(access), string(sent)} {
			if parts := strings.Split(a, "."); len(parts) != 5 || parts[0] != "a" || parts[2] != "b" || parts[4] != "read" {
				t.Fatalf("%q, %q need %q", x, y, a)
			}
		}
		if sure && string(access) != string(sent) {
			t.Fatalf("%q is sure and not %q", access, sent)
		}
	})
}

// BenchmarkMatch: the cost does not grow with the number of routes.
func BenchmarkMatch(b *testing.B) {
	for _, n := range []int{10, 1000, 10_000} {
		var list []routes.Route
		for i := range n {
			list = append(list, acl("GET", fmt.Sprintf("/1.1/resource-%d/{id}/lines", i), fmt.Sprintf("confd.resource-%d.{id}.read", i)))
		}
		tb := table(b, list...)
		path := fmt.Sprintf("/1.1/resource-%d/%s/lines", n-1, lower)
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			b.ReportAllocs()
			var buf [256]byte
			for b.Loop() {
				var p routes.Path
				if p.Parse(path) != "" {
					b.Fatal("refused")
				}
				m, ok := tb.Match("GET", &p, 0)
				if !ok {
					b.Fatal("no match")
				}
				_, _ = m.AppendAccess(buf[:0], &p)
			}
		})
	}
}
