package caddymodule

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/wazo-edge/xivo-auth/authsvc/guard"
	"github.com/wazo-edge/xivo-auth/authsvc/routes"
)

// pathRoutes are the same below each of the three rules for what no route
// matches: a path must not get from one rule to a weaker one.
const pathRoutes = `
	route GET /open public
	route GET /open/{x} public
	route GET /mine token
	route GET /users demo.users.read
	route GET /users/{user_uuid} demo.users.{user_uuid}.read
	route GET /v1/users demo.v1.read
}
`

// pathHosts are the three services.
var pathHosts = []string{"deny", "token", "public"}

func newPathSeams(t *testing.T) *seams {
	t.Helper()
	c := sec{service: ""}
	for _, host := range pathHosts {
		c.service += "service " + host + " {\n unmatched " + host + pathRoutes
		c.gates = append(c.gates, gateSpec{host: host, args: host})
	}
	return newSeams(t, c)
}

// wantBadPath checks that a path is refused by a rule wherever and by whomever
// it is sent. Rule "" means that Caddy itself refuses it, before us.
func (s side) wantBadPath(t *testing.T, token, target string, rule routes.Rule) {
	t.Helper()
	for _, host := range pathHosts {
		for _, header := range [][]string{nil, {"X-Auth-Token", token}} {
			what := fmt.Sprintf("%s %q", host, target)
			r := s.judge(t, host, "GET", target, header...)
			if rule == "" {
				if r.status != http.StatusBadRequest {
					t.Errorf("%s: %d %s, want 400", what, r.status, r.body)
				}
				s.raw.untouched(t)
			} else {
				s.wantRefused(t, what, r, guard.BadPath)
				if !strings.Contains(r.body, `: `+string(rule)+`"`) {
					t.Errorf("%s: the rule %s is not named in %s", what, rule, r.body)
				}
			}
			if !s.verify {
				continue
			}
			// Through a proxy, which may spell it otherwise when it asks.
			if r := s.send(t, host, "GET", target, header...); r.status < 400 || r.status >= 500 {
				t.Errorf("%s, by a proxy: %d %s", what, r.status, r.body)
			}
			s.raw.untouched(t)
		}
	}
}

// P1: an encoded delimiter was one to the guard and none to the upstream, or
// the other way round (Traefik GHSA-gm3x-23wp-hc2c, Envoy CVE-2021-29492).
func TestSec_P1(t *testing.T) {
	s := newPathSeams(t)
	token := s.mint(s.alice, "#")
	s.both(t, func(t *testing.T, s side) {
		for _, escape := range []string{"%2F", "%2f", "%5C", "%5c", "%00", "%3B", "%3b", "%3F", "%3f", "%23"} {
			for _, form := range []string{"/users%s", "/users/a%sb", "/%susers", "/open%s..%[1]susers", "/open/..%susers", "/users%s/", "/open%susers", "/nowhere/a%s", "/v1%susers"} {
				s.wantBadPath(t, token, fmt.Sprintf(form, escape), routes.Reserved)
			}
		}
		for target, rule := range map[string]routes.Rule{
			"/users/a\\b": routes.Reserved, "/open\\..\\users": routes.Reserved, "/users;": routes.Reserved,
			"/users/%0a": routes.Control, "/users%0D%0AX-Auth-Id:%20x": routes.Control, "/users/%7f": routes.Control, "/users/%c2%85": routes.Control, "/users/%09": routes.Control,
			"/users/%ff": routes.NotUTF8, "/users/%c0%af": routes.NotUTF8, "/%c0%ae%c0%ae/users": routes.NotUTF8, "/users/%ed%a0%80": routes.NotUTF8, "/users/\xff": routes.NotUTF8,
			"/users/%D9%A3": routes.ForeignDigit, "/users/1%EF%BC%97": routes.ForeignDigit, "/users/\u0663": routes.ForeignDigit,
			"/" + strings.Repeat("a/", 32): routes.TooLong, "/" + strings.Repeat("a", 8<<10): routes.TooLong,
			// net/http refuses these.
			"/users/\x00": "", "/users/a\tb": "", "/users/\x7f": "",
		} {
			if s.verify && (target == "/users/a\tb" || target == "/users/\x7f") {
				rule = routes.Control // a header may hold a tab
			}
			if s.verify && target == "/users/\x7f" {
				rule = ""
			}
			s.wantBadPath(t, token, target, rule)
		}
		for _, target := range []string{"/users/%", "/users/%4", "/users/%zz", "/users%", "/%u0061/users", "/users/%%32%46"} {
			rule := routes.BadEscape
			if !s.verify {
				rule = "" // net/http refuses the request line
			}
			s.wantBadPath(t, token, target, rule)
		}
		// Twice encoded is a value like any other, decoded once by everyone.
		r := s.judge(t, "deny", "GET", "/users/a%252Fb", "X-Auth-Token", s.mint(s.alice, "demo.users.a%2Fb.read"))
		s.wantAllowed(t, "twice encoded", r)
		s.wantRefused(t, "twice encoded", s.judge(t, "deny", "GET", "/users/a%252Fb", "X-Auth-Token", s.mint(s.alice, "demo.users.a/b.read")), guard.MissingAccess)
	})
}

