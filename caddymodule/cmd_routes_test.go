package caddymodule

import (
	"bytes"
	"encoding/json"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

const shopDescription = `swagger: '2.0'
basePath: /api/shop/0.1
paths:
  /items:
    get: {description: '**Required ACL:** ` + "`shop.items.read`" + `'}
    post: {description: Adds one}
  /items/{item_id}:
    parameters: [{name: item_id, in: path, type: integer}]
    get: {description: '**Required ACL:** ` + "`shop.items.{item_id}.read`" + `'}
  /items/export:
    get: {description: '**Required ACL:** ` + "`shop.items.export.read`" + `'}
  /buyers/{buyer}:
    get: {description: '**Required ACL:** ` + "`shop.buyers.{buyer}.read`" + `'}
    delete: {description: '**Required ACL:** ` + "`shop.buyers.{buyer}.carts.{cart}.delete`" + `'}
  /wizard:
    get: {description: '**Required ACL:** none'}
`

// shopFiles writes the description of a service and an overlay that settles
// it, the name of which is not the service's.
func shopFiles(t *testing.T) (description, overlay string) {
	t.Helper()
	dir := t.TempDir()
	description, overlay = filepath.Join(dir, "shop.yml"), filepath.Join(dir, "fixes.csv")
	write(t, description, shopDescription)
	write(t, overlay, `service,method,path,acl,token_in_query
shop,POST,/api/shop/0.1/items,shop.items.create,
shop,DELETE,/api/shop/0.1/buyers/{buyer},token,yes
shop,GET,/api/shop/0.1/wizard,deny,
`)
	return description, overlay
}

func TestCLI_Routes(t *testing.T) {
	t.Parallel()
	description, overlay := shopFiles(t)
	for _, c := range []struct {
		args string
		out  string // a regular expression for all of it
		err  string // part of the error, "" for none
	}{
		{"match GET /api/shop/0.1/items?x=/../y", `route   GET /api/shop/0.1/items\npath    /api/shop/0.1/items\ndemand  shop.items.read\naccess  shop.items.read\n`, ""},
		{"match --prefix /api/shop GET /api/shop/0.1/items/007", `route   GET /0.1/items/\{item_id\}\npath    /api/shop/0.1/items/007\ndemand  shop.items.\{item_id\}.read\naccess  shop.items.7.read\n`, ""},
		{"match --prefix /api/shop/ HEAD /api/shop/0.1/items/export", `route   GET /0.1/items/export\n(.*\n)*`, ""},
		{"match GET /api/shop/0.1/buyers/%61.b", `(.*\n)*path    /api/shop/0.1/buyers/a.b\n.*\naccess  shop.buyers.a_b.read\n`, ""},
		{"match GET /api/shop/0.1/buyers/007", `(.*\n)*access  shop.buyers.7.read\nand     shop.buyers.007.read\n`, ""},
		{"match GET /api/shop/0.1/wizard", `(.*\n)*demand  public\n`, ""},
		{"match POST /api/shop/0.1/items", `(.*\n)*demand  deny\n`, "denied: line 6: POST /api/shop/0.1/items states no ACL"},
		{"match --prefix /api/shop POST /api/shop/0.1/items", `(.*\n)*demand  deny\n`, "denied: line 6: POST /api/shop/0.1/items states no ACL"},
		{"match DELETE /api/shop/0.1/buyers/x", `(.*\n)*demand  deny\n`, `needs {cart}, which the path does not have`},
		{"match --overlay <overlay> DELETE /api/shop/0.1/buyers/x", `(.*\n)*demand  token\ntoken   accepted in the query, .*\n`, ""},
		{"match --overlay <overlay> GET /api/shop/0.1/wizard", `(.*\n)*demand  deny\n`, "denied"},
		{"match GET /api/shop/0.1/nothing", "", "no route matches"},
		{"match PUT /api/shop/0.1/items", "", "denied: no route has this method"},
		{"match GET /api/shop/0.1/items/", "", "denied: no route has this method, or the slash"},
		{"match get /api/shop/0.1/items", "", "the method is refused: lower_method"},
		{"match GET /api/shop/0.1/x/../items", "", "the path is refused: dot_segment"},
		{"match GET /api/shop/0.1/x%2fitems", "", "the path is refused: reserved"},
		{"match --prefix /api/shop GET /api/shop-x/0.1/items", "", "the path /api/shop-x/0.1/items is not below /api/shop"},
		{"match --prefix shop GET /api/shop/0.1/items", "", `--prefix: no request has a path below "shop": origin_form`},

		{"import --prefix /api/shop", `service,method,path,acl,token_in_query
shop,DELETE,/0.1/buyers/\{buyer\},shop.buyers.\{buyer\}.carts.\{cart\}.delete,
shop,GET,/0.1/buyers/\{buyer\},shop.buyers.\{buyer\}.read,
shop,GET,/0.1/items,shop.items.read,
shop,POST,/0.1/items,deny,
(.*\n)*shop,GET,/0.1/wizard,public,
`, ""},
		{"import --overlay <overlay>", `(.*\n)*shop,DELETE,/api/shop/0.1/buyers/\{buyer\},token,yes\n(.*\n)*shop,GET,/api/shop/0.1/wizard,deny,\n`, ""},
		{"import --overlay <overlay> --service other", "", `fixes.csv has no row for the service "other": check --service`},
		{"import --format json --service other", `\[\n \{"service":"other",.*\n(.*\n)*\]\n`, ""},

		{"lint", `shop: 7 operations imported; 7 routes: 4 with an ACL, 0 token, 1 public, 2 denied\n\nCould not be read \(1\)\n(.*\n)*`, "to be settled: 2"},
		{"lint --overlay <overlay>", `shop: 7 operations imported; 7 routes: 5 with an ACL, 1 token, 0 public, 1 denied\n\nChanged by the overlay \(3\)\n(.*\n)*`, ""},
	} {
		args := strings.Fields("routes " + c.args)
		for i := range args {
			args[i] = strings.ReplaceAll(args[i], "<overlay>", overlay)
		}
		out, errOut, err := cli(t, "", append(args, "--openapi", description)...)
		if !regexp.MustCompile(`^(?:` + c.out + `)$`).MatchString(out) {
			t.Errorf("%s printed\n%s\nwant %s", c.args, out, c.out)
		}
		switch {
		case c.err == "" && err != nil:
			t.Errorf("%s: %v", c.args, err)
		case c.err != "" && (err == nil || !strings.Contains(err.Error(), c.err)):
			t.Errorf("%s: error %v, want %q", c.args, err, c.err)
		case strings.Contains(errOut, "Usage:"):
			t.Errorf("%s: the mistake drowns in the usage:\n%s", c.args, errOut)
		}
	}
}

// What import prints is an overlay that changes nothing; what it leaves out of
// the table it says beside it.
func TestCLI_RoutesImport(t *testing.T) {
	t.Parallel()
	description, overlay := shopFiles(t)
	for _, format := range []string{"csv", "json"} {
		first, errOut, err := cli(t, "", "routes", "import", "--openapi", description, "--overlay", overlay, "--format", format)
		if err != nil || errOut != "" {
			t.Fatalf("%v\n%s", err, errOut)
		}
		table := filepath.Join(t.TempDir(), "table."+format)
		write(t, table, first)
		second, _, err := cli(t, "", "routes", "import", "--openapi", description, "--overlay", table, "--format", format)
		if err != nil || second != first {
			t.Errorf("%v\n%s\nwant\n%s", err, second, first)
		}
	}
	_, errOut, err := cli(t, "", "routes", "import", "--openapi", description)
	if want := "not clear, and so denied: 2; see `xivo-auth routes lint`\n"; err != nil || errOut != want {
		t.Errorf("%v, %q, want %q", err, errOut, want)
	}
	out, _, err := cli(t, "", "routes", "lint", "--openapi", description, "--format", "json")
	var report struct {
		Problems []struct{ Line int }
		Missing  []struct{ Suggestion string } `json:"missing_values"`
	}
	if err == nil || json.NewDecoder(bytes.NewReader([]byte(out))).Decode(&report) != nil || len(report.Problems) != 1 || report.Problems[0].Line != 6 ||
		len(report.Missing) != 1 || report.Missing[0].Suggestion != "shop,DELETE,/api/shop/0.1/buyers/{buyer},token," {
		t.Errorf("%v\n%s", err, out)
	}
}

func TestCLI_RoutesMistakes(t *testing.T) {
	t.Parallel()
	description, _ := shopFiles(t)
	dir := t.TempDir()
	write(t, filepath.Join(dir, "bad.yml"), "swagger: '2.0'\npaths: [\n")
	write(t, filepath.Join(dir, "bad.csv"), "service,method,path,acl\nshop,GET,items,x\n")
	for _, c := range []struct{ args, want string }{
		{"import", `required flag(s) "openapi" not set`},
		{"match --openapi <shop> GET", "accepts 2 arg(s), received 1"},
		{"import --openapi <shop> --format xml", `unknown format "xml": it is one of csv, json`},
		{"lint --openapi <shop> --format csv", `unknown format "csv": it is one of text, json`},
		{"lint --openapi <dir>/none.yml", "none.yml: no such file"},
		{"lint --openapi <dir>", "is a directory"},
		{"lint --openapi /dev/zero", "/dev/zero: the file is larger than 4 MiB"},
		{"lint --openapi <dir>/bad.yml", "bad.yml: yaml: line 2"},
		{"lint --openapi <shop> --overlay <dir>/bad.csv", `bad.csv: line 2: the path "items" does not begin with a slash`},
		{"lint --openapi <shop> --overlay <dir>/none.csv", "none.csv: no such file"},
	} {
		args := strings.NewReplacer("<shop>", description, "<dir>", dir).Replace(c.args)
		if _, _, err := cli(t, "", append([]string{"routes"}, strings.Fields(args)...)...); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: error %v, want %q", c.args, err, c.want)
		}
	}
}
