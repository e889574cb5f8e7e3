package authsvc_test

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"testing"

	"github.com/wazo-edge/xivo-auth/authsvc"
	"github.com/wazo-edge/xivo-auth/authsvc/cache"
	"github.com/wazo-edge/xivo-auth/authsvc/guard"
	"github.com/wazo-edge/xivo-auth/authsvc/store"
	"github.com/wazo-edge/xivo-auth/authsvc/store/sqlite"
)

// stated is a store whose schema is in a state of the test's choosing.
type stated struct {
	store.Store
	err error
}

func (s *stated) State(context.Context) (store.SchemaState, error) { return store.SchemaCurrent, s.err }

// TestForeignSchema: a database at another revision is not touched, and an
// outage in between does not make it ours.
func TestForeignSchema(t *testing.T) {
	t.Parallel()
	real, err := sqlite.Open(filepath.Join(t.TempDir(), "auth.db"), store.Options{})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := real.Migrate(t.Context()); err != nil {
		t.Fatal(err)
	}
	st := &stated{Store: real}
	svc, err := authsvc.New(authsvc.Config{Store: st, Cache: cache.Config{Grants: 1000}}, authsvc.Settings{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = svc.Close() })
	const unknown = "/0.1/token/00000000-0000-4000-8000-000000000000"
	for _, step := range []struct {
		err    error
		status int
	}{
		{nil, http.StatusNotFound},
		{fmt.Errorf("revision abc: %w", store.ErrSchema), http.StatusServiceUnavailable},
		{store.ErrUnavailable, http.StatusServiceUnavailable}, // still
		{nil, http.StatusNotFound},
	} {
		st.err = step.err
		if _, err := svc.Prepare(t.Context(), nil); (err == nil) != (step.err == nil) {
			t.Fatalf("Prepare over %v: %v", step.err, err)
		}
		w := httptest.NewRecorder()
		svc.ServeHTTP(w, httptest.NewRequestWithContext(t.Context(), http.MethodHead, unknown, nil))
		if w.Code != step.status {
			t.Errorf("after %v: %d, want %d", step.err, w.Code, step.status)
		}
		d := svc.Decide(t.Context(), scopePolicy(""), guard.Request{Method: "GET", Target: "/", Tokens: []string{unknown[len("/0.1/token/"):]}})
		if closed := d.Verdict == guard.Unavailable; closed != (step.status == http.StatusServiceUnavailable) {
			t.Errorf("after %v: the guard says %s", step.err, d.Verdict)
		}
	}
}
