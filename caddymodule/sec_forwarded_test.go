package caddymodule

import (
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/wazo-edge/xivo-auth/authsvc/guard"
)

// S3: an alias of a forwarding header got past the proxy that sets the real
// one (oauth2-proxy CVE-2025-64484, Traefik GHSA-5m6w-wvh7-57vm).
func TestSec_S3(t *testing.T) {
	claims := []string{
		"X_Forwarded_Uri", "X_Forwarded_Method", "X-Forwarded_Uri", "x_forwarded-method", "X.Forwarded.Uri", "X-Forwarded.Method", "X_Forwarded.Uri",
		"X.Forwarded_Method", "X_Original_Uri", "X_ORIGINAL_URL", "X.Original.Uri", "X_Original_Method", "X_Forwarded_For", "X_Forwarded_Host", "x.forwarded.proto",
	}
	value := func(name string) string {
		if strings.Contains(strings.ToLower(name), "method") {
			return "OPTIONS"
		}
		return "/open"
	}
	// Those that Caddy can let in without dropping the real one that we need,
	// under the names that it knows them by.
	const letIn = `expected_underscore_headers X_forwarded_for X_forwarded_host X_original_uri X_original_url X_original_method X_forwarded.uri
		expected_dot_headers X.forwarded.proto X.original.uri X.forwarded_method`
	for _, c := range []struct {
		name, servers string
		refused       int
	}{{"filtered by Caddy", "", 0}, {"let in by Caddy", letIn, 9}} {
		t.Run(c.name, func(t *testing.T) {
			s := newSeams(t, sec{servers: c.servers})
			good := s.mint(s.alice, "demo.users.read")
			refused := 0
			s.both(t, func(t *testing.T, s side) {
				for _, name := range claims {
					for what, ask := range map[string]func(testing.TB, string, string, string, ...string) reply{"judged": s.judge, "sent": s.send} {
						r := ask(t, "demo", "GET", "/users", name, value(name))
						if r.header.Get(headerReason) == string(guard.AliasedForwarded) && s.verify {
							s.wantRefused(t, name, r, guard.AliasedForwarded)
							s.wantRefused(t, name, ask(t, "demo", "GET", "/users", name, value(name), "X-Auth-Token", good), guard.AliasedForwarded)
							if what == "judged" {
								refused++
							}
							continue
						}
						// Not seen, and so of no effect.
						s.wantRefused(t, name, r, guard.NoToken)
					}
				}
			})
			if refused != c.refused {
				t.Errorf("the endpoint refused %d of the aliases, want %d", refused, c.refused)
			}
			// An alias instead of the real one describes nothing.
			e := side{s, true}
			for _, names := range [][2]string{{"X_Forwarded_Method", "X_Forwarded_Uri"}, {"X.Forwarded.Method", "X.Forwarded.Uri"}, {"X-Forwarded-Method", "X_Forwarded_Uri"}} {
				e.wantRefused(t, names[1], e.subrequest(t, "demo", names[0], "GET", names[1], "/open"), guard.BadForwarding)
			}
		})
	}
}

