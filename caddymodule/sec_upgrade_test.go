package caddymodule

import (
	"net/http"
	"strings"
	"testing"
)

// An upstream that answers 101 has the client's bytes from then on: behind
// "Upgrade: h2c", one request for a public route, or a preflight, opened a
// connection to the upstream past every check (h2c smuggling). Only WebSockets
// may begin so.
func TestSec_Upgrade(t *testing.T) {
	s := newSeams(t, sec{gates: []gateSpec{{host: "demo", args: "demo"}, {host: "shadow", args: "demo", options: "shadow"}}})
	g := side{s, false}
	token := s.mint(s.alice, "demo.#")
	upgrade := func(values ...string) (header []string) {
		for _, v := range values {
			header = append(header, "Upgrade", v)
		}
		return header
	}
	preflight := []string{"Origin", "https://app.example", "Access-Control-Request-Method", "GET"}
	requests := []struct {
		name, host, method, target string
		header                     []string
	}{
		{"public", "demo", "GET", "/open", nil},
		{"public, POST", "demo", "POST", "/open", nil},
		{"preflight", "demo", "OPTIONS", "/users", preflight},
		{"allowed", "demo", "GET", "/users", []string{"X-Auth-Token", token}},
		{"shadow", "shadow", "GET", "/users", nil},
	}
	for _, conn := range [][]string{
		{"Connection", "Upgrade, close"}, {"Connection", "close, upgrade, HTTP2-Settings", "HTTP2-Settings", "AAMAAABkAAQAAP__"},
		{"Connection", "close,UPGRADE"}, {"Connection", "close", "Connection", "x,\tUpgrade ,"},
	} {
		for _, up := range [][]string{
			upgrade("h2c"), upgrade("H2C"), upgrade("telnet"), upgrade("TLS/1.0"), upgrade(""), upgrade("websocket, h2c"), upgrade("h2c, websocket"),
			upgrade("websocket/13"), upgrade("websockets"), upgrade("websocket", "h2c"), upgrade("h2c", "websocket"), upgrade("websocket", "websocket"),
			upgrade("websocket"), upgrade("WebSocket"),
		} {
			for _, c := range requests {
				// A WebSocket begins with GET (RFC 6455 §4.1).
				want := ""
				if len(up) == 2 && strings.EqualFold(up[1], "websocket") && c.method == http.MethodGet {
					want = "websocket"
				}
				header := append(append(append([]string{}, c.header...), conn...), up...)
				what := c.name + " " + strings.Join(append(conn, up...), " ")
				got := g.wantPassed(t, what, g.send(t, c.host, c.method, c.target, header...))
				connection := ""
				if want != "" {
					connection = "Upgrade"
				}
				wantHeaders(t, got, map[string]string{"Upgrade": want, "Connection": connection})
			}
		}
	}
}
