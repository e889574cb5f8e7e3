package openapi

import (
	"encoding/csv"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/wazo-edge/xivo-auth/authsvc/routes"
)

// services of which the stack's descriptions are looked for, with what their
// paths carry of the external prefix.
var services = []string{"agentd", "amid", "calld", "confd", "dird", "provd"}

// findUp looks for a path in the parents of the test's directory.
func findUp(path string) string {
	for dir, err := filepath.Abs("."); err == nil; dir = filepath.Dir(dir) {
		if candidate := filepath.Join(dir, path); exists(candidate) {
			return candidate
		}
		if dir == filepath.Dir(dir) {
			break
		}
	}
	return ""
}

func exists(path string) bool {
	_, err := os.Stat(path)
	return err == nil
}

// realFile reads one of the stack's own files, which are not this project's.
func realFile(t testing.TB, name string) []byte {
	t.Helper()
	path := findUp(filepath.Join("shared", "openapi", name))
	if path == "" {
		t.Skipf("no parent directory has shared/openapi/%s: the stack's own descriptions were not checked", name)
	}
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return data
}

// enforced is a line of the stack's list of what its services demand, read
// without the code that is tested.
type enforced struct{ service, method, path, acl, auth, query string }

func enforcedRoutes(t *testing.T) (all []enforced) {
	t.Helper()
	records, err := csv.NewReader(strings.NewReader(string(realFile(t, "enforced-routes.csv")))).ReadAll()
	if err != nil {
		t.Fatal(err)
	}
	column := map[string]int{}
	for i, name := range records[0] {
		column[name] = i
	}
	for _, r := range records[1:] {
		cell := func(name string) string { return r[column[name]] }
		all = append(all, enforced{cell("service"), cell("method"), cell("path"), cell("enforced_acl"), cell("auth"), cell("token_in_query")})
	}
	return all
}

// demand is what the services do, in the words of package routes.
func (e enforced) demand() (kind routes.Kind, acl string) {
	switch {
	case e.acl != "":
		return routes.Access, e.acl
	case strings.HasPrefix(e.auth, "public"):
		return routes.Public, ""
	case strings.HasPrefix(e.auth, "token"):
		return routes.Token, ""
	}
	return routes.Deny, ""
}

func TestImport_RealServices(t *testing.T) {
	t.Parallel()
	all := enforcedRoutes(t)
	overlay, err := ReadOverlay("enforced-routes.csv", realFile(t, "enforced-routes.csv"))
	if err != nil {
		t.Fatal(err)
	}
	if len(overlay) != len(all) {
		t.Errorf("%d rows of %d were read", len(overlay), len(all))
	}
	for _, service := range services {
		t.Run(service, func(t *testing.T) {
			t.Parallel()
			data := realFile(t, service+".yml")
			start := time.Now()
			doc, err := Import(data)
			if err != nil {
				t.Fatal(err)
			}
			took := time.Since(start)

			// Every method the file spells is imported; an operation is one line.
			spelled := 0
			for line := range strings.SplitSeq(string(data), "\n") {
				if m, ok := strings.CutSuffix(strings.TrimPrefix(line, "    "), ":"); ok && slices.Contains(methods, m) && strings.HasPrefix(line, "    ") {
					spelled++
				}
			}
			var acls, public, reported int
			for _, op := range doc.Operations {
				switch {
				case op.Problem != nil:
					reported++
					t.Logf("reported: %s", op.Problem)
					if op.Route.Kind != routes.Deny {
						t.Errorf("%s is reported and yet %s", op.Route.String(), op.Route.Demand())
					}
				case op.Route.Kind == routes.Access:
					acls++
				case op.Route.Kind == routes.Public:
					public++
				default:
					t.Errorf("%s denies and is not reported", op.Route.String())
				}
			}
			for _, p := range doc.Problems {
				t.Errorf("not read: %s", p)
			}
			if len(doc.Operations) != spelled {
				t.Errorf("%d operations imported, the file has %d", len(doc.Operations), spelled)
			}
			rows := OfService(overlay, service)
			list, changes := Apply(doc, rows)
			equal := checkEnforced(t, service, all, list)
			t.Logf("%s: %d operations in %v: %d ACLs read, %d public, %d reported; with the overlay %d of %d rows equal, %d changes",
				service, len(doc.Operations), took.Round(100*time.Microsecond), acls, public, reported, equal, len(rows), len(changes))

			report := Lint(service, doc, rows, nil)
			for _, m := range report.Missing {
				t.Logf("denied, its ACL needs a value the path lacks: %s: %s", m.Route, m.ACL)
			}
			for _, c := range report.Conflicts {
				t.Errorf("conflict: %+v", c)
			}
			if len(report.Problems) > 0 {
				t.Errorf("the overlay leaves unsettled: %v", report.Problems)
			}
		})
	}
}

