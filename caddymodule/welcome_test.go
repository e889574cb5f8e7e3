package caddymodule

import (
	"strconv"
	"strings"
	"sync"
	"testing"

	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
	"github.com/caddyserver/caddy/v2/modules/caddytls"
)

func TestWelcome_FindsAPI(t *testing.T) {
	route := func(handlers ...caddyhttp.MiddlewareHandler) caddyhttp.RouteList {
		return caddyhttp.RouteList{{Handlers: []caddyhttp.MiddlewareHandler{&caddyhttp.StaticResponse{}}}, {Handlers: handlers}}
	}
	within := func(routes caddyhttp.RouteList) caddyhttp.MiddlewareHandler {
		return &caddyhttp.Subroute{Routes: routes}
	}
	api, tls := route(&API{}), caddytls.ConnectionPolicies{{}}
	for _, c := range []struct {
		name    string
		servers []*caddyhttp.Server
		want    string
	}{
		{"nothing", nil, ""},
		{"plain", []*caddyhttp.Server{{Listen: []string{":9497"}, Routes: api}}, "http://localhost:9497"},
		{"tls", []*caddyhttp.Server{{Listen: []string{":9497"}, Routes: api, TLSConnPolicies: tls}}, "https://localhost:9497"},
		{"deep", []*caddyhttp.Server{{Listen: []string{":9497"}, Routes: route(&Guard{}, within(route(within(api))))}}, "http://localhost:9497"},
		{"address", []*caddyhttp.Server{{Listen: []string{"192.0.2.7:9497"}, Routes: api}}, "http://192.0.2.7:9497"},
		{"address of six", []*caddyhttp.Server{{Listen: []string{"[2001:db8::7]:9497"}, Routes: api}}, "http://[2001:db8::7]:9497"},
		{"any address", []*caddyhttp.Server{{Listen: []string{"0.0.0.0:9497"}, Routes: api}}, "http://localhost:9497"},
		{"any address of six", []*caddyhttp.Server{{Listen: []string{"[::]:9497"}, Routes: api}}, "http://localhost:9497"},
		{"name", []*caddyhttp.Server{{Listen: []string{"pbx.example.com:9497"}, Routes: api}}, "http://pbx.example.com:9497"},
		{"range", []*caddyhttp.Server{{Listen: []string{":9497-9499"}, Routes: api}}, "http://localhost:9497"},
		{"unix socket", []*caddyhttp.Server{{Listen: []string{"unix//run/auth.sock"}, Routes: api}}, ""},
		{"no listener", []*caddyhttp.Server{{Routes: api}}, ""},
		{"nonsense", []*caddyhttp.Server{{Listen: []string{":api"}, Routes: api}}, ""},
		{"guard only", []*caddyhttp.Server{{Listen: []string{":9497"}, Routes: route(&Guard{})}}, ""},
		{"others before", []*caddyhttp.Server{
			{Listen: []string{":80"}, Routes: route(&Guard{})}, {Listen: []string{"unix//run/auth.sock"}, Routes: api}, {Listen: []string{":9497"}, Routes: api},
		}, "http://localhost:9497"},
	} {
		t.Run(c.name, func(t *testing.T) {
			app := &caddyhttp.App{Servers: map[string]*caddyhttp.Server{}}
			for i, srv := range c.servers {
				app.Servers[strconv.Itoa(i)] = srv
			}
			got, ok := apiURL(app)
			if got != c.want || ok != (c.want != "") {
				t.Errorf("%q %t, want %q", got, ok, c.want)
			}
		})
	}
}

// It is said once for each process, and only where there is something to try.
func TestWelcome_Once(t *testing.T) {
	n := newNode(t)
	welcomeOnce = sync.Once{}
	const said = "the token API is served; try these three lines:"
	n.start("", "http://:<port> {\n xivo_auth_guard\n respond ok\n}")
	if strings.Contains(n.logs(), said) {
		t.Error("said without an API")
	}
	for range 3 {
		n.start("bootstrap root "+adminPassword, sites)
	}
	logs := n.logs()
	if count := strings.Count(logs, said); count != 1 {
		t.Errorf("said %d times", count)
	}
	for _, want := range []string{n.url("/0.1/token"), "-u root:PASSWORD"} {
		if !strings.Contains(logs, want) {
			t.Errorf("the log lacks %q", want)
		}
	}
	if strings.Contains(logs, adminPassword) {
		t.Error("the log has the password")
	}
}
