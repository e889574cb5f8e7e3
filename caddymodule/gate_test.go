package caddymodule

import (
	"encoding/json"
	"fmt"
	"net/http"
	"path/filepath"
	"strings"
	"testing"

	"github.com/wazo-edge/xivo-auth/authsvc/guard"
)

// confdService is a small service for the tests of guards.
const confdService = `service confd {
	prefix /api/confd
	route GET /1.1/users confd.users.read
	route GET /1.1/users/{user_uuid} confd.users.{user_uuid}.read
	route POST /1.1/users confd.users.create
	route GET /1.1/recording confd.recording.read query_token
	route GET /1.1/wizard public
	route GET /1.1/infos token
}`

// guardedBy is a site whose guard has options, with the prefix stripped as
// operators do it.
func guardedBy(up *upstream, options string) string {
	return fmt.Sprintf(`http://:<port> {
	handle_path /api/confd/* {
		xivo_auth_guard confd {
			%s
		}
		reverse_proxy %s
	}
}`, options, up.addr)
}

// TestGuard_PathChoice: the routes are matched with what the client sent, and
// the upstream gets what was left of it.
func TestGuard_PathChoice(t *testing.T) {
	n, up, w := newNode(t), newUpstream(t), theWorld(t)
	token := n.mint(w.alice, "confd.users.read")
	for name, sites := range map[string]string{
		"handle_path":               guardedBy(up, ""),
		"strip_prefix":              "http://:<port> {\n route {\n uri strip_prefix /api/confd\n xivo_auth_guard confd\n reverse_proxy " + up.addr + "\n}\n}",
		"stripped behind the guard": "http://:<port> {\n route {\n xivo_auth_guard\n uri strip_prefix /api/confd\n reverse_proxy " + up.addr + "\n}\n}",
	} {
		n.start(confdService, sites)
		if r := n.do("GET", n.url("/api/confd/1.1/users?limit=1"), "", "X-Auth-Token", token); r.status != http.StatusOK {
			t.Fatalf("%s: %d %s", name, r.status, r.body)
		}
		if got := up.take(t); !strings.HasPrefix(got, "GET /1.1/users?limit=1 ") {
			t.Errorf("%s: the upstream got %.60s", name, got)
		}
		if r := n.do("GET", n.url("/api/confd/1.1/users/1"), "", "X-Auth-Token", token); r.status != http.StatusUnauthorized || !strings.Contains(r.body, "confd.users.1.read") {
			t.Errorf("%s: %d %s", name, r.status, r.body)
		}
		// Caddy's matcher does not look at case, the upstream does.
		if r := n.do("GET", n.url("/API/confd/1.1/wizard"), ""); r.status == http.StatusOK && strings.Contains(r.body, "upstream") {
			t.Errorf("%s: another prefix passes: %d %s", name, r.status, r.body)
		}
	}
	// Rewritten by more than a prefix, on the operator's word.
	n.start(strings.Replace(confdService, "prefix /api/confd", "", 1),
		"http://:<port> {\n route {\n rewrite /people /1.1/users\n xivo_auth_guard confd {\n path rewritten\n}\n reverse_proxy "+up.addr+"\n}\n}")
	if r := n.do("GET", n.url("/people"), "", "X-Auth-Token", token); r.status != http.StatusOK {
		t.Fatalf("%d %s", r.status, r.body)
	}
	if got := up.take(t); !strings.HasPrefix(got, "GET /1.1/users ") {
		t.Errorf("the upstream got %.60s", got)
	}
	// One normal form decides, and what has none is told so.
	n.start(confdService, guardedBy(up, ""))
	for _, path := range []string{"/1.1/./users", "/1.1/wizard/../users", "/1.1/%2e%2e/1.1/users", "/1.1%2fusers", "/1.1//users", "/1.1/users;x=1", "/1.1/users%3b", "/1.1/users%00", "/1.1\\users"} {
		answer := n.raw("GET /api/confd" + path + " HTTP/1.1\r\nHost: pbx\r\nConnection: close\r\nX-Auth-Token: " + token + "\r\n\r\n")
		if !strings.HasPrefix(answer, "HTTP/1.1 400 ") {
			t.Errorf("%s: %.100s", path, answer)
		}
	}
	if r := n.do("GET", n.url("/api/confd/1.1/%75sers"), "", "X-Auth-Token", token); r.status != http.StatusOK {
		t.Errorf("another spelling of the same: %d %s", r.status, r.body)
	}
	up.take(t)
	up.untouched(t)
}

