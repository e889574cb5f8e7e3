package caddymodule

import (
	"bufio"
	"bytes"
	"cmp"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	_ "github.com/caddyserver/caddy/v2/modules/caddyhttp/reverseproxy/forwardauth"

	"github.com/wazo-edge/xivo-auth/authsvc/guard"
)

// The tests named TestSec_ are those of a list of what went wrong in other
// proxies: each names the attack and where it succeeded. Every one is run
// against both seams between a client and an upstream that this module offers,
// through a real Caddy.

// sec is what such a test runs on.
type sec struct {
	app     string      // of the global option, without services
	service string      // the services; default: [demo]
	gates   []gateSpec  // default: one on host demo
	servers string      // options of all servers
	trusted string      // of the endpoint; default: the peers of this machine, "none": nobody
	sites   string      // more of them
	logs    string      // their format
	wsgi    *wsgiServer // default: [echoWSGI]
}

// gateSpec is a guard on a site and a verify endpoint with the same options,
// told apart from others by the host of the request.
type gateSpec struct {
	host, args, options string
	verify              string // options of the endpoint alone
	behind              string // handlers between the guard and the upstream
}

// demo is a service with a route of every kind.
const demo = `service demo {
	route GET /open public
	route POST /open public
	route GET /open/{x} public
	route GET /mine token
	route GET /users demo.users.read
	route POST /users demo.users.create
	route GET /users/{user_uuid} demo.users.{user_uuid}.read
	route GET /export demo.export.read query_token
	route GET /closed deny
}`

// managed are the headers that are ours to set.
var managed = []string{
	headerUser, headerTenant, headerSession, headerID, headerPurpose, headerDegraded, headerAssertion, headerReason, "X-Script-Name",
}

// seams is a Caddy with both: a guard before the upstreams on the first port;
// on the second, a Caddy that asks the endpoint on a third (forward_auth), as
// any proxy would, and as our recipe does. Requests go to the raw upstream,
// those with the header X-Up to the WSGI server.
type seams struct {
	*node
	people
	raw      *upstream
	wsgi     *wsgiServer
	endpoint int
}

func newSeams(t *testing.T, c sec) *seams {
	t.Helper()
	s := &seams{node: newNode(t), people: theWorld(t), raw: newUpstream(t), wsgi: c.wsgi}
	for s.endpoint == 0 || s.endpoint == s.port || s.endpoint == s.port2 || s.endpoint == s.node.admin {
		s.endpoint = freePort(t) // which nobody holds yet
	}
	if s.wsgi == nil {
		s.wsgi = echoWSGI()
	}
	s.load(t, c)
	return s
}

// load makes it Caddy's configuration: the first, or a reload.
func (s *seams) load(t *testing.T, c sec) {
	t.Helper()
	if c.service == "" {
		c.service = demo
	}
	if c.gates == nil {
		c.gates = []gateSpec{{host: "demo", args: "demo"}}
	}
	// Errors are passed on to the upstream, as a custom page might be: a
	// refusal must be no error (ingress-nginx CVE-2026-24513).
	proxy := fmt.Sprintf("\n@wsgi header X-Up *\nreverse_proxy @wsgi 127.0.0.1:1\nreverse_proxy %s\n", s.raw.addr)
	if s.wsgi.missing == "" {
		proxy = strings.Replace(proxy, "127.0.0.1:1", s.wsgi.addr, 1)
	}
	var guarded, asking, verified strings.Builder
	for _, g := range c.gates {
		site := "@" + g.host + " host " + g.host + "\nhandle @" + g.host + " {\nroute {\n%s\n}\n}\n"
		options := " {\nreason_header\n" + g.options + "\n"
		fmt.Fprintf(&guarded, site, "xivo_auth_guard "+g.args+options+"}\n"+g.behind+proxy)
		fmt.Fprintf(&asking, site, fmt.Sprintf("forward_auth 127.0.0.1:%d {\nuri /verify\ncopy_headers %s\ntransport http {\nkeepalive off\n}\n}\n%s", s.endpoint, strings.Join(managed, " "), g.behind+proxy))
		fmt.Fprintf(&verified, site, "xivo_auth_verify "+g.args+options+g.verify+"\n}\n")
	}
	text := s.caddyfile(c.service+"\n"+c.app, fmt.Sprintf(`http://:<port> {
	log
	@api host api
	handle @api {
		xivo_auth_api
	}
	%s
	handle {
		respond 404
	}
	handle_errors {
		%s
	}
}
http://:<port2> {
	log
	%s
	handle {
		respond 404
	}
}
http://:%d {
	log
	%s
	handle {
		respond 404
	}
}
%s`, guarded.String(), proxy, asking.String(), s.endpoint, verified.String(), c.sites))
	servers := ""
	for _, port := range []int{s.port, s.port2, s.endpoint} {
		trusted := ""
		if port == s.endpoint && c.trusted != "none" {
			trusted = "trusted_proxies static " + cmp.Or(c.trusted, "127.0.0.1/32")
		}
		servers += fmt.Sprintf("servers 127.0.0.1:%d {\nprotocols h1 h2c\n%s\n%s\n}\n", port, trusted, c.servers)
	}
	if c.logs != "" {
		text = strings.Replace(text, "format json", c.logs, 1)
	}
	s.loadText(strings.Replace(text, "\tgrace_period 5s\n", "\tgrace_period 5s\n"+servers, 1))
}

// side is one of the two.
type side struct {
	*seams
	verify bool
}

