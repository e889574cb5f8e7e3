package authsvc_test

import (
	"net/http/httptest"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"gopkg.in/yaml.v3"

	"github.com/wazo-edge/xivo-auth/authsvc"
	"github.com/wazo-edge/xivo-auth/authsvc/cache"
	"github.com/wazo-edge/xivo-auth/authsvc/store"
	"github.com/wazo-edge/xivo-auth/authsvc/store/sqlite"
)

// TestDocumentMatchesRoutes: the document that the API serves lists the
// operations it serves, and no others, each with the access it requires. A path
// that takes a uuid or a slug is two routes and, since OpenAPI knows no such
// difference, one in the document.
func TestDocumentMatchesRoutes(t *testing.T) {
	t.Parallel()
	svc := unprepared(t)

	w := httptest.NewRecorder()
	svc.ServeHTTP(w, httptest.NewRequest("GET", "/0.1/api/api.yml", nil))
	var doc struct {
		BasePath string                          `yaml:"basePath"`
		Paths    map[string]map[string]yaml.Node `yaml:"paths"`
	}
	if err := yaml.Unmarshal(w.Body.Bytes(), &doc); err != nil || doc.BasePath != "/0.1" {
		t.Fatalf("%d, base path %q: %v", w.Code, doc.BasePath, err)
	}
	documented, served := map[string]string{}, map[string]string{}
	for path, item := range doc.Paths {
		for key, operation := range item {
			if key == "parameters" {
				continue
			}
			var o struct{ Description string }
			if err := operation.Decode(&o); err != nil {
				t.Fatal(err)
			}
			acl := ""
			if m := requiredACL.FindStringSubmatch(o.Description); m != nil {
				acl = m[1]
			}
			documented[strings.ToUpper(key)+" "+doc.BasePath+path] = acl
		}
	}
	for _, r := range svc.Routes() {
		served[r.Method+" "+r.Path] = r.ACL
	}
	for op, acl := range served {
		bySlug := strings.ReplaceAll(op, "{policy_uuid}", "{policy_slug}")
		if other, both := served[bySlug]; both && bySlug != op {
			if strings.ReplaceAll(acl, "{policy_uuid}", "{policy_slug}") != other {
				t.Errorf("%s requires %s, and %s %s", op, acl, bySlug, other)
			}
			delete(served, bySlug)
			delete(served, op)
			served[strings.ReplaceAll(op, "{policy_uuid}", "{policy}")] = strings.ReplaceAll(acl, "{policy_uuid}", "{policy}")
		}
	}
	if len(served) == 0 {
		t.Fatal("nothing is served")
	}
	for op, acl := range served {
		if says, ok := documented[op]; !ok {
			t.Errorf("%s is served and not documented", op)
		} else if says != acl {
			t.Errorf("%s requires %q, the document says %q", op, acl, says)
		}
	}
	for op := range documented {
		if _, ok := served[op]; !ok {
			t.Errorf("%s is documented and not served", op)
		}
	}
}

// unprepared is a service to be looked at: no question to it needs a database.
func unprepared(t *testing.T) *authsvc.Service {
	t.Helper()
	db, err := sqlite.Open(filepath.Join(t.TempDir(), "auth.db"), store.Options{})
	if err != nil {
		t.Fatal(err)
	}
	svc, err := authsvc.New(authsvc.Config{Store: db, Cache: cache.Config{Grants: 1000}}, authsvc.Settings{CleanupInterval: -1})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := svc.Close(); err != nil {
			t.Error(err)
		}
	})
	return svc
}

var requiredACL = regexp.MustCompile("\\*\\*Required ACL:\\*\\* `([^`]+)`")
