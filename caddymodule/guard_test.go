package caddymodule

import (
	"bufio"
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/wazo-edge/xivo-auth/authsvc/grant"
	"github.com/wazo-edge/xivo-auth/authsvc/store"
)

// aliases lets aliases of header names into the server, which Caddy drops by
// default: the guard must not rely on that. Those of X-Auth-Token and of
// Wazo-Tenant cannot be let in together with the names themselves.
const aliases = `servers {
	expected_underscore_headers X_Auth_User_Uuid X-Auth_User-Uuid X_Auth-User_Uuid X_Auth_Id X_Auth.Id Wazo_Tenant
	expected_dot_headers X.Auth.User.Uuid X.Auth.Id X-Auth.User-Uuid Wazo.Tenant
}`

// startProxy puts a guard before up.
func (n *node) startProxy(options string, up *upstream) {
	n.t.Helper()
	cfg := n.caddyfile("", fmt.Sprintf(`http://:<port> {
	handle /open/* {
		xivo_auth_guard
		reverse_proxy %[1]s
	}
	handle {
		xivo_auth_guard {
			scope confd.users.read
		}
		reverse_proxy %[1]s
	}
}`, up.addr))
	n.loadText(strings.Replace(cfg, "\tgrace_period 5s\n", "\tgrace_period 5s\n"+options+"\n", 1))
}

// names a client may pass off as ours, as they are spelled on the wire.
var forgeries = []string{
	"X-Auth-User-Uuid", "X-Auth-Tenant-Uuid", "X-Auth-Session-Uuid", "X-Auth-Id", "X-Auth-Purpose", "X-Auth-Degraded",
	"x-auth-user-uuid", "X-AUTH-USER-UUID", "x-Auth-uSER-uUID", "X-Auth-Assertion", "X-Auth-", "X-Auth-Token-",
	"X_Auth_User_Uuid", "x_auth_user_uuid", "X-Auth_User-Uuid", "X_Auth-User_Uuid", "X_AUTH_ID",
	"X.Auth.User.Uuid", "x.auth.id", "X-Auth.User-Uuid", "X_Auth.Id",
	"X_Auth_Token", "x_auth_token", "X-Auth_Token", "X.Auth.Token", "X_Auth.Token",
	"Wazo_Tenant", "wazo_tenant", "WAZO_TENANT", "Wazo.Tenant",
}

const forged = "FORGED-5a1d"

func TestGuard_StripsIdentityHeaders(t *testing.T) {
	for name, options := range map[string]string{"as shipped": "", "aliases let in": aliases} {
		t.Run(name, func(t *testing.T) { testStrips(t, options) })
	}
}