// TestGuard_HEAD_OPTIONS: HEAD is GET without a body, a preflight passes, and
// other OPTIONS do not.
func TestGuard_HEAD_OPTIONS(t *testing.T) {
	n, up, w := newNode(t), newUpstream(t), theWorld(t)
	token := n.mint(w.alice, "confd.users.read")
	n.start(confdService, guardedBy(up, ""))
	users := n.url("/api/confd/1.1/users")
	if r := n.do("HEAD", users, "", "X-Auth-Token", token); r.status != http.StatusOK {
		t.Errorf("HEAD: %d", r.status)
	}
	up.take(t)
	if r := n.do("HEAD", users, ""); r.status != http.StatusUnauthorized || r.body != "" {
		t.Errorf("HEAD without token: %d %q", r.status, r.body)
	}
	if r := n.do("OPTIONS", users, "", "Origin", "https://a.example", "Access-Control-Request-Method", "POST", "X-Auth-Id", forged); r.status != http.StatusOK {
		t.Errorf("preflight: %d", r.status)
	}
	if got := up.take(t); strings.Contains(got, forged) || strings.Contains(got, "X-Auth-Id") {
		t.Errorf("the preflight carries an identity:\n%s", got)
	}
	if r := n.do("OPTIONS", users, "", "Origin", "https://a.example", "X-Auth-Token", token); r.status != http.StatusForbidden || !strings.Contains(r.body, "no_route") {
		t.Errorf("OPTIONS: %d %s", r.status, r.body)
	}
	up.untouched(t)
}

// TestGuard_CredentialNotForwarded: the token can be kept from the upstream,
// wherever it stood.
func TestGuard_CredentialNotForwarded(t *testing.T) {
	n, up, w := newNode(t), newUpstream(t), theWorld(t)
	token := n.mint(w.alice, "confd.users.read", "confd.recording.read")
	n.start(confdService, guardedBy(up, "drop_token\ncookie auth"))
	for _, c := range []struct {
		path   string
		header []string
		want   string
	}{
		{"/1.1/users", []string{"X-Auth-Token", token}, "GET /1.1/users "},
		{"/1.1/recording?a=b&token=" + token + "&c=d", nil, "GET /1.1/recording?a=b&c=d "},
		{"/1.1/recording?token=" + token, []string{"X-Auth-Token", token}, "GET /1.1/recording "},
		{"/1.1/users", []string{"Cookie", "a=b; auth=" + token + "; c=d"}, "GET /1.1/users "},
		{"/1.1/wizard", []string{"X-Auth-Token", token}, "GET /1.1/wizard "},
	} {
		if r := n.do("GET", n.url("/api/confd"+c.path), "", c.header...); r.status != http.StatusOK {
			t.Errorf("%s %v: %d %s", c.path, c.header, r.status, r.body)
			continue
		}
		got := up.take(t)
		if !strings.HasPrefix(got, c.want) || strings.Contains(got, token) {
			t.Errorf("%s %v: the upstream got\n%s", c.path, c.header, got)
		}
		if len(c.header) > 0 && c.header[0] == "Cookie" && !strings.Contains(got, "a=b; c=d\r\n") {
			t.Errorf("other cookies are lost:\n%s", got)
		}
	}
	// By default the upstream sees it: it may look the token up itself.
	n.start(confdService, guardedBy(up, "cookie auth"))
	n.do("GET", n.url("/api/confd/1.1/recording?token="+token), "", "Cookie", "auth=x")
	if got := up.take(t); !strings.Contains(got, "?token="+token) || !strings.Contains(got, "auth=x") {
		t.Errorf("the upstream got\n%s", got)
	}
}

