package caddymodule

import (
	"bytes"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/textproto"
	"slices"
	"strings"
	"testing"

	"github.com/google/uuid"
	"gopkg.in/yaml.v3"
)

// Traefik and Envoy are not run here. What they ask is sent byte for byte, and
// what they do with the answer is done as their documentation tells, by the
// words of the recipes.

// dig follows keys and indexes into what a YAML file says.
func dig[T any](t testing.TB, doc any, path ...any) T {
	t.Helper()
	for i, key := range path {
		switch key := key.(type) {
		case string:
			m, _ := doc.(map[string]any)
			doc = m[key]
		case int:
			if list, _ := doc.([]any); key < len(list) {
				doc = list[key]
			} else {
				doc = nil
			}
		}
		if doc == nil {
			t.Fatalf("there is nothing at %v", path[:i+1])
		}
	}
	out, ok := doc.(T)
	if !ok {
		t.Fatalf("%v is %v", path, doc)
	}
	return out
}

func readYAML(t testing.TB, name string) (doc any) {
	t.Helper()
	if err := yaml.Unmarshal([]byte(recipe(t, name)), &doc); err != nil {
		t.Fatal(err)
	}
	return doc
}

func texts(list []any) (out []string) {
	for _, v := range list {
		out = append(out, fmt.Sprint(v))
	}
	return out
}

// wantCopied checks that names are exactly those that must be taken from the
// answer.
func wantCopied(t *testing.T, names []string) {
	t.Helper()
	canonical := make([]string, 0, len(names))
	for _, name := range names {
		canonical = append(canonical, textproto.CanonicalMIMEHeaderKey(name))
	}
	slices.Sort(canonical)
	if want := slices.Sorted(slices.Values(copied)); !slices.Equal(canonical, want) {
		t.Errorf("the headers to copy are\n%q, want\n%q", canonical, want)
	}
}

// asker is a proxy as far as it matters here.
type asker struct {
	// ask writes the subrequest about a request; refuses says that the proxy
	// itself does not let it in.
	ask func(q *edgeCase, client http.Header) (subrequest string, refuses bool)
	// pass makes the headers for the upstream.
	pass func(client, answer http.Header) http.Header
	// statusOf is what the client gets for an answer.
	statusOf func(answer int) int
}

// clientHeader are the headers of a request as net/http and Envoy keep them.
func (q *edgeCase) clientHeader(more string) http.Header {
	h := http.Header{}
	if q.token != "" {
		h.Set(headerToken, q.token)
	}
	for line := range strings.SplitSeq(strings.Join(q.header, "\r\n")+"\r\n"+more, "\r\n") {
		if name, value, ok := strings.Cut(line, ": "); ok {
			h.Add(name, value)
		}
	}
	return h
}

func (a *asker) test(t *testing.T, n *node, k edgeKeys) {
	for _, q := range k.questions(t) {
		for name, more := range map[string]string{"": "", ", forged": forgedHead()} {
			t.Run(q.name+name, func(t *testing.T) {
				client := q.clientHeader(more)
				subrequest, refuses := a.ask(&q, client)
				if refuses {
					return
				}
				resp := n.send(n.port2, localhost, subrequest)
				if resp.StatusCode != q.status {
					t.Fatalf("%s, want %d, to\n%s", resp.Status, q.status, subrequest)
				}
				// Whatever is decided, all names are there once.
				for _, name := range copied {
					if got := resp.Header.Values(name); len(got) != 1 || q.status != http.StatusOK && got[0] != "" {
						t.Errorf("%s is %q in an answer", name, got)
					}
				}
				if resp.Header.Get("Cache-Control") != "no-store" {
					t.Errorf("a verdict that may be kept: %v", resp.Header)
				}
				if q.status != http.StatusOK {
					return
				}
				a.checkPassed(t, &q, a.pass(client, resp.Header))
			})
		}
	}
	t.Run("path tricks", func(t *testing.T) {
		for _, path := range edgeTricks {
			for _, token := range []string{"", k.all} {
				q := edgeCase{method: "GET", path: path, token: token}
				subrequest, refuses := a.ask(&q, q.clientHeader(""))
				if refuses {
					continue
				}
				resp := n.send(n.port2, localhost, subrequest)
				if resp.StatusCode < 400 || resp.StatusCode >= 500 {
					t.Errorf("%s: %s", path, resp.Status)
				}
			}
		}
	})
	t.Run("store down", func(t *testing.T) {
		n.switches().down.Store(true)
		defer n.switches().down.Store(false)
		q := edgeCase{method: "GET", path: "/api/confd/1.1/users", token: k.unseen}
		subrequest, _ := a.ask(&q, q.clientHeader(""))
		resp := n.send(n.port2, localhost, subrequest)
		if a.statusOf(resp.StatusCode) != http.StatusServiceUnavailable {
			t.Error(resp.Status)
		}
		for _, q := range []edgeCase{k.questions(t)[0], k.questions(t)[7]} { // in memory, public
			subrequest, _ := a.ask(&q, q.clientHeader(""))
			if resp := n.send(n.port2, localhost, subrequest); resp.StatusCode != http.StatusOK {
				t.Errorf("%s: %s", q.name, resp.Status)
			}
		}
	})
}