func testStrips(t *testing.T, options string) {
	n, up, w := newNode(t), newUpstream(t), theWorld(t)
	good := n.mint(w.alice, "confd.users.read")
	poor := n.mint(w.alice, "nothing")
	n.startProxy(options, up)
	var head strings.Builder
	for _, name := range forgeries {
		fmt.Fprintf(&head, "%s: %s\r\n", name, forged)
	}
	for _, name := range forgeries[:8] { // Caddy drops a repeated alias
		fmt.Fprintf(&head, "%s: %s-again\r\n", name, forged)
	}
	// Trailers come after the decision, announced or not. An announcement of
	// a harmless one is enough for net/http to take in all the others.
	var trailers strings.Builder
	for _, name := range append(slices.Clone(forgeries), "X-Auth-Token", "Wazo-Tenant") {
		fmt.Fprintf(&trailers, "%s: %s-trailer\r\n", name, forged)
	}
	bodies := map[string]string{
		"no body":                    "\r\n",
		"body":                       "Content-Length: 2\r\n\r\nhi",
		"trailers":                   "Transfer-Encoding: chunked\r\n\r\n2\r\nhi\r\n0\r\n" + trailers.String() + "\r\n",
		"trailers, harmless tells":   "Transfer-Encoding: chunked\r\nTrailer: X-Checksum\r\n\r\n2\r\nhi\r\n0\r\n" + trailers.String() + "\r\n",
		"trailers, announced":        "Transfer-Encoding: chunked\r\nTrailer: X-Auth-User-Uuid, X-Checksum\r\n\r\n2\r\nhi\r\n0\r\n" + trailers.String() + "\r\n",
		"trailers, all ours":         "Transfer-Encoding: chunked\r\nTrailer: X-Auth-User-Uuid\r\n\r\n2\r\nhi\r\n0\r\n" + trailers.String() + "\r\n",
		"trailers without any chunk": "Transfer-Encoding: chunked\r\nTrailer: X-Checksum\r\n\r\n0\r\n" + trailers.String() + "\r\n",
	}
	for name, body := range bodies {
		for _, path := range []string{"/open/x", "/users"} {
			t.Run(name+" "+path, func(t *testing.T) {
				answer := n.raw("POST " + path + " HTTP/1.1\r\nHost: pbx\r\nConnection: close\r\nX-Auth-Token: " + good + "\r\n" + head.String() + body)
				if !strings.HasPrefix(answer, "HTTP/1.1 200 ") {
					t.Fatalf("a good token got %s", answer)
				}
				got := up.take(t)
				if strings.Contains(got, forged) {
					t.Errorf("the upstream was told what the client made up:\n%s", got)
				}
				wantHeaders(t, got, map[string]string{
					"X-Auth-User-Uuid": w.alice.UUID, "X-Auth-Id": w.alice.UUID, "X-Auth-Tenant-Uuid": w.alice.TenantUUID,
					"X-Auth-Purpose": "user", "X-Auth-Token": good,
				})
				if strings.Contains(body, "hi") && !strings.Contains(got, "hi") {
					t.Errorf("the body is lost:\n%s", got)
				}
			})
		}
		// What is refused goes nowhere at all.
		for token, want := range map[string]string{"": "401", poor: "401", uuid.NewString(): "401"} {
			answer := n.raw("POST /users HTTP/1.1\r\nHost: pbx\r\nConnection: close\r\nX-Auth-Token: " + token + "\r\n" + head.String() + body)
			if !strings.HasPrefix(answer, "HTTP/1.1 "+want) || strings.Contains(answer, forged) {
				t.Errorf("%s, token %q: %s", name, token, answer)
			}
		}
	}
	n.switches().down.Store(true)
	answer := n.raw("GET /users HTTP/1.1\r\nHost: pbx\r\nConnection: close\r\nX-Auth-Token: " + n.mint(w.bob) + "\r\n" + head.String() + "\r\n")
	if !strings.HasPrefix(answer, "HTTP/1.1 503 ") || strings.Contains(answer, forged) {
		t.Errorf("store down: %s", answer)
	}
	up.untouched(t)
}

// A session that is no user's tells no user: the header must be absent and not
// what the client sent.
func TestGuard_Identity(t *testing.T) {
	n, up, w := newNode(t), newUpstream(t), theWorld(t)
	own := n.mint(store.User{UUID: grant.InternalAuthID, TenantUUID: w.alice.TenantUUID}, "#")
	bob, admin := n.mint(w.bob, "#"), n.mint(w.admin, "#")
	alice := n.mint(w.alice, "#")
	n.startProxy("", up)
	for _, c := range []struct {
		name, token, tenant string
		want                map[string]string // "" is absent
	}{
		{"user", bob, "", map[string]string{"X-Auth-User-Uuid": w.bob.UUID, "X-Auth-Id": w.bob.UUID, "X-Auth-Tenant-Uuid": w.below, "X-Auth-Purpose": "user", "Wazo-Tenant": "", "X-Auth-Degraded": ""}},
		{"service", admin, "", map[string]string{"X-Auth-User-Uuid": w.admin.UUID, "X-Auth-Purpose": "internal", "X-Auth-Tenant-Uuid": w.admin.TenantUUID}},
		{"in a tenant below", alice, w.below, map[string]string{"X-Auth-User-Uuid": w.alice.UUID, "X-Auth-Tenant-Uuid": w.below, "Wazo-Tenant": w.below}},
		{"in his own tenant", bob, w.below, map[string]string{"X-Auth-Tenant-Uuid": w.below, "Wazo-Tenant": w.below}},
		{"empty tenant", bob, "", map[string]string{"X-Auth-Tenant-Uuid": w.below}},
		{"the service's own", own, w.below, map[string]string{"X-Auth-User-Uuid": "", "X-Auth-Id": "wazo-auth", "X-Auth-Tenant-Uuid": w.below}},
	} {
		t.Run(c.name, func(t *testing.T) {
			request := "GET / HTTP/1.1\r\nHost: pbx\r\nConnection: close\r\nX-Auth-Token: " + c.token + "\r\nX-Auth-User-Uuid: " + forged + "\r\n"
			if c.tenant != "" {
				request += "Wazo-Tenant: " + c.tenant + "\r\n"
			}
			if answer := n.raw(request + "\r\n"); !strings.HasPrefix(answer, "HTTP/1.1 200 ") {
				t.Fatal(answer)
			}
			got := up.take(t)
			wantHeaders(t, got, c.want)
			if sessions := headerValues(got, "X-Auth-Session-Uuid"); len(sessions) != 1 || uuid.Validate(sessions[0]) != nil {
				t.Errorf("session %q", sessions)
			}
		})
	}
}

