package caddymodule

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig"
	_ "github.com/caddyserver/caddy/v2/modules/caddyhttp/caddyauth"
	_ "github.com/caddyserver/caddy/v2/modules/caddyhttp/headers"
	_ "github.com/caddyserver/caddy/v2/modules/caddyhttp/reverseproxy"
	_ "github.com/caddyserver/caddy/v2/modules/caddyhttp/rewrite"
	_ "github.com/caddyserver/caddy/v2/modules/caddypki"
	_ "github.com/caddyserver/caddy/v2/modules/caddytls"
	_ "github.com/caddyserver/caddy/v2/modules/filestorage"
	_ "github.com/caddyserver/caddy/v2/modules/logging"
	_ "github.com/caddyserver/caddy/v2/modules/metrics"

	"github.com/wazo-edge/xivo-auth/authsvc/grant"
	"github.com/wazo-edge/xivo-auth/authsvc/revocation"
	"github.com/wazo-edge/xivo-auth/internal/freeport"
)

func TestMain(m *testing.M) { os.Exit(run(m)) }

// run keeps the package's tests away from the developer's own Caddy.
func run(m *testing.M) int {
	dir, err := os.MkdirTemp("", "xivo-auth-test-")
	if err != nil {
		log.Fatal(err)
	}
	defer func() { _ = os.RemoveAll(dir) }()
	for _, name := range []string{"XDG_DATA_HOME", "XDG_CONFIG_HOME"} {
		if err := os.Setenv(name, dir); err != nil {
			log.Fatal(err)
		}
	}
	for _, name := range []string{"XIVO_AUTH_DSN", "XIVO_UUID", "XIVO_AUTH_BOOTSTRAP_USER", "XIVO_AUTH_BOOTSTRAP_PASSWORD"} {
		if err := os.Unsetenv(name); err != nil {
			log.Fatal(err)
		}
	}
	linger, healEvery = 10*time.Millisecond, 10*time.Millisecond
	return m.Run()
}

// patience bounds every wait for something that must happen. It is no
// threshold: reaching it means that the thing did not happen.
const patience = 20 * time.Second

// eventually polls where there is nothing to wait on.
func eventually(t testing.TB, what string, ok func() bool) {
	t.Helper()
	for deadline := time.Now().Add(patience); !ok(); time.Sleep(2 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("never happened: %s", what)
		}
	}
}

// A Caddy process has one configuration, so tests with a node cannot run in
// parallel.

// node is the Caddy of this process with ports, directories and a database of
// its own.
type node struct {
	t                  testing.TB
	dir                string
	db                 string // an SQLite file with the people of [world]
	port, port2, admin int
	client             *http.Client
}

func newNode(t testing.TB) *node {
	t.Helper()
	dir := t.TempDir()
	n := &node{t: t, dir: dir, db: filepath.Join(dir, "auth.db"), port: freePort(t), port2: freePort(t), admin: freePort(t)}
	raw, err := os.ReadFile(theWorld(t).file)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(n.db, raw, 0o600); err != nil {
		t.Fatal(err)
	}
	n.client = &http.Client{
		Transport:     &http.Transport{DisableKeepAlives: true},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
		Timeout:       patience,
	}
	t.Cleanup(func() {
		n.client.CloseIdleConnections()
		if err := caddy.Stop(); err != nil {
			t.Error(err)
		}
		// The next test counts services and goroutines, and removes this
		// one's files.
		eventually(t, "all services are closed", func() bool { return openProbes.Load() == 0 && len(allServices()) == 0 })
	})
	return n
}

// expand fills a test's Caddyfile in.
func (n *node) expand(text string) string {
	return strings.NewReplacer(
		"<db>", n.db, "<dir>", n.dir, "<port>", strconv.Itoa(n.port), "<port2>", strconv.Itoa(n.port2),
	).Replace(text)
}

// caddyfile is a whole configuration around what a test wants to say.
func (n *node) caddyfile(app, sites string) string {
	if !strings.Contains(app, "store ") {
		app = "store probe <db>\n" + app
	}
	if !strings.Contains(app, "backend ") {
		app += "\nbackend instant"
	}
	if !strings.Contains(app, "cache ") {
		app += "\ncache {\n grants 1000\n}" // the default is slow to allocate
	}
	return n.expand(fmt.Sprintf(`{
	admin 127.0.0.1:%d
	persist_config off
	skip_install_trust
	auto_https off
	storage file_system <dir>/storage
	default_bind 127.0.0.1
	grace_period 5s
	log default {
		output file <dir>/caddy.log {
			roll_disabled
		}
		level DEBUG
		format json
	}
	xivo_auth {
		%s
	}
}
%s`, n.admin, app, sites))
}

func adapt(t testing.TB, caddyfile string) []byte {
	t.Helper()
	cfg, _, err := caddyconfig.GetAdapter("caddyfile").Adapt([]byte(caddyfile), nil)
	if err != nil {
		t.Fatalf("adapting: %v\n%s", err, caddyfile)
	}
	return cfg
}

// load makes it Caddy's configuration: the first, or a reload.
func (n *node) load(app, sites string) error {
	n.t.Helper()
	return caddy.Load(adapt(n.t, n.caddyfile(app, sites)), true)
}

