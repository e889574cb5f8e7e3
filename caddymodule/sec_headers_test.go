package caddymodule

import (
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/wazo-edge/xivo-auth/authsvc/guard"
)

// forgeAll is a header of every one of names, made up by the client.
func forgeAll(names []string, more ...string) (header []string) {
	for _, name := range names {
		header = append(header, name, forged)
	}
	return append(header, more...)
}

// wantNoForgery checks what a WSGI application sees: a header is one of ours
// there whatever it was spelled like.
func wantNoForgery(t *testing.T, seen, want map[string]string) {
	t.Helper()
	for name, value := range seen {
		if strings.Contains(value, forged) {
			t.Errorf("the WSGI upstream was told what the client made up: %s is %q", name, value)
		}
	}
	for name, value := range want {
		key := "HTTP_" + strings.ToUpper(strings.ReplaceAll(name, "-", "_"))
		if got, is := seen[key]; got != value || is && value == "" {
			t.Errorf("to the WSGI upstream, %s is %q, want %q", key, got, value)
		}
	}
}

// S1: a client sends every header that tells who it is. Where the auth answer
// lacked one of them, what the client had sent stayed (Caddy copy_headers
// GHSA-7r4p-vjf4-gxv4, keystonemiddleware bug 2129018).
func TestSec_S1(t *testing.T) {
	now := setClock(t)
	s := newSeams(t, sec{
		app:     "stale_if_error 1h\ncache {\n grants 1000\n max_age 10s\n negative 100 1ms\n}",
		service: demo + "\nservice opening {\n unmatched public\n route GET /closed deny\n}",
		gates: []gateSpec{
			{host: "demo", args: "demo"},
			{host: "opening", args: "opening"},
			{host: "shadow", args: "demo", options: "shadow"},
			{host: "signed", args: "demo", options: "assertion"},
			{host: "failing", args: "demo", behind: "error \"behind the guard\" 404"},
		},
	})
	good, poor := s.mint(s.alice, "demo.users.read"), s.mint(s.alice, "nothing")
	nobody := map[string]string{}
	for _, name := range managed {
		nobody[name] = ""
	}
	alice := func(more ...string) map[string]string {
		want := map[string]string{
			"X-Auth-User-Uuid": s.alice.UUID, "X-Auth-Id": s.alice.UUID, "X-Auth-Tenant-Uuid": s.alice.TenantUUID,
			"X-Auth-Purpose": "user", "X-Auth-Degraded": "", "X-Auth-Reason": "", "X-Script-Name": "", "X-Auth-Token": good,
		}
		for i := 0; i < len(more); i += 2 {
			want[more[i]] = more[i+1]
		}
		return want
	}
	preflight := []string{"Origin", "https://evil.example", "Access-Control-Request-Method", "GET"}
	passing := []struct {
		name, host, method, target string
		header                     []string
		want                       map[string]string
	}{
		{"allow", "demo", "GET", "/users", []string{"X-Auth-Token", good}, alice("X-Auth-Assertion", "")},
		{"any token will do", "demo", "GET", "/mine", []string{"X-Auth-Token", good}, alice("X-Auth-Assertion", "")},
		{"public route", "demo", "GET", "/open", nil, nobody},
		{"public route, with a token", "demo", "GET", "/open", []string{"X-Auth-Token", good}, nobody},
		{"public route, with a bad token", "demo", "GET", "/open", []string{"X-Auth-Token", "bad"}, nobody},
		{"preflight", "demo", "OPTIONS", "/users", preflight, nobody},
		{"preflight, with a token", "demo", "OPTIONS", "/users", append([]string{"X-Auth-Token", good}, preflight...), nobody},
		{"unmatched", "opening", "GET", "/whatever", nil, nobody},
		{"shadow, refused", "shadow", "GET", "/users", nil, nobody},
		{"shadow, poor", "shadow", "GET", "/users", []string{"X-Auth-Token", poor}, nobody},
		{"shadow, allowed", "shadow", "GET", "/users", []string{"X-Auth-Token", good}, alice()},
		{"signed, public", "signed", "GET", "/open", nil, nobody},
	}
	s.both(t, func(t *testing.T, s side) {
		for _, c := range passing {
			header := forgeAll(managed, c.header...)
			for _, spelled := range []func(string) string{strings.ToLower, strings.ToUpper} {
				header = append(header, forgeAll([]string{spelled(headerUser), spelled(headerTenant), spelled(headerID)})...)
			}
			t.Run(c.name+"/raw", func(t *testing.T) {
				got := s.wantPassed(t, c.name, s.send(t, c.host, c.method, c.target, header...))
				if strings.Contains(got, forged) {
					t.Errorf("the upstream was told what the client made up:\n%s", got)
				}
				wantHeaders(t, got, c.want)
			})
			t.Run(c.name+"/wsgi", func(t *testing.T) {
				s.wsgi.need(t)
				wantNoForgery(t, environ(t, s.send(t, c.host, c.method, c.target, append(header, "X-Up", "wsgi")...)), c.want)
			})
		}

		// What is refused goes nowhere, although errors are proxied on here.
		for name, header := range map[string][]string{
			"no token": nil, "bad token": {"X-Auth-Token", "bad"}, "poor token": {"X-Auth-Token", poor},
			"two tokens": {"X-Auth-Token", good, "X-Auth-Token", good},
		} {
			r := s.send(t, "demo", "GET", "/users", forgeAll(managed, header...)...)
			if r.status < 400 || r.status == http.StatusNotFound || strings.Contains(r.body, forged) {
				t.Errorf("%s: %d %s", name, r.status, r.body)
			}
			s.raw.untouched(t)
		}
		// An error behind the guard does go on, as who it is.
		if !s.verify {
			r := s.send(t, "failing", "GET", "/users", forgeAll(managed, "X-Auth-Token", good)...)
			got := s.raw.take(t)
			if strings.Contains(got, forged) || r.body != "upstream" {
				t.Errorf("handle_errors: %d\n%s", r.status, got)
			}
			wantHeaders(t, got, alice())
		}

		// An assertion is ours alone.
		got := s.wantPassed(t, "signed", s.send(t, "signed", "GET", "/users", forgeAll(managed, "X-Auth-Token", good)...))
		if list := headerValues(got, headerAssertion); len(list) != 1 || strings.Count(list[0], ".") != 2 || strings.Contains(got, forged) {
			t.Errorf("assertions %q in\n%s", list, got)
		}

		// Degraded: the token is older than the store has vouched for.
		now.advance(time.Minute)
		s.switches().down.Store(true)
		header := forgeAll(managed, "X-Auth-Token", good)
		got = s.wantPassed(t, "degraded", s.send(t, "demo", "GET", "/users", header...))
		if strings.Contains(got, forged) {
			t.Errorf("degraded: the upstream was told what the client made up:\n%s", got)
		}
		wantHeaders(t, got, alice("X-Auth-Degraded", "1", "X-Auth-Assertion", ""))
		if s.wsgi.missing == "" {
			wantNoForgery(t, environ(t, s.send(t, "demo", "GET", "/users", append(header, "X-Up", "wsgi")...)), alice("X-Auth-Degraded", "1"))
		}
		s.switches().down.Store(false)
		now.advance(time.Minute)
	})

	// The endpoint answers with every one of them, whatever the answer is, so
	// that a proxy that copies overwrites.
	e := side{s, true}
	for _, c := range passing {
		for name, r := range map[string]reply{
			c.name:               e.judge(t, c.host, c.method, c.target, forgeAll(managed, c.header...)...),
			c.name + ", refused": e.judge(t, "demo", "GET", "/closed", forgeAll(managed, c.header...)...),
		} {
			for _, h := range []string{headerUser, headerTenant, headerSession, headerID, headerPurpose, headerDegraded, headerAssertion} {
				got := r.header[h]
				if want := c.want[h]; r.status == http.StatusOK && (len(got) != 1 || got[0] != want && h != headerSession) {
					t.Errorf("%s: the endpoint answers %s: %q, want %q", name, h, got, want)
				}
				if len(got) != 1 || got[0] == forged {
					t.Errorf("%s: the endpoint answers %s: %q", name, h, got)
				}
			}
		}
	}
}

