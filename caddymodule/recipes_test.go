package caddymodule

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/caddyserver/caddy/v2/caddyconfig"
	"github.com/google/uuid"

	"github.com/wazo-edge/xivo-auth/authsvc/grant"
	"github.com/wazo-edge/xivo-auth/authsvc/store"
)

const recipesDir = "../docs/recipes"

// recipe reads a recipe and replaces old, new, old, new... in it. What is
// replaced must be there, else the test would run something it does not mean.
func recipe(t testing.TB, name string, replace ...string) string {
	t.Helper()
	raw, err := os.ReadFile(filepath.Join(recipesDir, name))
	if err != nil {
		t.Fatal(err)
	}
	text := string(raw)
	for i := 0; i < len(replace); i += 2 {
		if !strings.Contains(text, replace[i]) {
			t.Fatalf("%s does not have %q", name, replace[i])
		}
		text = strings.ReplaceAll(text, replace[i], replace[i+1])
	}
	return text
}

// loadRecipe loads a recipe's Caddyfile, its endpoint on the second port, with
// the store, the log and the like of the harness. It logs what it is asked.
func (n *node) loadRecipe(name string, replace ...string) {
	n.t.Helper()
	options, _, ok := strings.Cut(n.caddyfile("", ""), "\txivo_auth {")
	if !ok {
		n.t.Fatal("the harness writes its Caddyfile in another way")
	}
	n.loadText(n.expand(recipe(n.t, name, append([]string{
		"\n{\n", "\n" + options,
		"\txivo_auth {\n", "\txivo_auth {\n\t\tstore probe <db>\n\t\tbackend instant\n\t\tcache {\n\t\t\tgrants 1000\n\t\t}\n",
		"\tbind 127.0.0.1\n", "\tbind 127.0.0.1\n\tlog\n",
		":9080", ":<port2>",
	}, replace...)...)))
}

// copied are the headers that a proxy must take from the answer.
var copied = []string{headerUser, headerTenant, headerSession, headerID, headerPurpose, headerDegraded, headerAssertion}

// respell returns every way to write a name with at least one _ for a -.
func respell(name string) (spelled []string) {
	parts := strings.Split(name, "-")
	for mask := 1; mask < 1<<(len(parts)-1); mask++ {
		s := parts[0]
		for i, part := range parts[1:] {
			s += string("-_"[mask>>i&1]) + part
		}
		spelled = append(spelled, s)
	}
	return spelled
}

// forgedNames are the names under which a client pretends to be somebody, in
// all the spellings that WSGI servers take for them.
func forgedNames() (names []string) {
	for _, name := range append(slices.Clone(copied), "X-Script-Name") {
		names = append(names, name, strings.ToLower(name), strings.ToUpper(name), name)
		names = append(names, respell(name)...)
		names = append(names, strings.ReplaceAll(name, "-", "."))
	}
	for _, name := range []string{headerToken, headerActing} {
		names = append(names, respell(name)...)
	}
	return names
}

// forgedHead are these headers, and whatever some proxy might describe a
// request with: all say it is for the public route.
func forgedHead() string {
	var b strings.Builder
	for i, name := range forgedNames() {
		fmt.Fprintf(&b, "%s: %s-%d\r\n", name, forged, i)
	}
	return b.String() + misleadingHead
}

const misleadingHead = "X-Original-URI: /api/confd/1.1/wizard\r\nx-original-uri: /api/confd/1.1/wizard\r\nX_Original_URI: /api/confd/1.1/wizard\r\nX.Original.URI: /api/confd/1.1/wizard\r\n" +
	"X-Original-Method: GET\r\nX-Original-Url: /api/confd/1.1/wizard\r\nX-Rewrite-Url: /api/confd/1.1/wizard\r\nX-Envoy-Original-Path: /api/confd/1.1/wizard\r\n" +
	"X-Forwarded-Uri: /api/confd/1.1/wizard\r\nX-Forwarded-URI: /api/confd/1.1/wizard\r\nX_Forwarded_Uri: /api/confd/1.1/wizard\r\nX-Forwarded_Uri: /api/confd/1.1/wizard\r\n" +
	"X-Forwarded-Method: GET\r\nX-Forwarded-Prefix: /api/confd\r\nX-Forwarded-Host: other\r\nX-Forwarded-For: 192.0.2.1\r\nForwarded: for=192.0.2.1\r\n"

// edgeKeys are the tokens of the recipes' tests.
type edgeKeys struct{ good, poor, low, service, all, unseen, unknown string }

