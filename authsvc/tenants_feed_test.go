package authsvc_test

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/wazo-edge/xivo-auth/authsvc/grant"
	"github.com/wazo-edge/xivo-auth/authsvc/guard"
	"github.com/wazo-edge/xivo-auth/authsvc/store"
)

// TestFeed_Tenants: who moves or deletes a tenant finds it done on the node he
// asked, at once, and on every other without waiting for a snapshot to age.
func TestFeed_Tenants(t *testing.T) {
	t.Parallel()
	for name, make := range clusters {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c := make(t)
			alice, kid := c.user("alice"), c.user("kid")
			ours, kids := c.known(alice, 1)[0], c.known(kid, 3)
			admin := store.Token{
				UUID: uuid.NewString(), AuthID: grant.InternalAuthID, SessionUUID: uuid.NewString(), ACL: []string{"auth.tenants.#"},
				IssuedAt: time.Now().Unix(), ExpiresAt: time.Now().Unix() + 3600, Metadata: `{"tenant_uuid": "` + c.top + `"}`,
			}
			if err := c.db.CreateToken(t.Context(), store.Session{UUID: admin.SessionUUID, TenantUUID: c.top}, admin); err != nil {
				t.Fatal(err)
			}
			do := func(method, path string) {
				t.Helper()
				r := httptest.NewRequest(method, "/0.1/tenants/"+path, nil)
				r.Header.Set("X-Auth-Token", admin.UUID)
				w := httptest.NewRecorder()
				if c.nodes[0].ServeHTTP(w, r); w.Code != http.StatusNoContent {
					t.Fatal(w.Code, w.Body)
				}
			}
			for _, node := range c.nodes {
				if d := decide(node, ours.UUID, c.child); d.Verdict != guard.Allow {
					t.Fatalf("%v %s", d.Verdict, d.Reason)
				}
			}

			do(http.MethodPut, c.child+"/parent/"+c.other)
			if d := decide(c.nodes[0], ours.UUID, c.child); d.Reason != guard.WrongTenant {
				t.Errorf("the node itself, of a tenant that moved: %v %s", d.Verdict, d.Reason)
			}
			for i, node := range c.nodes {
				c.eventually(fmt.Sprintf("node %d knows that the tenant moved", i), func() bool {
					return decide(node, ours.UUID, c.child).Reason == guard.WrongTenant
				})
			}

			do(http.MethodDelete, c.child)
			for _, token := range kids {
				if d := decide(c.nodes[0], token.UUID, ""); d.Verdict != guard.Unauthenticated {
					t.Errorf("the node itself, of a tenant that is gone: %v", d.Verdict)
				}
			}
			c.refused("the deletion of his tenant", kids...)
			for i, node := range c.nodes {
				if d := decide(node, ours.UUID, ""); d.Verdict != guard.Allow {
					t.Errorf("node %d, of a token of another tenant: %v %s", i, d.Verdict, d.Reason)
				}
			}
		})
	}
}