func (n *node) start(app, sites string) {
	n.t.Helper()
	if err := n.load(app, sites); err != nil {
		n.t.Fatalf("loading: %v", err)
	}
	n.heard()
}

// heard waits until the feed is live where it can be: what is in memory from
// before is looked up once more.
func (n *node) heard() {
	n.t.Helper()
	for _, sh := range allServices() {
		eventually(n.t, "the feed is live", func() bool {
			s, on := sh.FeedStatus()
			return !on || s.State == revocation.Live || s.Err != ""
		})
	}
}

// loadJSON loads a configuration after change had its way with it.
func (n *node) loadJSON(app, sites string, change func(cfg map[string]any)) error {
	n.t.Helper()
	var cfg map[string]any
	if err := json.Unmarshal(adapt(n.t, n.caddyfile(app, sites)), &cfg); err != nil {
		n.t.Fatal(err)
	}
	change(cfg)
	raw, err := json.Marshal(cfg)
	if err != nil {
		n.t.Fatal(err)
	}
	return caddy.Load(raw, true)
}

func (n *node) url(path string) string { return fmt.Sprintf("http://127.0.0.1:%d%s", n.port, path) }

func (n *node) logs() string { return n.file("caddy.log") }

// file reads one of the node's files.
func (n *node) file(name string) string {
	n.t.Helper()
	raw, err := os.ReadFile(filepath.Join(n.dir, name))
	if err != nil {
		n.t.Fatal(err)
	}
	return string(raw)
}

// reply is an answer, read.
type reply struct {
	status int
	header http.Header
	body   string
}

// do sends a request; header is name, value, name, value...
func (n *node) do(method, url, body string, header ...string) reply {
	n.t.Helper()
	r, err := n.try(method, url, body, header...)
	if err != nil {
		n.t.Fatal(err)
	}
	return r
}

// try repeats a request that a reload cut off before it got an answer: Caddy
// drops what stands in the queue of a listener it closes.
func (n *node) try(method, url, body string, header ...string) (r reply, err error) {
	for range 5 {
		if r, err = n.once(method, url, body, header...); err == nil {
			break
		}
	}
	return r, err
}

func (n *node) once(method, url, body string, header ...string) (reply, error) {
	req, err := http.NewRequest(method, url, strings.NewReader(body))
	if err != nil {
		return reply{}, err
	}
	for i := 0; i < len(header); i += 2 {
		req.Header.Add(header[i], header[i+1])
	}
	resp, err := n.client.Do(req)
	if err != nil {
		return reply{}, err
	}
	defer func() { _ = resp.Body.Close() }()
	text, err := io.ReadAll(resp.Body)
	return reply{resp.StatusCode, resp.Header, string(text)}, err
}

// guarded asks the guard on the first port.
func (n *node) guarded(token string) reply {
	n.t.Helper()
	return n.do("GET", n.url("/"), "", "X-Auth-Token", token)
}

// dial connects to the first port until the test ends, with patience for all that
// is said.
func (n *node) dial() net.Conn {
	n.t.Helper()
	conn, err := net.Dial("tcp", fmt.Sprintf("127.0.0.1:%d", n.port))
	if err != nil {
		n.t.Fatal(err)
	}
	n.t.Cleanup(func() { _ = conn.Close() })
	_ = conn.SetDeadline(time.Now().Add(patience))
	return conn
}

// raw sends bytes as they are and returns all that comes back.
func (n *node) raw(request string) string {
	n.t.Helper()
	conn := n.dial()
	defer func() { _ = conn.Close() }()
	if _, err := io.WriteString(conn, request); err != nil {
		n.t.Fatal(err)
	}
	answer, err := io.ReadAll(conn)
	if err != nil {
		n.t.Fatal(err)
	}
	return string(answer)
}

// allServices are those that a configuration uses, with their keys.
func allServices() map[string]*shared {
	all := map[string]*shared{}
	services.Range(func(k, v any) bool {
		all[k.(string)] = v.(*shared)
		return true
	})
	return all
}

// service is the only one there is.
func (n *node) service() *shared {
	n.t.Helper()
	all := allServices()
	for _, sh := range all {
		if len(all) == 1 {
			return sh
		}
	}
	n.t.Fatalf("there are %d services, want 1", len(all))
	return nil
}

// refs counts the configurations that use the only service.
func (n *node) refs() int {
	n.t.Helper()
	n.service()
	for key := range allServices() {
		refs, _ := services.References(key)
		return refs
	}
	return 0
}

// lookups are the service's counts by state.
func (n *node) lookups(state grant.State) uint64 { return n.service().CacheStats().Lookups[state] }

func freePort(t testing.TB) int {
	t.Helper()
	port, err := freeport.Pick()
	if err != nil {
		t.Fatal(err)
	}
	return port
}

// removeDB removes the database, which nobody may have open.
func (n *node) removeDB() {
	n.t.Helper()
	for _, suffix := range []string{"", "-wal", "-shm"} {
		if err := os.Remove(n.db + suffix); err != nil && !errors.Is(err, os.ErrNotExist) {
			n.t.Fatal(err)
		}
	}
}
