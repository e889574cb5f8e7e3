package caddymodule

import (
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"
)

// BenchmarkGuard_ThroughCaddy is what a guarded request costs beside the same
// request unguarded: one real Caddy, one real upstream, one client on each
// core, taking turns in the same run. The metric that counts is "ratio", the
// unguarded time over the guarded one; both times hold the client and the
// upstream, too.
func BenchmarkGuard_ThroughCaddy(b *testing.B) {
	up := startHTTP(b, func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "hello") })
	n, w := newNode(b), theWorld(b)
	acl := make([]string, 0, 300)
	for i := range 299 {
		acl = append(acl, fmt.Sprintf("calld.resource-%d.*.read", i))
	}
	token := n.mint(w.alice, append(acl, "confd.users.*.lines.read")...)
	var routes strings.Builder
	for i := range 1000 {
		fmt.Fprintf(&routes, "route GET /1.1/resource-%d/{id} confd.resource-%d.{id}.read\n", i, i)
	}
	const lines = "route GET /1.1/users/{user_uuid}/lines confd.users.{user_uuid}.lines.read\n"
	cfg := n.caddyfile("service routes {\n prefix /routes\n"+lines+routes.String()+"}\nservice signed {\n prefix /signed\n"+lines+"}", fmt.Sprintf(`http://:<port> {
	handle_path /open/* {
		reverse_proxy %[1]s
	}
	handle_path /scope/* {
		xivo_auth_guard {
			scope confd.users.x.lines.read
		}
		reverse_proxy %[1]s
	}
	handle_path /routes/* {
		xivo_auth_guard routes
		reverse_proxy %[1]s
	}
	handle_path /signed/* {
		xivo_auth_guard signed {
			assertion
		}
		reverse_proxy %[1]s
	}
}`, up))
	n.loadText(strings.Replace(cfg, "level DEBUG", "level WARN", 1))
	client := &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: 16}}
	b.Cleanup(client.CloseIdleConnections)
	request := func(b *testing.B, prefix string, tenant bool) time.Duration {
		req, err := http.NewRequest(http.MethodGet, n.url("/"+prefix+"/1.1/users/"+w.alice.UUID+"/lines"), nil)
		if err != nil {
			b.Fatal(err)
		}
		req.Header["X-Auth-Token"] = []string{token}
		if tenant {
			req.Header["Wazo-Tenant"] = []string{w.below}
		}
		began := time.Now()
		resp, err := client.Do(req)
		if err != nil {
			b.Fatal(err)
		}
		_, _ = io.Copy(io.Discard, resp.Body)
		_ = resp.Body.Close()
		if resp.StatusCode != http.StatusOK {
			b.Fatalf("%s: %s", prefix, resp.Status)
		}
		return time.Since(began)
	}
	for _, c := range []struct {
		name, prefix string
		tenant       bool
	}{{"nothing", "open", false}, {"scope", "scope", false}, {"routes", "routes", false}, {"tenant", "routes", true}, {"assertion", "signed", true}} {
		b.Run(c.name, func(b *testing.B) {
			var open, guarded time.Duration
			for b.Loop() {
				// In turns, so that whatever else the machine does meets both.
				open += request(b, "open", c.tenant)
				guarded += request(b, c.prefix, c.tenant)
			}
			b.ReportMetric(float64(open)/float64(guarded), "ratio")
			b.ReportMetric(float64(guarded-open)/float64(b.N), "ns-more")
		})
	}
}