func (n *node) edgeKeys() edgeKeys {
	w := theWorld(n.t)
	return edgeKeys{
		good:    n.mint(w.alice, "confd.users.read", "confd.users.create"),
		poor:    n.mint(w.alice, "confd.infos.read"),
		low:     n.mint(w.bob, "confd.users.read"),
		service: n.mint(store.User{UUID: grant.InternalAuthID, TenantUUID: w.alice.TenantUUID}, "confd.users.read"),
		all:     n.mint(w.admin, "#"),
		unseen:  n.mint(w.alice, "confd.users.read"),
		unknown: uuid.NewString(),
	}
}

// edgeCase is what a client asks for and what must come of it.
type edgeCase struct {
	name, method, path, token string
	header                    []string // lines
	status                    int
	target                    string            // what the upstream gets, when it passes
	identity                  map[string]string // of the headers that are copied
}

// questions are the same for every recipe.
func (k *edgeKeys) questions(t testing.TB) []edgeCase {
	w := theWorld(t)
	alice := map[string]string{headerUser: w.alice.UUID, headerID: w.alice.UUID, headerTenant: w.alice.TenantUUID, headerPurpose: "user"}
	in := func(id map[string]string, tenant string) map[string]string {
		return map[string]string{headerUser: id[headerUser], headerID: id[headerID], headerTenant: tenant, headerPurpose: id[headerPurpose]}
	}
	tenant := func(uuid string) []string { return []string{"Wazo-Tenant: " + uuid} }
	preflight := []string{"Origin: https://app.example", "Access-Control-Request-Method: DELETE"}
	const base = "/api/confd/1.1"
	return []edgeCase{
		{name: "allowed", method: "GET", path: base + "/users?limit=1&token=x", token: k.good, status: 200, target: "/1.1/users?limit=1&token=x", identity: alice},
		{name: "allowed, HEAD", method: "HEAD", path: base + "/users", token: k.good, status: 200, target: "/1.1/users", identity: alice},
		{name: "allowed, body", method: "POST", path: base + "/users", token: k.good, status: 200, target: "/1.1/users", identity: alice},
		{name: "allowed, escaped", method: "GET", path: base + "/%75sers", token: k.good, status: 200, target: "/1.1/%75sers", identity: alice},
		{name: "allowed, tenant below", method: "GET", path: base + "/users", token: k.good, header: tenant(w.below), status: 200, target: "/1.1/users", identity: in(alice, w.below)},
		{name: "a session of no user", method: "GET", path: base + "/users", token: k.service, status: 200, target: "/1.1/users",
			identity: map[string]string{headerUser: "", headerID: grant.InternalAuthID, headerTenant: w.alice.TenantUUID, headerPurpose: ""}},
		{name: "any token", method: "GET", path: base + "/infos", token: k.poor, status: 200, target: "/1.1/infos", identity: alice},
		{name: "public", method: "GET", path: base + "/wizard", status: 200, target: "/1.1/wizard"},
		{name: "public, token", method: "GET", path: base + "/wizard", token: k.good, status: 200, target: "/1.1/wizard"},
		{name: "public, bad token", method: "GET", path: base + "/wizard", token: k.unknown, status: 200, target: "/1.1/wizard"},
		{name: "preflight", method: "OPTIONS", path: base + "/users", header: preflight, status: 200, target: "/1.1/users"},
		{name: "no token", method: "GET", path: base + "/users", status: 401},
		{name: "no token, any would do", method: "GET", path: base + "/infos", status: 401},
		{name: "unknown token", method: "GET", path: base + "/users", token: k.unknown, status: 401},
		{name: "no uuid", method: "GET", path: base + "/users", token: "hunter2", status: 401},
		{name: "missing access", method: "GET", path: base + "/users", token: k.poor, status: 403},
		{name: "missing access, parameter", method: "GET", path: base + "/users/1", token: k.good, status: 403},
		{name: "another method", method: "DELETE", path: base + "/users", token: k.all, status: 403},
		{name: "wrong tenant", method: "GET", path: base + "/users", token: k.low, header: tenant(w.alice.TenantUUID), status: 403},
		{name: "no route", method: "GET", path: base + "/secrets", token: k.all, status: 403},
		{name: "no preflight", method: "OPTIONS", path: base + "/users", header: preflight[:1], token: k.all, status: 403},
		{name: "preflight by another method", method: "POST", path: base + "/users", header: preflight, status: 401},
		{name: "public path, another method", method: "POST", path: base + "/wizard", token: k.all, status: 403},
	}
}

