package tokens

import (
	"net/http"
	"strings"
	"testing"
	"time"
)

// A token the service issues to itself is nobody's, may act in any tenant, and
// is as good as any other (token.md §12).
func TestIssueInternal(t *testing.T) {
	t.Parallel()
	a := newAPI(t)
	g, err := a.service.IssueInternal(t.Context(), []string{"auth.users.#"}, time.Hour, topTenant, "wazo-auth-internal")
	if err != nil {
		t.Fatal(err)
	}
	path := "/0.1/token/" + g.Token().String()
	if w := a.do(t, http.MethodHead, path+"?scope=auth.users.read&tenant=any", ""); w.Code != http.StatusNoContent {
		t.Errorf("HEAD: %d", w.Code)
	}
	if w := a.do(t, http.MethodHead, path+"?scope=confd.users.read", ""); w.Code != http.StatusForbidden {
		t.Errorf("HEAD with another scope: %d", w.Code)
	}
	body := a.do(t, http.MethodGet, path, "").Body.String()
	for _, want := range []string{
		`"auth_id":"wazo-auth","xivo_user_uuid":null,"xivo_uuid":null`, `"acl":["auth.users.#"]`,
		`"metadata":{"tenant_uuid": "` + topTenant + `"}`, `"remote_addr":"127.0.0.1","user_agent":"wazo-auth-internal"`,
	} {
		if !strings.Contains(body, want) {
			t.Errorf("GET: %s\nlacks %s", body, want)
		}
	}
	a.at = a.at.Add(time.Hour + time.Second)
	if w := a.do(t, http.MethodHead, path, ""); w.Code != http.StatusNotFound {
		t.Errorf("HEAD after an hour: %d", w.Code)
	}
}
