package caddymodule

import (
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/caddyserver/caddy/v2"
)

// validate does what `caddy validate` does.
func validate(t testing.TB, cfg string) error {
	t.Helper()
	var c caddy.Config
	if err := caddy.StrictUnmarshalJSON([]byte(cfg), &c); err != nil {
		t.Fatal(err)
	}
	return caddy.Validate(&c)
}

func appConfig(app string) string {
	return `{"admin": {"disabled": true}, "logging": {"logs": {"default": {"writer": {"output": "discard"}}}}, "apps": {"xivo_auth": ` + app + `}}`
}

func TestProvision_Errors(t *testing.T) {
	dir := t.TempDir()
	probe := fmt.Sprintf(`"store": {"engine": "probe", "path": %q}`, filepath.Join(dir, "a.db"))
	for _, c := range []struct{ name, app, want string }{
		{"startup_check", `{` + probe + `, "startup_check": "always"}`, `startup_check is "always": it is one of warn, require`},
		{"token_lifetime of half a second", `{` + probe + `, "token_lifetime": "1.5s"}`, "token_lifetime is 1.5s: it is a positive number of whole seconds"},
		{"token_lifetime too short", `{` + probe + `, "token_lifetime": "900ms"}`, "token_lifetime is 900ms"},
		{"negative token_lifetime", `{` + probe + `, "token_lifetime": "-1h"}`, "token_lifetime is -1h0m0s"},
		{"unknown option", `{` + probe + `, "token_lifetme": "1h"}`, `unknown field "token_lifetme"`},
		{"no engine", `{"store": {"path": "/x"}}`, "engine"},
		{"unknown engine", `{"store": {"engine": "mysql"}}`, "unknown module: xivo_auth.stores.mysql"},
		{"an engine that is none", `{"store": {"engine": "impostor"}}`, "*caddymodule.impostor is not a store"},
		{"unknown backend", `{` + probe + `, "backends": [{"backend": "pam"}]}`, "unknown module: xivo_auth.backends.pam"},
		{"a backend that is none", `{` + probe + `, "backends": [{"backend": "wazo_user"}, {"backend": "impostor"}]}`, "*caddymodule.impostor is not a backend"},
		{"no dsn", `{"store": {"engine": "postgres"}}`, "a postgres store needs a dsn"},
		{"unset dsn", `{"store": {"engine": "postgres", "dsn": "{env.XIVO_AUTH_TEST_UNSET}"}}`, "expanding the dsn: evaluated placeholder {env.XIVO_AUTH_TEST_UNSET} is empty"},
		{"half a dsn", `{"store": {"engine": "postgres", "dsn": "postgres://u:{env.XIVO_AUTH_TEST_UNSET}@h/d"}}`, "expanding the dsn: evaluated placeholder {env.XIVO_AUTH_TEST_UNSET} is empty"},
		{"placeholder that is none", `{"store": {"engine": "postgres", "dsn": "{enw.DSN}"}}`, "unrecognized placeholder {enw.DSN}"},
		{"unset dsn of a replica", `{"store": {"engine": "postgres", "dsn": "postgres://h/d", "read_replica": "{env.XIVO_AUTH_TEST_UNSET}"}}`, "expanding the dsn of the read replica: evaluated placeholder {env.XIVO_AUTH_TEST_UNSET} is empty"},
		{"nonsense for that of a replica", `{"store": {"engine": "postgres", "dsn": "postgres://h/d", "read_replica": "postgres://u:hunter2@h:port/d"}}`, "the connection string cannot be understood"},
		{"a replica and no feed", `{"feed": {"off": true}, "store": {"engine": "postgres", "dsn": "postgres://h/d", "read_replica": "postgres://h2/d"}}`, "read_replica needs the feed to listen"},
		{"a replica and a feed that polls", `{"feed": {"poll": "1s"}, "store": {"engine": "postgres", "dsn": "postgres://h/d", "read_replica": "postgres://h2/d"}}`, "read_replica needs the feed to listen"},
		{"nonsense for a dsn", `{"store": {"engine": "postgres", "dsn": "postgres://u:hunter2@h:port/d"}}`, "the connection string cannot be understood"},
		{"unset path", `{"store": {"engine": "sqlite", "path": "{env.XIVO_AUTH_TEST_UNSET}/auth.db"}}`, "expanding the path of the database: evaluated placeholder {env.XIVO_AUTH_TEST_UNSET} is empty"},
		{"a NUL in a path", `{"store": {"engine": "sqlite", "path": "/tmp/a\u0000b"}}`, "opening the token service: opening the store: sqlite: the path holds a NUL"},
		{"bootstrap without a user", `{` + probe + `, "bootstrap": {"password": "x"}}`, "bootstrap names no user"},
		{"bootstrap password", `{` + probe + `, "bootstrap": {"user": "admin", "password": "{secret.admin}"}}`, "expanding the bootstrap password: unrecognized placeholder {secret.admin}"},
		{"xivo_uuid", `{` + probe + `, "xivo_uuid": "{stack.uuid}"}`, "expanding xivo_uuid: unrecognized placeholder {stack.uuid}"},
	} {
		t.Run(c.name, func(t *testing.T) {
			err := validate(t, appConfig(c.app))
			if err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("error %v, want %q", err, c.want)
			}
			if err != nil && strings.Contains(err.Error(), "hunter2") {
				t.Errorf("the error tells the password: %v", err)
			}
			if all := allServices(); len(all) != 0 {
				t.Errorf("%d services are left behind", len(all))
			}
		})
	}
	eventually(t, "all stores are closed", func() bool { return openProbes.Load() == 0 })
	if err := validate(t, appConfig(`{`+probe+`, "backends": [{"backend": "wazo_user"}], "token_lifetime": "1s"}`)); err != nil {
		t.Errorf("a good configuration: %v", err)
	}
	eventually(t, "all stores are closed", func() bool { return openProbes.Load() == 0 })
}