// checkPassed looks at the headers an upstream would get.
func (a *asker) checkPassed(t *testing.T, q *edgeCase, h http.Header) {
	t.Helper()
	for name, values := range h {
		for _, value := range values {
			// Dots are other names to the stack's upstreams.
			if strings.Contains(value, forged) && !strings.Contains(name, ".") {
				t.Errorf("%s: %s reaches the upstream", name, value)
			}
		}
	}
	for _, name := range copied {
		want := q.identity[name]
		if name == headerSession {
			if got := h.Get(name); (uuid.Validate(got) == nil) != (len(q.identity) > 0) {
				t.Errorf("session %q", got)
			}
		} else if got := h[name]; len(got) != 1 || got[0] != want {
			t.Errorf("%s is %q, want %q", name, got, want)
		}
	}
}

func TestRecipe_Traefik(t *testing.T) {
	doc := readYAML(t, "traefik.yml")
	router := dig[map[string]any](t, doc, "http", "routers", "confd")
	if order := texts(dig[[]any](t, router, "middlewares")); !slices.Equal(order, []string{"no-aliases", "xivo-auth", "no-confd-prefix"}) {
		t.Errorf("the order is %q", order)
	}
	if prefix := dig[string](t, doc, "http", "middlewares", "no-confd-prefix", "stripPrefix", "prefixes", 0); dig[string](t, router, "rule") != "PathPrefix(`"+prefix+"/`)" {
		t.Error("another prefix is cut off than is looked for")
	}
	forward := dig[map[string]any](t, doc, "http", "middlewares", "xivo-auth", "forwardAuth")
	if dig[string](t, forward, "address") != "http://127.0.0.1:9080/" || dig[bool](t, forward, "trustForwardHeader") {
		t.Errorf("%v", forward)
	}
	names := texts(dig[[]any](t, forward, "authResponseHeaders"))
	wantCopied(t, names)
	// Every spelling that is another name to Traefik is deleted.
	removed := dig[map[string]any](t, doc, "http", "middlewares", "no-aliases", "headers", "customRequestHeaders")
	aliases := []string{"X-Script-Name", "Upgrade"}
	for _, name := range append(slices.Clone(copied), headerToken, headerActing, "X-Script-Name") {
		aliases = append(aliases, respell(name)...)
	}
	slices.Sort(aliases)
	if got := slices.Sorted(maps.Keys(removed)); !slices.Equal(got, aliases) {
		t.Errorf("deleted are\n%q, want\n%q", got, aliases)
	}
	for name, value := range removed {
		if value != "" {
			t.Errorf("%s is set to %v", name, value)
		}
	}

	n := newNode(t)
	k := n.edgeKeys()
	n.loadRecipe("traefik.Caddyfile")
	proxy := asker{
		statusOf: func(answer int) int { return answer },
		ask: func(q *edgeCase, client http.Header) (string, bool) {
			// Its client is Go's, and so are the bytes: GET without a body.
			req, err := http.NewRequest(http.MethodGet, dig[string](t, forward, "address"), nil)
			if err != nil {
				t.Fatal(err)
			}
			for name, values := range client {
				// Those of the client are replaced; hop-by-hop ones end.
				if !strings.HasPrefix(name, "X-Forwarded-") && removed[name] == nil {
					req.Header[name] = values
				}
			}
			for name := range removed {
				req.Header.Del(name)
			}
			for name, value := range map[string]string{
				"X-Forwarded-Method": q.method, "X-Forwarded-Proto": "http", "X-Forwarded-Host": "pbx", "X-Forwarded-Uri": q.path,
				"X-Forwarded-For": "192.0.2.7", "X-Forwarded-Port": "80", "X-Forwarded-Server": "traefik-1", "X-Real-Ip": "192.0.2.7", "User-Agent": "curl/8.5.0",
			} {
				req.Header.Set(name, value)
			}
			var b bytes.Buffer
			if err := req.Write(&b); err != nil {
				t.Fatal(err)
			}
			return b.String(), false
		},
		pass: func(client, answer http.Header) http.Header {
			h := client.Clone()
			for name := range removed {
				h.Del(name)
			}
			for _, name := range names {
				h.Del(name)
				if values := answer.Values(name); len(values) > 0 {
					h[textproto.CanonicalMIMEHeaderKey(name)] = slices.Clone(values)
				}
			}
			return h
		},
	}
	proxy.test(t, n, k)
	t.Run("untrusted", func(t *testing.T) {
		testEdgeUntrusted(t, n, "GET / HTTP/1.1\r\nHost: 127.0.0.1:9080\r\nX-Forwarded-Method: GET\r\nX-Forwarded-Uri: /api/confd/1.1/users\r\nX-Auth-Token: "+k.good+"\r\n\r\n")
	})
	// trustForwardHeader true, or a Traefik that adds and does not replace.
	t.Run("described twice", func(t *testing.T) {
		for _, more := range []string{
			"X-Forwarded-Uri: /api/confd/1.1/wizard\r\n", "X-Forwarded-Method: GET\r\n", "x-forwarded-uri: /api/confd/1.1/wizard\r\n",
		} {
			resp := n.send(n.port2, localhost, "GET / HTTP/1.1\r\nHost: 127.0.0.1:9080\r\nX-Forwarded-Method: GET\r\nX-Forwarded-Uri: /api/confd/1.1/secrets\r\n"+more+"\r\n")
			if resp.StatusCode != http.StatusForbidden {
				t.Errorf("%q: %s", more, resp.Status)
			}
		}
		for _, half := range []string{"", "X-Forwarded-Method: GET\r\n", "X-Forwarded-Uri: /api/confd/1.1/wizard\r\n", "X-Original-Method: GET\r\nX-Original-URI: /api/confd/1.1/wizard\r\n",
			"X-Forwarded-Method: \r\nX-Forwarded-Uri: /api/confd/1.1/wizard\r\n", "X-Forwarded-Method: GET\r\nX-Forwarded-Uri: \r\n"} {
			if resp := n.send(n.port2, localhost, "GET /api/confd/1.1/wizard HTTP/1.1\r\nHost: 127.0.0.1:9080\r\n"+half+"\r\n"); resp.StatusCode != http.StatusForbidden {
				t.Errorf("%q: %s", half, resp.Status)
			}
		}
	})
}