// S2: names that a WSGI server, or some other, reads as ours: `_`, `.`, and
// mixed case (Caddy GHSA-f59h-q822-g45g, oauth2-proxy CVE-2025-64484, Traefik
// GHSA-5m6w-wvh7-57vm). Caddy drops most of them by itself; with its filter
// out of the way, nothing must change.
func TestSec_S2(t *testing.T) {
	letIn := strings.TrimSuffix(strings.TrimPrefix(aliases, "servers {"), "}")
	for name, servers := range map[string]string{"filtered by Caddy": "", "let in by Caddy": letIn} {
		t.Run(name, func(t *testing.T) { testS2(t, servers) })
	}
}

func testS2(t *testing.T, servers string) {
	s := newSeams(t, sec{servers: servers})
	good := s.mint(s.alice, "demo.users.read")
	low := s.mint(s.bob, "demo.users.read")
	var names []string // of forgeries, those that are no plain spelling
	for _, name := range forgeries {
		if strings.ContainsAny(name, "_.") {
			names = append(names, name)
		}
	}
	if len(names) < 15 {
		t.Fatalf("too few aliases: %q", names)
	}
	s.both(t, func(t *testing.T, s side) {
		for _, name := range names {
			for _, target := range []string{"/users", "/open"} {
				for _, up := range []string{"raw", "wsgi"} {
					header := []string{"X-Auth-Token", good, name, forged}
					if up == "wsgi" {
						if s.wsgi.missing != "" {
							continue
						}
						header = append(header, "X-Up", "wsgi")
					}
					r := s.send(t, "demo", "GET", target, header...)
					// Dropped by the guard, and refused by the endpoint, which
					// cannot drop what a proxy passes on. Behind Caddy's filter
					// it does not see it.
					if s.verify && r.header.Get(headerReason) == string(guard.AliasedForwarded) {
						s.wantRefused(t, name, r, guard.AliasedForwarded)
						continue
					}
					if up == "wsgi" {
						want := map[string]string{"X-Auth-Token": good}
						if target == "/users" {
							want["X-Auth-User-Uuid"], want["X-Auth-Id"] = s.alice.UUID, s.alice.UUID
						}
						wantNoForgery(t, environ(t, r), want)
						continue
					}
					if got := s.wantPassed(t, name, r); strings.Contains(got, forged) {
						t.Errorf("%s reached the upstream:\n%s", name, got)
					}
				}
			}
			// No alias is a token.
			if !strings.EqualFold(strings.NewReplacer("_", "-", ".", "-").Replace(name), headerToken) {
				continue
			}
			r := s.send(t, "demo", "GET", "/users", name, good)
			if s.verify && servers != "" && r.header.Get(headerReason) == string(guard.AliasedForwarded) {
				s.wantRefused(t, name, r, guard.AliasedForwarded)
			} else {
				s.wantRefused(t, name, r, guard.NoToken)
			}
		}
		// A tenant by another name: the guard would judge one tenant, and the
		// upstream act in another.
		for _, name := range []string{"Wazo_Tenant", "WAZO_TENANT", "wazo_tenant", "Wazo.Tenant"} {
			r := s.send(t, "demo", "GET", "/users", "X-Auth-Token", low, name, s.alice.TenantUUID)
			if s.verify && r.header.Get(headerReason) == string(guard.AliasedForwarded) {
				continue
			}
			if got := s.wantPassed(t, name, r); strings.Contains(got, s.alice.TenantUUID) {
				t.Errorf("%s reached the upstream:\n%s", name, got)
			}
		}
	})
}