// impostor is registered under our namespaces and is nothing of the kind.
type impostor struct{ id caddy.ModuleID }

func (i *impostor) CaddyModule() caddy.ModuleInfo {
	return caddy.ModuleInfo{ID: i.id, New: func() caddy.Module { return &impostor{i.id} }}
}

func init() {
	caddy.RegisterModule(&impostor{"xivo_auth.stores.impostor"})
	caddy.RegisterModule(&impostor{"xivo_auth.backends.impostor"})
}

// Checking a configuration dials nobody: with the database down it must pass,
// also where a start would insist on one.
func TestProvision_NoNetwork(t *testing.T) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var dialled atomic.Int64
	done := make(chan struct{})
	go func() {
		defer close(done)
		for {
			conn, err := ln.Accept()
			if err != nil {
				return
			}
			dialled.Add(1)
			_ = conn.Close()
		}
	}()
	t.Setenv("XIVO_AUTH_DSN", fmt.Sprintf("postgres://u:p@%s/auth?sslmode=disable", ln.Addr()))
	for _, app := range []string{
		`{"startup_check": "require", "bootstrap": {"user": "admin"}, "cleanup_interval": "1s"}`, // the DSN of the environment
		fmt.Sprintf(`{"startup_check": "require", "store": {"engine": "postgres", "dsn": "postgres://u:p@127.0.0.1:%d/auth?sslmode=disable"}}`, freePort(t)),
	} {
		if err := validate(t, appConfig(app)); err != nil {
			t.Errorf("%s: %v", app, err)
		}
	}
	// The environment's was taken, and not SQLite. Without the feed, which goes
	// on trying until the service is closed, a moment after this.
	err = caddy.Load([]byte(appConfig(`{"startup_check": "require", "feed": {"off": true}}`)), true)
	if err == nil || !strings.Contains(err.Error(), "preparing the database") {
		t.Errorf("error %v, want one about the database", err)
	}
	if dialled.Load() == 0 {
		t.Error("the start did not dial, so that neither would prove anything")
	}
	before := dialled.Load()
	if err := validate(t, appConfig(`{"startup_check": "require"}`)); err != nil {
		t.Error(err)
	}
	_ = ln.Close()
	<-done
	if n := dialled.Load() - before; n != 0 {
		t.Errorf("validation dialled %d times", n)
	}
	eventually(t, "no service is left", func() bool { return len(allServices()) == 0 })
}

// Nor does it leave a file behind, which would belong to whoever checked.
func TestProvision_WritesNothing(t *testing.T) {
	dir := t.TempDir()
	t.Setenv("XDG_DATA_HOME", dir)
	for _, app := range []string{`{"bootstrap": {"user": "admin"}}`, fmt.Sprintf(`{"store": {"engine": "sqlite", "path": %q}}`, filepath.Join(dir, "a", "auth.db"))} {
		if err := validate(t, appConfig(app)); err != nil {
			t.Errorf("%s: %v", app, err)
		}
	}
	if left, err := os.ReadDir(dir); err != nil || len(left) != 0 {
		t.Errorf("left %v, %v", left, err)
	}
}