// TestGuard_StatusStyle: what refusals look like, and the reason for those who
// ask for it.
func TestGuard_StatusStyle(t *testing.T) {
	n, up, w := newNode(t), newUpstream(t), theWorld(t)
	poor, bob := n.mint(w.alice, "x"), n.mint(w.bob, "#")
	const users, infos = "/api/confd/1.1/users", "/api/confd/1.1/infos"
	for _, c := range []struct {
		path          string
		header        []string
		stack, strict int
		reason        string
	}{
		{users, nil, 401, 401, "no_token"},
		{users, []string{"X-Auth-Token", "x"}, 401, 401, "unknown_token"},
		{users, []string{"X-Auth-Token", poor}, 401, 403, "missing_access"},
		{infos, []string{"X-Auth-Token", bob, "Wazo-Tenant", w.alice.TenantUUID}, 401, 403, "wrong_tenant"},
		{"/api/confd/1.1/x", []string{"X-Auth-Token", bob}, 403, 403, "no_route"},
		{"/api/confd/1.1//x", []string{"X-Auth-Token", bob}, 400, 400, "bad_path"},
		{users, []string{"X-Auth-Token", bob, "X-Auth-Token", bob}, 400, 400, "duplicate_token"},
	} {
		for style, want := range map[string]int{"stack": c.stack, "strict": c.strict} {
			for _, reasons := range []bool{false, true} {
				options := "status_style " + style
				if reasons {
					options += "\nreason_header"
				}
				n.start(confdService, guardedBy(up, options))
				r := n.do("GET", n.url(c.path), "", c.header...)
				if r.status != want {
					t.Errorf("%s %v, %s: %d %s, want %d", c.path, c.header, style, r.status, r.body, want)
				}
				if got := r.header.Get("X-Auth-Reason"); reasons && got != c.reason || !reasons && got != "" {
					t.Errorf("%s %v: reason %q, want %q", c.path, c.header, got, c.reason)
				}
				if challenge := r.header.Get("WWW-Authenticate"); (challenge != "") != (style == "strict" && want == 401) {
					t.Errorf("%s, %d: WWW-Authenticate %q", style, want, challenge)
				}
				if !json.Valid([]byte(r.body)) {
					t.Errorf("the body is %q", r.body)
				}
			}
		}
	}
	up.untouched(t)
}

