package caddymodule

import (
	"net/http"
	"strings"
	"testing"
)

// Caddy's authentication handler asks its providers in the order of a map and
// stops at the first that knows the user. Beside http_basic, whoever had a login
// there reached the upstream, every other time, before ours was asked, and so
// with the X-Auth-User-Uuid he chose.
func TestSec_ProviderAlone(t *testing.T) {
	n, up := newNode(t), newUpstream(t)
	const hash = `$2a$04$t4oydKu0H.DiOErKDIMoUuoZvikPqqfBxRvsaDQSijU52mLKex1o.` // of his name
	xivo := map[string]any{"xivo_token": map[string]any{}}
	login := map[string]any{"http_basic": map[string]any{
		"accounts": []any{map[string]any{"username": "mallory", "password": hash}},
	}}
	both := map[string]any{"xivo_token": xivo["xivo_token"], "http_basic": login["http_basic"]}
	load := func(handlers ...map[string]any) error {
		return n.loadJSON("", "http://:<port> {\n reverse_proxy "+up.addr+"\n}", func(cfg map[string]any) {
			srv := cfg["apps"].(map[string]any)["http"].(map[string]any)["servers"].(map[string]any)["srv0"].(map[string]any)
			var chain []any
			for _, providers := range handlers {
				chain = append(chain, map[string]any{"handler": "authentication", "providers": providers})
			}
			srv["routes"] = append([]any{map[string]any{"handle": chain}}, srv["routes"].([]any)...)
		})
	}
	header := forgeAll(managed, "Authorization", basic("mallory", "mallory"))
	if err := load(both); err == nil {
		for range 50 { // the order of a map is another one each time
			n.do("GET", n.url("/"), "", header...)
			select {
			case got := <-up.got:
				t.Fatalf("mallory is whom he likes:\n%s", got)
			default:
			}
		}
		t.Error("loaded beside http_basic")
	} else if !strings.Contains(err.Error(), "only provider") {
		t.Error(err)
	}
	// In two handlers, either order asks both.
	for _, order := range [][]map[string]any{{xivo, login}, {login, xivo}} {
		if err := load(order...); err != nil {
			t.Fatal(err)
		}
		if r := n.do("GET", n.url("/"), "", header...); r.status != http.StatusUnauthorized {
			t.Errorf("%d %s", r.status, r.body)
		}
		up.untouched(t)
		token := n.mint(theWorld(t).alice)
		if r := n.do("GET", n.url("/"), "", append(header, "X-Auth-Token", token)...); r.status != http.StatusOK {
			t.Fatalf("%d %s", r.status, r.body)
		}
		got := up.take(t)
		wantHeaders(t, got, map[string]string{headerUser: theWorld(t).alice.UUID})
		if strings.Contains(got, forged) {
			t.Errorf("the upstream got\n%s", got)
		}
	}
}
