package openapi

import (
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/wazo-edge/xivo-auth/authsvc/routes"
)

func fixture(t testing.TB, name string) []byte {
	t.Helper()
	data, err := os.ReadFile(filepath.Join("testdata", name))
	if err != nil {
		t.Fatal(err)
	}
	return data
}

func imported(t testing.TB, name string) *Document {
	t.Helper()
	doc, err := Import(fixture(t, name))
	if err != nil {
		t.Fatal(err)
	}
	return doc
}

// line spells a route with its types, for tests.
func spell(r routes.Route) string {
	text := r.String() + " " + holds(r)
	for _, name := range slices.Sorted(maps.Keys(r.Types)) {
		text += fmt.Sprintf(" %s:%d", name, r.Types[name])
	}
	return text
}

func TestImport_Swagger(t *testing.T) {
	t.Parallel()
	doc := imported(t, "shop.yml")
	if doc.Title != "The shop of the tests" || doc.Base != "/api/shop/0.1" {
		t.Errorf("%q at %q", doc.Title, doc.Base)
	}
	const integer, uuid = int(routes.Integer), int(routes.UUID)
	want := []string{
		"GET / shop.read",
		"GET /items shop.items.read",
		"POST /items shop.items.create",
		"GET /items/export shop.items.export.read",
		fmt.Sprintf("GET /items/{item_id} shop.items.{item_id}.read item_id:%d", integer),
		fmt.Sprintf("HEAD /items/{item_id} shop.items.{item_id}.read item_id:%d", integer),
		"DELETE /items/{item_id} shop.items.{item_id}.delete",
		fmt.Sprintf("PUT /items/{item_id}/stock shop.items.{item_id}.stock.update item_id:%d", integer),
		fmt.Sprintf("PUT /items/{item_id}/stock/copy shop.items.{item_id}.stock.update item_id:%d", integer),
		fmt.Sprintf("GET /buyers/{buyer_uuid}/items/{itemid} shop.buyers.{buyer_uuid}.items.{item_id}.read buyer_uuid:%d itemid:%d", uuid, integer),
		fmt.Sprintf("GET /buyers/{buyer_uuid}/cart shop.buyers.{buyer_uuid}.carts.{cart_id}.read buyer_uuid:%d", uuid),
		"GET /buyers/{user_id} shop.buyers.{user_id}.read",
		fmt.Sprintf("GET /crates/{crate_uuid}/{seal}/{count_uuid} shop.crates.{crate_uuid}.{seal}.{count_uuid}.read crate_uuid:%d seal:%d", uuid, uuid),
		"GET /wizard public",
		"OPTIONS /wizard deny",
		"PATCH /wizard deny",
		"TRACE /odd deny",
		"GET /odd deny",
	}
	var got, problems []string
	for _, op := range doc.Operations {
		got = append(got, strings.Replace(spell(op.Route), doc.Base, "", 1))
		if op.Problem != nil {
			problems = append(problems, strings.ReplaceAll(op.Problem.String(), doc.Base, ""))
		}
	}
	if !slices.Equal(got, want) {
		t.Errorf("operations\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
	for _, p := range doc.Problems {
		problems = append(problems, p.String())
	}
	want = []string{
		"line 57: OPTIONS /wizard states no ACL",
		"line 58: PATCH /wizard states two different ACLs: shop.wizard.update and shop.wizard.edit",
		"line 60: TRACE /odd states an ACL that cannot be read: \"Required ACL:** see the manual\"",
		"line 61: GET /odd is not written as the format wants it: an operation is a mapping",
		"line 63: /odd has a reference that leads nowhere: there is no \"#/parameters/lost\"",
		"line 64: /odd has a reference that leads nowhere: \"other.yml#/parameters/item\" is not within this file",
		"line 65: /odd has a reference that leads nowhere: circles, or more than 16 references in a row",
		"line 67: /lost has a reference that leads nowhere: there is no \"#/paths/~1nowhere\"",
		"line 68: /round has a reference that leads nowhere: circles, or too many references in a row",
		"line 70: /empty is not written as the format wants it: a path has a mapping of methods",
		"line 71: items is not written as the format wants it: a path begins with a slash",
	}
	if !slices.Equal(problems, want) {
		t.Errorf("problems\n%s\nwant\n%s", strings.Join(problems, "\n"), strings.Join(want, "\n"))
	}
}

// JSON with tabs and surrogate pairs, which the YAML parser would refuse.
func TestImport_OpenAPI(t *testing.T) {
	t.Parallel()
	doc := imported(t, "books.json")
	if doc.Title != "Books 📚" || doc.Base != "/books/v2" || len(doc.Problems) > 0 {
		t.Errorf("%q at %q: %v", doc.Title, doc.Base, doc.Problems)
	}
	var got []string
	for _, op := range doc.Operations {
		got = append(got, fmt.Sprint(op.Line, " ", spell(op.Route)))
	}
	want := []string{
		fmt.Sprintf("11 GET /books/v2/shelves/{shelf_id} books.shelves.{shelf_id}.read shelf_id:%d", routes.Integer),
		fmt.Sprintf("12 PUT /v3/shelves/{shelf_id} books.shelves.{shelf_id}.update shelf_id:%d", routes.UUID),
		"27 GET /books/v2/titles/{title} books.titles.{title}.read",
		"21 GET /status public",
	}
	if !slices.Equal(got, want) {
		t.Errorf("operations\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
}

func TestImport_Mistakes(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ file, want string }{
		{"", "the file is empty"},
		{"# nothing\n", "the file is empty"},
		{"{", "yaml: line"},
		{"{\"a\": \"\xff\"}", "line 1: the file is not UTF-8"},
		{"\n\nx: [", "yaml: line 3"},
		{"- swagger", "line 1: an API description is a mapping"},
		{"text", "line 1: an API description is a mapping"},
		{"info: {}\n", "line 1: neither swagger is 2.0 nor openapi 3.x"},
		{"info: {}\nswagger: '1.2'\n", "line 2: neither swagger is 2.0 nor openapi 3.x"},
		{"swagger: '2.0'\nopenapi: 4.0.0\n", "line 2: neither"},
		{"swagger: '2.0'\n", "line 1: there is no mapping paths"},
		{"swagger: 2.0\npaths: []\n", "line 2: there is no mapping paths"},
		{"swagger: '2.0'\nbasePath: [a]\npaths: {}\n", "line 2: basePath is no text"},
		{"swagger: '2.0'\nbasePath: x\npaths: {}\n", `line 2: no request has the base path "x": origin_form`},
		{"swagger: '2.0'\nbasePath: /a/../b\npaths: {}\n", `line 2: no request has the base path "/a/../b": dot_segment`},
		{"swagger: '2.0'\nbasePath: /{v}\npaths: {}\n", `line 2: the base path "/{v}" has a parameter`},
		{"swagger: '2.0'\nbasePath: /a%20b\npaths: {}\n", `line 2: the base path "/a%20b" has an escape`},
		{"openapi: 3.0.0\nservers: [{url: 'http://h/{v}'}]\npaths: {}\n", "line 2: the server's url has the variable {v} without a default"},
		{"openapi: 3.0.0\nservers: [{}]\npaths: {}\n", "line 2: the server has no url"},
		{"swagger: '2.0'\npaths: {}\n---\nswagger: '2.0'\n", "line 3: the file holds more than one document"},
	} {
		if _, err := Import([]byte(c.file)); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%q: error %v, want %q", c.file, err, c.want)
		}
	}
	for _, file := range []string{
		"\ufeffswagger: '2.0'\npaths: {}\n", "swagger: 2.0\npaths: {}", "openapi: 3.0.0\npaths: {}", "{swagger: '2.0', paths: {}}",
		`{"swagger": "2.0", "paths": {}}`, "openapi: 3.0.0\nservers: []\npaths: {}", "openapi: 3.0.0\nservers: [{url: //h}]\npaths: {}",
	} {
		if doc, err := Import([]byte(file)); err != nil || doc.Base != "" {
			t.Errorf("%q: %v", file, err)
		}
	}
}

// Operations with servers or nodes that cannot be read are reported one by one.
func TestImport_OwnServers(t *testing.T) {
	t.Parallel()
	doc, err := Import([]byte(`openapi: 3.0.3
paths:
  /a: {servers: [{url: '/{x}'}], get: {}}
  /b: {get: {servers: [{url: '/../x'}]}}
  /c: {get: {parameters: [{in: path, name: c, schema: {$ref: '#/no'}}], description: 'Required ACL: c.read'}}
`))
	if err != nil {
		t.Fatal(err)
	}
	if want := "line 3: /a is not written as the format wants it: the server's url has the variable {x} without a default"; doc.Problems[0].String() != want {
		t.Errorf("%s, want %s", doc.Problems[0], want)
	}
	if len(doc.Operations) != 1 || doc.Operations[0].Route.Demand() != "c.read" || len(doc.Problems) != 3 {
		t.Errorf("%+v", doc)
	}
}
