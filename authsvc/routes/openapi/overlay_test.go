package openapi

import (
	"bytes"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/wazo-edge/xivo-auth/authsvc/routes"
)

func TestReadOverlay(t *testing.T) {
	t.Parallel()
	want := []string{
		"2 any GET /a a.read", "4 shop PUT /a/{x} token", "5 shop * /a deny", "6 shop DELETE /b public, token in the query", "7 shop GET /c token", "8 shop GET /d public",
	}
	const csv = "\ufeffService, Method,path,enforced_acl,auth,token_in_query,drift\n" +
		",get,/a,a.read,public,,x\n# a comment\nshop,PUT,/a/{x},token,,no,\nshop,*,/a,deny,,,\nshop,DELETE,/b,public,,Yes,\n" +
		"shop,GET,/c,,\"token, and the body\",,\nshop,GET,/d,,public(no_auth),,\n"
	const yaml = "- {service: '', method: get, path: /a, acl: a.read, auth: public}\n\n\n" +
		"- {service: shop, method: PUT, path: '/a/{x}', acl: token, why: [not read]}\n" +
		"- {service: shop, method: '*', path: /a, enforced_acl: deny, token_in_query: false}\n" +
		"- {service: shop, method: DELETE, path: /b, acl: public, token_in_query: true}\n" +
		"- {service: shop, method: GET, path: /c, auth: token and more}\n- {service: shop, method: GET, path: /d, acl: null, auth: Public}\n"
	for name, data := range map[string]string{"x.csv": csv, "x": csv, "o.yml": yaml, "o": yaml} {
		rows, err := ReadOverlay(name, []byte(data))
		if err != nil {
			t.Fatal(err)
		}
		var got []string
		for i, r := range rows {
			service := r.Service
			if service == "" {
				service = "any"
			}
			if strings.HasPrefix(name, "o") { // the lines differ
				r.Line = []int{2, 4, 5, 6, 7, 8}[i]
			}
			got = append(got, fmt.Sprint(r.Line, " ", service, " ", r.Route.String(), " ", holds(r.Route)))
		}
		if !slices.Equal(got, want) {
			t.Errorf("%s:\n%s\nwant\n%s", name, strings.Join(got, "\n"), strings.Join(want, "\n"))
		}
		if own := OfService(rows, "other"); len(own) != 1 || own[0].Route.Template != "/a" {
			t.Errorf("another service has %+v", own)
		}
	}
}

func TestReadOverlay_Mistakes(t *testing.T) {
	t.Parallel()
	const head = "service,method,path,acl,auth,token_in_query\n"
	for _, c := range []struct{ data, want string }{
		{"", "the overlay is empty"},
		{"service,method,path\n", "line 1: there is no column acl"},
		{"# x\n\nservice,verb,path,acl\n", "line 3: there is no column method"},
		{"service,method,path,acl,enforced_acl\n", "line 1: there are two columns for acl"},
		{head + "shop,GET,/a,a.read\n", "record on line 2: wrong number of fields"},
		{head + "shop,GET,\"/a,a.read,,\n", "line 2"},
		{head + "\n\nshop,G ET,/a,a.read,,\n", `line 4: "G ET" is no method`},
		{head + "shop,,/a,a.read,,\n", "line 2: the method is empty"},
		{head + "shop,GET,a,a.read,,\n", `line 2: the path "a" does not begin with a slash`},
		{head + "shop,GET,/" + strings.Repeat("a", maxTemplate) + ",a.read,,\n", "line 2: the path is too long"},
		{head + "shop,GET,/a,,,\n", "line 2: the acl is empty: write a required access, token, public or deny"},
		{head + "shop,GET,/a,,subnet,\n", `line 2: the acl is empty and auth is "subnet"`},
		{head + "shop,GET,/a,none,,\n", `line 2: the access "none" begins with none`},
		{head + "shop,GET,/a,a.*,,\n", `line 2: the access "a.*" has the character '*'`},
		{head + "shop,GET,/a,a..b,,\n", `line 2: the access "a..b" has an empty segment`},
		{head + "shop,GET,/a,a.{b,,\n", `line 2: the access "a.{b" has unpaired braces`},
		{head + "shop,GET,/a,a,,perhaps\n", `line 2: token_in_query is "perhaps": it is yes, no or empty`},
		{"- [a]\n", "line 1: a route of an overlay is a mapping"},
		{"[]\n---\n[]\n", "line 2: the file holds more than one document"},
		{"\n- {method: GET, path: /a, acl: a}\n", "line 2: the route has no service"},
		{"- {service: a, method: GET, path: /a}\n", "line 1: the route has no acl"},
		{"- {service: a, method: GET, path: /a, acl: [a]}\n", "line 1: acl is no text"},
		{"- service: a\n  method: GET\n  acl: a\n  enforced_acl: a\n", "line 4: there are two values for acl"},
		{"- {service: a, method: GET, path: a, acl: a}\n", `line 1: the path "a" does not begin with a slash`},
		{"- {\n", "yaml: line"},
		{head + "shop,GET,\"/\x1b[2J\",a,,\n", `line 2: the path "/\x1b[2J" has a control character`},
		{head + "shop,GET,/\x8b,a,,\n", "line 2: the file is not UTF-8"},
		{head + strings.Repeat("s,GET,/a,a,,\n", maxOperations+1), "more than 16384 rows"},
		{head + strings.Repeat("x", maxSize), "larger than 4 MiB"},
	} {
		if _, err := ReadOverlay("", []byte(c.data)); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%.100q: error %v, want %q", c.data, err, c.want)
		}
	}
	if _, err := ReadOverlay("x.yml", []byte("a: b")); err == nil || !strings.Contains(err.Error(), "line 1: an overlay is a list of routes") {
		t.Errorf("error %v", err)
	}
}