// both runs a test on each.
func (s *seams) both(t *testing.T, test func(t *testing.T, s side)) {
	t.Helper()
	for _, verify := range []bool{false, true} {
		name := "guard"
		if verify {
			name = "verify"
		}
		t.Run(name, func(t *testing.T) { test(t, side{s, verify}) })
	}
}

// head spells a request without its end; header is name, value, ... and is
// sent as it is. Unless it says otherwise, the connection is closed.
func head(method, target, host string, header []string) string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s %s HTTP/1.1\r\nHost: %s\r\n", method, target, host)
	closes := true
	for i := 0; i < len(header); i += 2 {
		fmt.Fprintf(&b, "%s: %s\r\n", header[i], header[i+1])
		closes = closes && !strings.EqualFold(header[i], "Connection")
	}
	if closes {
		b.WriteString("Connection: close\r\n")
	}
	return b.String()
}

// bytesTo sends bytes to a port and reads the answer. A reload may cut a
// connection off that was not accepted yet: Caddy drops what stands in the
// queue of a listener it closes, the connections of its own proxy too (502).
func (s *seams) bytesTo(t testing.TB, port int, method, request string) reply {
	t.Helper()
	var answer []byte
	for range 5 {
		if answer = exchange(port, request); len(answer) > 0 && !bytes.HasPrefix(answer, []byte("HTTP/1.1 502 ")) {
			break
		}
	}
	return readReply(t, string(answer), method)
}

// exchange returns what is answered before the connection ends, if anything.
func exchange(port int, request string) []byte {
	conn, err := net.Dial("tcp", fmt.Sprintf("127.0.0.1:%d", port))
	if err != nil {
		return nil
	}
	defer func() { _ = conn.Close() }()
	_ = conn.SetDeadline(time.Now().Add(patience / 4))
	_, _ = io.WriteString(conn, request) // it may be refused before its end
	answer, _ := io.ReadAll(conn)
	return answer
}

func readReply(t testing.TB, answer, method string) reply {
	t.Helper()
	resp, err := http.ReadResponse(bufio.NewReader(strings.NewReader(answer)), &http.Request{Method: method})
	if err != nil {
		t.Fatalf("no answer: %v in %q", err, answer)
	}
	defer func() { _ = resp.Body.Close() }()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return reply{resp.StatusCode, resp.Header, string(body)}
}

// send sends a request as a client does, to be passed on to the upstream.
func (s side) send(t testing.TB, host, method, target string, header ...string) reply {
	t.Helper()
	port := s.port
	if s.verify {
		port = s.port2
	}
	return s.bytesTo(t, port, method, head(method, target, host, header)+"\r\n")
}

// judge asks this module alone: the guard, or the endpoint with the request
// that a proxy would describe.
func (s side) judge(t testing.TB, host, method, target string, header ...string) reply {
	t.Helper()
	if !s.verify {
		return s.send(t, host, method, target, header...)
	}
	return s.subrequest(t, host, append([]string{"X-Forwarded-Method", method, "X-Forwarded-Uri", target}, header...)...)
}

func (s *seams) subrequest(t testing.TB, host string, header ...string) reply {
	t.Helper()
	return s.bytesTo(t, s.endpoint, "GET", head("GET", "/verify", host, header)+"\r\n")
}

// status is what a refusal for a reason is answered with. The endpoint has no
// others, since nginx takes any other for an error of its own.
func (s side) status(reason guard.Reason) int {
	switch reason {
	case guard.StoreDown, guard.Unsigned:
		return http.StatusServiceUnavailable
	case guard.NoToken, guard.UnknownToken, guard.NoUser:
		return http.StatusUnauthorized
	case guard.NoRoute, guard.DeniedRoute, guard.UntrustedProxy, guard.BadForwarding, guard.AliasedForwarded:
		return http.StatusForbidden
	case guard.BadPath, guard.DuplicateToken, guard.DuplicateTenant:
		if !s.verify {
			return http.StatusBadRequest
		}
	case guard.MissingAccess, guard.WrongTenant:
		if !s.verify {
			return http.StatusUnauthorized // as the services of the stack do
		}
	}
	return http.StatusForbidden
}

// wantRefused checks that an answer is a refusal for that very reason, and
// that nothing reached an upstream.
func (s side) wantRefused(t testing.TB, what string, r reply, reason guard.Reason) {
	t.Helper()
	if got := r.header.Get(headerReason); r.status != s.status(reason) || got != string(reason) {
		t.Errorf("%s: got %d %s, want %d %s\n%s", what, r.status, got, s.status(reason), reason, r.body)
	}
	s.raw.untouched(t)
}

// wantPassed checks that a request passed, and returns what the raw upstream
// was sent.
func (s side) wantPassed(t testing.TB, what string, r reply) string {
	t.Helper()
	if r.status != http.StatusOK || r.body != "upstream" {
		t.Errorf("%s: got %d %s %s, want the upstream's answer", what, r.status, r.header.Get(headerReason), r.body)
		return ""
	}
	return s.raw.take(t)
}

// wantAllowed checks what [side.judge] returned.
func (s side) wantAllowed(t testing.TB, what string, r reply) {
	t.Helper()
	if !s.verify {
		s.wantPassed(t, what, r)
	} else if r.status != http.StatusOK || r.body != "" {
		t.Errorf("%s: got %d %s %s, want 200", what, r.status, r.header.Get(headerReason), r.body)
	}
}