// edgeTricks are paths that one server takes for the public route or for one that
// this token may use, and another for something else.
var edgeTricks = []string{
	"/api/confd/1.1/wizard/../secrets", "/api/confd/1.1/wizard/..%2fsecrets", "/api/confd/1.1/wizard%2f..%2fsecrets", "/api/confd/1.1/wizard/%2e%2e/secrets",
	"/api/confd/1.1/wizard/.%2e/secrets", "/api/confd/1.1/./wizard", "/api/confd/1.1/%2e/wizard", "/api/confd/../confd/1.1/wizard", "/x/../api/confd/1.1/wizard",
	"/api/confd/1.1%2Fwizard", "/api/confd/1.1%5Cwizard", "/api/confd/1.1\\wizard", "/api%2Fconfd/1.1/wizard", "/api/confd%2F1.1/wizard",
	"/api/confd/1.1//wizard", "/api/confd//1.1/wizard", "//api/confd/1.1/wizard", "/api//confd/1.1/wizard", "//pbx/api/confd/1.1/wizard",
	"/api/confd/1.1/wizard;a=b", "/api/confd/1.1/wizard%3Ba=b", "/api/confd/1.1/wizard;/../secrets", "/api/confd/1.1/..;/1.1/wizard",
	"/api/confd/1.1/wizard%00", "/api/confd/1.1/wizard%0d%0aX-Auth-Id:%20x", "/api/confd/1.1/wizard%23", "/api/confd/1.1/wizard%3Fx", "/api/confd/1.1/wizard#/../secrets",
	"/api/confd/1.1/secrets#/../wizard", "/api/confd/1.1/wizard%", "/api/confd/1.1/wizard%zz", "/api/confd/1.1/wizard%ff", "/api/confd/1.1/wizard/", "/api/confd/1.1/Wizard",
	"/API/confd/1.1/wizard", "/api/CONFD/1.1/wizard", "/api/confd-x/1.1/wizard", "/api/confdx/1.1/wizard", "/api/confd", "/api/confd/", "/",
	"http://pbx//api/confd/1.1/wizard", "http://pbx/api/confd/1.1/secrets?/api/confd/1.1/wizard",
	"/api/confd/1.1/secrets?/api/confd/1.1/wizard", "/_xivo_auth", "/_xivo_auth/api/confd/1.1/wizard", "/verify/api/confd/1.1/wizard",
	"/api/confd/api/confd/1.1/wizard", "/1.1/wizard", "*", "api/confd/1.1/wizard",
}

// send writes bytes to a port, from an address, and reads one answer.
func (n *node) send(port int, from, request string) *http.Response {
	n.t.Helper()
	d := net.Dialer{LocalAddr: &net.TCPAddr{IP: net.ParseIP(from)}, Timeout: patience}
	conn, err := d.DialContext(n.t.Context(), "tcp", fmt.Sprintf("127.0.0.1:%d", port))
	if err != nil {
		n.t.Fatal(err)
	}
	defer func() { _ = conn.Close() }()
	_ = conn.SetDeadline(time.Now().Add(patience))
	if _, err := io.WriteString(conn, request); err != nil {
		n.t.Fatal(err)
	}
	method, _, _ := strings.Cut(request, " ")
	resp, err := http.ReadResponse(bufio.NewReader(conn), &http.Request{Method: method})
	if err != nil {
		n.t.Fatalf("%v after\n%s", err, request)
	}
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		n.t.Fatal(err)
	}
	resp.Body = io.NopCloser(strings.NewReader(string(body)))
	return resp
}

const localhost = "127.0.0.1"

// request is a question as it is sent.
func (q *edgeCase) request(more string) string {
	head := q.method + " " + q.path + " HTTP/1.1\r\nHost: pbx\r\nConnection: close\r\n"
	if q.token != "" {
		head += "X-Auth-Token: " + q.token + "\r\n"
	}
	for _, line := range q.header {
		head += line + "\r\n"
	}
	if q.method == "POST" {
		return head + more + "Content-Length: 2\r\n\r\nhi"
	}
	return head + more + "\r\n"
}

