package caddymodule

import (
	"encoding/base64"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"

	"github.com/wazo-edge/xivo-auth/authsvc/guard"
	"github.com/wazo-edge/xivo-auth/authsvc/password"
	"github.com/wazo-edge/xivo-auth/authsvc/store"
	"github.com/wazo-edge/xivo-auth/authsvc/store/sqlite"
	"github.com/wazo-edge/xivo-auth/authsvc/users"
)

var discard = slog.New(slog.DiscardHandler)

// loadText loads a whole Caddyfile.
func (n *node) loadText(caddyfile string) {
	n.t.Helper()
	if err := caddy.Load(adapt(n.t, caddyfile), true); err != nil {
		n.t.Fatalf("loading: %v", err)
	}
}

// headerValues are the values of a header in a request as it was sent, by its
// exact name.
func headerValues(request, name string) (values []string) {
	head, _, _ := strings.Cut(request, "\r\n\r\n")
	for line := range strings.SplitSeq(head, "\r\n") {
		if key, value, ok := strings.Cut(line, ": "); ok && key == name {
			values = append(values, value)
		}
	}
	return values
}

// wantHeaders checks headers that must be there once with a value, or with ""
// not at all.
func wantHeaders(t testing.TB, request string, want map[string]string) {
	t.Helper()
	for name, value := range want {
		got := headerValues(request, name)
		if value == "" && len(got) != 0 || value != "" && (len(got) != 1 || got[0] != value) {
			t.Errorf("%s is %q, want %q in\n%s", name, got, value, request)
		}
	}
}

// tokenOf reads the token off the answer to a login.
func tokenOf(t testing.TB, body string) string {
	t.Helper()
	_, rest, ok := strings.Cut(strings.ReplaceAll(body, `": "`, `":"`), `"token":"`)
	if !ok || len(rest) < 36 {
		t.Fatalf("no token in %s", body)
	}
	return rest[:36]
}

func basic(login, password string) string {
	return "Basic " + base64.StdEncoding.EncodeToString([]byte(login+":"+password))
}

func openDB(t testing.TB, path string) store.Store {
	t.Helper()
	st, err := sqlite.Open(path, store.Options{MaxConns: 1})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = st.Close() })
	return st
}

func usersOn(st store.Store) *users.Service {
	return &users.Service{Store: st, Checker: password.NewChecker(0)}
}

func newUser(name, pass string) users.New { return users.New{Username: name, Password: pass} }

// ask puts a request with token before a guard and returns the status.
func ask(t *testing.T, g *Guard, token string) int {
	r := httptest.NewRequestWithContext(t.Context(), "GET", "/", nil)
	r.Header.Set("X-Auth-Token", token)
	rec := httptest.NewRecorder()
	next := caddyhttp.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) error {
		w.WriteHeader(http.StatusOK)
		return nil
	})
	if err := g.ServeHTTP(rec, r, next); err != nil {
		t.Error(err)
	}
	return rec.Code
}

// serve has a handler answer.
func serve(t *testing.T, h caddyhttp.MiddlewareHandler, method, path string) int {
	rec := httptest.NewRecorder()
	if err := h.ServeHTTP(rec, httptest.NewRequestWithContext(t.Context(), method, path, nil), nil); err != nil {
		t.Error(err)
	}
	return rec.Code
}

// startHTTP starts a server and returns its address.
func startHTTP(t testing.TB, handle http.HandlerFunc) string {
	t.Helper()
	srv := httptest.NewServer(handle)
	t.Cleanup(func() {
		srv.CloseClientConnections()
		srv.Close()
	})
	return strings.TrimPrefix(srv.URL, "http://")
}

// guardOn is a guard that no configuration made.
func guardOn(sh *shared, scope string) *Guard {
	policies := guard.NewPolicies(&guard.Policy{Scope: scope})
	return &Guard{
		Gate:   Gate{Scope: scope, shared: sh, log: discard, policies: policies, counters: newCounters("test", policies, false)},
		status: stackStatus,
	}
}