// S4: X-Forwarded-Prefix, X-Original-Url and their like named another path
// than the one that was served (Traefik GHSA-6384-m2mw-rf54, Envoy
// CVE-2023-27487).
func TestSec_S4(t *testing.T) {
	s := newSeams(t, sec{gates: []gateSpec{
		{host: "demo", args: "demo"},
		{host: "original", args: "demo", verify: "request original"},
		{host: "own", args: "demo", verify: "request own /ask"},
	}})
	good := s.mint(s.alice, "demo.users.read")
	claims := map[string]string{
		"X-Forwarded-Prefix": "/open", "X-Forwarded-Path": "/open", "X-Original-Url": "/open", "X-Original-Uri": "/open", "X-Rewrite-Url": "/open",
		"X-Original-Path": "/open", "X-Envoy-Original-Path": "/open", "X-Auth-Request-Redirect": "/open", "X-Script-Name": "/users", "Forwarded": "for=127.0.0.1;path=/open",
		"X-Http-Method-Override": "OPTIONS", "X-Method-Override": "OPTIONS", "X-Http-Method": "OPTIONS", "X-Original-Method": "OPTIONS",
		"X-Forwarded-Host": "own", "X-Forwarded-Proto": "https", "X-Forwarded-Port": "443", "X-Forwarded-Server": "own",
	}
	s.both(t, func(t *testing.T, s side) {
		for name, value := range claims {
			s.wantRefused(t, name, s.judge(t, "demo", "GET", "/users", name, value), guard.NoToken)
			s.wantRefused(t, name, s.send(t, "demo", "GET", "/users", name, value), guard.NoToken)
			s.wantRefused(t, name, s.judge(t, "demo", "GET", "/closed", name, value, "X-Auth-Token", good), guard.DeniedRoute)
			s.wantAllowed(t, name, s.judge(t, "demo", "GET", "/users", name, value, "X-Auth-Token", good))
			// The upstream serves what was judged.
			if s.wsgi.missing == "" {
				seen := environ(t, s.send(t, "demo", "GET", "/users", name, value, "X-Auth-Token", good, "X-Up", "wsgi"))
				if seen["PATH_INFO"] != "/users" || seen["SCRIPT_NAME"] != "" || seen["REQUEST_METHOD"] != "GET" {
					t.Errorf("%s: the upstream serves %s %s below %q", name, seen["REQUEST_METHOD"], seen["PATH_INFO"], seen["SCRIPT_NAME"])
				}
			}
		}
		// What a client says in the proxy's own words never gets through: the
		// guard does not read it, and the proxy overwrites it.
		s.wantRefused(t, "forged forwarding", s.send(t, "demo", "GET", "/users", "X-Forwarded-Method", "GET", "X-Forwarded-Uri", "/open"), guard.NoToken)
	})

	// Each convention is read alone; what the others say does not count.
	e := side{s, true}
	forwarded := func(method, uri string) []string {
		return []string{"X-Forwarded-Method", method, "X-Forwarded-Uri", uri}
	}
	original := func(method, uri string) []string {
		return []string{"X-Original-Method", method, "X-Original-URI", uri}
	}
	for _, c := range []struct {
		host string
		is   []string // what it must go by
		not  []string
	}{{"demo", forwarded("GET", "/users"), original("GET", "/open")}, {"original", original("GET", "/users"), forwarded("GET", "/open")}} {
		e.wantRefused(t, c.host, e.subrequest(t, c.host, append(c.not, c.is...)...), guard.NoToken)
		e.wantRefused(t, c.host+", the other alone", e.subrequest(t, c.host, c.not...), guard.BadForwarding)
		// Twice: a proxy that appends instead of overwriting.
		e.wantRefused(t, c.host+", twice", e.subrequest(t, c.host, append(c.is, c.is[2], "/open")...), guard.BadForwarding)
		e.wantRefused(t, c.host+", twice", e.subrequest(t, c.host, append(c.is, c.is[0], "OPTIONS")...), guard.BadForwarding)
	}
	own := func(method, target string, header ...string) reply {
		return e.bytesTo(t, e.endpoint, method, head(method, target, "own", header)+"\r\n")
	}
	e.wantRefused(t, "own", own("GET", "/ask/users", append(forwarded("GET", "/open"), original("GET", "/open")...)...), guard.NoToken)
	e.wantAllowed(t, "own", own("GET", "/ask/users", "X-Auth-Token", good))
	e.wantAllowed(t, "own, public", own("GET", "/ask/open"))
	for _, target := range []string{"/open", "/asking/open", "/ASK/open", "/as%6B/open", "//ask/open", "/ask%2Fopen"} {
		e.wantRefused(t, "own "+target, own("GET", target), guard.BadForwarding)
	}
	e.wantRefused(t, "own //", own("GET", "/ask//open"), guard.BadPath)
}