// H1: several values of one header. Go takes the first, a WSGI server the last
// or all (Envoy CVE-2021-32777, CVE-2026-26308).
func TestSec_H1(t *testing.T) {
	s := newSeams(t, sec{gates: []gateSpec{{host: "demo", args: "demo", options: "cookie tok"}}})
	good, poor := s.mint(s.alice, "demo.#"), s.mint(s.bob, "nothing")
	s.both(t, func(t *testing.T, s side) {
		for _, c := range []struct {
			name   string
			reason guard.Reason
			header []string
		}{
			{"the same token twice", guard.DuplicateToken, []string{"X-Auth-Token", good, "X-Auth-Token", good}},
			{"good, then poor", guard.DuplicateToken, []string{"X-Auth-Token", good, "x-auth-token", poor}},
			{"poor, then good", guard.DuplicateToken, []string{"X-AUTH-TOKEN", poor, "X-Auth-Token", good}},
			{"with an empty one", guard.DuplicateToken, []string{"X-Auth-Token", "", "X-Auth-Token", good}},
			{"two tenants", guard.DuplicateTenant, []string{"X-Auth-Token", good, "Wazo-Tenant", s.below, "wazo-tenant", s.alice.TenantUUID}},
			{"a tenant and none", guard.DuplicateTenant, []string{"X-Auth-Token", good, "Wazo-Tenant", s.below, "WAZO-TENANT", ""}},
			{"both", guard.DuplicateToken, []string{"X-Auth-Token", good, "X-Auth-Token", good, "Wazo-Tenant", "a", "Wazo-Tenant", "b"}},
		} {
			// Whatever the route needs, so that nobody has to know.
			for _, target := range []string{"/users", "/open", "/mine", "/nowhere"} {
				s.wantRefused(t, c.name+", judged, "+target, s.judge(t, "demo", "GET", target, c.header...), c.reason)
				s.wantRefused(t, c.name+" "+target, s.send(t, "demo", "GET", target, c.header...), c.reason)
			}
		}
		// In one value they are no token.
		for _, value := range []string{good + ", " + good, good + "," + poor, good + ";" + poor, good + " " + poor} {
			s.wantRefused(t, value, s.send(t, "demo", "GET", "/users", "X-Auth-Token", value), guard.UnknownToken)
		}
		s.wantRefused(t, "tenants in one", s.send(t, "demo", "GET", "/users", "X-Auth-Token", good, "Wazo-Tenant", s.below+", "+s.alice.TenantUUID), guard.WrongTenant)
		for name, header := range map[string][]string{
			"two cookies": {"Cookie", "tok=" + good, "Cookie", "tok=" + poor},
			"two in one":  {"Cookie", "tok=" + good + "; a=b; tok=" + good},
		} {
			s.wantRefused(t, name, s.send(t, "demo", "GET", "/users", header...), guard.DuplicateToken)
		}
		for _, query := range []string{"token=" + good + "&token=" + poor, "token=" + good + "&a=b&%74oken=" + good, "token=&token=" + good, "token&token=" + good, "token=" + good + "&token=", "token=&token="} {
			s.wantRefused(t, query, s.send(t, "demo", "GET", "/export?"+query), guard.DuplicateToken)
			// werkzeug takes the first, and the header where that is empty: the
			// guard would judge one token, and the upstream another.
			s.wantRefused(t, query+", header", s.send(t, "demo", "GET", "/export?"+query, "X-Auth-Token", poor), guard.DuplicateToken)
		}
	})
}