// TestGuard_Shadow: everything passes, what would not have is logged and
// counted, and identities are still ours alone.
func TestGuard_Shadow(t *testing.T) {
	n, up, w := newNode(t), newUpstream(t), theWorld(t)
	good, poor := n.mint(w.alice, "confd.users.read"), n.mint(w.alice, "x")
	n.start(confdService, guardedBy(up, "shadow\ndrop_token"))
	before := counted(t, n, `mode="shadow",reason="missing_access",service="confd",verdict="forbidden"`)
	for _, c := range []struct {
		path, token string
		identity    bool
	}{{"/1.1/users", good, true}, {"/1.1/users", poor, false}, {"/1.1/users", "", false}, {"/1.1/x", good, false}, {"/1.1/users/", "", false}} {
		if r := n.do("GET", n.url("/api/confd"+c.path), "", "X-Auth-Token", c.token, "X-Auth-Id", forged, "X-Auth-User-Uuid", forged); r.status != http.StatusOK {
			t.Errorf("%s with %q: %d", c.path, c.token, r.status)
			continue
		}
		got := up.take(t)
		if strings.Contains(got, forged) || c.identity != strings.Contains(got, "X-Auth-Id: "+w.alice.UUID) {
			t.Errorf("%s with %q: the upstream got\n%s", c.path, c.token, got)
		}
		// Refused or not, it is not to be seen.
		if c.token != "" && strings.Contains(got, c.token) {
			t.Errorf("%s: drop_token leaves the token:\n%s", c.path, got)
		}
	}
	logs := n.logs()
	for _, want := range []string{`"reason":"missing_access"`, `"reason":"no_route"`, `"reason":"no_token"`, `"required_access":"confd.users.read"`, `"route":"/1.1/users"`} {
		if !strings.Contains(logs, want) {
			t.Errorf("the log does not say %s", want)
		}
	}
	if after := counted(t, n, `mode="shadow",reason="missing_access",service="confd",verdict="forbidden"`); after != before+1 {
		t.Errorf("counted %v, before %v", after, before)
	}
	for _, c := range []struct{ target, name, value string }{
		{"/1.1/users", "Cookie", "auth=" + poor}, {"/1.1/recording?token=" + poor, "Accept", "*/*"}, {"/1.1/x", "Cookie", "auth=" + poor},
	} {
		n.start(confdService, guardedBy(up, "shadow\ndrop_token\ncookie auth"))
		if r := n.do("GET", n.url("/api/confd"+c.target), "", c.name, c.value); r.status != http.StatusOK {
			t.Fatalf("%s: %d", c.target, r.status)
		}
		if got := up.take(t); strings.Contains(got, poor) {
			t.Errorf("drop_token leaves the token:\n%s", got)
		}
	}
	// Whoever checks for himself behind a shadow needs it.
	n.start(confdService, guardedBy(up, "shadow"))
	n.do("GET", n.url("/api/confd/1.1/users"), "", "X-Auth-Token", poor)
	if got := up.take(t); !strings.Contains(got, poor) {
		t.Errorf("the token is lost:\n%s", got)
	}
}

// counted reads a counter of the guard from the admin endpoint's metrics.
func counted(t *testing.T, n *node, labels string) (value float64) {
	t.Helper()
	r := n.do("GET", n.adminURL("/metrics"), "")
	for line := range strings.Lines(r.body) {
		if rest, ok := strings.CutPrefix(line, `xivo_auth_decisions_total{handler="guard",`+labels+`} `); ok {
			if _, err := fmt.Sscan(rest, &value); err != nil {
				t.Fatal(err)
			}
			return value
		}
	}
	t.Fatalf("no such series: %s", labels)
	return 0
}

func (n *node) write(name, text string) {
	n.t.Helper()
	write(n.t, filepath.Join(n.dir, name), text)
}

func (n *node) adminURL(path string) string {
	return fmt.Sprintf("http://127.0.0.1:%d%s", n.admin, path)
}

// TestMetrics_TwoSitesAndReload: guards on two servers share one series, which
// no reload sets back.
func TestMetrics_TwoSitesAndReload(t *testing.T) {
	n, up, w := newNode(t), newUpstream(t), theWorld(t)
	token := n.mint(w.alice, "confd.users.read")
	sites := guardedBy(up, "") + "\n" + strings.Replace(guardedBy(up, ""), "<port>", "<port2>", 1)
	n.start(confdService, sites)
	const granted = `mode="enforce",reason="granted",service="confd",verdict="allow"`
	before := counted(t, n, granted)
	for i := range 3 {
		for _, port := range []int{n.port, n.port2} {
			n.do("GET", fmt.Sprintf("http://127.0.0.1:%d/api/confd/1.1/users", port), "", "X-Auth-Token", token)
			up.take(t)
		}
		if got, want := counted(t, n, granted), before+float64(2*i+2); got != want {
			t.Errorf("counted %v, want %v", got, want)
		}
		if err := n.load(confdService+"\ntoken_lifetime "+fmt.Sprint(i+1)+"h", sites); err != nil {
			t.Fatal(err)
		}
	}
	for line := range strings.Lines(n.do("GET", n.adminURL("/metrics"), "").body) {
		if strings.HasPrefix(line, "xivo_auth_") && (strings.Contains(line, token) || strings.Contains(line, w.alice.UUID) || strings.Contains(line, "/1.1/")) {
			t.Errorf("a metric tells %s", line)
		}
	}
}