// P2: a # widened the match of a rule (oauth2-proxy CVE-2026-41059).
func TestSec_P2(t *testing.T) {
	s := newPathSeams(t)
	token := s.mint(s.alice, "#")
	s.both(t, func(t *testing.T, s side) {
		for _, target := range []string{
			"/users#", "/users%23", "/users#/open", "/users%23/open", "/open#/../users", "/open%23/../users", "/#/users", "/%23/users", "/open/a#", "/open/%23", "/v1/users#?/open",
		} {
			s.wantBadPath(t, token, target, routes.Reserved)
		}
		// In the query it is the client's text.
		s.wantRefused(t, "query", s.judge(t, "deny", "GET", "/users?a=%23/open"), guard.NoToken)
		s.wantAllowed(t, "query", s.judge(t, "deny", "GET", "/open?a=%23/users"))
	})
}

// P3: the query took part in the match (oauth2-proxy GHSA-7rh7-c77v-6434).
func TestSec_P3(t *testing.T) {
	s := newPathSeams(t)
	token := s.mint(s.alice, "demo.v1.read")
	queries := []string{"", "/open", "x=/open", "/open/../users", "a=b&/open", "?", "/../../open", "token=", "%2e%2e/open", "a=%2Fopen%00", ";/open", "/users?/open", "\\open"}
	s.both(t, func(t *testing.T, s side) {
		for _, host := range pathHosts {
			for _, query := range queries {
				s.wantRefused(t, query, s.judge(t, host, "GET", "/users?"+query), guard.NoToken)
				s.wantRefused(t, query, s.send(t, host, "GET", "/users?"+query), guard.NoToken)
				s.wantRefused(t, query, s.judge(t, host, "GET", "/users?"+query, "X-Auth-Token", token), guard.MissingAccess)
				s.wantRefused(t, query, s.judge(t, host, "GET", "/mine?"+query), guard.NoToken)
				// And it makes nothing stricter; the upstream gets it as it is.
				got := s.wantPassed(t, query, s.send(t, host, "GET", "/open?"+query))
				if want := "GET /open?" + query + " HTTP/1.1\r\n"; query != "" && !strings.HasPrefix(got, want) {
					t.Errorf("the upstream got %.80q, want %q", got, want)
				}
			}
		}
		// A token in the query is one only where the route says so.
		s.wantRefused(t, "?token=", s.judge(t, "deny", "GET", "/v1/users?token="+token), guard.NoToken)
	})
}

// P4: /public/../admin (Oathkeeper GHSA-p224-6x5r-fjpm, Envoy CVE-2019-9901).
func TestSec_P4(t *testing.T) {
	s := newPathSeams(t)
	token := s.mint(s.alice, "#")
	s.both(t, func(t *testing.T, s side) {
		for _, dots := range []string{"..", ".", "%2e%2e", "%2E%2E", ".%2e", "%2e.", "%2E.", "%2e", "%2E"} {
			for _, form := range []string{"/open/%s/users", "/%s/users", "/open/%s", "/open/%s/", "/%s", "/users/%s/open", "/open/x/%s/%[1]s/users", "/nowhere/%s/users"} {
				s.wantBadPath(t, token, fmt.Sprintf(form, dots), routes.DotSegment)
			}
		}
		for _, target := range []string{"/open/..%2fusers", "/open/%2e%2e%2fusers", "/open/..\\users", "/open/..;/users", "/open/..%00/users"} {
			s.wantBadPath(t, token, target, routes.Reserved)
		}
		// Dots that are none.
		for _, target := range []string{"/open/...", "/open/..a", "/open/.a", "/open/a..", "/open/%2e%2e%2e"} {
			s.wantAllowed(t, target, s.judge(t, "deny", "GET", target))
		}
	})
}