// TestGuard_NoIdentity: an upstream that is not told learns nothing, from a
// client least of all; placeholders, which others behind the guard use, and the
// access log are told.
func TestGuard_NoIdentity(t *testing.T) {
	n, up, w := newNode(t), newUpstream(t), theWorld(t)
	token := n.mint(w.bob, "#")
	n.start("", `http://:<port> {
	log {
		output file <dir>/access.log
	}
	xivo_auth_guard {
		no_identity
	}
	reverse_proxy `+up.addr+` {
		header_up X-Mine "{http.auth.user.id} {http.auth.user.tenant}"
	}
}`)
	request := "GET / HTTP/1.1\r\nHost: pbx\r\nConnection: close\r\nX-Auth-Token: " + token + "\r\n"
	for _, name := range forgeries {
		request += name + ": " + forged + "\r\n"
	}
	if answer := n.raw(request + "\r\n"); !strings.HasPrefix(answer, "HTTP/1.1 200 ") {
		t.Fatal(answer)
	}
	wantHeaders(t, up.take(t), map[string]string{
		"X-Auth-User-Uuid": "", "X-Auth-Id": "", "X-Auth-Tenant-Uuid": "", "X-Auth-Session-Uuid": "", "X-Auth-Purpose": "",
		"X-Auth-Token": token, "X-Mine": w.bob.UUID + " " + w.below,
	})
	eventually(t, "the access log tells who it was", func() bool {
		line := n.file("access.log")
		return strings.Contains(line, `"user_id":"`+w.bob.UUID) && strings.Contains(line, `"tenant_uuid":"`+w.below) && strings.Contains(line, `"session_uuid":"`)
	})
}

// Names in Connection have the reverse proxy drop those headers (Traefik #8319).
func TestGuard_ConnectionHeader(t *testing.T) {
	n, up, w := newNode(t), newUpstream(t), theWorld(t)
	token := n.mint(w.alice, "#")
	n.startProxy("", up)
	for _, conn := range []string{
		"Connection: close, X-Auth-User-Uuid, x-auth-tenant-uuid, X-Auth-Id, X-Auth-Session-Uuid, X-Auth-Purpose, X-Auth-Token, Wazo-Tenant, X-Mine",
		"Connection: X-Auth-User-Uuid,X-AUTH-TOKEN ,\twazo-tenant,x-auth-id,X-Mine\r\nConnection: close,X-Auth-Tenant-Uuid",
		"Connection: X-Auth-Tenant-Uuid\r\nConnection: X-Auth-User-Uuid\r\nConnection: X-Mine\r\nConnection: close",
	} {
		answer := n.raw("GET / HTTP/1.1\r\nHost: pbx\r\n" + conn + "\r\nX-Mine: hop\r\nWazo-Tenant: " + w.below + "\r\nX-Auth-Token: " + token + "\r\n\r\n")
		if !strings.HasPrefix(answer, "HTTP/1.1 200 ") {
			t.Fatal(answer)
		}
		wantHeaders(t, up.take(t), map[string]string{
			"X-Auth-User-Uuid": w.alice.UUID, "X-Auth-Id": w.alice.UUID, "X-Auth-Tenant-Uuid": w.below,
			"X-Auth-Purpose": "user", "X-Auth-Token": token, "Wazo-Tenant": w.below, "X-Mine": "",
		})
	}
}

