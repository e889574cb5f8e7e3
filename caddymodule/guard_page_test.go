package caddymodule

import (
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestGuardPage runs the configuration of docs/guard.md: confd and calld from
// specifications, websocketd from a route.
func TestGuardPage(t *testing.T) {
	n, up, w := newNode(t), newUpstream(t), theWorld(t)
	raw, err := os.ReadFile("../docs/guard.md")
	if err != nil {
		t.Fatal(err)
	}
	_, rest, _ := strings.Cut(string(raw), "```caddyfile\n")
	page, _, found := strings.Cut(rest, "```")
	if !found {
		t.Fatal("the page has no Caddyfile")
	}
	options, _, _ := strings.Cut(n.caddyfile("", ""), "\txivo_auth {")
	// What is replaced must be there.
	for _, r := range [][2]string{
		{"{\n\txivo_auth {\n", options + "\txivo_auth {\n\t\tbackend instant\n"},
		{"store postgres {env.XIVO_AUTH_DSN}", "store probe <db>"},
		{"pbx.example.com {\n\ttls internal\n", "http://:<port> {\n"},
		{"127.0.0.1:9486", up.addr}, {"127.0.0.1:9500", up.addr}, {"127.0.0.1:9502", up.addr},
		{"specs/", "<dir>/"},
	} {
		if !strings.Contains(page, r[0]) {
			t.Fatalf("the page does not have %q", r[0])
		}
		page = strings.ReplaceAll(page, r[0], r[1])
	}
	// The harness has a log of its own; the page's filters are tested with
	// the shipped Caddyfile.
	before, after, _ := strings.Cut(page, "\tlog default {\n\t\tformat filter")
	_, after, _ = strings.Cut(after, "\n\t}\n}\n")
	page = before + "}\n" + after

	spec := func(service, base, paths string) {
		n.write(service+".yml", "swagger: '2.0'\ninfo: {title: "+service+", version: '1'}\nbasePath: "+base+"\npaths:\n"+paths)
	}
	spec("confd", "/1.1", "  /users:\n    get: {description: '**Required ACL:** `confd.users.read`'}\n")
	spec("calld", "/1.0", "  /users/me/calls:\n    get: {description: '**Required ACL:** `calld.users.me.calls.read`'}\n    post: {description: 'Says nothing.'}\n")
	overlay := "service,method,path,acl\nconfd,GET,/1.1/infos,token\ncalld,POST,/1.0/users/me/calls,calld.users.me.calls.create\n"
	write(t, filepath.Join(n.dir, "overlay.csv"), overlay)
	n.loadText(n.expand(page))

	token := n.mint(w.alice, "confd.users.read", "calld.users.me.#", "websocketd")
	poor := n.mint(w.alice, "x")
	for _, c := range []struct {
		method, path, token string
		want                int
		target              string // what the upstream gets
	}{
		{"GET", "/api/confd/1.1/users", token, 200, "GET /1.1/users "},
		{"GET", "/api/confd/1.1/users", poor, 401, ""},
		{"GET", "/api/confd/1.1/infos", poor, 200, "GET /1.1/infos "},
		{"GET", "/api/confd/1.1/other", token, 403, ""},
		{"GET", "/api/calld/1.0/users/me/calls", token, 200, "GET /1.0/users/me/calls "},
		{"POST", "/api/calld/1.0/users/me/calls", token, 200, "POST /1.0/users/me/calls "},
		{"POST", "/api/calld/1.0/users/me/calls", poor, 401, ""},
		{"GET", "/api/websocketd/?token=" + token + "&version=2", "", 200, "GET /?token="},
		{"GET", "/api/websocketd/?token=" + poor, "", 401, ""},
		{"GET", "/api/auth/0.1/token/" + token, "", 200, ""},
		{"GET", "/other", token, 404, ""},
	} {
		r := n.do(c.method, n.url(c.path), "", "X-Auth-Token", c.token)
		if r.status != c.want {
			t.Errorf("%s %s: %d %s, want %d", c.method, c.path, r.status, r.body, c.want)
		}
		if c.target != "" && r.status == http.StatusOK {
			if got := up.take(t); !strings.HasPrefix(got, c.target) || !strings.Contains(got, "X-Auth-User-Uuid: "+w.alice.UUID) {
				t.Errorf("%s %s: the upstream got\n%s", c.method, c.path, got)
			}
		}
	}
	up.untouched(t)
}