// TestCounters_EveryReason: a decision must never meet a counter that is not
// there.
func TestCounters_EveryReason(t *testing.T) {
	t.Parallel()
	c := newCounters("test", guard.NewPolicies(&guard.Policy{Service: "confd"}), false)
	for reason, verdict := range verdictOf {
		for _, p := range []*guard.Policy{nil, {Service: "confd"}} {
			c.count(&guard.Decision{Verdict: verdict, Reason: reason, Policy: p})
		}
	}
}

// TestGuard_Placeholders: Caddy's other handlers and its access log learn who
// the request is from, and what a client sends is never expanded.
func TestGuard_Placeholders(t *testing.T) {
	n, w := newNode(t), theWorld(t)
	token := n.mint(w.alice, "#")
	n.start("", `http://:<port> {
	log {
		output file <dir>/access.log {
			roll_disabled
		}
	}
	route {
		xivo_auth_guard
		respond "{http.auth.user.id} {http.auth.user.tenant} {http.auth.user.session} {http.auth.user.purpose} [{http.auth.user.other}] {http.request.header.Wazo-Tenant}"
	}
}`)
	r := n.do("GET", n.url("/"), "", "X-Auth-Token", token, "Wazo-Tenant", w.below)
	fields := strings.Fields(r.body)
	if r.status != http.StatusOK || len(fields) != 6 || fields[0] != w.alice.UUID || fields[1] != w.below || fields[3] != "user" || fields[4] != "[{http.auth.user.other}]" || fields[5] != w.below {
		t.Fatalf("%d %s", r.status, r.body)
	}
	var line struct {
		User    string `json:"user_id"`
		Tenant  string `json:"tenant_uuid"`
		Session string `json:"session_uuid"`
	}
	eventually(t, "the request is logged", func() bool {
		raw := n.file("access.log")
		return strings.Contains(raw, "\n") && json.Unmarshal([]byte(strings.SplitN(raw, "\n", 2)[0]), &line) == nil
	})
	if line.User != w.alice.UUID || line.Tenant != w.below || line.Session != fields[2] {
		t.Errorf("logged %+v", line)
	}
}

// TestProvider: Caddy's own authentication handler with our provider.
func TestProvider(t *testing.T) {
	n, up, w := newNode(t), newUpstream(t), theWorld(t)
	good, poor := n.mint(w.alice, "confd.users.read"), n.mint(w.alice, "x")
	load := func(provider map[string]any) error {
		return n.loadJSON("", "http://:<port> {\n reverse_proxy "+up.addr+"\n}", func(cfg map[string]any) {
			srv := cfg["apps"].(map[string]any)["http"].(map[string]any)["servers"].(map[string]any)["srv0"].(map[string]any)
			srv["routes"] = append([]any{map[string]any{"handle": []any{map[string]any{
				"handler": "authentication", "providers": map[string]any{"xivo_token": provider},
			}}}}, srv["routes"].([]any)...)
		})
	}
	if err := load(map[string]any{"scope": "confd.users.read"}); err != nil {
		t.Fatal(err)
	}
	if r := n.do("GET", n.url("/x"), "", "X-Auth-Token", good, "X-Auth-Purpose", forged, "X-Auth-Id", forged); r.status != http.StatusOK {
		t.Fatalf("%d %s", r.status, r.body)
	}
	got := up.take(t)
	wantHeaders(t, got, map[string]string{"X-Auth-Id": w.alice.UUID, "X-Auth-Purpose": "user"})
	if strings.Contains(got, forged) {
		t.Errorf("the upstream got\n%s", got)
	}
	for _, token := range []string{"", "x", poor} {
		if r := n.do("GET", n.url("/x"), "", "X-Auth-Token", token); r.status != http.StatusUnauthorized {
			t.Errorf("%q: %d", token, r.status)
		}
	}
	up.untouched(t)
	if err := load(map[string]any{"shadow": true}); err == nil || !strings.Contains(err.Error(), "shadow") {
		t.Errorf("shadow: %v", err)
	}
}