func TestGuard_Refuses(t *testing.T) {
	n, up, w := newNode(t), newUpstream(t), theWorld(t)
	now := setClock(t)
	seconds := fmt.Sprintf("%d", now.now().Unix())
	good, poor := n.mint(w.alice, "confd.users.read"), n.mint(w.alice, "confd.users.me.read", "!confd.users.read")
	low := n.mint(w.bob, "confd.users.read")
	dead := mint(t, n.db, w.alice, now.now().Add(-time.Hour), "#")
	gone := n.mint(store.User{UUID: uuid.NewString(), TenantUUID: w.below}, "confd.users.read")
	unknown := uuid.NewString()
	n.startProxy("", up)

	invalid := func(shown, access string) string {
		return `{"message": "Unauthorized", "error_id": "unauthorized", "details": {"invalid_token": "` + shown +
			`", "reason": "not_found_or_expired", "required_access": "` + access + `"}, "timestamp": T}` + "\n"
	}
	forbidden := func(token, tenant string) string {
		return `{"message": "Unauthorized", "error_id": "unauthorized", "details": {"invalid_token": "XXXXXXXX` + token[28:] +
			`", "reason": "missing_permission_or_invalid_tenant", "required_access": "confd.users.read", "tenant_uuid": ` + tenant + `}, "timestamp": T}` + "\n"
	}
	const repeated = `{"message": "The request repeats what may be sent once only: `
	for _, c := range []struct {
		name, path string
		header     string
		status     int
		body       string
	}{
		{"no token", "/users", "", 401, invalid("", "confd.users.read")},
		{"no token, no access asked for", "/open/", "", 401, invalid("", "")},
		{"empty token", "/users", "X-Auth-Token:\r\n", 401, invalid("", "confd.users.read")},
		{"unknown token", "/users", "X-Auth-Token: " + unknown + "\r\n", 401, invalid("XXXXXXXX"+unknown[28:], "confd.users.read")},
		{"expired token", "/users", "X-Auth-Token: " + dead + "\r\n", 401, invalid("XXXXXXXX"+dead[28:], "confd.users.read")},
		{"a password in the wrong place", "/users", "X-Auth-Token: hunter2\r\n", 401, invalid("XXXXXXXX", "confd.users.read")},
		{"upper case", "/users", "X-Auth-Token: " + strings.ToUpper(good) + "\r\n", 401, invalid("XXXXXXXX"+strings.ToUpper(good)[28:], "confd.users.read")},
		{"undashed", "/users", "X-Auth-Token: " + strings.ReplaceAll(good, "-", "") + "\r\n", 401, invalid("XXXXXXXX"+good[28:], "confd.users.read")},
		{"in the query only", "/users?token=" + good, "", 401, invalid("", "confd.users.read")},
		{"in an alias only", "/users", "X_Auth_Token: " + good + "\r\n", 401, invalid("", "confd.users.read")},
		{"in Authorization only", "/users", "Authorization: Bearer " + good + "\r\n", 401, invalid("", "confd.users.read")},
		{"without the access", "/users", "X-Auth-Token: " + poor + "\r\n", 401, forbidden(poor, "null")},
		{"without the access, tenant", "/users", "X-Auth-Token: " + poor + "\r\nWazo-Tenant: " + w.below + "\r\n", 401, forbidden(poor, `"`+w.below+`"`)},
		{"tenant above", "/users", "X-Auth-Token: " + low + "\r\nWazo-Tenant: " + w.alice.TenantUUID + "\r\n", 401, forbidden(low, `"`+w.alice.TenantUUID+`"`)},
		{"tenant that is none", "/users", "X-Auth-Token: " + good + "\r\nWazo-Tenant: \"{env.HOME}\r\n", 401, forbidden(good, `"\"{env.HOME}"`)},
		{"user gone, tenant", "/users", "X-Auth-Token: " + gone + "\r\nWazo-Tenant: " + w.below + "\r\n", 401, invalid("XXXXXXXX"+gone[28:], "confd.users.read")},
		{"token twice", "/users", "X-Auth-Token: " + good + "\r\nx-auth-token: " + good + "\r\n", 400, repeated + `duplicate_token"}` + "\n"},
		{"token and another", "/users", "X-Auth-Token: " + good + "\r\nX-Auth-Token: " + unknown + "\r\n", 400, repeated + `duplicate_token"}` + "\n"},
		{"tenant twice", "/users", "X-Auth-Token: " + good + "\r\nWazo-Tenant: " + w.below + "\r\nWAZO-TENANT: " + w.below + "\r\n", 400, repeated + `duplicate_tenant"}` + "\n"},
		{"tenant twice, no token", "/users", "Wazo-Tenant: a\r\nWazo-Tenant: b\r\n", 400, repeated + `duplicate_tenant"}` + "\n"},
	} {
		for _, method := range []string{"GET", "HEAD", "OPTIONS", "DELETE"} {
			t.Run(c.name+" "+method, func(t *testing.T) {
				answer := n.raw(method + " " + c.path + " HTTP/1.1\r\nHost: pbx\r\nConnection: close\r\n" + c.header + "\r\n")
				resp, err := http.ReadResponse(bufio.NewReader(strings.NewReader(answer)), &http.Request{Method: method})
				if err != nil {
					t.Fatal(err)
				}
				_, body, _ := strings.Cut(answer, "\r\n\r\n")
				want := c.body
				if i := strings.Index(body, `"timestamp": `+seconds); i >= 0 {
					rest := body[i+len(`"timestamp": `):]
					want = strings.Replace(want, `"timestamp": T`, `"timestamp": `+rest[:strings.Index(rest, "}")], 1)
				}
				length := fmt.Sprint(len(want))
				if method == "HEAD" {
					want, length = "", resp.Header.Get("Content-Length")
				}
				if resp.StatusCode != c.status || body != want {
					t.Errorf("%d %s\nwant %d %s", resp.StatusCode, body, c.status, want)
				}
				h := resp.Header
				if h.Get("Content-Type") != "application/json" || h.Get("Content-Length") != length || h.Get("WWW-Authenticate") != "" || h.Get("Retry-After") != "" {
					t.Errorf("headers %v", h)
				}
			})
		}
	}
	up.untouched(t)
}

