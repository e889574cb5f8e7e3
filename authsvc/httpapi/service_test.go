package httpapi_test

import (
	"fmt"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/wazo-edge/xivo-auth/authsvc/httpapi"
)

func TestStatus(t *testing.T) {
	t.Parallel()
	w := httptest.NewRecorder()
	newMux(httpapi.Status()).ServeHTTP(w, httptest.NewRequest("HEAD", "/0.1/status", nil))
	if w.Code != 200 || w.Header().Get("Content-Length") != "3" || w.Header().Get("Content-Type") != "application/json" {
		t.Errorf("%d %v", w.Code, w.Header())
	}
}

func TestDocument_ScriptName(t *testing.T) {
	t.Parallel()
	const plain = "basePath: /0.1"
	for _, c := range []struct{ name, header, want string }{
		{"absent", "", plain},
		{"prefix", "/api/auth", "basePath: /api/auth/0.1"},
		{"one segment", "/auth", "basePath: /auth/0.1"},
		{"every character", "/A-z_0.9~", "basePath: /A-z_0.9~/0.1"},
		{"no leading slash", "api", plain},
		{"trailing slash", "/api/", plain},
		{"another host", "//evil.example", plain},
		{"empty segment", "/a//b", plain},
		{"URL", "https://evil.example", plain},
		{"line feed", "/a\nx: y", plain},
		{"trailing line feed", "/a\n", plain},
		{"YAML", "/a # x", plain},
		{"encoded", "/%61", plain},
		{"not ASCII", "/é", plain},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			r := httptest.NewRequest("GET", "/0.1/api/api.yml", nil)
			if c.header != "" {
				r.Header["X-Script-Name"] = []string{c.header}
			}
			w := httptest.NewRecorder()
			newMux(httpapi.Document()).ServeHTTP(w, r)
			body := w.Body.String()
			if w.Code != 200 || w.Header().Get("Content-Type") != "application/x-yaml" || w.Header().Get("Content-Length") != fmt.Sprint(len(body)) {
				t.Errorf("%d %v", w.Code, w.Header())
			}
			if strings.Count(body, "\n"+c.want+"\n") != 1 || strings.Count(body, "basePath") != 1 || strings.Contains(body, "evil") {
				t.Errorf("want %q in\n%.200s", c.want, body)
			}
		})
	}
}

func TestDocument_Parts(t *testing.T) {
	t.Parallel()
	serve := func(parts ...string) string {
		var texts [][]byte
		for _, p := range parts {
			texts = append(texts, []byte(p))
		}
		w := httptest.NewRecorder()
		newMux(httpapi.Document(texts...)).ServeHTTP(w, httptest.NewRequest("GET", "/0.1/api/api.yml", nil))
		return w.Body.String()
	}
	body := serve("tags: [{name: things}]\npaths: {/things: {get: {operationId: listThings}}}\n", "definitions: {Thing: {type: object}}\n")
	for _, want := range []string{"listThings", "name: things", "Thing:", "/status:", "basePath: /0.1"} {
		if !strings.Contains(body, want) {
			t.Errorf("%s is missing", want)
		}
	}
	for name, parts := range map[string][]string{
		"two of a path":    {"paths: {/things: {}}", "paths: {/things: {}}"},
		"one we have":      {"paths: {/status: {}}"},
		"no mapping":       {"[]"},
		"no YAML":          {"{"},
		"another kind":     {"paths: []"},
		"empty":            {""},
		"a path as a list": {"tags: {}"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			defer func() {
				if recover() == nil {
					t.Error("a mistake in the program went unnoticed")
				}
			}()
			serve(parts...)
		})
	}
}
