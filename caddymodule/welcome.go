package caddymodule

import (
	"fmt"
	"net"
	"strconv"
	"sync"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
)

var welcomeOnce sync.Once

// welcome tells a newcomer, once for each process, what to try next.
func (a *App) welcome() {
	h, err := a.ctx.AppIfConfigured("http")
	if err != nil {
		return
	}
	base, ok := apiURL(h.(*caddyhttp.App))
	if !ok {
		return
	}
	user := "LOGIN"
	if a.Bootstrap != nil {
		user = a.Bootstrap.User
	}
	welcomeOnce.Do(func() {
		a.log.Info("the token API is served; try these three lines:")
		a.log.Info(fmt.Sprintf(`  TOKEN=$(curl -sk -u %s:PASSWORD -X POST -H 'Content-Type: application/json' %s/0.1/token -d '{"expiration": 600}' | sed 's/.*"token":"\([^"]*\)".*/\1/')`, user, base))
		a.log.Info(fmt.Sprintf(`  curl -k %s/0.1/token/$TOKEN`, base))
		a.log.Info(fmt.Sprintf(`  curl -k -I "%s/0.1/token/$TOKEN?scope=confd.users.read"`, base))
	})
}

// apiURL finds where the API is served.
func apiURL(h *caddyhttp.App) (string, bool) {
	for _, srv := range h.Servers {
		if !servesAPI(srv.Routes) || len(srv.Listen) == 0 {
			continue
		}
		addr, err := caddy.ParseNetworkAddress(srv.Listen[0])
		if err != nil || addr.IsUnixNetwork() {
			continue
		}
		host := addr.Host
		if host == "" || net.ParseIP(host).IsUnspecified() {
			host = "localhost"
		}
		scheme := "http"
		if len(srv.TLSConnPolicies) > 0 {
			scheme = "https"
		}
		return scheme + "://" + net.JoinHostPort(host, strconv.FormatUint(uint64(addr.StartPort), 10)), true
	}
	return "", false
}

func servesAPI(routes caddyhttp.RouteList) bool {
	for _, route := range routes {
		for _, h := range route.Handlers {
			switch h := h.(type) {
			case *API:
				return true
			case *caddyhttp.Subroute:
				if servesAPI(h.Routes) {
					return true
				}
			}
		}
	}
	return false
}