// C1: the same token with another access or tenant never shares a verdict.
func TestGuard_NoSharedVerdict(t *testing.T) {
	n, up, w := newNode(t), newUpstream(t), theWorld(t)
	token := n.mint(w.bob, "other")
	n.startProxy("", up)
	for range 3 {
		for _, c := range []struct {
			path, tenant string
			want         int
		}{{"/open/", "", 200}, {"/users", "", 401}, {"/open/", w.below, 200}, {"/open/", w.alice.TenantUUID, 401}, {"/users", w.below, 401}} {
			header := []string{"X-Auth-Token", token}
			if c.tenant != "" {
				header = append(header, "Wazo-Tenant", c.tenant)
			}
			if r := n.do("GET", n.url(c.path), "", header...); r.status != c.want {
				t.Errorf("%s in %q: %d, want %d", c.path, c.tenant, r.status, c.want)
			}
		}
	}
}

// A revoked token is refused by the very next request, whatever hits and
// misses are under way.
func TestRevoke_NextRequest(t *testing.T) {
	n, w := newNode(t), theWorld(t)
	tokens := make([]string, 200)
	st := openDB(t, n.db)
	for i := range tokens {
		tokens[i] = mintIn(t, st, w.alice, time.Now().Add(time.Hour), "demo.read")
	}
	n.start("", sites)
	// Straight at the handlers, which a socket in between would only slow
	// down; the first and the last time through Caddy all the same.
	guard, api := guardOn(n.service(), "demo.read"), &API{shared: n.service()}
	for i, token := range tokens {
		revoked := make(chan struct{})
		var hits sync.WaitGroup
		for range 3 {
			hits.Go(func() {
				for {
					var after bool
					select {
					case <-revoked:
						after = true
					default:
					}
					status := ask(t, guard, token)
					if after {
						if status != http.StatusUnauthorized {
							t.Errorf("token %d after it was revoked: %d", i, status)
						}
						return
					}
					if status != http.StatusOK && status != http.StatusUnauthorized {
						t.Errorf("token %d: %d", i, status)
					}
				}
			})
		}
		if i%2 == 0 && ask(t, guard, token) != http.StatusOK {
			t.Errorf("token %d was no good from the start", i)
		}
		if i == 0 || i == len(tokens)-1 {
			if r := n.guarded(token); r.status != http.StatusOK {
				t.Errorf("through Caddy: %d %s", r.status, r.body)
			}
			if r := n.do("DELETE", n.url("/0.1/token/"+token), ""); r.status != http.StatusOK || r.body != `{"data": {"message": "success"}}`+"\n" {
				t.Errorf("DELETE: %d %s", r.status, r.body)
			}
			if r := n.guarded(token); r.status != http.StatusUnauthorized {
				t.Errorf("through Caddy, revoked: %d %s", r.status, r.body)
			}
		} else if status := serve(t, api, "DELETE", "/0.1/token/"+token); status != http.StatusOK {
			t.Errorf("DELETE: %d", status)
		}
		close(revoked)
		hits.Wait()
	}
}

