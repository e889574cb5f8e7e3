package openapi

import (
	"bytes"
	"slices"
	"strings"
	"testing"

	"github.com/wazo-edge/xivo-auth/authsvc/routes"
)

// FuzzImport: whatever a file says, every operation is either clear or denied
// and reported, and a table can be made of it.
func FuzzImport(f *testing.F) {
	f.Add(fixture(f, "shop.yml"))
	f.Add(fixture(f, "books.json"))
	f.Add([]byte("openapi: 3.0.0\nservers: [{url: '{a}', variables: {a: {default: /x}}}]\npaths: &p {/a: {$ref: '#/paths'}, <<: *p}\n"))
	f.Add([]byte("swagger: 2.0\npaths: {? [a] : b, /b: {get: &g {parameters: [*g], <<: [*g, *g], description: |\n Required ACL: `a.b\n}}}\n"))
	f.Fuzz(func(t *testing.T, data []byte) {
		if len(data) > 1<<16 {
			return
		}
		doc, err := Import(data)
		if (doc == nil) == (err == nil) {
			t.Fatalf("%v, %v", doc, err)
		}
		if err != nil {
			return
		}
		for _, op := range doc.Operations {
			clear := op.Route.Kind == routes.Public || op.Route.Kind == routes.Access && checkACL(op.Route.ACL) == nil
			if clear == (op.Problem != nil) || op.Problem != nil && op.Route.Kind != routes.Deny {
				t.Errorf("%+v", op)
			}
		}
		if len(doc.Operations) > 200 {
			return
		}
		r := Lint("x", doc, nil, nil)
		var b bytes.Buffer
		if err := r.WriteText(&b); err != nil || bytes.ContainsAny(b.Bytes(), "\x00\x1b\x07") {
			t.Errorf("%v\n%q", err, b.String())
		}
	})
}

// FuzzProse: what is read is in the text as it was read, and what is public
// says none.
func FuzzProse(f *testing.F) {
	f.Add("**Required ACL:** `shop.items.{item_id}.read`. Sorted.")
	f.Add("**required_acl**: shop.read` or ``shop.write`")
	f.Add("x\n<b>Required ACLs</b>:\n\n- `a.b`\n- `none`\n")
	f.Add("Required ACL: none of “these”")
	f.Fuzz(func(t *testing.T, text string) {
		s := readProse(text)
		lower := strings.ToLower(text)
		switch {
		case s.reason != "":
			if s.kind != routes.Deny || s.acl != "" {
				t.Errorf("%+v", s)
			}
		case s.kind == routes.Public:
			if !strings.Contains(lower, "none") {
				t.Errorf("public: %q", text)
			}
		case s.kind == routes.Access:
			if !strings.Contains(text, s.acl) || checkACL(s.acl) != nil {
				t.Errorf("%q reads %q", text, s.acl)
			}
		default:
			t.Errorf("%+v", s)
		}
		// Said again it is still the same; and beside another it is not clear.
		if s.reason == "" && len(text) < maxProse/4 {
			if again := readProse(text, text); again != s {
				t.Errorf("twice: %+v, once %+v", again, s)
			}
			if other := readProse(text, "Required ACL: `zz.other`"); other.reason == "" && s.acl != "zz.other" {
				t.Errorf("with another: %+v", other)
			}
		}
	})
}

// FuzzOverlay: what is read can be written, and reads back the same.
func FuzzOverlay(f *testing.F) {
	f.Add(fixture(f, "overlay.csv"))
	f.Add([]byte("- {service: a, method: get, path: '/{x}', acl: 'a.{x}', token_in_query: yes}\n- {<<: {service: b}, method: '*', path: /, auth: token}\n"))
	f.Add([]byte("service,method,path,enforced_acl,auth\n\"a\"\"b\",PUT,\"/a,b\",,public (x)\n"))
	f.Fuzz(func(t *testing.T, data []byte) {
		if len(data) > 1<<16 {
			return
		}
		rows, err := ReadOverlay("", data)
		if err != nil {
			return
		}
		doc := new(Document)
		list, _ := Apply(doc, rows)
		for name, write := range map[string]func(*bytes.Buffer) error{
			"x.csv":  func(b *bytes.Buffer) error { return WriteCSV(b, "s", list) },
			"x.json": func(b *bytes.Buffer) error { return WriteJSON(b, "s", list) },
		} {
			var b bytes.Buffer
			if err := write(&b); err != nil {
				t.Fatal(err)
			}
			again, err := ReadOverlay(name, b.Bytes())
			if err != nil {
				t.Fatalf("%s: %v\n%s", name, err, b.String())
			}
			relaid, _ := Apply(doc, again)
			if got, want := spelled(relaid), spelled(list); !slices.Equal(got, want) {
				t.Errorf("%s: %q, want %q", name, got, want)
			}
		}
	})
}
