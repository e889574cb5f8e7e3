package caddymodule

import (
	"fmt"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig/httpcaddyfile"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
	"github.com/google/uuid"

	"github.com/wazo-edge/xivo-auth/authsvc/grant"
	"github.com/wazo-edge/xivo-auth/authsvc/guard"
	"github.com/wazo-edge/xivo-auth/authsvc/store"
)

// panics is a handler behind a guard that panics.
type panics struct{}

func (*panics) CaddyModule() caddy.ModuleInfo {
	return caddy.ModuleInfo{ID: "http.handlers.sec_panic", New: func() caddy.Module { return new(panics) }}
}

func (*panics) ServeHTTP(http.ResponseWriter, *http.Request, caddyhttp.Handler) error {
	panic("a handler panics")
}

func init() {
	caddy.RegisterModule(&panics{})
	httpcaddyfile.RegisterHandlerDirective("sec_panic", func(httpcaddyfile.Helper) (caddyhttp.MiddlewareHandler, error) {
		return new(panics), nil
	})
}

// Q1: placeholders in what a client had sent were expanded where a proxy put
// it into a header of its own (Caddy GHSA-j8px-rmrx-76h9).
func TestSec_Q1(t *testing.T) {
	const fromEnv, fromFile = "expanded-env-9b2e", "expanded-file-71c0"
	t.Setenv("XIVO_AUTH_TEST_SECRET", fromEnv)
	file := filepath.Join(t.TempDir(), "secret")
	write(t, file, fromFile)
	s := newSeams(t, sec{
		app: "assertion {\n lifetime 1m\n}",
		gates: []gateSpec{{
			host: "demo", args: "demo", options: "assertion\ncookie tok",
			// What an operator may well do with the identity.
			behind: "request_header X-Told \"{http.auth.user.tenant}|{header.X-Auth-Tenant-Uuid}\"\nheader X-Told \"{header.X-Auth-Tenant-Uuid}|{http.auth.user.id}\"\n",
		}},
	})
	st := openDB(t, s.db)
	own := s.mint(store.User{UUID: grant.InternalAuthID, TenantUUID: s.alice.TenantUUID}, "demo.#")
	good := s.mint(s.alice, "demo.users.read")
	keys := s.jwks(t)
	for _, ph := range []string{"{env.XIVO_AUTH_TEST_SECRET}", "{file." + file + "}", "{http.request.header.X-Auth-Token}", "{http.vars.client_ip}", "{$XIVO_AUTH_TEST_SECRET}", "{{env \"HOME\"}}", "\\{env.XIVO_AUTH_TEST_SECRET}", "{http.request.host}"} {
		expansions := []string{fromEnv, fromFile}
		if _, err := st.CreateUser(t.Context(), store.NewUser{User: store.User{Username: ph, Enabled: true, Purpose: "user", Method: store.MethodNative}}); err != nil {
			t.Fatal(err)
		}
		// The API.
		login := func(body string) reply {
			return s.bytesTo(t, s.port, "POST", head("POST", "/0.1/token", "api", []string{
				"Authorization", basic(ph, alicePassword), "User-Agent", ph, "Content-Type", "application/json", "Content-Length", fmt.Sprint(len(body)),
			})+"\r\n"+body)
		}
		r := login("{}")
		quoted := strings.ReplaceAll(strings.ReplaceAll(ph, `\`, `\\`), `"`, `\"`)
		if r.status != http.StatusOK || !strings.Contains(r.body, quoted) {
			t.Fatalf("login as %s: %d %s", ph, r.status, r.body)
		}
		his := tokenOf(t, r.body)
		if row, err := st.Token(t.Context(), his); err != nil || row.UserAgent != ph {
			t.Errorf("stored user agent %q, %v", row.UserAgent, err)
		}
		if r := login(`{"tenant_id": "` + quoted + `"}`); r.status != http.StatusNotFound || !strings.Contains(r.body, quoted) {
			t.Errorf("tenant %s: %d %s", ph, r.status, r.body)
		}
		answers := []reply{r}
		s.both(t, func(t *testing.T, s side) {
			// A tenant that is handed on in headers: the service's own token
			// may act in any.
			for _, token := range []string{own} {
				r := s.send(t, "demo", "GET", "/users", "X-Auth-Token", token, "Wazo-Tenant", ph, "User-Agent", ph, "X-Other", ph, "Cookie", "other="+ph)
				got := s.wantPassed(t, ph, r)
				answers = append(answers, r, reply{body: got})
				wantHeaders(t, got, map[string]string{"X-Auth-Tenant-Uuid": ph, "Wazo-Tenant": ph, "User-Agent": ph, "X-Other": ph, "Cookie": "other=" + ph, "X-Auth-Token": token})
				told, _, _ := strings.Cut(r.header.Get("X-Told"), "|")
				if told != ph {
					t.Errorf("the client is told %q, want %s", r.header.Get("X-Told"), ph)
				}
				if behind := headerValues(got, "X-Told"); len(behind) != 1 || !strings.HasSuffix(behind[0], "|"+ph) {
					t.Errorf("the upstream is told %q, want %s", behind, ph)
				}
				if list := headerValues(got, headerAssertion); len(list) != 1 {
					t.Errorf("%d assertions", len(list))
				} else if c, err := verifyAssertion(keys, list[0], "demo", clock()); err != nil || c.Tenant != ph {
					t.Errorf("the assertion says %q, %v", c.Tenant, err)
				}
				if s.wsgi.missing == "" {
					wantNoForgery(t, environ(t, s.send(t, "demo", "GET", "/users", "X-Auth-Token", token, "Wazo-Tenant", ph, "X-Up", "wsgi")), map[string]string{"X-Auth-Tenant-Uuid": ph})
				}
			}
			// A path and a query. Some of them no path may hold.
			if strings.ContainsAny(ph, `/\`) {
				s.wantRefused(t, ph, s.judge(t, "demo", "GET", "/open/"+url.PathEscape(ph)), guard.BadPath)
				return
			}
			path := "/open/" + url.PathEscape(ph)
			got := s.wantPassed(t, path, s.send(t, "demo", "GET", path+"?a="+url.QueryEscape(ph), "X-Other", ph))
			if !strings.HasPrefix(got, "GET "+path+"?a="+url.QueryEscape(ph)+" ") {
				t.Errorf("the upstream got %.200s", got)
			}
			answers = append(answers, reply{body: got})
			if !strings.Contains(ph, " ") { // as it is
				got := s.wantPassed(t, ph, s.send(t, "demo", "GET", "/open/"+ph+"?"+ph))
				if strings.Contains(got, "expanded") || !strings.Contains(got, "?"+ph) {
					t.Errorf("the upstream got %.200s", got)
				}
			}
			// What is refused tells what was sent, in JSON.
			for _, r := range []reply{
				s.judge(t, "demo", "GET", "/users", "X-Auth-Token", good, "Wazo-Tenant", ph),
				s.judge(t, "demo", "GET", "/users", "X-Auth-Token", ph),
				s.judge(t, "demo", "GET", "/users", "Cookie", "tok="+strings.NewReplacer(`"`, "", " ", "").Replace(ph)),
				s.judge(t, "demo", "GET", "/users/"+url.PathEscape(strings.ReplaceAll(ph, "/", "")), "X-Auth-Token", good),
				s.judge(t, "demo", "GET", "/export?token="+url.QueryEscape(ph)),
			} {
				if r.status/100 != 4 {
					t.Errorf("%s: %d %s", ph, r.status, r.body)
				}
				s.raw.untouched(t)
				answers = append(answers, r)
			}
			r := s.judge(t, "demo", "GET", "/users", "X-Auth-Token", good, "Wazo-Tenant", ph)
			s.wantRefused(t, ph, r, guard.WrongTenant)
			if !strings.Contains(r.body, `"tenant_uuid": "`+quoted+`"`) {
				t.Errorf("the refusal does not tell the tenant as it was sent: %s", r.body)
			}
		})
		for _, r := range answers {
			for _, expansion := range expansions {
				if strings.Contains(fmt.Sprint(r.header, r.body), expansion) {
					t.Errorf("%s was expanded: %v %s", ph, r.header, r.body)
				}
			}
		}
	}
	logs := s.logs()
	if strings.Contains(logs, fromEnv) || strings.Contains(logs, fromFile) {
		t.Error("a placeholder was expanded in the log")
	}
	if !strings.Contains(logs, "{env.XIVO_AUTH_TEST_SECRET}") {
		t.Error("the log has nothing of all this")
	}
}

// shippedFormat is how the shipped Caddyfile filters logs, as JSON.
func shippedFormat(t *testing.T) string {
	t.Helper()
	text, err := os.ReadFile("../Caddyfile")
	if err != nil {
		t.Fatal(err)
	}
	_, rest, found := strings.Cut(string(text), "format filter {")
	filter, _, closed := strings.Cut(rest, "\n\t\t}")
	if !found || !closed || !strings.Contains(filter, "X-Auth-Token delete") {
		t.Fatal("the shipped Caddyfile filters its log otherwise than this test knows")
	}
	return "format filter {" + strings.Replace(filter, "wrap console", "wrap json", 1) + "\n}"
}

// L1: tokens in logs (flawchess #315 and #316, oauth2-proxy PR 3264). Here with
// everything that a gate knows of a secret; the API is in [TestLog_NoSecrets].
func TestSec_L1(t *testing.T) {
	const dsn = "dsn-s3cret-4d4d"
	t.Setenv("XIVO_AUTH_TEST_DSN", fmt.Sprintf("postgres://auth:%s@127.0.0.1:%d/auth?sslmode=disable", dsn, freePort(t)))
	c := sec{
		logs: shippedFormat(t),
		gates: []gateSpec{
			{host: "demo", args: "demo", options: "cookie tok\nassertion"}, {host: "shadow", args: "demo", options: "cookie tok\nshadow"},
			{host: "dropping", args: "demo", options: "cookie tok"}, {host: "panic", args: "demo", behind: "sec_panic\n"},
			{host: "original", args: "demo", verify: "request original"}, {host: "own", args: "demo", verify: "request own /ask"},
		},
	}
	s := newSeams(t, c)
	good, poor, unknown := s.mint(s.alice, "demo.#"), s.mint(s.alice, "nothing"), uuid.NewString()
	secrets := []string{good, poor, unknown, dsn, alicePassword, basic("alice", alicePassword)[len("Basic "):], "wrong-s3cret-0a0b", basic("alice", "wrong-s3cret-0a0b")[len("Basic "):]}
	var answers []string
	keep := func(r reply) {
		for len(s.raw.got) > 0 {
			secrets = append(secrets, headerValues(<-s.raw.got, headerAssertion)...)
		}
		if text := r.header.Get(headerAssertion); text != "" {
			secrets = append(secrets, text)
			r.header.Del(headerAssertion) // it is for the proxy
		}
		answers = append(answers, fmt.Sprint(r.header, r.body))
	}
	flow := func() {
		for _, token := range []string{good, poor, unknown} {
			s.both(t, func(t *testing.T, s side) {
				for _, header := range map[string][]string{
					"header": {"X-Auth-Token", token}, "twice": {"X-Auth-Token", token, "X-Auth-Token", token}, "cookie": {"Cookie", "a=b; tok=" + token}, "two cookies": {"Cookie", "tok=" + token, "Cookie", "tok=" + token},
					"with a tenant": {"X-Auth-Token", token, "Wazo-Tenant", "none"}, "referer": {"X-Auth-Token", token, "Referer", "https://pbx/export?token=" + token}, "alias": {"X_Auth_Token", token},
					"Authorization": {"Authorization", "Bearer " + token}, "upper case": {"X-Auth-Token", strings.ToUpper(token)},
				} {
					for _, host := range []string{"demo", "shadow"} {
						keep(s.send(t, host, "GET", "/users", header...))
						keep(s.judge(t, host, "GET", "/users", header...))
					}
					keep(s.judge(t, "demo", "GET", "/nowhere", header...))
				}
				for _, target := range []string{"/export?token=" + token, "/export?a=b&token=" + token + "&c=d", "/users?token=" + token, "/export?token=" + token + "&token=" + token, "/export/?token=" + token, "//export?token=" + token} {
					for _, host := range []string{"demo", "shadow"} {
						keep(s.send(t, host, "GET", target))
						keep(s.judge(t, host, "GET", target))
					}
				}
				if !s.verify {
					// The connection ends without an answer.
					exchange(s.port, head("GET", "/users?token="+token, "panic", []string{"X-Auth-Token", token, "Cookie", "tok=" + token})+"\r\n")
				}
			})
			keep(s.subrequest(t, "original", "X-Original-Method", "GET", "X-Original-Uri", "/export?token="+token))
			keep(s.bytesTo(t, s.endpoint, "GET", head("GET", "/ask/export?token="+token, "own", nil)+"\r\n"))
		}
		for _, pass := range []string{alicePassword, "wrong-s3cret-0a0b"} {
			r := s.bytesTo(t, s.port, "POST", head("POST", "/0.1/token", "api", []string{"Authorization", basic("alice", pass), "Content-Length", "2", "Content-Type", "application/json"})+"\r\n{}")
			if r.status == http.StatusOK {
				secrets = append(secrets, tokenOf(t, r.body))
				continue // it is the client's
			}
			keep(r)
		}
	}
	check := func(t *testing.T) {
		t.Helper()
		outputs := map[string]string{"the log": s.logs(), "the answers": strings.Join(answers, "\n")}
		for _, path := range []string{"/config/", "/metrics", "/reverse_proxy/upstreams", "/debug/vars"} {
			outputs["admin "+path] = s.do("GET", s.adminURL(path), "").body
		}
		for _, token := range []string{good, poor, unknown} {
			for _, uri := range []string{"/users", "/export?token=" + token, "/nowhere"} {
				outputs["explain "+uri+token] = s.do("POST", s.adminURL("/xivo-auth/explain"), fmt.Sprintf(`{"method": "GET", "uri": %q, "token": %q, "service": "demo"}`, uri, token)).body
			}
		}
		if !strings.Contains(outputs["the log"], "handled request") || !strings.Contains(outputs["the log"], "upstream roundtrip") || !strings.Contains(outputs["the log"], "shadow: ") ||
			!strings.Contains(outputs["admin /config/"], "xivo_auth_guard") || !strings.Contains(outputs["admin /metrics"], "xivo_auth_decisions_total") {
			t.Fatal("there is nothing to look at")
		}
		for where, text := range outputs {
			lower := strings.ToLower(text)
			for _, secret := range secrets {
				at := strings.Index(lower, strings.ToLower(secret))
				if at < 0 {
					continue
				}
				line := text[strings.LastIndexByte(text[:at], '\n')+1:]
				line, _, _ = strings.Cut(line, "\n")
				t.Errorf("%s has %.40s:\n%.2000s", where, secret, line)
				break
			}
		}
	}
	flow()
	check(t)
	if !strings.Contains(s.logs(), "a handler panics") && !strings.Contains(s.logs(), "panic") {
		t.Error("nobody panicked")
	}

	// With a database that is not there.
	t.Run("store down", func(t *testing.T) {
		down := c
		down.app = "store postgres {env.XIVO_AUTH_TEST_DSN}"
		s.load(t, down)
		answers = nil
		flow()
		check(t)
		if !strings.Contains(s.logs(), "the database is not ready") {
			t.Error("the outage is not told")
		}
	})
}
