package authsvc_test

import (
	"net/http/httptest"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"gopkg.in/yaml.v3"

	"github.com/wazo-edge/xivo-auth/authsvc"
	"github.com/wazo-edge/xivo-auth/authsvc/store"
	"github.com/wazo-edge/xivo-auth/authsvc/store/sqlite"
)

// TestDocumentMatchesRoutes: the document that the API serves lists the
// operations it serves, and no others.
func TestDocumentMatchesRoutes(t *testing.T) {
	t.Parallel()
	db, err := sqlite.Open(filepath.Join(t.TempDir(), "auth.db"), store.Options{})
	if err != nil {
		t.Fatal(err)
	}
	svc, err := authsvc.New(authsvc.Config{Store: db}, authsvc.Settings{CleanupInterval: -1})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := svc.Close(); err != nil {
			t.Error(err)
		}
	})

	w := httptest.NewRecorder()
	svc.ServeHTTP(w, httptest.NewRequest("GET", "/0.1/api/api.yml", nil))
	var doc struct {
		BasePath string                          `yaml:"basePath"`
		Paths    map[string]map[string]yaml.Node `yaml:"paths"`
	}
	if err := yaml.Unmarshal(w.Body.Bytes(), &doc); err != nil || doc.BasePath != "/0.1" {
		t.Fatalf("%d, base path %q: %v", w.Code, doc.BasePath, err)
	}
	var documented, served []string
	for path, item := range doc.Paths {
		for key := range item {
			if key != "parameters" {
				documented = append(documented, strings.ToUpper(key)+" "+doc.BasePath+path)
			}
		}
	}
	for _, r := range svc.Routes() {
		served = append(served, r.Method+" "+r.Path)
	}
	if len(served) == 0 {
		t.Fatal("nothing is served")
	}
	for _, op := range served {
		if !slices.Contains(documented, op) {
			t.Errorf("%s is served and not documented", op)
		}
	}
	for _, op := range documented {
		if !slices.Contains(served, op) {
			t.Errorf("%s is documented and not served", op)
		}
	}
}
