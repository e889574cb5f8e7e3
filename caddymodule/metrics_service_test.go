package caddymodule

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/prometheus/client_golang/prometheus"
)

// series are the service's own on a registry, by name and labels, and which of
// them are counters. Gathering fails on whatever is not right with one.
func series(t testing.TB, reg prometheus.Gatherer) (values map[string]float64, counters map[string]bool) {
	t.Helper()
	families, err := reg.Gather()
	if err != nil {
		t.Fatal(err)
	}
	values, counters = map[string]float64{}, map[string]bool{}
	for _, f := range families {
		for _, m := range f.GetMetric() {
			name := f.GetName()
			for _, l := range m.GetLabel() {
				name += "," + l.GetName() + "=" + l.GetValue()
			}
			if m.GetCounter() != nil {
				counters[name] = true
				values[name] = m.GetCounter().GetValue()
			} else {
				values[name] = m.GetGauge().GetValue()
			}
		}
	}
	return values, counters
}

// pedant is a registry that takes no inconsistency, with our metrics.
func pedant(t testing.TB) *prometheus.Registry {
	t.Helper()
	reg := prometheus.NewPedanticRegistry()
	for range 2 { // two guards of one configuration
		if err := registerMetrics(reg); err != nil {
			t.Fatal(err)
		}
	}
	return reg
}

// The metrics of services on two sites: complete, of one series each, and no
// counter falls whether a reload keeps the service, replaces it or takes it
// away. Nothing of a service that was closed is held.
func TestMetrics_Services(t *testing.T) {
	n, w := newNode(t), theWorld(t)
	token := n.mint(w.alice, "demo.read")
	two := sites + "\n" + strings.ReplaceAll(sites, "<port>", "<port2>")
	reg := pedant(t)
	before, _ := series(t, reg)
	look := func(what string) map[string]float64 {
		t.Helper()
		now, counters := series(t, reg)
		for name := range counters {
			if now[name] < before[name] {
				t.Errorf("%s: %s fell from %v to %v", what, name, before[name], now[name])
			}
		}
		for name := range before {
			if _, there := now[name]; !there && counters[name] {
				t.Errorf("%s: %s is gone", what, name)
			}
		}
		before = now
		return now
	}
	const misses = "xivo_auth_cache_lookups_total,state=miss"
	start := before[misses]
	for i, app := range []string{
		"", "token_lifetime 1h", // the same service
		"cache {\n grants 2000\n}", "xivo_uuid 0e6e3ba0-6f3c-4a94-8f5d-2b1a4c6d8e0f", // others
		"store sqlite <db>", "feed off", "",
	} {
		n.start(app, two)
		n.warm(token)
		got := look(app)
		if got[misses] < start+1 {
			t.Errorf("%d: nothing was counted: %v", i, got)
		}
		state := "live"
		if app == "feed off" {
			state = "off"
		}
		if sum := got["xivo_auth_feed_state,state=waiting"] + got["xivo_auth_feed_state,state=live"] + got["xivo_auth_feed_state,state=lost"] + got["xivo_auth_feed_state,state=off"]; got["xivo_auth_feed_state,state="+state] != 1 || sum != 1 {
			t.Errorf("%s: the feed is %v", app, got)
		}
		if got["xivo_auth_feed_since_timestamp_seconds"] < 1e9 && state == "live" {
			t.Errorf("%s: since %v", app, got["xivo_auth_feed_since_timestamp_seconds"])
		}
		if app == "store sqlite <db>" {
			if got["xivo_auth_store_connections_max"] != 8 || got["xivo_auth_store_connections,state=idle"]+got["xivo_auth_store_connections,state=in_use"] < 1 {
				t.Errorf("the pool: %v", got)
			}
		} else {
			eventually(t, "the pool of another service is no longer counted", func() bool {
				_, there := look(app)["xivo_auth_store_connections_max"]
				return !there // this test's store has none to tell of
			})
		}
		eventually(t, "only the service in use is held", func() bool { return heldServices() == 1 })
	}
	before = look("before the end")
	n.loadText(fmt.Sprintf("{\n admin 127.0.0.1:%d\n persist_config off\n}\n", n.admin))
	eventually(t, "no service is held", func() bool { return heldServices() == 0 })
	if got := look("without a service"); got[misses] < start+6 {
		t.Errorf("what closed services counted is lost: %v misses, began with %v", got[misses], start)
	}
}

func heldServices() int {
	tallies.mu.Lock()
	defer tallies.mu.Unlock()
	return len(tallies.known)
}

// Labels are of closed sets, whatever requests bring along.
func TestMetrics_Labels(t *testing.T) {
	n, w := newNode(t), theWorld(t)
	token := n.mint(w.alice, "demo.read")
	n.start("", sites)
	n.warm(token)
	n.do("GET", n.url("/some/path?token="+token), "", "X-Auth-Token", token)
	n.do("GET", n.url("/0.1/token/"+token), "")
	n.do("POST", n.url("/0.1/token"), "{}", "Authorization", basic("mallory", "wrong"))
	n.do("POST", n.adminURL("/xivo-auth/revoke"), `{"token": "`+token+`"}`)
	values, _ := series(t, pedant(t))
	closed := map[string][]string{
		"state":  append([]string{"hit", "miss", "negative", "degraded", "refused", "idle", "in_use"}, feedStates...),
		"mode":   {"enforce", "shadow"},
		"result": {"answered", "absent", "behind", "failed", "unheard"},
	}
	for name := range values {
		for _, private := range []string{token, w.alice.UUID, "alice", "mallory", "127.0.0.1", "some/path", "0.1"} {
			if strings.Contains(name, private) {
				t.Errorf("a label tells %s", name)
			}
		}
		for label := range strings.SplitSeq(name, ",") {
			key, value, ok := strings.Cut(label, "=")
			if want, known := closed[key]; ok && known && !slices.Contains(want, value) {
				t.Errorf("%s is no value of %s", value, key)
			}
		}
	}
	// The same is served, in a format that says what each of them is.
	body := n.do("GET", n.adminURL("/metrics"), "").body
	for _, want := range []string{
		"# TYPE xivo_auth_cache_lookups_total counter", "# TYPE xivo_auth_cache_watches gauge",
		"# TYPE xivo_auth_feed_changes_total counter", `xivo_auth_feed_state{state="live"} 1`,
	} {
		if !strings.Contains(body, want) {
			t.Errorf("no %s in what is scraped", want)
		}
	}
}