// TestService_Mistakes: what a configuration gets wrong about services is told
// when it is loaded, and nothing of it takes effect.
func TestService_Mistakes(t *testing.T) {
	n, up := newNode(t), newUpstream(t)
	guarded := func(directive string) string {
		return "http://:<port> {\n route {\n " + directive + "\n reverse_proxy " + up.addr + "\n}\n}"
	}
	for _, c := range []struct{ app, sites, want string }{
		{"", guarded("xivo_auth_guard confd"), "no service confd in xivo_auth, which has none"},
		{confdService, guarded("xivo_auth_guard cofnd"), "no service cofnd in xivo_auth, which has confd"},
		{"service confd {\n prefix /a\n}", guarded("xivo_auth_guard confd"), "no routes"},
		{"service confd {\n route GET /x x\n}", guarded("xivo_auth_guard"), "no prefix"},
		{"service confd {\n prefix api\n route GET /x x\n}", guarded("xivo_auth_guard confd"), "origin_form"},
		{"service confd {\n prefix /api/../x\n route GET /x x\n}", guarded("xivo_auth_guard confd"), "dot_segment"},
		{"service a {\n prefix /api\n route GET /x x\n}\nservice b {\n prefix /api/\n route GET /x x\n}", guarded("xivo_auth_guard a"), "same prefix"},
		{"service confd {\n route get /x x\n}", guarded("xivo_auth_guard confd"), "get /x"},
		{"service confd {\n route GET /x x.{id}\n}", guarded("xivo_auth_guard confd"), "{id}"},
		{"service confd {\n route GET /x/{id} x.{id}\n route GET /x/{uuid} y.{uuid}\n}", guarded("xivo_auth_guard confd"), "same requests"},
		{"service confd {\n openapi <dir>/none.yml\n}", guarded("xivo_auth_guard confd"), "none.yml"},
		{"service confd {\n overlay <dir>/none.csv\n}", guarded("xivo_auth_guard confd"), "none.csv"},
		{"assertion {\n key <dir>/none.pem\n}", guarded("xivo_auth_guard"), "none.pem"},
		{"assertion {\n lifetime 1h\n}", guarded("xivo_auth_guard"), "lifetime"},
		{"", guarded("xivo_auth_guard {\n scope x\n assertion\n}"), "assertion_audience"},
		{"", guarded("xivo_auth_verify {\n request own /a/../b\n}"), "dot_segment"},
	} {
		err := n.load(n.expand(c.app), c.sites)
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s\n%s\n%v, want an error with %q", c.app, c.sites, err, c.want)
		}
	}
}

// TestTwoServersOneService: several guards on several servers, at once and over
// reloads; run it with -race.
func TestTwoServersOneService(t *testing.T) {
	n, up, w := newNode(t), newUpstream(t), theWorld(t)
	token := n.mint(w.alice, "confd.users.read")
	sites := guardedBy(up, "") + "\n" + strings.Replace(guardedBy(up, "drop_token"), "<port>", "<port2>", 1)
	n.start(confdService, sites)
	done := make(chan struct{})
	go func() {
		defer close(done)
		for i := range 20 {
			if err := n.load(fmt.Sprintf("%s\ntoken_lifetime %ds", confdService, i+60), sites); err != nil {
				t.Error(err)
			}
		}
	}()
	for running := true; running; {
		select {
		case <-done:
			running = false
		default:
		}
		for _, port := range []int{n.port, n.port2} {
			r, err := n.try("GET", fmt.Sprintf("http://127.0.0.1:%d/api/confd/1.1/users", port), "", "X-Auth-Token", token)
			if err != nil || r.status != http.StatusOK {
				t.Fatalf("%d %v", r.status, err)
			}
			up.take(t)
		}
	}
}