func overlaid(t testing.TB) (*Document, []Row) {
	t.Helper()
	rows, err := ReadOverlay("overlay.csv", fixture(t, "overlay.csv"))
	if err != nil {
		t.Fatal(err)
	}
	return imported(t, "shop.yml"), OfService(rows, "shop")
}

func TestApply(t *testing.T) {
	t.Parallel()
	doc, rows := overlaid(t)
	list, changes := Apply(doc, rows)
	prefix, _ := routes.ParsePrefix("/api/shop")
	if len(list) != len(doc.Operations)+1 {
		t.Errorf("%d routes of %d operations and one more", len(list), len(doc.Operations))
	}
	var got []string
	for _, r := range WithoutPrefix(list, prefix) {
		got = append(got, spell(r))
	}
	for _, want := range []string{
		"GET /0.1/ shop.read", // as documented
		fmt.Sprintf("GET /0.1/items/{id} shop.items.{id}.get, token in the query id:%d", routes.Integer),
		"DELETE /0.1/items/{a} public",
		fmt.Sprintf("GET /0.1/buyers/{a}/cart token a:%d", routes.UUID),
		"OPTIONS /0.1/wizard public",
		"PATCH /0.1/wizard shop.wizard.update",
		"GET /0.1/wizard deny",
		fmt.Sprintf("GET /0.1/hidden/{buyer_uuid}/{n} shop.hidden.{n}.read buyer_uuid:%d", routes.UUID),
		// The row's own names would not tell which is which.
		fmt.Sprintf("GET /0.1/buyers/{buyer_uuid}/items/{itemid} shop.buyers.{buyer_uuid}.items.{itemid}.read buyer_uuid:%d itemid:%d", routes.UUID, routes.Integer),
	} {
		if !slices.Contains(got, want) {
			t.Errorf("there is no %s in\n%s", want, strings.Join(got, "\n"))
		}
	}
	got = nil
	for _, c := range changes {
		got = append(got, strings.ReplaceAll(c.String(), "/api/shop/0.1", ""))
	}
	want := []string{
		"line 3: PATCH /wizard: documented states two different ACLs, holds shop.wizard.update (stated)",
		"line 4: OPTIONS /wizard: documented states no ACL, holds public (stated)",
		"line 5: GET /items/{id}: documented shop.items.{item_id}.read, holds shop.items.{id}.get, token in the query (other)",
		"line 6: GET /buyers/{a}/cart: documented shop.buyers.{buyer_uuid}.carts.{cart_id}.read, holds token (weaker)",
		"line 7: DELETE /items/{a}: documented shop.items.{item_id}.delete, holds public (weaker)",
		"line 10: GET /wizard: documented public, holds deny (stronger)",
		"line 11: GET /hidden/{buyer_uuid}/{n}: shop.hidden.{n}.read",
	}
	if !slices.Equal(got, want) {
		t.Errorf("changes\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
}

// Of two rows for one route neither is believed, unless they say the same.
func TestApply_Contradiction(t *testing.T) {
	t.Parallel()
	doc, err := Import([]byte("swagger: '2.0'\npaths: {'/a/{x}': {get: {description: 'Required ACL: `a.read`'}}, '/a/{y}': {get: {description: 'Required ACL: `b.read`'}}}\n"))
	if err != nil {
		t.Fatal(err)
	}
	row := func(path string, kind routes.Kind) Row {
		return Row{Route: routes.Route{Method: "GET", Template: path, Kind: kind}}
	}
	for _, c := range []struct {
		rows []Row
		want []string // what holds
		bad  int
	}{
		{nil, []string{"GET /a/{x} deny"}, 1},
		{[]Row{row("/a/{z}", routes.Token)}, []string{"GET /a/{z} token"}, 0},
		{[]Row{row("/a/{z}", routes.Token), row("/a/{z}", routes.Token)}, []string{"GET /a/{z} token"}, 0},
		{[]Row{row("/a/{z}", routes.Token), row("/a/{x}", routes.Public)}, []string{"GET /a/{z} deny"}, 1},
		{[]Row{row("/b", routes.Token), row("/b", routes.Public)}, []string{"GET /a/{x} deny", "GET /b deny"}, 2},
	} {
		list, _ := Apply(doc, c.rows)
		table, problems := routes.New(list)
		var got []string
		for _, r := range table.Routes() {
			got = append(got, spell(r))
		}
		if !slices.Equal(got, c.want) || len(problems) != c.bad {
			t.Errorf("%v: %v, %v; want %v", c.rows, got, problems, c.want)
		}
	}
}

func TestWithoutPrefix(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ template, prefix, want string }{
		{"/api/shop/0.1/a", "/api/shop", "/0.1/a"},
		{"/api/shop/0.1/", "/api/shop/0.1/", "/"},
		{"/api/shop", "/api/shop", "/"},
		{"/api/shopping/a", "/api/shop", "/api/shopping/a"},
		{"/api/{x}/a", "/api/shop", "/api/{x}/a"},
		{"/a", "/api/shop", "/a"},
		{"/a", "", "/a"},
	} {
		prefix, _ := routes.ParsePrefix(c.prefix)
		list := []routes.Route{{Template: c.template}}
		if got := WithoutPrefix(list, prefix)[0].Template; got != c.want || list[0].Template != c.template {
			t.Errorf("%s without %s is %s, want %s", c.template, c.prefix, got, c.want)
		}
	}
}

// What is written reads back as an overlay under which the same holds.
func TestTables_RoundTrip(t *testing.T) {
	t.Parallel()
	doc, rows := overlaid(t)
	list, _ := Apply(doc, rows)
	for name, write := range map[string]func(*bytes.Buffer) error{
		"x.csv":  func(b *bytes.Buffer) error { return WriteCSV(b, "shop", list) },
		"x.json": func(b *bytes.Buffer) error { return WriteJSON(b, "shop", list) },
		"x":      func(b *bytes.Buffer) error { return WriteJSON(b, "shop", list) },
	} {
		var b bytes.Buffer
		if err := write(&b); err != nil {
			t.Fatal(err)
		}
		again, err := ReadOverlay(name, b.Bytes())
		if err != nil {
			t.Fatalf("%s: %v\n%s", name, err, b.String())
		}
		relaid, _ := Apply(doc, OfService(again, "shop"))
		if got, want := spelled(relaid), spelled(list); !slices.Equal(got, want) {
			t.Errorf("%s:\n%s\nwant\n%s", name, strings.Join(got, "\n"), strings.Join(want, "\n"))
		}
	}
	var b bytes.Buffer
	if err := WriteCSV(&b, "s", []routes.Route{{Method: "GET", Template: "/a", Kind: routes.Access, ACL: "public"}}); err == nil {
		t.Errorf("an access called public was written as %s", b.String())
	}
	b.Reset()
	if err := WriteJSON(&b, "s", nil); err != nil || b.String() != "[]\n" {
		t.Errorf("%q %v", b.String(), err)
	}
}

func spelled(list []routes.Route) (all []string) {
	for _, r := range list {
		all = append(all, spell(r))
	}
	slices.Sort(all)
	return all
}

// A route that is not documented has the types of its path's other methods, as
// far as those agree.
func TestApply_Types(t *testing.T) {
	t.Parallel()
	doc, err := Import([]byte(`swagger: '2.0'
paths:
  /a/{x}/{y_uuid}:
    parameters: [{name: x, in: path, type: integer}]
    get: {description: 'Required ACL: none'}
    put: {description: 'Required ACL: none'}
  /b/{x}:
    get: {description: 'Required ACL: none', parameters: [{name: x, in: path, type: integer}]}
    put: {description: 'Required ACL: none', parameters: [{name: x, in: path, type: string}]}
`))
	if err != nil {
		t.Fatal(err)
	}
	for path, want := range map[string]string{
		"/a/{n}/{m}": fmt.Sprintf("PATCH /a/{n}/{m} token m:%d n:%d", routes.UUID, routes.Integer),
		"/b/{n}":     "PATCH /b/{n} token",
		"/b/{uuid}":  "PATCH /b/{uuid} token",
		"/c/{uuid}":  fmt.Sprintf("PATCH /c/{uuid} token uuid:%d", routes.UUID),
	} {
		list, _ := Apply(doc, []Row{{Route: routes.Route{Method: "PATCH", Template: path, Kind: routes.Token}}})
		if got := spell(list[len(list)-1]); got != want {
			t.Errorf("%s, want %s", got, want)
		}
	}
}