// H2: a name in Connection is a header for one hop, and the proxy drops it,
// even if it has just set it itself (Traefik #8319; Caddy does the same).
func TestSec_H2(t *testing.T) {
	s := newSeams(t, sec{})
	good := s.mint(s.alice, "demo.users.read")
	all := strings.Join(slices.Concat(managed, []string{"X-Auth-Token", "Wazo-Tenant"}), ", ")
	want := map[string]string{
		"X-Auth-User-Uuid": s.alice.UUID, "X-Auth-Id": s.alice.UUID, "X-Auth-Tenant-Uuid": s.below, "X-Auth-Purpose": "user",
		"X-Auth-Token": good, "Wazo-Tenant": s.below, "X-Mine": "",
	}
	for _, conn := range [][]string{
		{"Connection", "close, X-Mine, " + all},
		{"Connection", strings.ToUpper(all) + ",x-mine", "Connection", "close"},
		{"Connection", "close", "Connection", "x-mine\t ,," + strings.ToLower(all)},
	} {
		header := append([]string{"X-Auth-Token", good, "Wazo-Tenant", s.below, "X-Mine", "hop"}, conn...)
		t.Run("guard", func(t *testing.T) {
			g := side{s, false}
			wantHeaders(t, g.wantPassed(t, all, g.send(t, "demo", "GET", "/users", header...)), want)
			s.wsgi.need(t)
			wantNoForgery(t, environ(t, g.send(t, "demo", "GET", "/users", append(header, "X-Up", "wsgi")...)), want)
		})
		t.Run("verify", func(t *testing.T) {
			// The endpoint is told who asks whatever Connection says, and says
			// who it is; what the proxy makes of the client's Connection is
			// beyond it.
			e := side{s, true}
			r := e.judge(t, "demo", "GET", "/users", header...)
			e.wantAllowed(t, all, r)
			if r.header.Get(headerUser) != s.alice.UUID || r.header.Get(headerTenant) != s.below {
				t.Errorf("the endpoint answers %v", r.header)
			}
			// Nothing a client says there lets it in without a token.
			e.wantRefused(t, "no token", e.judge(t, "demo", "GET", "/users", conn...), guard.NoToken)
			e.wantRefused(t, "no token", e.send(t, "demo", "GET", "/users", append(forgeAll(managed), conn...)...), guard.NoToken)
			// Caddy as a proxy drops the token, too, before it asks.
			e.wantRefused(t, "dropped by the proxy", e.send(t, "demo", "GET", "/users", header...), guard.NoToken)
		})
	}
	// The identity alone, so that the proxy still asks with a token. A client
	// can have Caddy drop what it has just copied, but can put nothing there.
	t.Run("verify/identity alone", func(t *testing.T) {
		e := side{s, true}
		r := e.send(t, "demo", "GET", "/users", forgeAll(managed, "X-Auth-Token", good, "Connection", "close, "+strings.Join(managed, ", "))...)
		if got := e.wantPassed(t, "identity", r); strings.Contains(got, forged) {
			t.Errorf("the upstream was told what the client made up:\n%s", got)
		} else if users := headerValues(got, headerUser); len(users) != 0 && !slices.Equal(users, []string{s.alice.UUID}) {
			t.Errorf("the upstream was told of %q", users)
		}
	})
}