// TestExplain: the admin endpoint and the command line say what the guard
// does.
func TestExplain(t *testing.T) {
	n, up, w := newNode(t), newUpstream(t), theWorld(t)
	token := n.mint(w.alice, "confd.users.me.read", "!confd.users.read", "confd.users.read")
	n.start(confdService, guardedBy(up, ""))
	admin := fmt.Sprintf("127.0.0.1:%d", n.admin)
	post := func(body string) reply {
		return n.do("POST", n.adminURL("/xivo-auth/explain"), body, "Content-Type", "application/json")
	}
	r := post(`{"method": "GET", "uri": "/api/confd/1.1/users/` + strings.ToUpper(w.alice.UUID) + `", "token": "` + token + `"}`)
	var e guard.Explanation
	if err := json.Unmarshal([]byte(r.body), &e); err != nil || r.status != http.StatusOK {
		t.Fatalf("%d %s %v", r.status, r.body, err)
	}
	if e.Verdict != "allow" || e.Required != "confd.users."+w.alice.UUID+".read" || e.DecidedBy != "confd.users.me.read" || strings.Contains(r.body, token) {
		t.Errorf("%s", r.body)
	}
	for body, want := range map[string]int{`{`: 400, `{"metod": "GET"}`: 400, `{"service": "x"}`: 400, strings.Repeat(" ", 70000) + "{}": 400} {
		if r := post(body); r.status != want {
			t.Errorf("%.40s: %d %s", body, r.status, r.body)
		}
	}
	if r := n.do("GET", n.adminURL("/xivo-auth/explain"), ""); r.status != http.StatusMethodNotAllowed {
		t.Errorf("GET: %d", r.status)
	}
	if r := n.do("GET", n.adminURL("/xivo-auth/other"), ""); r.status != http.StatusNotFound {
		t.Errorf("another path: %d", r.status)
	}

	out, _, err := cli(t, token+"\n", "explain", "--address", admin, "--token", "-", "GET", "/api/confd/1.1/users/"+w.alice.UUID+"?x=y")
	if err != nil || !strings.Contains(out, "confd.users.me.read") || !strings.Contains(out, "allow") || !strings.Contains(out, "GET /1.1/users/{user_uuid}") {
		t.Errorf("%v\n%s", err, out)
	}
	out, _, err = cli(t, "", "explain", "--address", admin, "--token", token, "GET", "/api/confd/1.1/users")
	if err == nil || !strings.Contains(out, "!confd.users.read") || !strings.Contains(out, "missing_access") {
		t.Errorf("%v\n%s", err, out)
	}
	out, _, err = cli(t, "", "explain", "--address", admin, "--format", "json", "GET", "/api/confd/1.1/wizard")
	if err != nil || json.Unmarshal([]byte(out), &e) != nil || e.Reason != guard.PublicRoute {
		t.Errorf("%v\n%s", err, out)
	}
	if _, _, err = cli(t, "", "explain", "--address", admin, "--service", "x", "GET", "/"); err == nil || !strings.Contains(err.Error(), "no service x") {
		t.Errorf("another service: %v", err)
	}
	if _, _, err = cli(t, "", "explain", "--address", "127.0.0.1:1", "GET", "/"); err == nil {
		t.Error("a server that is not there answers")
	}
	if _, _, err = cli(t, "", "explain", "GET"); err == nil {
		t.Error("a path is needed")
	}
	up.untouched(t)
}

// TestAdmin_NotConfigured: our endpoints in a Caddy that does not use us.
func TestAdmin_NotConfigured(t *testing.T) {
	n := newNode(t)
	n.loadText(fmt.Sprintf("{\n admin 127.0.0.1:%d\n persist_config off\n}\n", n.admin))
	for path, method := range endpoints {
		if r := n.do(method, n.adminURL("/xivo-auth/"+path), "{}"); path != "live" && (r.status != http.StatusNotFound || !strings.Contains(r.body, "not configured")) {
			t.Errorf("%s: %d %s", path, r.status, r.body)
		}
	}
	// No pattern catches what is not ours.
	for _, path := range []string{"/xivo-auth/", "/xivo-auth/nothing", "/xivo-auth"} {
		if r := n.do("GET", n.adminURL(path), ""); r.status != http.StatusNotFound || strings.Contains(r.body, "not configured") {
			t.Errorf("%s: %d %s", path, r.status, r.body)
		}
	}
}

