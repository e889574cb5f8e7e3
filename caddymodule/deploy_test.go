package caddymodule

import (
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/google/uuid"
	"gopkg.in/yaml.v3"

	"github.com/wazo-edge/xivo-auth/authsvc/store/sqlstore"
)

const grafanaDir = "../deploy/grafana/"

// exported is what a real server exports once it did everything there is to
// count.
func exported(t *testing.T) exposition {
	t.Helper()
	n, w := newNode(t), theWorld(t)
	const guards = `http://:<port> {
	handle /0.1/* {
		xivo_auth_api
	}
	handle {
		xivo_auth_guard {
			scope demo.read
		}
		respond allowed
	}
}
http://:<port2> {
	xivo_auth_guard shadowed {
		shadow
	}
	respond allowed
}`
	cfg := n.caddyfile("store sqlite <db>\nservice shadowed {\n route GET /known demo.read\n}", guards)
	n.loadText(strings.Replace(cfg, "\txivo_auth {", "\tmetrics\n\txivo_auth {", 1))
	n.heard()
	if r := n.guarded(n.mint(w.alice, "demo.read")); r.status != http.StatusOK {
		t.Fatalf("%d %s", r.status, r.body)
	}
	n.do("GET", fmt.Sprintf("http://127.0.0.1:%d/unknown", n.port2), "")
	// The store fails from here on.
	execOn(t, openDB(t, n.db).(*sqlstore.Store), `alter table auth_token rename to elsewhere`)
	if r := n.do("GET", n.url("/0.1/token/"+uuid.NewString()), ""); r.status != http.StatusServiceUnavailable {
		t.Fatalf("the API without its table: %d %s", r.status, r.body)
	}
	if r := n.guarded(uuid.NewString()); r.status != http.StatusServiceUnavailable {
		t.Fatalf("the guard without its table: %d %s", r.status, r.body)
	}
	all := readExposition(t, n.do("GET", n.adminURL("/metrics"), "").body)
	all["up"] = map[string]map[string]bool{"instance": {}, "job": {"xivo-auth": true}} // Prometheus itself says so
	return all
}

func readDeployed(t *testing.T, name string) []byte {
	t.Helper()
	raw, err := os.ReadFile(grafanaDir + name)
	if err != nil {
		t.Fatal(err)
	}
	return raw
}

// The dashboard and the alerts ask for nothing that the server does not export,
// and for everything of ours.
func TestDeploy_MetricsExist(t *testing.T) {
	all := exported(t)
	asked := map[string]bool{}
	check := func(where, expr string) {
		t.Helper()
		for _, mistake := range all.mistakes(expr) {
			t.Errorf("%s: %s\n\t%s", where, mistake, expr)
		}
		selectors, _, _ := readPromQL(expr)
		for _, s := range selectors {
			asked[s.metric] = true
		}
	}

	var dashboard struct {
		Panels []struct {
			ID      int
			Type    string
			Title   string
			GridPos struct{ X, Y, W, H int }
			Targets []struct{ Expr, LegendFormat string }
		}
		Annotations struct{ List []struct{ Name, Expr string } }
		Templating  struct {
			List []struct {
				Name  string
				Query any
			}
		}
	}
	if err := json.Unmarshal(readDeployed(t, "dashboard.json"), &dashboard); err != nil {
		t.Fatal(err)
	}
	ids := map[int]bool{}
	for _, p := range dashboard.Panels {
		if ids[p.ID] || p.Title == "" || p.GridPos.X+p.GridPos.W > 24 || (p.Type == "row") != (len(p.Targets) == 0) {
			t.Errorf("panel %+v", p)
		}
		ids[p.ID] = true
		for _, target := range p.Targets {
			check(p.Title, target.Expr)
			legend := regexp.MustCompile(`\{\{(\w+)\}\}`).FindAllStringSubmatch(target.LegendFormat, -1)
			selectors, by, _ := readPromQL(target.Expr)
			for _, label := range legend {
				_, of := all[selectors[0].metric][label[1]]
				if !of || len(by) > 0 && !slices.Contains(by, label[1]) {
					t.Errorf("%s: the legend's label %s is not there\n\t%s", p.Title, label[1], target.Expr)
				}
			}
		}
	}
	for _, a := range dashboard.Annotations.List {
		check(a.Name, a.Expr)
	}
	if len(asked) < 15 {
		t.Errorf("the dashboard shows %v only", asked)
	}
	for metric := range all {
		if strings.HasPrefix(metric, "xivo_auth_") && !asked[metric] {
			t.Errorf("the dashboard does not show %s", metric)
		}
	}
	for _, v := range dashboard.Templating.List {
		if v.Name == "instance" && !strings.Contains(fmt.Sprint(v.Query), "label_values(xivo_auth_feed_state, instance)") {
			t.Errorf("the nodes to choose from: %v", v.Query)
		}
	}

	docs, err := os.ReadFile("../docs/operations.md")
	if err != nil {
		t.Fatal(err)
	}
	names := map[string]bool{}
	for _, a := range readAlerts(t) {
		check(a.Alert, a.Expr)
		names[a.Alert] = true
		selectors, by, _ := readPromQL(a.Expr)
		for _, label := range regexp.MustCompile(`\$labels\.(\w+)`).FindAllStringSubmatch(a.Annotations["summary"], -1) {
			if len(by) > 0 && !slices.Contains(by, label[1]) && !strings.Contains(a.Expr, "ignoring") || all[selectors[0].metric][label[1]] == nil {
				t.Errorf("%s tells %s, which it does not have", a.Alert, label[1])
			}
		}
		if want := "docs/operations.md#" + strings.ToLower(a.Alert); a.Annotations["runbook"] != want || !strings.Contains(string(docs), "\n### "+a.Alert+"\n") {
			t.Errorf("%s: the runbook is %q, want %s and a paragraph there", a.Alert, a.Annotations["runbook"], want)
		}
		if a.Annotations["summary"] == "" || !slices.Contains([]string{"critical", "warning"}, a.Labels["severity"]) {
			t.Errorf("%s: %v %v", a.Alert, a.Labels, a.Annotations)
		}
	}
	for _, heading := range regexp.MustCompile(`(?m)^### (XivoAuth\w+)$`).FindAllStringSubmatch(string(docs), -1) {
		if !names[heading[1]] {
			t.Errorf("the runbook has a paragraph about %s, which there is not", heading[1])
		}
	}
}

type alert struct {
	Alert, Expr, For    string
	Labels, Annotations map[string]string
}

func readAlerts(t *testing.T) []alert {
	t.Helper()
	var file struct {
		Groups []struct {
			Name  string
			Rules []alert
		}
	}
	dec := yaml.NewDecoder(strings.NewReader(string(readDeployed(t, "alerts.yaml"))))
	dec.KnownFields(true)
	if err := dec.Decode(&file); err != nil {
		t.Fatal(err)
	}
	var all []alert
	for _, g := range file.Groups {
		all = append(all, g.Rules...)
	}
	if len(all) < 10 {
		t.Fatalf("%d alerts", len(all))
	}
	return all
}
