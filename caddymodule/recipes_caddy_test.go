package caddymodule

import (
	"bytes"
	"net/http"
	"strings"
	"testing"
)

// TestRecipe_ForwardAuth: Caddy's own forward_auth asks, in the process that
// answers.
func TestRecipe_ForwardAuth(t *testing.T) {
	n, up := newNode(t), newUpstream(t)
	k := n.edgeKeys()
	n.loadRecipe("forward_auth.Caddyfile", "http://:8080", "http://:<port>", "127.0.0.1:9486", up.addr)
	testEdge(t, n, up, k)
	// Of the race that this avoids no test of ours can be sure: see the recipe.
	t.Run("no keep-alive", func(t *testing.T) {
		if cfg := adapt(t, recipe(t, "forward_auth.Caddyfile")); bytes.Count(cfg, []byte(`"keep_alive":{"enabled":false}`)) != 1 {
			t.Errorf("%s", cfg)
		}
	})
	t.Run("untrusted", func(t *testing.T) {
		testEdgeUntrusted(t, n, "GET / HTTP/1.1\r\nHost: 127.0.0.1:9080\r\nX-Forwarded-Method: GET\r\nX-Forwarded-Uri: /api/confd/1.1/users\r\nX-Auth-Token: "+k.good+"\r\n\r\n")
	})
	t.Run("refusals", func(t *testing.T) {
		for token, want := range map[string]string{k.unknown: `"not_found_or_expired"`, k.poor: `"missing_permission_or_invalid_tenant"`} {
			if r := n.do("GET", n.url("/api/confd/1.1/users"), "", "X-Auth-Token", token); !strings.Contains(r.body, want) {
				t.Errorf("%d %s", r.status, r.body)
			}
		}
		up.untouched(t)
	})
	// They pass, as they do through any Caddy without our guard, but as what
	// they are.
	t.Run("trailers", func(t *testing.T) {
		resp := n.send(n.port, localhost, "POST /api/confd/1.1/users HTTP/1.1\r\nHost: pbx\r\nConnection: close\r\nX-Auth-Token: "+k.good+
			"\r\nTransfer-Encoding: chunked\r\nTrailer: X-Checksum\r\n\r\n2\r\nhi\r\n0\r\nX-Auth-Id: "+forged+"\r\n\r\n")
		if head, _, _ := strings.Cut(up.take(t), "\r\n\r\n"); resp.StatusCode != http.StatusOK || strings.Contains(head, forged) {
			t.Errorf("%s\n%s", resp.Status, head)
		}
	})
	// Spelled in another way, it is the same path to the question and to the
	// upstream.
	t.Run("other spellings", func(t *testing.T) {
		for target, want := range map[string]int{
			"http://other/api/confd/1.1/wizard": 200, "http:///api/confd/1.1/wizard": 200, "http://other/api/confd/1.1/users": 401, "http:///api/confd/1.1/users": 401,
			"/api/c%6Fnfd/1.1/wizard": 200,
		} {
			resp := n.send(n.port, localhost, "GET "+target+" HTTP/1.1\r\nHost: pbx\r\nConnection: close\r\n\r\n")
			if resp.StatusCode != want {
				t.Errorf("%s: %s", target, resp.Status)
			}
			if want == http.StatusOK {
				if got := up.take(t); !strings.HasPrefix(got, "GET /1.1/wizard HTTP/1.1\r\n") {
					t.Errorf("%s: the upstream got\n%s", target, got)
				}
			}
		}
		up.untouched(t)
	})
}
