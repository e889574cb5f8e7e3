package caddymodule

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/caddyserver/caddy/v2"

	"github.com/wazo-edge/xivo-auth/authsvc/grant"
	"github.com/wazo-edge/xivo-auth/authsvc/store"
)

// GET /config tells what is in force after a reload, and no secret: neither
// what stands in the configuration nor what its placeholders stand for.
func TestConfig_Shown(t *testing.T) {
	const pass, uuid = "b00tstrap-9b2e", "5ec4e700-0000-4000-8000-000000000001"
	t.Setenv("XIVO_AUTH_TEST_SECRET", pass)
	n, w := newNode(t), theWorld(t)
	token := n.mint(store.User{UUID: grant.InternalAuthID, TenantUUID: w.alice.TenantUUID}, "auth.config.#")
	const sites = "http://:<port> {\n xivo_auth_api\n}"
	get := func() (doc map[string]any) {
		t.Helper()
		r := n.do("GET", n.url("/0.1/config"), "", "X-Auth-Token", token)
		if err := json.Unmarshal([]byte(r.body), &doc); err != nil || r.status != http.StatusOK {
			t.Fatalf("%d %s: %v", r.status, r.body, err)
		}
		for _, secret := range []string{pass, n.db, "XIVO_AUTH_TEST_SECRET", token} {
			if strings.Contains(r.body, secret) {
				t.Errorf("%q is shown in %s", secret, r.body)
			}
		}
		return doc
	}
	n.start("bootstrap root {env.XIVO_AUTH_TEST_SECRET}\nxivo_uuid "+uuid+"\ntoken_lifetime 1h\nuser_admin_status\ndefault_policy base {\n acl a.b\n}", sites)
	doc := get()
	for key, want := range map[string]string{
		"uuid": `"` + uuid + `"`, "default_token_lifetime": "3600", "max_user_concurrent_sessions": "100", "debug": "false",
		"enabled_metadata_plugins": `{"user_admin_status":true}`, "enabled_backend_plugins": `{"wazo_user":true}`,
		"bootstrap_user_username": `"root"`, "bootstrap_user_password": `"XXXXXXXX"`, "db_uri": `"XXXXXXXX"`,
		"default_policies": `{"base":{"acl":["a.b"]}}`,
	} {
		if got, err := json.Marshal(doc[key]); err != nil || string(got) != want {
			t.Errorf("%s is %s, want %s", key, got, want)
		}
	}
	n.start("xivo_uuid "+uuid+"\nmax_user_sessions 7", sites)
	doc = get()
	if doc["max_user_concurrent_sessions"] != 7.0 || doc["bootstrap_user_password"] != nil || doc["default_token_lifetime"] != 7200.0 {
		t.Errorf("after the reload: %v", doc)
	}
}

// Who wants it as the historical service has it sees the secrets.
func TestConfig_Secrets(t *testing.T) {
	const pass = "b00tstrap-9b2e"
	t.Setenv("XIVO_AUTH_TEST_SECRET", pass)
	n, w := newNode(t), theWorld(t)
	token := n.mint(store.User{UUID: grant.InternalAuthID, TenantUUID: w.alice.TenantUUID}, "auth.config.#")
	n.start("store sqlite <db>\nconfig_secrets\nbootstrap root {env.XIVO_AUTH_TEST_SECRET}", "http://:<port> {\n xivo_auth_api\n}")
	r := n.do("GET", n.url("/0.1/config"), "", "X-Auth-Token", token)
	for _, want := range []string{`"db_uri":"sqlite:` + n.db + `"`, `"bootstrap_user_password":"` + pass + `"`} {
		if r.status != http.StatusOK || !strings.Contains(r.body, want) {
			t.Errorf("%d %s, want %s", r.status, r.body, want)
		}
	}
}

// The debug switch shows what Caddy's log leaves out by its level, until it is
// turned off again. It stays on over a reload.
func TestConfig_Debug(t *testing.T) {
	n, w := newNode(t), theWorld(t)
	token := n.mint(store.User{UUID: grant.InternalAuthID, TenantUUID: w.alice.TenantUUID}, "auth.config.#")
	load := func(more string) {
		t.Helper()
		text := n.caddyfile("token_lifetime 1h\n"+more, "http://:<port> {\n xivo_auth_api\n}")
		if err := caddy.Load(adapt(t, strings.Replace(text, "level DEBUG", "level WARN", 1)), true); err != nil {
			t.Fatal(err)
		}
		n.heard()
	}
	turn := func(on bool) {
		t.Helper()
		body := fmt.Sprintf(`[{"op": "replace", "path": "/debug", "value": %t}]`, on)
		r := n.do("PATCH", n.url("/0.1/config"), body, "X-Auth-Token", token, "Content-Type", "application/json")
		if r.status != http.StatusOK || !strings.Contains(r.body, fmt.Sprintf(`"debug":%t`, on)) {
			t.Fatalf("%d %s", r.status, r.body)
		}
	}
	refused := func() int {
		t.Helper()
		if r := n.do("GET", n.url("/0.1/token/nothing"), ""); r.status != http.StatusNotFound {
			t.Fatalf("%d %s", r.status, r.body)
		}
		return strings.Count(n.logs(), "request refused")
	}
	load("")
	if refused() != 0 {
		t.Error("logged before it was asked for")
	}
	turn(true)
	if refused() != 1 || !strings.Contains(n.logs(), `"level_was":"DEBUG"`) {
		t.Errorf("not logged: %s", n.logs())
	}
	load("max_user_sessions 7")
	if refused() != 2 {
		t.Error("a reload turned it off")
	}
	turn(false)
	if refused() != 2 {
		t.Error("logged after it was turned off")
	}
}
