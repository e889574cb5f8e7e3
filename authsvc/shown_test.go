package authsvc_test

import (
	"net/http/httptest"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/wazo-edge/xivo-auth/authsvc"
	"github.com/wazo-edge/xivo-auth/authsvc/cache"
	"github.com/wazo-edge/xivo-auth/authsvc/grant"
	"github.com/wazo-edge/xivo-auth/authsvc/httpapi"
	"github.com/wazo-edge/xivo-auth/authsvc/store"
	"github.com/wazo-edge/xivo-auth/authsvc/store/sqlite"
)

// GET /config shows the settings that are in force, defaults and later changes
// included, what the adapter has to say, and the switches.
func TestShown(t *testing.T) {
	t.Parallel()
	db, err := sqlite.Open(filepath.Join(t.TempDir(), "auth.db"), store.Options{})
	if err != nil {
		t.Fatal(err)
	}
	set := authsvc.Settings{CleanupInterval: -1}
	svc, err := authsvc.New(authsvc.Config{Store: db, XiVOUUID: "stack", Cache: cache.Config{Grants: 1000}}, set)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := svc.Close(); err != nil {
			t.Error(err)
		}
	})
	if _, err := svc.Prepare(t.Context(), nil); err != nil {
		t.Fatal(err)
	}
	tree, err := db.TenantTree(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	top, token, session := tree[0].UUID, uuid.NewString(), uuid.NewString()
	if err := db.CreateToken(t.Context(), store.Session{UUID: session, TenantUUID: top}, store.Token{
		UUID: token, AuthID: grant.InternalAuthID, SessionUUID: session, ExpiresAt: time.Now().Add(time.Hour).Unix(),
		Metadata: grant.Metadata(grant.InternalAuthID, top, "", "", store.PurposeInternal), ACL: []string{"auth.config.*"},
	}); err != nil {
		t.Fatal(err)
	}
	ask := func(method, body string) string {
		t.Helper()
		r := httptest.NewRequestWithContext(t.Context(), method, "/0.1/config", strings.NewReader(body))
		r.Header.Set("X-Auth-Token", token)
		r.Header.Set("Content-Type", "application/json")
		w := httptest.NewRecorder()
		svc.ServeHTTP(w, r)
		return strings.TrimSpace(w.Body.String())
	}
	check := func(what, got, want string) {
		t.Helper()
		if got != want {
			t.Errorf("%s:\n got %s\nwant %s", what, got, want)
		}
	}

	defaults := `{"backend_policies":{},"db_uri":"XXXXXXXX","debug":false,"default_token_lifetime":7200,"enabled_backend_plugins":{"wazo_user":true},` +
		`"enabled_metadata_plugins":{"user_admin_status":false},"idp_plugins":{"ldap":{"enabled":true,"priority":2},"saml":{"enabled":true,"priority":1}},` +
		`"max_user_concurrent_sessions":100,"profiling_enabled":false,` +
		`"rest_api":{"cors":{"allow_headers":["Content-Type","Authorization","X-Auth-Token","Wazo-Tenant","Wazo-Session-Type"],"enabled":true}},` +
		`"token_cleanup_batch_size":5000,"token_cleanup_interval":0,"uuid":"stack"}`
	check("defaults", ask("GET", ""), defaults)
	debug := strings.Replace(defaults, `"debug":false`, `"debug":true`, 1)
	check("turned on", ask("PATCH", `[{"op": "replace", "path": "/debug", "value": true}]`), debug)
	if refused := ask("PATCH", `[{"op": "replace", "path": "/debug", "value": false}, {"op": "replace", "path": "/debug", "value": "perhaps"}]`); !strings.Contains(refused, `"error_id": "invalid-data"`) {
		t.Errorf("half a patch: %s", refused)
	}
	check("after half a patch", ask("GET", ""), debug)

	set.TokenLifetime, set.DefaultUserPolicy, set.BackendPolicies = 90*time.Second, "base", map[string]string{"wazo_user": "other"}
	set.MaxUserSessions, set.AdminStatus, set.CleanupBatch, set.Providers = -1, true, 7, []string{}
	set.CORS = httpapi.CORS{Disabled: true, AllowHeaders: []string{"X"}}
	set.Shown = map[string]any{"db_uri": "none", "more": 1}
	svc.Apply(set)
	check("changed", ask("GET", ""), `{"backend_policies":{"wazo_user":"other"},"db_uri":"none","debug":true,"default_token_lifetime":90,"default_user_policy":"base",`+
		`"enabled_backend_plugins":{"wazo_user":true},"enabled_metadata_plugins":{"user_admin_status":true},"idp_plugins":{},"max_user_concurrent_sessions":-1,`+
		`"more":1,"profiling_enabled":false,"rest_api":{"cors":{"allow_headers":["X"],"enabled":false}},"token_cleanup_batch_size":7,"token_cleanup_interval":0,"uuid":"stack"}`)
}
