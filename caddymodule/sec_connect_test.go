package caddymodule

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"

	"github.com/wazo-edge/xivo-auth/authsvc/guard"
)

// stream asks the guard as a client of HTTP/2 or 3 does. There is no network in
// between: Go offers extended CONNECT in HTTP/2 only where GODEBUG has
// http2xconnect=1, and nothing here speaks HTTP/3.
func (s *seams) stream(t *testing.T, version int, method, protocol, target, body string, header ...string) reply {
	t.Helper()
	app, err := caddy.ActiveContext().App("http")
	if err != nil {
		t.Fatal(err)
	}
	r, err := http.NewRequestWithContext(t.Context(), method, "http://demo"+target, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	r.Proto, r.ProtoMajor, r.ProtoMinor, r.ContentLength, r.RemoteAddr, r.RequestURI = fmt.Sprintf("HTTP/%d.0", version), version, 0, -1, "127.0.0.1:1", target
	for i := 0; i < len(header); i += 2 {
		r.Header.Set(header[i], header[i+1])
	}
	if version == 2 && protocol != "" {
		r.Header[":protocol"] = []string{protocol}
	}
	if version == 3 && protocol != "" {
		r.Proto = protocol
	}
	rec := httptest.NewRecorder()
	for _, srv := range app.(*caddyhttp.App).Servers {
		if strings.HasSuffix(srv.Listen[0], fmt.Sprint(":", s.port)) {
			srv.ServeHTTP(rec, r)
		}
	}
	return reply{rec.Code, rec.Header(), rec.Body.String()}
}

// A WebSocket over HTTP/2 or 3 begins with CONNECT, of which reverse_proxy makes
// a GET: judged as the one, it reached the route of the other. Any other
// CONNECT is refused, for net/http sends a body of unknown length raw behind
// it: to the upstream, that is the next request, in any name.
func TestSec_Connect(t *testing.T) {
	s := newSeams(t, sec{service: "service demo {\n unmatched public\n route * /x public\n route GET /x demo.x\n route GET /ws demo.ws\n route * /open public\n}"})
	good, poor := s.mint(s.alice, "demo.x", "demo.ws"), s.mint(s.alice, "nothing")
	g := side{s, false}
	smuggled := "GET /x HTTP/1.1\r\nHost: demo\r\nX-Auth-User-Uuid: " + forged + "\r\n\r\n"
	for _, version := range []int{2, 3} {
		t.Run(fmt.Sprint("HTTP ", version), func(t *testing.T) {
			for _, target := range []string{"/x", "/ws"} {
				ask := func(header ...string) reply {
					return s.stream(t, version, http.MethodConnect, "websocket", target, "", header...)
				}
				g.wantRefused(t, target, ask(), guard.NoToken)
				g.wantRefused(t, target+", poor", ask("X-Auth-Token", poor), guard.MissingAccess)
				got := g.wantPassed(t, target, ask("X-Auth-Token", good, headerUser, forged))
				if !strings.HasPrefix(got, "GET "+target+" HTTP/1.1\r\n") {
					t.Errorf("the upstream got\n%s", got)
				}
				wantHeaders(t, got, map[string]string{"Upgrade": "websocket", headerUser: s.alice.UUID})
			}
			for _, protocol := range []string{"", "h2c", "connect-udp", "WebSocket", "websocket, h2c"} {
				for _, header := range [][]string{nil, {"X-Auth-Token", good}} {
					for _, target := range []string{"/open", "/nowhere", "/x"} {
						r := s.stream(t, version, http.MethodConnect, protocol, target, smuggled, header...)
						g.wantRefused(t, protocol+" "+target, r, guard.BadPath)
					}
				}
			}
		})
	}
	// What a proxy is asked to CONNECT, it may send on as that or as GET.
	s.both(t, func(t *testing.T, s side) {
		for _, target := range []string{"/open", "/nowhere", "/x"} {
			for _, header := range [][]string{nil, {"X-Auth-Token", good}, {"X-Auth-Token", good, "Upgrade", "websocket", "Connection", "close, Upgrade"}} {
				s.wantRefused(t, target, s.judge(t, "demo", http.MethodConnect, target, header...), guard.BadPath)
			}
		}
	})
}