// Q1: placeholders in what clients send are text.
func TestGuard_PlaceholdersStayLiteral(t *testing.T) {
	t.Setenv("XIVO_AUTH_TEST_SECRET", "expanded-9b2e")
	const ph = "{env.XIVO_AUTH_TEST_SECRET}"
	n, up := newNode(t), newUpstream(t)
	st := openDB(t, n.db)
	if _, err := st.CreateUser(t.Context(), store.NewUser{User: store.User{Username: ph, Enabled: true, Purpose: "user", Method: "native"}}); err != nil {
		t.Fatal(err)
	}
	n.start("", fmt.Sprintf(`http://:<port> {
	log
	handle /0.1/* {
		xivo_auth_api
	}
	handle {
		xivo_auth_guard
		reverse_proxy %s
	}
}`, up.addr))
	auth := basic(ph, alicePassword)
	r := n.do("POST", n.url("/0.1/token"), "{}", "Authorization", auth, "User-Agent", ph)
	if r.status != http.StatusOK || !strings.Contains(r.body, ph) {
		t.Fatalf("login: %d %s", r.status, r.body)
	}
	token := tokenOf(t, r.body)
	if row, err := st.Token(t.Context(), token); err != nil || row.UserAgent != ph {
		t.Errorf("stored user agent %q, %v", row.UserAgent, err)
	}
	if r := n.do("POST", n.url("/0.1/token"), `{"tenant_id": "`+ph+`"}`, "Authorization", auth); r.status != http.StatusNotFound || !strings.Contains(r.body, ph) {
		t.Errorf("tenant: %d %s", r.status, r.body)
	}
	if r := n.do("GET", n.url("/0.1/token/"+token+"?tenant="+strings.ReplaceAll(strings.ReplaceAll(ph, "{", "%7B"), "}", "%7D")), ""); r.status != http.StatusForbidden || !strings.Contains(r.body, ph) {
		t.Errorf("tenant of a token: %d %s", r.status, r.body)
	}
	if r := n.do("GET", n.url("/"), "", "X-Auth-Token", token, "User-Agent", ph, "X-Other", ph); r.status != http.StatusOK {
		t.Fatalf("guard: %d %s", r.status, r.body)
	}
	wantHeaders(t, up.take(t), map[string]string{"User-Agent": ph, "X-Other": ph, "X-Auth-Token": token})
	if r := n.do("GET", n.url("/"), "", "X-Auth-Token", token, "Wazo-Tenant", ph); r.status != http.StatusUnauthorized || !strings.Contains(r.body, ph) {
		t.Errorf("guard, tenant: %d %s", r.status, r.body)
	}
	for _, text := range []string{n.logs(), r.body} {
		if strings.Contains(text, "expanded-9b2e") {
			t.Errorf("a placeholder was expanded:\n%s", text)
		}
	}
}