func TestRecipe_Envoy(t *testing.T) {
	doc := readYAML(t, "envoy.yaml")
	manager := dig[map[string]any](t, doc, "static_resources", "listeners", 0, "filter_chains", 0, "filters", 0, "typed_config")
	if dig[bool](t, manager, "normalize_path") || dig[bool](t, manager, "merge_slashes") || dig[string](t, manager, "path_with_escaped_slashes_action") != "REJECT_REQUEST" ||
		dig[string](t, manager, "common_http_protocol_options", "headers_with_underscores_action") != "REJECT_REQUEST" {
		t.Errorf("%v", manager)
	}
	// Then Envoy refuses every Upgrade.
	if manager["upgrade_configs"] != nil {
		t.Errorf("%v", manager["upgrade_configs"])
	}
	if filters := dig[[]any](t, manager, "http_filters"); len(filters) != 2 {
		t.Errorf("%d filters", len(filters))
	}
	host := dig[map[string]any](t, manager, "route_config", "virtual_hosts", 0)
	if removed := texts(dig[[]any](t, host, "request_headers_to_remove")); !slices.Equal(removed, []string{"x-script-name"}) {
		t.Errorf("removed are %q", removed)
	}
	if dig[string](t, host, "routes", 0, "match", "prefix") != "/api/confd/" || dig[string](t, host, "routes", 0, "route", "prefix_rewrite") != "/" {
		t.Errorf("%v", host)
	}
	filter := dig[map[string]any](t, manager, "http_filters", 0, "typed_config")
	if dig[bool](t, filter, "failure_mode_allow") || dig[string](t, filter, "status_on_error", "code") != "ServiceUnavailable" {
		t.Errorf("%v", filter)
	}
	patterns := func(path ...any) (names []string) {
		for _, p := range dig[[]any](t, filter, append(path, "patterns")...) {
			names = append(names, dig[string](t, p, "exact"))
			if !dig[bool](t, p, "ignore_case") {
				t.Errorf("%v", p)
			}
		}
		return names
	}
	names := patterns("http_service", "authorization_response", "allowed_upstream_headers")
	wantCopied(t, names)
	sent := patterns("allowed_headers")
	if !slices.Equal(sent, []string{"x-auth-token", "wazo-tenant", "origin", "access-control-request-method"}) {
		t.Errorf("sent are %q", sent)
	}
	for _, name := range patterns("http_service", "authorization_response", "allowed_client_headers") {
		if slices.Contains(copied, textproto.CanonicalMIMEHeaderKey(name)) {
			t.Errorf("a client gets %s", name)
		}
	}
	prefix := dig[string](t, filter, "http_service", "path_prefix")

	n := newNode(t)
	k := n.edgeKeys()
	n.loadRecipe("envoy.Caddyfile", "request own "+prefix+"\n", "request own "+prefix+"\n")
	ask := func(q *edgeCase, client http.Header) string {
		subrequest := q.method + " " + prefix + q.path + " HTTP/1.1\r\nhost: pbx\r\ncontent-length: 0\r\n"
		for _, name := range sent {
			// Several values are one to it.
			if values := client.Values(name); len(values) > 0 {
				subrequest += name + ": " + strings.Join(values, ",") + "\r\n"
			}
		}
		return subrequest + "x-envoy-internal: true\r\nx-forwarded-for: 192.0.2.7\r\nx-envoy-expected-rq-timeout-ms: 6000\r\n\r\n"
	}
	proxy := asker{
		statusOf: func(answer int) int {
			if answer >= http.StatusInternalServerError {
				return http.StatusServiceUnavailable // status_on_error
			}
			return answer
		},
		ask: func(q *edgeCase, client http.Header) (string, bool) {
			// %2F and _ do not get so far. It has no absolute form any more,
			// and nothing but a path or *.
			for name := range client {
				if strings.Contains(name, "_") {
					delete(client, name) // REJECT_REQUEST: as if it had not been tried
				}
			}
			lower := strings.ToLower(q.path)
			return ask(q, client), strings.Contains(lower, "%2f") || strings.Contains(lower, "%5c") || strings.Contains(q.path, "#")
		},
		pass: func(client, answer http.Header) http.Header {
			h := client.Clone()
			for _, name := range names {
				if values := answer.Values(name); len(values) > 0 {
					h.Set(name, values[0])
				}
			}
			h.Del("X-Script-Name") // request_headers_to_remove
			return h
		},
	}
	proxy.test(t, n, k)
	t.Run("twice", func(t *testing.T) {
		for _, h := range []http.Header{
			{headerToken: {k.good, k.good}}, {headerToken: {k.good, k.unknown}}, {headerToken: {k.low}, headerActing: {theWorld(t).below, theWorld(t).below}},
		} {
			if resp := n.send(n.port2, localhost, ask(&edgeCase{method: "GET", path: "/api/confd/1.1/users"}, h)); resp.StatusCode != http.StatusUnauthorized && resp.StatusCode != http.StatusForbidden {
				t.Errorf("%v: %s", h, resp.Status)
			}
		}
	})
	// Without path_prefix, or with a path that runs into it, nothing is asked.
	t.Run("prefix", func(t *testing.T) {
		for _, path := range []string{"/api/confd/1.1/wizard", "/verifyapi/confd/1.1/wizard", "/verify", "/verify/", "/VERIFY/api/confd/1.1/wizard", "/x/../verify/api/confd/1.1/wizard", "//verify/api/confd/1.1/wizard"} {
			resp := n.send(n.port2, localhost, "GET "+path+" HTTP/1.1\r\nhost: pbx\r\ncontent-length: 0\r\n\r\n")
			if body, _ := io.ReadAll(resp.Body); resp.StatusCode != http.StatusForbidden {
				t.Errorf("%s: %s %s", path, resp.Status, body)
			}
		}
	})
	// Nobody is believed anything: there is nothing to describe with.
	t.Run("described", func(t *testing.T) {
		resp := n.send(n.port2, localhost, "GET "+prefix+"/api/confd/1.1/secrets HTTP/1.1\r\nhost: pbx\r\ncontent-length: 0\r\n"+
			"x-forwarded-uri: /api/confd/1.1/wizard\r\nx-forwarded-method: GET\r\nx-original-uri: /api/confd/1.1/wizard\r\nx-envoy-original-path: /api/confd/1.1/wizard\r\n\r\n")
		if resp.StatusCode != http.StatusForbidden {
			t.Error(resp.Status)
		}
	})
}