// S5: whoever reached the endpoint could describe what he liked, since
// X-Forwarded-Uri was believed from anyone (oauth2-proxy GHSA-7x63-xv5r-3p2x,
// Oathkeeper GHSA-vhr5-ggp3-qq85).
func TestSec_S5(t *testing.T) {
	for name, trusted := range map[string]string{"nobody is trusted": "none", "others are trusted": "10.0.0.0/8 192.0.2.1/32 ::1/128"} {
		t.Run(name, func(t *testing.T) {
			s := newSeams(t, sec{trusted: trusted, gates: []gateSpec{{host: "demo", args: "demo"}, {host: "original", args: "demo", verify: "request original"}}})
			good := s.mint(s.alice, "#")
			claims := [][]string{
				nil, {"X-Forwarded-For", "10.0.0.1"}, {"X-Forwarded-For", "127.0.0.1, 10.0.0.1"}, {"X-Real-Ip", "10.0.0.1"}, {"Forwarded", "for=10.0.0.1"},
				{"X-Forwarded-For", "garbage"}, {"Client-Ip", "10.0.0.1"}, {"X-Client-Ip", "192.0.2.1"}, {"X-Forwarded-Host", "10.0.0.1"},
			}
			e := side{s, true}
			t.Run("verify", func(t *testing.T) {
				for _, claim := range claims {
					for _, target := range []string{"/open", "/users", "/mine"} {
						header := append([]string{"X-Auth-Token", good}, claim...)
						e.wantRefused(t, target, e.judge(t, "demo", "GET", target, header...), guard.UntrustedProxy)
						e.wantRefused(t, target, e.subrequest(t, "original", append(header, "X-Original-Method", "GET", "X-Original-Uri", target)...), guard.UntrustedProxy)
						e.wantRefused(t, "by a proxy", e.send(t, "demo", "GET", target, header...), guard.UntrustedProxy)
					}
				}
			})
			t.Run("guard", func(t *testing.T) {
				g := side{s, false}
				for _, claim := range claims {
					header := append([]string{"X-Forwarded-Method", "GET", "X-Forwarded-Uri", "/open", "X-Original-Uri", "/open"}, claim...)
					g.wantRefused(t, fmt.Sprint(claim), g.send(t, "demo", "GET", "/users", header...), guard.NoToken)
				}
			})
		})
	}
}

// S6: a user agent of a health check was let in (oauth2-proxy
// GHSA-5hvv-m4w4-gf6v).
func TestSec_S6(t *testing.T) {
	s := newSeams(t, sec{})
	poor := s.mint(s.alice, "nothing")
	s.both(t, func(t *testing.T, s side) {
		for _, agent := range []string{
			"GoogleHC/1.0", "kube-probe/1.31", "ELB-HealthChecker/2.0", "Amazon-Route53-Health-Check-Service", "Consul Health Check", "Envoy/HC",
			"Mozilla/5.0", "curl/8", "Caddy", "wazo-auth-cli", "Wazo Python auth client", "nginx", "", "*",
		} {
			for _, header := range [][]string{{"User-Agent", agent}, {"user-agent", agent, "User-Agent", agent}, {"User-Agent", agent, "X-Health-Check", "1"}} {
				s.wantRefused(t, agent, s.judge(t, "demo", "GET", "/users", header...), guard.NoToken)
				s.wantRefused(t, agent, s.send(t, "demo", "GET", "/users", header...), guard.NoToken)
				s.wantRefused(t, agent, s.send(t, "demo", "GET", "/users", append(header, "X-Auth-Token", poor)...), guard.MissingAccess)
			}
		}
		for _, target := range []string{"/health", "/healthz", "/ping", "/ready", "/live", "/status", "/robots.txt", "/favicon.ico", "/.well-known/x"} {
			s.wantRefused(t, target, s.judge(t, "demo", "GET", target), guard.NoRoute)
		}
	})
}

