// Package arrows proves which package may lean on which, over everything each
// of them is built from and not only what it names.
package arrows

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"os/exec"
	"slices"
	"strings"
	"testing"
)

const module = "github.com/wazo-edge/xivo-auth/"

// foreign is what nothing below authsvc may be built from.
var foreign = []string{"github.com/caddyserver/", "go.uber.org/zap", "github.com/prometheus/", "go.opentelemetry.io/", module + "caddymodule"}

// allowed lists, for each package of the library, the packages of ours it may
// import itself. A package that is not listed fails: decide where it belongs.
var allowed = map[string][]string{
	"authsvc/acl":            {},
	"authsvc/ascii":          {},
	"authsvc/form":           {},
	"authsvc/client":         {},
	"authsvc/password":       {"authsvc/client"},
	"authsvc/store":          {},
	"authsvc/grant":          {"authsvc/acl", "authsvc/ascii"},
	"authsvc/cache":          {"authsvc/acl", "authsvc/grant"},
	"authsvc/routes":         {},
	"authsvc/slug":           {"authsvc/form"},
	"authsvc/routes/openapi": {"authsvc/routes"},
	"authsvc/guard":          {"authsvc/grant", "authsvc/routes"},
	"authsvc/tenants":        {"authsvc/form", "authsvc/httpapi", "authsvc/slug", "authsvc/store"},
	"authsvc/revocation":     {"authsvc/store"},
	"authsvc/httpapi":        {"authsvc/acl", "authsvc/ascii", "authsvc/form", "authsvc/grant", "authsvc/store"},
	"authsvc/users":          {"authsvc/client", "authsvc/form", "authsvc/httpapi", "authsvc/idp", "authsvc/password", "authsvc/store"},
	"authsvc/backends":       {"authsvc/httpapi", "authsvc/password", "authsvc/store"},
	"authsvc/tokens":         {"authsvc/acl", "authsvc/ascii", "authsvc/backends", "authsvc/client", "authsvc/form", "authsvc/grant", "authsvc/httpapi", "authsvc/store"},
	"authsvc/throttle":       {"authsvc/client"},
	"authsvc/assertion":      {"authsvc/grant", "authsvc/httpapi"},
	"authsvc/sessions":       {"authsvc/httpapi", "authsvc/store"},
	"authsvc/config":         {"authsvc/form", "authsvc/httpapi"},
	"authsvc/groups":         {"authsvc/form", "authsvc/httpapi", "authsvc/slug", "authsvc/store"},
	"authsvc/idp":            {"authsvc/form", "authsvc/httpapi", "authsvc/store"},
	"authsvc/policies":       {"authsvc/form", "authsvc/httpapi", "authsvc/slug", "authsvc/store"},
	"authsvc/ldap":           {"authsvc/form", "authsvc/httpapi", "authsvc/store"},
	"authsvc/store/sqlstore": {"authsvc/store"},
	"authsvc/store/postgres": {"authsvc/store", "authsvc/store/sqlstore"},
	"authsvc/store/sqlite":   {"authsvc/store", "authsvc/store/sqlstore"},
	"authsvc/store/storetest": {
		"authsvc/store",
	},
	"authsvc": {
		"authsvc/assertion", "authsvc/backends", "authsvc/cache", "authsvc/config", "authsvc/grant", "authsvc/groups", "authsvc/guard", "authsvc/httpapi",
		"authsvc/idp", "authsvc/ldap", "authsvc/password", "authsvc/policies", "authsvc/revocation", "authsvc/sessions", "authsvc/slug", "authsvc/store", "authsvc/tenants", "authsvc/throttle", "authsvc/tokens", "authsvc/users",
	},
}

type pkg struct {
	ImportPath string
	Imports    []string
	Deps       []string
}

func TestArrows(t *testing.T) {
	t.Parallel()
	for _, p := range list(t, module+"authsvc/...") {
		name := strings.TrimPrefix(p.ImportPath, module)
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			may, listed := allowed[name]
			if !listed {
				t.Fatalf("%s is not in the list: which packages may it import?", name)
			}
			for _, imported := range p.Imports {
				if ours, ok := strings.CutPrefix(imported, module); ok && !slices.Contains(may, ours) {
					t.Errorf("imports %s", ours)
				}
			}
			for _, dep := range p.Deps {
				for _, f := range foreign {
					if strings.HasPrefix(dep, f) {
						t.Errorf("is built from %s", dep)
					}
				}
				if (name == "authsvc/acl" || name == "authsvc/routes") && strings.Contains(strings.Split(dep, "/")[0], ".") {
					t.Errorf("is built from %s, but is to need the standard library only", dep)
				}
			}
		})
	}
}

// list asks go for the packages that pattern matches.
func list(t *testing.T, pattern string) (pkgs []pkg) {
	t.Helper()
	out, err := exec.CommandContext(t.Context(), "go", "list", "-json=ImportPath,Imports,Deps", pattern).Output()
	if err != nil {
		t.Fatalf("go list: %v", err)
	}
	for dec := json.NewDecoder(bytes.NewReader(out)); ; {
		var p pkg
		switch err := dec.Decode(&p); {
		case errors.Is(err, io.EOF):
			if len(pkgs) < len(allowed) {
				t.Fatalf("go list found %d packages, fewer than the %d listed here", len(pkgs), len(allowed))
			}
			return pkgs
		case err != nil:
			t.Fatal(err)
		}
		pkgs = append(pkgs, p)
	}
}
