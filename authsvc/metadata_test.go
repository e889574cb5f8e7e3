package authsvc_test

import (
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"testing"

	"github.com/wazo-edge/xivo-auth/authsvc"
	"github.com/wazo-edge/xivo-auth/authsvc/backends"
	"github.com/wazo-edge/xivo-auth/authsvc/cache"
	"github.com/wazo-edge/xivo-auth/authsvc/store"
	"github.com/wazo-edge/xivo-auth/authsvc/store/sqlite"
	"github.com/wazo-edge/xivo-auth/authsvc/users"
	"github.com/wazo-edge/xivo-auth/internal/apitest"
)

// TestUserAdminStatus is the extra plugin of the stack: who is an administrator
// is told in the metadata of people, and of nobody else.
func TestUserAdminStatus(t *testing.T) {
	t.Parallel()
	st, err := sqlite.Open(filepath.Join(t.TempDir(), "auth.db"), store.Options{})
	if err != nil {
		t.Fatal(err)
	}
	const stack = "5f9a3f0e-92b4-4a3d-8a0c-7d0a2a4f8e11"
	svc, err := authsvc.New(authsvc.Config{Store: st, XiVOUUID: stack, Cache: cache.Config{Grants: 1000}}, authsvc.Settings{
		AdminStatus: true,
		Backends: func(s *authsvc.Service) *backends.Set {
			return backends.NewSet(apitest.Remember(s))
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = svc.Close() })
	if _, err := svc.Prepare(t.Context(), nil); err != nil {
		t.Fatal(err)
	}
	insert := `insert into auth_policy (uuid, name, slug, tenant_uuid)
select 'p', 'wazo_default_admin_policy', 'wazo_default_admin_policy', uuid from auth_tenant`
	if _, err := st.DB().ExecContext(t.Context(), insert); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct{ name, purpose, policy, want string }{
		{"boss", store.PurposeUser, "wazo_default_admin_policy", `"xivo_uuid": "` + stack + `", "purpose": "user", "admin": true}`},
		{"alice", store.PurposeUser, "", `"xivo_uuid": "` + stack + `", "purpose": "user", "admin": false}`},
		{"robot", store.PurposeInternal, "wazo_default_admin_policy", `"xivo_uuid": "` + stack + `", "purpose": "internal"}`},
	} {
		n := users.New{Username: c.name, Password: "s3cre7", Purpose: c.purpose}
		if c.policy != "" {
			n.Policies = []string{c.policy}
		}
		if _, err := svc.Users.Create(t.Context(), n); err != nil {
			t.Fatal(err)
		}
		r := httptest.NewRequestWithContext(t.Context(), http.MethodPost, "/0.1/token", strings.NewReader("{}"))
		r.SetBasicAuth(c.name, "s3cre7")
		w := httptest.NewRecorder()
		svc.ServeHTTP(w, r)
		if body := w.Body.String(); w.Code != http.StatusOK || !strings.Contains(body, c.want) || !strings.Contains(body, `"xivo_uuid":"`+stack+`"`) {
			t.Errorf("%s: %d %s\nwant %s", c.name, w.Code, body, c.want)
		}
	}
}