// P5: //admin was read as an authority by one and as a path by the other
// (opa-envoy GHSA-9f29-v6mm-pw6w).
func TestSec_P5(t *testing.T) {
	s := newPathSeams(t)
	token := s.mint(s.alice, "#")
	s.both(t, func(t *testing.T, s side) {
		for _, target := range []string{"//users", "//open/users", "//evil.example/open", "///users", "/users//", "/open//x", "//", "/v1//users", "//users@evil.example/open", "/open//../users"} {
			s.wantBadPath(t, token, target, routes.EmptySegment)
		}
		// Not in origin form. Caddy has taken an absolute form apart when it
		// asks as a proxy, and its host leads nowhere here.
		for _, target := range []string{
			"http://deny/users", "http://evil.example/open", "https://public/nowhere", "http:///users", "http:/users", "http:users", "users", "open", "*", "?x=/open", "evil.example:80",
		} {
			for _, host := range pathHosts {
				for _, header := range [][]string{nil, {"X-Auth-Token", token}} {
					r := s.judge(t, host, "GET", target, header...)
					if s.verify {
						s.wantRefused(t, target, r, guard.BadPath)
					} else if r.status != http.StatusBadRequest && (r.status != http.StatusNotFound || !strings.Contains(target, "//")) {
						t.Errorf("%s %q: %d %s", host, target, r.status, r.body)
					}
					s.raw.untouched(t)
				}
			}
		}
		// The guard itself, on the host that the form names.
		if !s.verify {
			for _, header := range [][]string{nil, {"X-Auth-Token", token}} {
				s.wantRefused(t, "absolute form", s.send(t, "public", "GET", "http://public/open", header...), guard.BadPath)
				s.wantRefused(t, "absolute form", s.send(t, "deny", "GET", "http://deny/users", header...), guard.BadPath)
			}
		} else {
			s.wantRefused(t, "absolute form, by a proxy", s.send(t, "deny", "GET", "http://deny/users"), guard.NoToken)
		}
	})
	t.Run("HTTP2", func(t *testing.T) { testH2(t, s, token) })
}

// testH2 sends :path as it is: HTTP/2 has no request line that net/http would
// look at first.
func testH2(t *testing.T, s *seams, token string) {
	protocols := new(http.Protocols)
	protocols.SetUnencryptedHTTP2(true)
	s.both(t, func(t *testing.T, s side) {
		port := s.port
		if s.verify {
			port = s.port2
		}
		tr := &http.Transport{Protocols: protocols, DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
			return new(net.Dialer).DialContext(ctx, "tcp", fmt.Sprintf("127.0.0.1:%d", port))
		}}
		defer tr.CloseIdleConnections()
		ask := func(path string) reply {
			u := &url.URL{Scheme: "http", Host: "deny", Opaque: path}
			if strings.HasPrefix(path, "//") { // which an opaque one must not
				u.Opaque, u.Path = "", path
			}
			req := (&http.Request{Method: "GET", URL: u, Header: http.Header{}, Host: "deny"}).WithContext(t.Context())
			req.Header.Set("X-Auth-Token", token)
			resp, err := tr.RoundTrip(req)
			if err != nil {
				t.Fatalf("%s: %v", path, err)
			}
			defer func() { _ = resp.Body.Close() }()
			if resp.ProtoMajor != 2 {
				t.Fatalf("HTTP/%d", resp.ProtoMajor)
			}
			body, err := io.ReadAll(resp.Body)
			if err != nil {
				t.Fatal(err)
			}
			return reply{resp.StatusCode, resp.Header, string(body)}
		}
		for _, path := range []string{"//users", "//evil.example/open", "/open/../users", "/open/%2e%2e/users", "/users%2Fx", "/users;a=b", "/users#", "/users//"} {
			s.wantRefused(t, path, ask(path), guard.BadPath)
		}
		s.wantPassed(t, "/users", ask("/users"))
	})
}