// TestGuard_Assertion: the upstream gets one that a reload with the same keys
// does not change hands of, and nothing without.
func TestGuard_Assertion(t *testing.T) {
	n, up, w := newNode(t), newUpstream(t), theWorld(t)
	token := n.mint(w.alice, "confd.users.read")
	n.start(confdService, guardedBy(up, "assertion"))
	n.do("GET", n.url("/api/confd/1.1/users"), "", "X-Auth-Token", token, "X-Auth-Assertion", forged)
	got := headerValues(up.take(t), "X-Auth-Assertion")
	if len(got) != 1 || strings.Count(got[0], ".") != 2 {
		t.Fatalf("%q", got)
	}
	n.do("GET", n.url("/api/confd/1.1/wizard"), "", "X-Auth-Token", token, "X-Auth-Assertion", forged)
	if got := headerValues(up.take(t), "X-Auth-Assertion"); len(got) != 0 {
		t.Errorf("a public route has the assertion %q", got)
	}
}

// TestService_Files: the specification, corrected by the overlay, corrected by
// the configuration.
func TestService_Files(t *testing.T) {
	n, up, w := newNode(t), newUpstream(t), theWorld(t)
	n.write("toys.yml", `swagger: "2.0"
info: {title: toys, version: "1"}
basePath: /1.0
paths:
  /toys:
    get: {description: "**Required ACL:** `+"`toys.read`"+`"}
    post: {description: "**Required ACL:** `+"`toys.create`"+`"}
    delete: {description: "Forgot to say."}
  /toys/{toy_id}:
    get:
      description: "**Required ACL:** `+"`toys.{toy_id}.read`"+`"
      parameters: [{name: toy_id, in: path, type: integer, required: true}]
`)
	n.write("toys.csv", "service,method,path,acl\ntoys,POST,/1.0/toys,toys.make\nother,GET,/1.0/toys,other.read\ntoys,GET,/1.0/status,public\n")
	n.start(n.expand("service toys {\n openapi <dir>/toys.yml\n overlay <dir>/toys.csv\n prefix /api/toys\n route GET /1.0/status token\n route PUT /1.0/toys token\n}"),
		"http://:<port> {\n route {\n xivo_auth_guard toys\n uri strip_prefix /api/toys\n reverse_proxy "+up.addr+"\n}\n}")
	token := n.mint(w.alice, "toys.read", "toys.make", "toys.7.read")
	for _, c := range []struct {
		method, path string
		want         int
	}{
		{"GET", "/toys", 200}, {"POST", "/toys", 200}, {"PUT", "/toys", 200}, {"DELETE", "/toys", 403},
		{"GET", "/toys/7", 200}, {"GET", "/toys/007", 200}, {"GET", "/toys/8", 401}, {"GET", "/status", 200}, {"GET", "/x", 403},
	} {
		r := n.do(c.method, n.url("/api/toys/1.0"+c.path), "", "X-Auth-Token", token)
		if r.status != c.want {
			t.Errorf("%s %s: %d %s, want %d", c.method, c.path, r.status, r.body, c.want)
		}
		if r.status == 200 {
			up.take(t)
		}
	}
	if r := n.do("GET", n.url("/api/toys/1.0/status"), ""); r.status != 401 {
		t.Errorf("the overlay wins over the configuration: %d", r.status)
	}
	up.untouched(t)
	logs := n.logs()
	if !strings.Contains(logs, `"routes":6`) || !strings.Contains(logs, `"denied":1`) {
		t.Error("the log does not say what was read")
	}
	if !strings.Contains(logs, "DELETE /1.0/toys") {
		t.Error("the log does not name the route whose ACL is not known")
	}
}
