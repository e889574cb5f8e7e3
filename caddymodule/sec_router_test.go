package caddymodule

import (
	"bufio"
	"cmp"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"math/rand/v2"
	"net"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/caddyserver/caddy/v2"

	"github.com/wazo-edge/xivo-auth/authsvc/acl"
	"github.com/wazo-edge/xivo-auth/authsvc/routes"
)

// wire is a connection that is kept.
type wire struct {
	addr string
	conn net.Conn
	r    *bufio.Reader
}

func (w *wire) close() {
	if w.conn != nil {
		_ = w.conn.Close()
		w.conn = nil
	}
}

func (w *wire) ask(method, request string) (r reply, err error) {
	for range 3 { // the other side may have closed it
		if r, err = w.once(method, request); err == nil {
			return r, nil
		}
		w.close()
	}
	return r, err
}

func (w *wire) once(method, request string) (reply, error) {
	if w.conn == nil {
		conn, err := net.Dial("tcp", w.addr)
		if err != nil {
			return reply{}, err
		}
		w.conn, w.r = conn, bufio.NewReader(conn)
	}
	if _, err := io.WriteString(w.conn, request); err != nil {
		return reply{}, err
	}
	resp, err := http.ReadResponse(w.r, &http.Request{Method: method})
	if err != nil {
		return reply{}, err
	}
	defer func() { _ = resp.Body.Close() }()
	body, err := io.ReadAll(resp.Body)
	if resp.Close || err != nil {
		w.close()
	}
	return reply{resp.StatusCode, resp.Header, string(body)}, err
}

// served is what an upstream routed a request to.
type served struct{ Rule, Needs string }

// routedTo reads it off an answer; ok is false where no upstream answered.
func routedTo(r reply) (to served, ok bool) {
	told := r.header.Get("X-Routed")
	if told == "" {
		return to, false
	}
	if err := json.Unmarshal([]byte(told), &to); err != nil {
		panic(err)
	}
	return to, true
}

// figures count what became of the cases of one class.
type figures struct{ all, through, served, refused, stricter int }

// P7: the proxy's matcher and the application's router disagreed on a path
// (Caddy CVE-2026-27587, CVE-2026-27588). What werkzeug routes behind
// cheroot is what the guard has judged: no request reaches an endpoint whose
// access its token does not hold, and every ordinary one does that may.
func TestSec_P7(t *testing.T) {
	spec, err := json.Marshal(routerRules)
	if err != nil {
		t.Fatal(err)
	}
	wsgi := startWSGI("routed.py", string(spec))
	t.Cleanup(wsgi.stop)
	wsgi.need(t)
	c := sec{wsgi: wsgi}
	var lines strings.Builder
	var typed []routes.Route
	for _, r := range routerRules {
		template, types := r.template()
		route := routes.Route{Method: r.Method, Template: template, Types: types}
		var word bool
		if route.Kind, word = routes.ParseKind(r.Needs); !word {
			route.Kind, route.ACL = routes.Access, r.Needs
		}
		typed = append(typed, route)
		fmt.Fprintf(&lines, " route %s %s %s\n", r.Method, template, r.Needs)
	}
	for _, host := range []string{"deny", "token", "public", "below"} {
		options, behind := "unmatched "+host, ""
		if host == "below" {
			options, behind = "unmatched public\nprefix /api/p", "uri strip_prefix /api/p\n"
		}
		c.service += "service " + host + " {\n" + options + "\n" + lines.String() + "}\n"
		c.gates = append(c.gates, gateSpec{host: host, args: host, behind: behind})
	}
	s := newSeams(t, c)
	// The types of parameters, which specifications know and routes that are
	// given one by one do not.
	table, problems := routes.New(typed)
	if len(problems) > 0 {
		t.Fatal(problems)
	}
	for _, known := range []bool{false, true} {
		name := "types unknown"
		if known {
			name = "types known"
			loaded, err := caddy.ActiveContext().AppIfConfigured("xivo_auth")
			if err != nil {
				t.Fatal(err)
			}
			for _, p := range loaded.(*App).policies {
				p.Table = table
			}
		}
		t.Run(name, func(t *testing.T) { newRouterRun(s, known).run(t, 3000) })
	}
}

// routerRun is one run of P7.
type routerRun struct {
	*seams
	tokens []string
	acls   []*acl.ACL
	self   acl.Self
	typed  bool
	maker  caseMaker

	mu    sync.Mutex
	count map[string]*figures
}

func newRouterRun(s *seams, typed bool) *routerRun {
	seed := uint64(1)
	if typed {
		seed = 2
	}
	run := &routerRun{seams: s, typed: typed, maker: caseMaker{rand.New(rand.NewPCG(7, seed))}, count: map[string]*figures{}, self: acl.Self{AuthID: []byte(s.alice.UUID)}}
	for _, list := range routerACLs {
		token := ""
		if list != nil {
			token = s.mint(s.alice, list...)
		}
		run.tokens = append(run.tokens, token)
		run.acls = append(run.acls, acl.Compile(list))
	}
	return run
}

// holds reports whether the token of a case holds what an endpoint needs.
func (run *routerRun) holds(c *routerCase, needs string) bool {
	switch needs {
	case "public":
		return true
	case "token":
		return run.tokens[c.token] != ""
	}
	return run.tokens[c.token] != "" && run.acls[c.token].Match(needs, run.self)
}