// P6: matrix parameters and a slash at the end picked a weaker rule (Istio
// #27409, Keycloak CVE-2026-15573).
func TestSec_P6(t *testing.T) {
	s := newPathSeams(t)
	token := s.mint(s.alice, "#")
	s.both(t, func(t *testing.T, s side) {
		for _, target := range []string{
			"/v1/..;/users", "/open/..;/users", "/users;", "/users;a=b", "/users;/x", "/v1;a=b/users", "/open;/../users", "/;/users", "/open/;x", "/users/a;b", "/users%3Ba=b", "/nowhere;x",
		} {
			s.wantBadPath(t, token, target, routes.Reserved)
		}
		// A slash more, or less: known, and so never what holds for unknown
		// paths, whoever asks.
		for _, host := range pathHosts {
			for _, target := range []string{"/users/", "/mine/", "/open/", "/open/x/", "/users/x/", "/v1/users/"} {
				for _, header := range [][]string{nil, {"X-Auth-Token", token}} {
					s.wantRefused(t, host+target, s.judge(t, host, "GET", target, header...), guard.NoRoute)
					s.wantRefused(t, host+target, s.send(t, host, "GET", target, header...), guard.NoRoute)
				}
			}
			// So is a path whose method is another's.
			for _, method := range []string{"POST", "PUT", "DELETE", "PATCH", "OPTIONS", "TRACE", "PROPFIND", "X"} {
				for _, target := range []string{"/users", "/mine", "/open", "/users/x"} {
					s.wantRefused(t, host+" "+method+" "+target, s.judge(t, host, method, target, "X-Auth-Token", token), guard.NoRoute)
				}
			}
			for _, method := range []string{"get", "Get", "gET", "post"} {
				s.wantRefused(t, host+" "+method, s.judge(t, host, method, "/open", "X-Auth-Token", token), guard.BadPath)
			}
		}
		for host, want := range map[string]guard.Reason{"deny": guard.NoRoute, "token": guard.NoToken} {
			s.wantRefused(t, host, s.judge(t, host, "GET", "/nowhere"), want)
		}
		s.wantAllowed(t, "public", s.judge(t, "public", "GET", "/nowhere"))
		s.wantAllowed(t, "token", s.judge(t, "token", "GET", "/nowhere", "X-Auth-Token", token))
		// Case is not folded: /USERS is another path, whatever its rule.
		s.wantRefused(t, "case", s.judge(t, "deny", "GET", "/USERS", "X-Auth-Token", token), guard.NoRoute)
		s.wantRefused(t, "case", s.judge(t, "deny", "GET", "/Open"), guard.NoRoute)
	})
}

// P8: a prefix matched without a boundary (Caddy GHSA-gx7w-56w6-g48x).
func TestSec_P8(t *testing.T) {
	for name, neighbour := range map[string]string{
		"alone":            "",
		"with a neighbour": "service neighbour {\n prefix /api/confd-x\n unmatched public\n route GET /closed deny\n}\n",
	} {
		t.Run(name, func(t *testing.T) { testP8(t, neighbour) })
	}
}

func testP8(t *testing.T, neighbour string) {
	s := newSeams(t, sec{
		service: "service confd {\n prefix /api/confd\n unmatched public\n route GET /1.1/users confd.users.read\n route GET /1.1/infos token\n}\n" + neighbour,
		gates:   []gateSpec{{host: "any"}, {host: "confd", args: "confd"}},
	})
	good := s.mint(s.alice, "confd.users.read")
	s.both(t, func(t *testing.T, s side) {
		for _, host := range []string{"any", "confd"} {
			s.wantAllowed(t, "below", s.judge(t, host, "GET", "/api/confd/1.1/users", "X-Auth-Token", good))
			s.wantAllowed(t, "encoded, and the same", s.judge(t, host, "GET", "/api/con%66d/1.1/users", "X-Auth-Token", good))
			s.wantRefused(t, "encoded, and the same", s.judge(t, host, "GET", "/%61pi/confd/1.1/users"), guard.NoToken)
			s.wantAllowed(t, "the rest is public", s.judge(t, host, "GET", "/api/confd/1.1/else"))
			for _, target := range []string{
				"/api/confdx/1.1/users", "/api/confd.x", "/api/conf", "/api/conf/d/1.1/users", "/api", "/api/", "/", "/1.1/users", "/api/confd%20/1.1/users",
				"/api/confd1.1/users", "/API/confd/1.1/users", "/api/CONFD/1.1/users", "/api/Confd/1.1/else", "/xapi/confd/1.1/users", "/api/x/api/confd/1.1/users",
			} {
				for _, header := range [][]string{nil, {"X-Auth-Token", good}} {
					s.wantRefused(t, host+target, s.judge(t, host, "GET", target, header...), guard.NoRoute)
					s.wantRefused(t, host+target, s.send(t, host, "GET", target, header...), guard.NoRoute)
				}
			}
			for _, target := range []string{"/api/confd%2F1.1/users", "/api%2Fconfd/1.1/users", "/api/confd/../confd-x/y", "/api//confd/1.1/users", "/api/confd;x/1.1/users"} {
				s.wantRefused(t, host+target, s.judge(t, host, "GET", target, "X-Auth-Token", good), guard.BadPath)
			}
			// The neighbour is public, and no way into confd or out of it.
			for _, target := range []string{"/api/confd-x", "/api/confd-x/", "/api/confd-x/1.1/users", "/api/confd%2Dx/1.1/users"} {
				r := s.judge(t, host, "GET", target)
				if neighbour != "" && host == "any" {
					s.wantAllowed(t, target, r)
				} else {
					s.wantRefused(t, target, r, guard.NoRoute)
				}
			}
		}
	})
}