// checkEnforced holds the routes of a service against what it enforces: what
// they say, and what a request to each of them is asked for.
func checkEnforced(t *testing.T, service string, all []enforced, list []routes.Route) (equal int) {
	t.Helper()
	prefix, _ := routes.ParsePrefix("/api/" + service)
	table, _ := routes.New(WithoutPrefix(list, prefix))
	byKey := map[string]routes.Route{}
	for _, r := range list {
		if _, twice := byKey[key(r)]; twice {
			t.Errorf("%s is there twice", r.String())
		}
		byKey[key(r)] = r
	}
	for _, e := range all {
		if e.service != service {
			continue
		}
		name := e.method + " " + e.path
		kind, acl := e.demand()
		r, found := byKey[key(routes.Route{Method: e.method, Template: e.path})]
		if !found || r.Kind != kind || r.ACL != acl || r.QueryToken != (e.query == "yes") {
			t.Errorf("%s: %+v, enforced %s %s", name, r, kind, acl)
			continue
		}
		equal++
		path, values := request(r)
		if !strings.HasPrefix(path, "/api/") {
			path = prefix.String() + path
		}
		var p routes.Path
		if rule := p.Parse(path); rule != "" {
			t.Errorf("%s: %s is refused: %s", name, path, rule)
			continue
		}
		from, _ := p.Under(prefix)
		m, ok := table.Match(e.method, &p, from)
		_, lacking := resolve(r)
		switch {
		case !ok:
			t.Errorf("%s: %s matches nothing", name, path)
		case len(lacking) > 0:
			if m.Route.Kind != routes.Deny {
				t.Errorf("%s passes without {%s}", name, lacking)
			}
		case m.Route.Kind != kind:
			t.Errorf("%s: %s is taken for %s", name, path, m.Route)
		case kind == routes.Access:
			want := acl
			for _, n := range placeholders(acl) {
				value, has := values[n]
				if !has {
					value = values[""] // the only one the ACL spells otherwise
				}
				want = strings.ReplaceAll(want, "{"+n+"}", value)
			}
			if got, _ := m.AppendAccess(nil, &p); string(got) != want {
				t.Errorf("%s: %s is asked for %s, enforced %s", name, path, got, want)
			}
		}
	}
	return equal
}

// request makes a path of a template, and the values that services put into
// ACLs for it; "" is that of a parameter which the ACL does not name.
func request(r routes.Route) (path string, values map[string]string) {
	path, values = r.Template, map[string]string{}
	for i, name := range parameters(r.Template) {
		sent, taken := fmt.Sprintf("v%d.x", i), fmt.Sprintf("v%d_x", i)
		switch r.Types[name] {
		case routes.Integer:
			sent, taken = fmt.Sprintf("00%d", 7+i), fmt.Sprint(7+i)
		case routes.UUID:
			sent = fmt.Sprintf("ABCDEF00-0000-4000-8000-00000000000%d", i)
			taken = strings.ToLower(sent)
		}
		path = strings.ReplaceAll(path, "{"+name+"}", sent)
		values[name] = taken
		if !slices.Contains(placeholders(r.ACL), name) {
			values[""] = taken
		}
	}
	return path, values
}

func BenchmarkImport(b *testing.B) {
	data := realFile(b, "confd.yml")
	b.SetBytes(int64(len(data)))
	b.ReportAllocs()
	for b.Loop() {
		if _, err := Import(data); err != nil {
			b.Fatal(err)
		}
	}
}