func (run *routerRun) run(t *testing.T, n int) {
	cases := make(chan routerCase)
	var workers sync.WaitGroup
	for range 2 {
		workers.Go(func() {
			wires := map[string]*wire{
				"guard": {addr: fmt.Sprintf("127.0.0.1:%d", run.port)}, "proxy": {addr: fmt.Sprintf("127.0.0.1:%d", run.port2)},
				"endpoint": {addr: fmt.Sprintf("127.0.0.1:%d", run.endpoint)}, "direct": {addr: run.wsgi.addr},
			}
			for c := range cases {
				run.one(t, c, wires)
			}
			for _, w := range wires {
				w.close()
			}
		})
	}
	for _, path := range routerCorpus {
		for token := range routerACLs {
			for _, host := range []string{"deny", "public"} {
				cases <- routerCase{class: "corpus", host: host, method: "GET", path: path, token: token}
			}
		}
	}
	for range n {
		cases <- run.maker.next()
	}
	close(cases)
	workers.Wait()

	var sum figures
	for _, class := range slices.Sorted(maps.Keys(run.count)) {
		f := run.count[class]
		t.Logf("%-28s %5d requests: %5d passed, of which %5d were served; %5d refused, of which %4d would have been served and allowed",
			cmp.Or(class, "ordinary"), f.all, f.through, f.served, f.refused, f.stricter)
		sum.all, sum.through, sum.served, sum.refused, sum.stricter = sum.all+f.all, sum.through+f.through, sum.served+f.served, sum.refused+f.refused, sum.stricter+f.stricter
	}
	t.Logf("%-28s %5d requests: %5d passed, of which %5d were served; %5d refused, of which %4d would have been served and allowed",
		"all", sum.all, sum.through, sum.served, sum.refused, sum.stricter)
	// A test of which nothing passes, or nothing is refused, tells nothing.
	if plain := run.count[""]; plain == nil || plain.served < n/20 || plain.refused < n/20 || sum.served-plain.served < n/50 {
		t.Errorf("the cases are not what they are meant to be: %+v", plain)
	}
}

func (run *routerRun) one(t *testing.T, c routerCase, wires map[string]*wire) {
	header := []string{"X-Up", "wsgi", "Connection", "keep-alive"}
	if token := run.tokens[c.token]; token != "" {
		header = append(header, "X-Auth-Token", token)
	}
	ask := func(where, method, target string, header ...string) reply {
		r, err := wires[where].ask(method, head(method, target, c.host, header)+"\r\n")
		if err != nil {
			t.Errorf("%s %s %.200q: %v", where, method, target, err)
		}
		return r
	}
	what := fmt.Sprintf("%s (%s) %s %.200q, token %d", cmp.Or(c.class, "ordinary"), c.host, c.method, c.prefix+c.path, c.token)

	guarded := ask("guard", c.method, c.prefix+c.path, header...)
	got, through := routedTo(guarded)
	if through && guarded.status == http.StatusOK && !run.holds(&c, got.Needs) {
		t.Errorf("%s: let through the guard to %s, which needs %s", what, got.Rule, got.Needs)
	}
	if !through && guarded.status/100 != 4 {
		t.Errorf("%s: the guard answers %d %s", what, guarded.status, guarded.body)
	}

	// The endpoint judges alike, but for what net/http refuses by itself.
	judged := ask("endpoint", "GET", "/verify", append(header, "X-Forwarded-Method", c.method, "X-Forwarded-Uri", c.prefix+c.path)...)
	if allowed := judged.status == http.StatusOK; allowed != through && (allowed || guarded.status != http.StatusBadRequest) {
		t.Errorf("%s: the guard answers %d and the endpoint %d %s", what, guarded.status, judged.status, judged.body)
	}
	proxied := ask("proxy", c.method, c.prefix+c.path, header...)
	if to, passed := routedTo(proxied); passed && proxied.status == http.StatusOK && !run.holds(&c, to.Needs) {
		t.Errorf("%s: let through the proxy to %s, which needs %s", what, to.Rule, to.Needs)
	}

	// What the router makes of it without anybody in between.
	reached := false
	var to served
	if c.host != "below" || c.prefix == "/api/p" {
		direct := ask("direct", c.method, c.path, header...)
		to, reached = routedTo(direct)
		reached = reached && direct.status == http.StatusOK
	}
	if reached && judged.status == http.StatusOK && !run.holds(&c, to.Needs) {
		t.Errorf("%s: let through the endpoint to %s, which needs %s", what, to.Rule, to.Needs)
	}
	may := reached && run.holds(&c, to.Needs)
	if may && c.ordinary && (!through || guarded.status != http.StatusOK || got != to) {
		t.Errorf("%s: may go to %s, but the guard answers %d %+v %s", what, to.Rule, guarded.status, got, guarded.body)
	}
	if may && c.ordinary && proxied.status != http.StatusOK {
		t.Errorf("%s: may go to %s, but the proxy answers %d %s", what, to.Rule, proxied.status, proxied.body)
	}
	// Where the types are known, all that is lost is what can be read in two ways.
	if may && !through && run.typed && guarded.status != http.StatusBadRequest {
		t.Errorf("%s: may go to %s, but the guard answers %d %s", what, to.Rule, guarded.status, guarded.body)
	}
	// And where it went, it went as it was spelled.
	if through && reached && guarded.status == http.StatusOK && got != to {
		t.Errorf("%s: goes to %+v through the guard, and to %+v without", what, got, to)
	}

	run.mu.Lock()
	defer run.mu.Unlock()
	f := run.count[c.class]
	if f == nil {
		f = new(figures)
		run.count[c.class] = f
	}
	f.all++
	switch {
	case !through:
		f.refused++
		if may {
			f.stricter++
		}
	default:
		f.through++
		if guarded.status == http.StatusOK {
			f.served++
		}
	}
}