// S7: the address of a session is the client's only where a trusted proxy
// says so, and the peer's otherwise.
func TestGuard_ClientIP(t *testing.T) {
	for _, c := range []struct{ name, servers, header, want string }{
		{"no trusted proxies", "", "203.0.113.7", "127.0.0.1"},
		{"trusted proxy", "trusted_proxies static 127.0.0.0/8", "203.0.113.7", "203.0.113.7"},
		{"others are trusted", "trusted_proxies static 10.0.0.0/8", "203.0.113.7", "127.0.0.1"},
		{"trusted proxy, garbage", "trusted_proxies static 127.0.0.0/8", "{env.HOME}", "127.0.0.1"},
	} {
		t.Run(c.name, func(t *testing.T) {
			n := newNode(t)
			st := openDB(t, n.db)
			cfg := n.caddyfile("", sites)
			if c.servers != "" {
				cfg = strings.Replace(cfg, "\tgrace_period 5s\n", "\tgrace_period 5s\n\tservers {\n\t\t"+c.servers+"\n\t}\n", 1)
			}
			n.loadText(cfg)
			header := []string{"Authorization", basic("alice", alicePassword), "X-Real-Ip", "198.51.100.1", "Forwarded", "for=198.51.100.2"}
			if c.header != "" {
				header = append(header, "X-Forwarded-For", c.header)
			}
			r := n.do("POST", n.url("/0.1/token"), "{}", header...)
			if r.status != http.StatusOK {
				t.Fatalf("%d %s", r.status, r.body)
			}
			row, err := st.Token(t.Context(), tokenOf(t, r.body))
			if err != nil || row.RemoteAddr != c.want {
				t.Errorf("recorded %q, %v; want %q", row.RemoteAddr, err, c.want)
			}
			var shown struct {
				Data struct {
					RemoteAddr string `json:"remote_addr"`
				}
			}
			if err := json.Unmarshal([]byte(r.body), &shown); err != nil || shown.Data.RemoteAddr != c.want {
				t.Errorf("shown %q, %v", shown.Data.RemoteAddr, err)
			}
		})
	}
}

// Server-sent events reach the client one by one through the guard.
func TestGuard_StreamingWriter(t *testing.T) {
	n, w := newNode(t), theWorld(t)
	token := n.mint(w.alice, "#")
	next := make(chan struct{})
	sse := startHTTP(t, func(rw http.ResponseWriter, r *http.Request) {
		rw.Header().Set("Content-Type", "text/event-stream")
		rc := http.NewResponseController(rw)
		for i := range 3 {
			fmt.Fprintf(rw, "data: %d for %s\n\n", i, r.Header.Get("X-Auth-User-Uuid"))
			if err := rc.Flush(); err != nil {
				t.Error(err)
			}
			<-next
		}
	})
	n.start("", `http://:<port> {
	xivo_auth_guard
	reverse_proxy `+sse+`
}`)
	req, err := http.NewRequest(http.MethodGet, n.url("/"), nil)
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("X-Auth-Token", token)
	resp, err := n.client.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = resp.Body.Close() }()
	lines := bufio.NewReader(resp.Body)
	for i := range 3 {
		// The upstream waits until this one has arrived.
		line, err := lines.ReadString('\n')
		if want := fmt.Sprintf("data: %d for %s\n", i, w.alice.UUID); err != nil || line != want {
			t.Fatalf("got %q %v, want %q", line, err, want)
		}
		_, _ = lines.ReadString('\n')
		if i == 1 {
			// The stream goes on over a reload.
			n.start("token_lifetime 5m", `http://:<port> {
	xivo_auth_guard
	reverse_proxy `+sse+`
}`)
		}
		next <- struct{}{}
	}
}