// checkPassed looks at what a question has become behind the proxy.
func (q *edgeCase) checkPassed(t *testing.T, got string) {
	t.Helper()
	if !strings.HasPrefix(got, q.method+" "+q.target+" HTTP/1.1\r\n") {
		t.Errorf("want %s %s, the upstream got\n%s", q.method, q.target, got)
	}
	if strings.Contains(got, forged) {
		t.Errorf("the upstream was told what the client made up:\n%s", got)
	}
	want := map[string]string{"X-Script-Name": ""}
	for _, name := range copied {
		if name != headerSession {
			want[name] = q.identity[name]
		}
	}
	wantHeaders(t, got, want)
	if sessions := headerValues(got, headerSession); len(q.identity) == 0 && len(sessions) > 0 ||
		len(q.identity) > 0 && (len(sessions) != 1 || uuid.Validate(sessions[0]) != nil) {
		t.Errorf("session %q", sessions)
	}
	if q.method == "POST" && !strings.HasSuffix(got, "\r\n\r\nhi") {
		t.Errorf("the body is lost:\n%s", got)
	}
}

// testProxy asks a proxy on the first port, with an upstream behind it and our
// endpoint on the second.
func testEdge(t *testing.T, n *node, up *upstream, k edgeKeys) {
	ask := func(request string) *http.Response { return n.send(n.port, localhost, request) }
	for _, q := range k.questions(t) {
		for name, more := range map[string]string{"": "", ", forged": forgedHead()} {
			t.Run(q.name+name, func(t *testing.T) {
				resp := ask(q.request(more))
				if resp.StatusCode != q.status {
					t.Errorf("%s, want %d", resp.Status, q.status)
				}
				if resp.StatusCode == http.StatusOK {
					q.checkPassed(t, up.take(t))
				}
				up.untouched(t)
				if q.status != http.StatusOK && (resp.Header.Get("Content-Type") != "application/json" || resp.Header.Get(headerID) != "") {
					t.Errorf("a refusal with %v", resp.Header)
				}
			})
		}
	}
	t.Run("path tricks", func(t *testing.T) {
		for _, path := range edgeTricks {
			for _, token := range []string{"", k.all} {
				q := edgeCase{method: "GET", path: path, token: token}
				if resp := ask(q.request("")); resp.StatusCode < 300 {
					t.Errorf("%s: %s", path, resp.Status)
				}
				up.untouched(t)
			}
		}
	})
	t.Run("twice", func(t *testing.T) {
		w := theWorld(t)
		for _, more := range []string{
			"X-Auth-Token: " + k.unknown + "\r\n", "x-auth-token: " + k.good + "\r\n",
			"Wazo-Tenant: " + w.below + "\r\nwazo-tenant: " + w.alice.TenantUUID + "\r\n",
		} {
			q := edgeCase{method: "GET", path: "/api/confd/1.1/users", token: k.good}
			if resp := ask(q.request(more)); resp.StatusCode != http.StatusForbidden && resp.StatusCode != http.StatusBadRequest {
				t.Errorf("%q: %s", more, resp.Status)
			}
			up.untouched(t)
		}
	})
	t.Run("named in Connection", func(t *testing.T) {
		w := theWorld(t)
		for _, conn := range []string{
			"close, X-Auth-User-Uuid, X-Auth-Tenant-Uuid, X-Auth-Id, X-Auth-Session-Uuid, X-Auth-Purpose, X-Auth-Degraded, X-Auth-Assertion, X-Auth-Token, Wazo-Tenant, X-Script-Name",
			"x-auth-user-uuid,X-AUTH-ID\r\nConnection: close, Wazo-Tenant", "close, X-Forwarded-Uri, X-Forwarded-Method, X-Original-URI, X-Original-Method",
			// What is left when a name is taken out of the middle.
			"close, x-awazo-tenantuth-user-uuid, X-Awazo-tenantuth-Id, x-ax-auth-uth-tenant-uuid, x-auth-idx-auth-id, wazo-wazo-tenanttenant, x-awazo-tenantuth-token",
		} {
			q := edgeCase{method: "GET", target: "/1.1/users", identity: k.questions(t)[4].identity}
			resp := ask("GET /api/confd/1.1/users HTTP/1.1\r\nHost: pbx\r\nConnection: " + conn + "\r\nX-Auth-Token: " + k.good + "\r\nWazo-Tenant: " + w.below + "\r\n" + forgedHead() + "\r\n")
			if resp.StatusCode != http.StatusOK {
				t.Fatalf("%s: %s", conn, resp.Status)
			}
			got := up.take(t)
			q.checkPassed(t, got)
			wantHeaders(t, got, map[string]string{"X-Auth-Token": k.good, "Wazo-Tenant": w.below})
		}
	})
	t.Run("upgrade", func(t *testing.T) {
		public, preflight := k.questions(t)[7], k.questions(t)[10]
		public.token = ""
		for _, c := range []struct {
			q              edgeCase
			protocol, want string
		}{
			{public, "h2c", ""}, {public, "telnet", ""}, {public, "websocket, h2c", ""}, {public, "xwebsocket", ""}, {k.questions(t)[0], "h2c", ""},
			{preflight, "h2c", ""}, {preflight, "websocket", ""}, {public, "websocket", "websocket"}, {public, "WebSocket", "websocket"},
		} {
			resp := ask(strings.Replace(c.q.request("Upgrade: "+c.protocol+"\r\nHTTP2-Settings: AAMAAABkAAQAAP__\r\n"), "Connection: close", "Connection: Upgrade, HTTP2-Settings", 1))
			if resp.StatusCode != http.StatusOK {
				t.Fatalf("%s: %s", c.protocol, resp.Status)
			}
			got := up.take(t)
			wantHeaders(t, got, map[string]string{"Upgrade": c.want})
		}
	})
	t.Run("where from", func(t *testing.T) {
		q := edgeCase{method: "GET", path: "/api/confd/1.1/wizard"}
		ask(q.request("X-Forwarded-For: 192.0.2.1\r\nX-Forwarded-Proto: https\r\n"))
		wantHeaders(t, up.take(t), map[string]string{"X-Forwarded-For": localhost, "X-Forwarded-Proto": "http", "Host": "pbx"})
		if logs := n.logs(); strings.Contains(logs, `"client_ip":"192.0.2.1"`) || !strings.Contains(logs, `"client_ip":"127.0.0.1"`) {
			t.Error("a client chooses the address in the log")
		}
	})
	t.Run("store down", func(t *testing.T) {
		n.switches().down.Store(true)
		defer n.switches().down.Store(false)
		q := edgeCase{method: "GET", path: "/api/confd/1.1/users", token: k.unseen}
		resp := ask(q.request(forgedHead()))
		body, _ := io.ReadAll(resp.Body)
		if resp.StatusCode != http.StatusServiceUnavailable || resp.Header.Get("Retry-After") != "1" || !strings.Contains(string(body), `"authentication-server-unreachable"`) {
			t.Errorf("%s %v %s", resp.Status, resp.Header, body)
		}
		up.untouched(t)
		// What needs no store passes.
		for _, q := range []edgeCase{k.questions(t)[0], k.questions(t)[7]} {
			if resp := ask(q.request(forgedHead())); resp.StatusCode != http.StatusOK {
				t.Fatalf("%s: %s", q.name, resp.Status)
			}
			q.checkPassed(t, up.take(t))
		}
	})
}