// Whatever Cleanup meets, it gives back what the app took and nothing else.
func TestCleanup_AfterPartialProvision(t *testing.T) {
	zero := new(App)
	if err := errors.Join(zero.Cleanup(), zero.Cleanup()); err != nil {
		t.Error(err)
	}
	n := newNode(t)
	n.start("token_lifetime 10m", sites)
	sh := n.service()
	for _, app := range []string{
		`{"store": {"engine": "probe", "path": %q}, "token_lifetime": "1.5s"}`, // same key as what runs
		`{"store": {"engine": "probe", "path": %q}, "bootstrap": {}}`,
		`{"store": {"engine": "probe", "path": %q}, "xivo_uuid": "{nope.nope}"}`,
		`{"store": {"engine": "probe", "path": %q}, "startup_check": "x"}`,
		`{"store": {"engine": "probe", "path": %q}, "backends": [{"backend": "x"}]}`,
	} {
		app = fmt.Sprintf(app, n.db)
		a := new(App)
		if err := json.Unmarshal([]byte(app), a); err != nil {
			t.Fatal(err)
		}
		ctx, cancel := caddy.NewContext(caddy.ActiveContext())
		if err := a.Provision(ctx); err == nil {
			t.Errorf("%s: no error", app)
		}
		if err := errors.Join(a.Cleanup(), a.Cleanup()); err != nil {
			t.Error(err)
		}
		cancel()
		if refs := n.refs(); refs != 1 || n.service() != sh {
			t.Fatalf("%s: %d references, want 1", app, refs)
		}
	}
	// And after a whole one, twice.
	a := new(App)
	if err := json.Unmarshal(fmt.Appendf(nil, `{"store": {"engine": "probe", "path": %q}, "cache": {"grants": 1000}}`, n.db), a); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := caddy.NewContext(caddy.ActiveContext())
	defer cancel()
	if err := a.Provision(ctx); err != nil {
		t.Fatal(err)
	}
	if refs := n.refs(); refs != 2 {
		t.Errorf("%d references, want 2", refs)
	}
	if err := errors.Join(a.Cleanup(), a.Cleanup()); err != nil {
		t.Error(err)
	}
	if refs := n.refs(); refs != 1 {
		t.Errorf("%d references, want 1", refs)
	}
}

// Apps start in any order. A guard that serves before the app was started
// already decides as it always will.
func TestHTTPBeforeAppStart(t *testing.T) {
	n, w := newNode(t), theWorld(t)
	world, empty := n.db, filepath.Join(n.dir, "empty.db")
	good, poor := n.mint(w.alice, "demo.read"), n.mint(w.alice)
	met := map[string]bool{}
	hook := func() {
		all := allServices()
		for _, sh := range all {
			if len(all) != 1 || sh.inForce() != nil {
				return // ours was started
			}
		}
		conn, err := net.Dial("tcp", strings.TrimPrefix(n.url(""), "http://"))
		if err != nil {
			return // http was not
		}
		_ = conn.Close()
		met[n.db] = true
		want := map[string]int{good: http.StatusOK, poor: http.StatusUnauthorized, "": http.StatusUnauthorized}
		if n.db == empty {
			// No table to look into: nobody can tell, which is not a no.
			want = map[string]int{good: http.StatusServiceUnavailable, "": http.StatusUnauthorized}
		}
		for token, status := range want {
			if r, err := n.try("GET", n.url("/"), "", "X-Auth-Token", token); err != nil || r.status != status {
				t.Errorf("before the start, %s: %q got %d %s %v, want %d", filepath.Base(n.db), token, r.status, r.body, err, status)
			}
		}
	}
	atStart.Store(&hook)
	defer atStart.Store(nil)
	// Apps start in the order of a small map, which mostly is that in which
	// they were asked for: http, by it the meddler, then ours.
	const sites = "http://:<port> {\n route {\n meddle\n xivo_auth_guard {\n scope demo.read\n }\n respond allowed\n }\n}"
	for range 200 {
		for _, n.db = range []string{world, empty} {
			if met[n.db] {
				continue
			}
			n.start("", sites)
			if err := caddy.Stop(); err != nil {
				t.Fatal(err)
			}
			eventually(t, "the service is closed", func() bool { return openProbes.Load() == 0 })
			if n.db == empty {
				n.removeDB()
			}
		}
		if met[world] && met[empty] {
			return
		}
	}
	t.Errorf("http never started first: %v", met)
}

// No option is given, so that all of the defaults are met.
func TestDefaults(t *testing.T) {
	// No global option at all: the handlers have the app made.
	n := newNode(t)
	t.Setenv("XDG_DATA_HOME", n.dir)
	cfg := n.caddyfile("", "http://:<port> {\n xivo_auth_api\n}")
	head, rest, _ := strings.Cut(cfg, "\txivo_auth {")
	_, rest, _ = strings.Cut(rest, "\n\t}\n")
	t.Setenv("XIVO_UUID", "5a9c2a1e-6a4d-4a49-8b0c-2f2d2f1f0c11")
	n.loadText(head + rest)
	if r := n.do("GET", n.url("/0.1/backends"), ""); r.status != http.StatusOK || !strings.Contains(r.body, "wazo_user") {
		t.Errorf("%d %s", r.status, r.body)
	}
	sh := n.service()
	if list, err := sh.Users.List(t.Context()); err != nil || len(list) != 0 {
		t.Errorf("users %v, %v: nobody was asked for", list, err)
	}
	if _, err := sh.Users.Create(t.Context(), newUser("carol", alicePassword)); err != nil {
		t.Fatal(err)
	}
	_, answer := n.login("carol", alicePassword)
	if !strings.Contains(answer, "5a9c2a1e-6a4d-4a49-8b0c-2f2d2f1f0c11") {
		t.Errorf("the stack's uuid is missing: %s", answer)
	}
	if st := openDB(t, filepath.Join(n.dir, "caddy", "xivo-auth", "auth.db")); st != nil {
		if used, err := st.HasUsers(t.Context()); err != nil || !used {
			t.Errorf("the default database is elsewhere: %v %v", used, err)
		}
	}
}