// A connection that is upgraded is handed over.
func TestGuard_WebSocket(t *testing.T) {
	n, w := newNode(t), theWorld(t)
	token := n.mint(w.alice, "#")
	ws := startHTTP(t, func(rw http.ResponseWriter, r *http.Request) {
		conn, buf, err := http.NewResponseController(rw).Hijack()
		if err != nil {
			t.Error(err)
			return
		}
		defer func() { _ = conn.Close() }()
		fmt.Fprintf(buf, "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\nhello %s\n", r.Header.Get("X-Auth-User-Uuid"))
		_ = buf.Flush()
		line, _ := buf.ReadString('\n')
		fmt.Fprintf(buf, "echo %s", line)
		_ = buf.Flush()
	})
	n.start("", `http://:<port> {
	xivo_auth_guard
	reverse_proxy `+ws+`
}`)
	for _, c := range []struct{ token, connection, want string }{
		{token, "Upgrade", "HTTP/1.1 101 "},
		{token, "keep-alive, Upgrade, X-Auth-User-Uuid", "HTTP/1.1 101 "},
		{uuid.NewString(), "Upgrade", "HTTP/1.1 401 "},
	} {
		conn := n.dial()
		fmt.Fprintf(conn, "GET / HTTP/1.1\r\nHost: pbx\r\nConnection: %s\r\nUpgrade: websocket\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\nX-Auth-Token: %s\r\n\r\n", c.connection, c.token)
		r := bufio.NewReader(conn)
		line, err := r.ReadString('\n')
		if err != nil || !strings.HasPrefix(line, c.want) {
			t.Fatalf("%q %v, want %q", line, err, c.want)
		}
		if c.want != "HTTP/1.1 101 " {
			continue
		}
		for line != "\r\n" && err == nil {
			line, err = r.ReadString('\n')
		}
		if line, err = r.ReadString('\n'); err != nil || line != "hello "+w.alice.UUID+"\n" {
			t.Errorf("%q %v", line, err)
		}
		fmt.Fprintf(conn, "ping\n")
		if line, err = r.ReadString('\n'); err != nil || line != "echo ping\n" {
			t.Errorf("%q %v", line, err)
		}
	}
}

// Two servers and several guards are one service.
func TestTwoServersOneApp(t *testing.T) {
	n, w := newNode(t), theWorld(t)
	token := n.mint(w.alice, "a.read", "b.read")
	n.start("", `http://:<port> {
	xivo_auth_guard /a/* {
		scope a.read
	}
	xivo_auth_guard /b/* {
		scope b.read
	}
	xivo_auth_guard /c/* {
		scope c.read
	}
	respond first
}
http://:<port2> {
	handle /0.1/* {
		xivo_auth_api
	}
	handle {
		xivo_auth_guard {
			scope b.read
		}
		respond second
	}
}`)
	second := fmt.Sprintf("http://127.0.0.1:%d", n.port2)
	var all sync.WaitGroup
	for range 8 {
		all.Go(func() {
			for url, want := range map[string]int{n.url("/a/"): 200, n.url("/b/"): 200, n.url("/c/"): 401, second + "/": 200} {
				if r, err := n.try("GET", url, "", "X-Auth-Token", token); err != nil || r.status != want {
					t.Errorf("%s: %d %v, want %d", url, r.status, err, want)
				}
			}
		})
	}
	all.Wait()
	if refs, opens := n.refs(), n.switches().opens.Load(); refs != 1 || opens != 1 {
		t.Errorf("%d references, opened %d times", refs, opens)
	}
	// Revoked on one server, refused on the other.
	if r := n.do("DELETE", second+"/0.1/token/"+token, ""); r.status != http.StatusOK {
		t.Fatalf("%d %s", r.status, r.body)
	}
	if r := n.do("GET", n.url("/a/"), "", "X-Auth-Token", token); r.status != http.StatusUnauthorized {
		t.Errorf("on the first server: %d", r.status)
	}
}