// S7: X-Forwarded-For was trusted, or could not be parsed and then passed for
// something harmless (authentik CVE-2023-36456, CVE-2024-47070).
func TestSec_S7(t *testing.T) {
	claims := []string{
		"garbage", "{env.HOME}", "999.1.2.3", "[::1", "localhost", "unknown", "-", ",", ",,,", "' or 1=1", strings.Repeat("1", 2000), // no addresses
		"127.0.0.1", "::1", "10.0.0.1, 127.0.0.1", "1.2.3.4:99999", "fe80::1%eth0", "::ffff:127.0.0.1", "\"127.0.0.1\"", "0",
	}
	s := newSeams(t, sec{})
	good := s.mint(s.alice, "demo.users.read")
	s.both(t, func(t *testing.T, s side) {
		for _, claim := range claims {
			s.wantRefused(t, claim, s.judge(t, "demo", "GET", "/users", "X-Forwarded-For", claim), guard.NoToken)
			s.wantAllowed(t, claim, s.judge(t, "demo", "GET", "/users", "X-Forwarded-For", claim, "X-Auth-Token", good))
		}
	})

	// What the address is good for: guesses are counted by it. Whoever can
	// make it up guesses without end.
	guess := func(t *testing.T, s *seams, addr string) int {
		return s.bytesTo(t, s.port, "POST", head("POST", "/0.1/token", "api", []string{
			"Authorization", basic("alice", "wrong"), "X-Forwarded-For", addr, "Content-Type", "application/json", "Content-Length", "2",
		})+"\r\n{}").status
	}
	for _, c := range []struct {
		name, servers string
		addr          func(i int) string
		throttled     bool
	}{
		{"nobody is trusted", "", func(i int) string { return fmt.Sprintf("198.51.100.%d", i) }, true},
		{"others are trusted", "trusted_proxies static 10.0.0.0/8", func(i int) string { return fmt.Sprintf("198.51.100.%d", i) }, true},
		{"a trusted proxy, garbage", "trusted_proxies static 127.0.0.1/32", func(i int) string { return claims[i] }, true},
		{"a trusted proxy", "trusted_proxies static 127.0.0.1/32", func(i int) string { return fmt.Sprintf("198.51.100.%d", i) }, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := newSeams(t, sec{servers: c.servers, trusted: "none"})
			var statuses []int
			for i := range 11 {
				statuses = append(statuses, guess(t, s, c.addr(i)))
			}
			for i, status := range statuses {
				want := http.StatusUnauthorized
				if c.throttled && i == 10 {
					want = http.StatusTooManyRequests
				}
				if status != want {
					t.Errorf("guess %d: %d, want %d", i, status, want)
				}
			}
		})
	}
}

// S8: any user's token was good where a service's was asked for
// (keystonemiddleware). There is one kind of token, and its accesses decide.
func TestSec_S8(t *testing.T) {
	s := newSeams(t, sec{service: `service demo {
	route POST /purge demo.purge
	route DELETE /users/{user_uuid}/sessions demo.users.{user_uuid}.sessions.delete
	route GET /closed deny
}`})
	service := s.mint(s.people.admin, "demo.purge", "demo.users.*.sessions.delete")
	others := map[string]string{
		"a user":                   s.mint(s.alice, "demo.users.#", "demo.*", "!demo.purge", "demo.purge.x", "demo"),
		"a user, me":               s.mint(s.alice, "demo.users.me.#"),
		"a user without accesses":  s.mint(s.alice),
		"a service without it":     s.mint(s.people.admin, "demo.users.#", "calld.#"),
		"a service without any":    s.mint(s.people.admin),
		"denied what it may else":  s.mint(s.people.admin, "#", "!demo.purge", "!demo.users.*.sessions.delete"),
		"one with other spellings": s.mint(s.alice, "Demo.purge", "demo.purge ", "DEMO.#", "demo/purge"),
	}
	s.both(t, func(t *testing.T, s side) {
		s.wantAllowed(t, "the service", s.judge(t, "demo", "POST", "/purge", "X-Auth-Token", service))
		target := "/users/" + s.bob.UUID + "/sessions"
		for name, token := range others {
			s.wantRefused(t, name, s.judge(t, "demo", "POST", "/purge", "X-Auth-Token", token), guard.MissingAccess)
			if name == "a user" || name == "a service without it" { // both have demo.users.#
				s.wantAllowed(t, name, s.judge(t, "demo", "DELETE", target, "X-Auth-Token", token))
				continue
			}
			s.wantRefused(t, name, s.judge(t, "demo", "DELETE", target, "X-Auth-Token", token), guard.MissingAccess)
		}
		// There is no second header for it, and no purpose that stands above.
		for _, header := range [][]string{
			{"X-Service-Token", service}, {"X-Auth-Token", others["a user"], "X-Service-Token", service}, {"X-Auth-Token", others["a user"], "X-Auth-Purpose", "internal"},
			{"X-Auth-Token", others["a user"], "X-Auth-Id", "wazo-auth"},
		} {
			reason := guard.MissingAccess
			if len(header) == 2 {
				reason = guard.NoToken
			}
			s.wantRefused(t, header[0], s.judge(t, "demo", "POST", "/purge", header...), reason)
		}
		s.wantRefused(t, "closed", s.judge(t, "demo", "GET", "/closed", "X-Auth-Token", s.mint(s.people.admin, "#")), guard.DeniedRoute)
	})
}