// testEdgeUntrusted asks our endpoint itself, as a neighbour of the proxy does, to
// judge a request that may pass.
func testEdgeUntrusted(t *testing.T, n *node, subrequest string) {
	t.Helper()
	if resp := n.send(n.port2, localhost, subrequest); resp.StatusCode != http.StatusOK || resp.Header.Get(headerID) == "" {
		t.Errorf("the proxy: %s %v", resp.Status, resp.Header)
	}
	resp := n.send(n.port2, "127.0.0.2", subrequest)
	for _, name := range copied {
		if value := resp.Header.Values(name); len(value) != 1 || value[0] != "" {
			t.Errorf("%s is %q", name, value)
		}
	}
	if resp.StatusCode != http.StatusForbidden {
		t.Errorf("somebody else: %s", resp.Status)
	}
	// The proxy knows where a client comes from, the client may have told
	// anything before.
	n.send(n.port2, localhost, strings.Replace(subrequest, "\r\n", "\r\nX-Forwarded-For: 192.0.2.98, 192.0.2.97\r\n", 1))
	eventually(t, "the address is logged", func() bool { return strings.Contains(n.logs(), `"client_ip":"192.0.2.97"`) })
	if strings.Contains(n.logs(), `"client_ip":"192.0.2.98"`) {
		t.Error("the first address is taken for the client's")
	}
}

// TestRecipe_Index: every recipe is in the index, and every Caddyfile good and
// formatted as it stands.
func TestRecipe_Index(t *testing.T) {
	files, err := os.ReadDir(recipesDir)
	if err != nil {
		t.Fatal(err)
	}
	index := recipe(t, "README.md")
	for _, f := range files {
		if f.Name() != "README.md" && !strings.Contains(index, "]("+f.Name()+")") {
			t.Errorf("README.md does not link %s", f.Name())
		}
		if strings.HasSuffix(f.Name(), "Caddyfile") {
			_, warnings, err := caddyconfig.GetAdapter("caddyfile").Adapt([]byte(recipe(t, f.Name())), nil)
			if err != nil || len(warnings) > 0 {
				t.Errorf("%s: %v %v", f.Name(), warnings, err)
			}
		}
	}
}
