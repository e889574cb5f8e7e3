package authsvc_test

import (
	"context"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/wazo-edge/xivo-auth/authsvc"
	"github.com/wazo-edge/xivo-auth/authsvc/backends"
	"github.com/wazo-edge/xivo-auth/authsvc/client"
	"github.com/wazo-edge/xivo-auth/authsvc/store"
	"github.com/wazo-edge/xivo-auth/authsvc/store/sqlite"
	"github.com/wazo-edge/xivo-auth/authsvc/users"
	"github.com/wazo-edge/xivo-auth/internal/apitest"
)

// watched notes whose passwords are hashed and checked.
type watched struct {
	*apitest.Remembering
	mu      sync.Mutex
	clients []string
}

func (w *watched) note(ctx context.Context) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.clients = append(w.clients, client.From(ctx))
}

func (w *watched) Full(ctx context.Context) bool {
	w.note(ctx)
	return w.Remembering.Full(ctx)
}

func (w *watched) Check(ctx context.Context, pass, hash string, salt []byte) (bool, error) {
	w.note(ctx)
	return w.Remembering.Check(ctx, pass, hash, salt)
}

func (w *watched) Hash(ctx context.Context, pass string) (string, []byte, error) {
	w.note(ctx)
	return w.Remembering.Hash(ctx, pass)
}

// TestLogin_Client: every password that comes in a request waits in the line of
// the client it comes from. One that had none would share the line of all such,
// and they would keep each other out.
func TestLogin_Client(t *testing.T) {
	t.Parallel()
	st, err := sqlite.Open(filepath.Join(t.TempDir(), "auth.db"), store.Options{})
	if err != nil {
		t.Fatal(err)
	}
	var w *watched
	svc, err := authsvc.New(authsvc.Config{
		Store: st, ClientAddr: func(*http.Request) string { return "2001:db8:0:1:2:3:4:5" },
	}, authsvc.Settings{
		CleanupInterval: -1,
		Backends: func(s *authsvc.Service) *backends.Set {
			w = &watched{Remembering: &apitest.Remembering{Checker: s.Checker}}
			s.Users.Checker = w
			return backends.NewSet(&backends.WazoUser{Users: s.Store, Checker: w})
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = svc.Close() })
	if _, err := svc.Prepare(t.Context(), nil); err != nil {
		t.Fatal(err)
	}
	alice, err := svc.Users.Create(t.Context(), users.New{Username: "alice", Password: "s3cre7", Policies: []string{users.MasterPolicy}})
	if err != nil {
		t.Fatal(err)
	}
	var token string
	for _, c := range []struct {
		name, method, path, body string
		status, passwords        int
	}{
		{"a login", http.MethodPost, "/0.1/token", `{}`, 200, 2},
		{"a new user", http.MethodPost, "/0.1/users", `{"username": "bob", "password": "bob's one"}`, 200, 1},
		{"a new password", http.MethodPut, "/0.1/users/" + alice.UUID + "/password", `{"old_password": "s3cre7", "new_password": "another"}`, 204, 2},
	} {
		w.clients = nil
		r := httptest.NewRequestWithContext(t.Context(), c.method, c.path, strings.NewReader(c.body))
		r.Header.Set("X-Auth-Token", token)
		r.SetBasicAuth("alice", "s3cre7")
		answer := httptest.NewRecorder()
		svc.ServeHTTP(answer, r)
		if answer.Code != c.status {
			t.Fatalf("%s: %d %s", c.name, answer.Code, answer.Body)
		}
		if want := slices.Repeat([]string{"2001:db8:0:1::"}, c.passwords); !slices.Equal(w.clients, want) {
			t.Errorf("%s: of the clients %q, want %q", c.name, w.clients, want)
		}
		if token == "" {
			token = answer.Body.String()[len(`{"data":{"token":"`):][:36]
		}
	}
}
