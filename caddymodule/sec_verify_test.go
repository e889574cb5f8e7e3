package caddymodule

import (
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/wazo-edge/xivo-auth/authsvc/guard"
)

// D1: a malformed subrequest counted as "the backend is down", and that let it
// through (Envoy CVE-2024-23324). Only the store can be down, and then nobody
// gets in whom nobody vouched for.
func TestSec_D1(t *testing.T) {
	s := newSeams(t, sec{gates: []gateSpec{{host: "demo", args: "demo"}, {host: "original", args: "demo", verify: "request original"}}})
	good := s.mint(s.alice, "demo.#")
	asked := func(method, uri string) []string {
		return []string{"X-Forwarded-Method", method, "X-Forwarded-Uri", uri}
	}
	// A description that is none, or of no request there can be.
	malformed := map[string][]string{
		"nothing": nil, "no method": {"X-Forwarded-Uri", "/open"}, "no uri": {"X-Forwarded-Method", "GET"}, "both empty": asked("", ""), "empty method": asked("", "/open"), "empty uri": asked("GET", ""),
		"spaces": asked(" ", "  "), "twice": append(asked("GET", "/open"), asked("GET", "/open")...), "two uris": append(asked("GET", "/open"), "X-Forwarded-Uri", "/open"),
		"the other convention": {"X-Original-Method", "GET", "X-Original-Uri", "/open"}, "half of each": {"X-Forwarded-Method", "GET", "X-Original-Uri", "/open"},
		"a request line": asked("GET", "GET /open HTTP/1.1"), "an absolute uri": asked("GET", "http://demo/open"), "an authority": asked("GET", "//demo/open"), "an asterisk": asked("OPTIONS", "*"),
		"a query": asked("GET", "?/open"), "a fragment": asked("GET", "#"), "a word": asked("GET", "open"), "garbage": asked("GET", "\xff\xfe\xfd"), "bad escapes": asked("GET", "/open%"), "a backslash": asked("GET", "\\open"),
		"a long one": asked("GET", "/"+strings.Repeat("x", 9<<10)), "deep": asked("GET", strings.Repeat("/x", 100)), "dots": asked("GET", "/open/../users"), "not UTF-8": asked("GET", "/open/%ff"),
		"lower case": asked("get", "/open"), "mixed case": asked("Get", "/open"), "no method at all": asked("G E T", "/users"), "two methods": asked("GET, POST", "/users"), "a foreign method": asked("\u0413\u0415\u0422", "/users"),
		"a method like a path": asked("/open", "GET"), "json": asked("{\"method\": \"GET\"}", "{\"uri\": \"/open\"}"), "unknown": asked("BREW", "/users"), "NULL": asked("NULL", "null"),
	}
	check := func(t *testing.T) {
		s.both(t, func(t *testing.T, s side) {
			for name, header := range malformed {
				for _, token := range [][]string{nil, {"X-Auth-Token", good}, {"X-Auth-Token", uuid.NewString()}} {
					var r reply
					if s.verify {
						r = s.subrequest(t, "demo", append(token, header...)...)
						if want := r.header.Get(headerReason); r.status != http.StatusForbidden || want != string(guard.BadForwarding) && want != string(guard.BadPath) && want != string(guard.NoRoute) {
							t.Errorf("%s: %d %s %s", name, r.status, want, r.body)
						}
					} else if len(header) == 4 && header[0] == "X-Forwarded-Method" && header[2] == "X-Forwarded-Uri" && header[3] != "*" && !strings.Contains(header[1]+header[3], " ") && header[1] != "" && header[3] != "" {
						// The same request, to the guard itself. To OPTIONS *
						// net/http says 200 and nothing, before anybody else.
						r = s.send(t, "demo", header[1], header[3], token...)
						if r.status != http.StatusBadRequest && r.status != http.StatusForbidden && r.status != http.StatusMethodNotAllowed && r.status != http.StatusNotFound {
							t.Errorf("%s: %d %s", name, r.status, r.body)
						}
					}
					s.raw.untouched(t)
				}
			}
			// What is no request at all is not ours to answer, and passes nowhere.
			for _, bytes := range []string{"\r\n\r\n", "GET\r\n\r\n", "GET /open\r\n\r\n", "\x16\x03\x01\x02\x00\x01\r\n\r\n", "GET /open HTTP/9.9\r\nHost: demo\r\n\r\n", "GET /open HTTP/1.1\r\n\r\n", "GET /open HTTP/1.1\r\nHost: demo\r\nBad Header: x\r\n\r\n", "GET /open HTTP/1.1\r\nHost: demo\r\nX-Auth-Token\r\n\r\n", "POST /open HTTP/1.1\r\nHost: demo\r\nContent-Length: x\r\n\r\n", "POST /open HTTP/1.1\r\nHost: demo\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nhi"} {
				port := s.port
				if s.verify {
					port = s.endpoint
				}
				if status := firstLine(t, port, bytes); strings.Contains(status, " 200 ") || strings.Contains(status, " 500 ") || strings.Contains(status, " 503 ") {
					t.Errorf("%q is answered %q", bytes, status)
				}
				s.raw.untouched(t)
			}
		})
	}
	check(t)

	s.switches().down.Store(true)
	t.Run("store down", func(t *testing.T) {
		check(t)
		unseen := s.mint(s.alice, "demo.#")
		s.both(t, func(t *testing.T, s side) {
			for _, token := range []string{unseen, uuid.NewString()} {
				for _, target := range []string{"/users", "/mine", "/users/x"} {
					r := s.judge(t, "demo", "GET", target, "X-Auth-Token", token)
					s.wantRefused(t, target, r, guard.StoreDown)
					if r.header.Get("Retry-After") == "" || r.header.Get(headerID) != "" {
						t.Errorf("%s: %v", target, r.header)
					}
					s.wantRefused(t, target, s.send(t, "demo", "GET", target, "X-Auth-Token", token), guard.StoreDown)
				}
			}
			// What takes no store is told all the same, as ever.
			s.wantRefused(t, "no token", s.judge(t, "demo", "GET", "/users"), guard.NoToken)
			s.wantRefused(t, "no token at all", s.judge(t, "demo", "GET", "/users", "X-Auth-Token", "x"), guard.UnknownToken)
			s.wantRefused(t, "no route", s.judge(t, "demo", "GET", "/nowhere", "X-Auth-Token", unseen), guard.NoRoute)
			s.wantRefused(t, "bad path", s.judge(t, "demo", "GET", "/users//", "X-Auth-Token", unseen), guard.BadPath)
			s.wantAllowed(t, "public", s.judge(t, "demo", "GET", "/open"))
		})
	})
	s.switches().down.Store(false)

	// A client that goes away before the store has answered is no outage, and
	// takes nobody else with it.
	t.Run("client gone", func(t *testing.T) {
		before := strings.Count(s.logs(), "tokens that are not in memory cannot be checked")
		s.both(t, func(t *testing.T, s side) {
			token := s.mint(s.alice, "demo.#")
			g := &gate{entered: make(chan struct{}, 10), open: make(chan struct{})}
			s.switches().gate.Store(g)
			port, request := s.port, head("GET", "/users", "demo", []string{"X-Auth-Token", token})
			if s.verify {
				port, request = s.endpoint, head("GET", "/verify", "demo", append(asked("GET", "/users"), "X-Auth-Token", token))
			}
			conn, err := net.Dial("tcp", fmt.Sprintf("127.0.0.1:%d", port))
			if err != nil {
				t.Fatal(err)
			}
			if _, err := io.WriteString(conn, request+"\r\n"); err != nil {
				t.Fatal(err)
			}
			<-g.entered
			_ = conn.Close()
			s.switches().gate.Store(nil)
			close(g.open)
			s.wantAllowed(t, "another client", s.judge(t, "demo", "GET", "/users", "X-Auth-Token", token))
		})
		if after := strings.Count(s.logs(), "tokens that are not in memory cannot be checked"); after != before {
			t.Errorf("an outage was told of %d times", after-before)
		}
	})
}

// firstLine sends bytes, no more, and returns what the answer begins with.
func firstLine(t *testing.T, port int, bytes string) string {
	t.Helper()
	conn, err := net.Dial("tcp", fmt.Sprintf("127.0.0.1:%d", port))
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = conn.Close() }()
	_ = conn.SetDeadline(time.Now().Add(patience))
	if _, err := io.WriteString(conn, bytes); err != nil {
		t.Fatal(err)
	}
	if err := conn.(*net.TCPConn).CloseWrite(); err != nil {
		t.Fatal(err)
	}
	answer, _ := io.ReadAll(conn) // it may be reset
	line, _, _ := strings.Cut(string(answer), "\r\n")
	return line
}
