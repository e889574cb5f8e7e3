package httpapi_test

import (
	"net/http"
	"net/http/httptest"
	"slices"
	"testing"

	"github.com/wazo-edge/xivo-auth/authsvc/httpapi"
)

func TestCORS(t *testing.T) {
	t.Parallel()
	const methods = "DELETE, GET, HEAD, OPTIONS, PATCH, POST, PUT"
	for _, c := range []struct {
		name, method           string
		cors                   httpapi.CORS
		request                []string
		origin, vary, m, names string
	}{
		{"no origin", "GET", httpapi.CORS{}, nil, "*", "", "", ""},
		{"origin", "GET", httpapi.CORS{}, []string{"Origin", "https://a.example"}, "https://a.example", "Origin", "", ""},
		{"null origin", "POST", httpapi.CORS{}, []string{"Origin", "null"}, "null", "Origin", "", ""},
		{"OPTIONS without preflight", "OPTIONS", httpapi.CORS{}, []string{"Origin", "https://a.example"}, "https://a.example", "Origin", "", ""},
		{"preflight", "OPTIONS", httpapi.CORS{}, []string{"Origin", "https://a.example", "Access-Control-Request-Method", "POST"}, "https://a.example", "Origin", methods, ""},
		{"preflight without origin", "OPTIONS", httpapi.CORS{}, []string{"Access-Control-Request-Method", "POST"}, "*", "", methods, ""},
		{"preflight with headers", "OPTIONS", httpapi.CORS{}, []string{
			"Access-Control-Request-Method", "X", "Access-Control-Request-Headers", " X-AUTH-Token,content-type , X-Evil,,x-auth-token",
		}, "*", "", methods, "content-type, x-auth-token"},
		{"preflight with other headers", "OPTIONS", httpapi.CORS{}, []string{
			"Access-Control-Request-Method", "X", "Access-Control-Request-Headers", "X-Evil",
		}, "*", "", methods, ""},
		{"preflight with configured headers", "OPTIONS", httpapi.CORS{AllowHeaders: []string{"X-Mine"}}, []string{
			"Access-Control-Request-Method", "X", "Access-Control-Request-Headers", "Content-Type, x-mine",
		}, "*", "", methods, "x-mine"},
		{"headers asked for without preflight", "GET", httpapi.CORS{}, []string{
			"Access-Control-Request-Method", "X", "Access-Control-Request-Headers", "Content-Type",
		}, "*", "", "", ""},
		{"disabled", "OPTIONS", httpapi.CORS{Disabled: true}, []string{"Origin", "https://a.example", "Access-Control-Request-Method", "POST"}, "", "", "", ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			r := httptest.NewRequest(c.method, "/0.1/nothing", nil)
			for pair := range slices.Chunk(c.request, 2) {
				r.Header.Set(pair[0], pair[1])
			}
			w := httptest.NewRecorder()
			c.cors.Wrap(newMux()).ServeHTTP(w, r)
			h := w.Header()
			for name, want := range map[string]string{
				"Access-Control-Allow-Origin": c.origin, "Vary": c.vary, "Access-Control-Allow-Methods": c.m,
				"Access-Control-Allow-Headers": c.names, "Access-Control-Allow-Credentials": "",
			} {
				if got := h.Get(name); got != want {
					t.Errorf("%s: %q, want %q", name, got, want)
				}
			}
			if w.Code != http.StatusNotFound {
				t.Errorf("%d: the request did not get through", w.Code)
			}
		})
	}
}
