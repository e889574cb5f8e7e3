package caddymodule

import (
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
	"github.com/google/uuid"

	"github.com/wazo-edge/xivo-auth/authsvc"
	"github.com/wazo-edge/xivo-auth/authsvc/grant"
	"github.com/wazo-edge/xivo-auth/internal/pgtest"
)

// sites are the API on the first port below /0.1, and a guard everywhere else.
const sites = `http://:<port> {
	handle /0.1/* {
		xivo_auth_api
	}
	handle {
		xivo_auth_guard {
			scope demo.read
		}
		respond allowed
	}
}`

// login asks the API for a token and returns the whole answer, too.
func (n *node) login(user, password string) (token, answer string) {
	n.t.Helper()
	r := n.do("POST", n.url("/0.1/token"), "{}", "Authorization", basic(user, password))
	if r.status != http.StatusOK {
		n.t.Fatalf("login: %d %s", r.status, r.body)
	}
	return tokenOf(n.t, r.body), r.body
}

// hit makes sure that token is answered from memory: a read of the store
// would fail the test.
func (n *node) hit(token string) {
	n.t.Helper()
	reads := n.switches().reads.Load()
	if r := n.guarded(token); r.status != http.StatusOK {
		n.t.Errorf("a cached token got %d %s", r.status, r.body)
	}
	if again := n.switches().reads.Load(); again != reads {
		n.t.Errorf("the store was read %d times for a cached token", again-reads)
	}
}

// warm has token cached.
func (n *node) warm(token string) {
	n.t.Helper()
	eventually(n.t, "the token is cached", func() bool {
		hits := n.lookups(grant.Hit)
		if r := n.guarded(token); r.status != http.StatusOK {
			n.t.Fatalf("a good token got %d %s", r.status, r.body)
		}
		return n.lookups(grant.Hit) > hits
	})
}

func TestReload_SameDSN_KeepsPoolAndCache(t *testing.T) {
	n := newNode(t)
	token := n.mint(theWorld(t).alice, "demo.read")
	n.start("", sites)
	n.warm(token)
	before := n.service()
	// Everything that can change in place does.
	n.start(`stale_if_error 1m
		token_lifetime 5m
		cleanup_interval 2m
		cache {
			grants 1000
			max_age 1h
		}`, sites)
	if n.service() != before {
		t.Error("the reload made another service")
	}
	if refs := n.refs(); refs != 1 {
		t.Errorf("%d references, want 1", refs)
	}
	n.hit(token)
	if s := n.switches(); s.opens.Load() != 1 || s.closes.Load() != 0 {
		t.Errorf("the store was opened %d times and closed %d times", s.opens.Load(), s.closes.Load())
	}
	// What sizes the cache cannot change in place.
	n.start("cache {\n grants 2000\n}", sites)
	if n.service() == before {
		t.Error("a cache of another size is the same service")
	}
	eventually(t, "the replaced service is closed", func() bool { return n.switches().closes.Load() == 1 })
}

func TestReload_SoftSettings(t *testing.T) {
	n := newNode(t)
	cached := n.mint(theWorld(t).alice, "demo.read")
	now := setClock(t)
	lifetime := func() string {
		_, answer := n.login("alice", alicePassword)
		return lifetimeOf(t, answer).String()
	}
	n.start("token_lifetime 10m", sites)
	n.warm(cached)
	if got := lifetime(); got != "10m0s" {
		t.Errorf("token_lifetime 10m gives %s", got)
	}
	n.start("token_lifetime 20m\ncache {\n grants 1000\n max_age 1ms\n}", sites)
	if got := lifetime(); got != "20m0s" {
		t.Errorf("token_lifetime 20m gives %s", got)
	}
	// The clock only moves by hand: at max_age the store is asked again.
	now.advance(time.Minute)
	reads := n.switches().reads.Load()
	if r := n.guarded(cached); r.status != http.StatusOK || n.switches().reads.Load() != reads+1 {
		t.Errorf("past max_age: %d, %d reads", r.status, n.switches().reads.Load()-reads)
	}
	n.start("cache {\n grants 1000\n max_age 1h\n}", sites)
	now.advance(time.Minute)
	// For a minute nobody heard the feed: the store is asked until it is heard.
	eventually(t, "it is served from memory", func() bool {
		reads := n.switches().reads.Load()
		return n.guarded(cached).status == http.StatusOK && n.switches().reads.Load() == reads
	})
	n.start("cors off", sites)
	if h := n.do("GET", n.url("/0.1/backends"), "").header; h.Get("Access-Control-Allow-Origin") != "" {
		t.Errorf("cors off, yet %v", h)
	}
}

// A configuration that is refused, at whatever moment, changes nothing.
func TestReload_Rejected_KeepsRefs(t *testing.T) {
	const old, bad = "token_lifetime 10m", "token_lifetime 20m\nbootstrap nobody x"
	for _, c := range []struct {
		name, app string
		change    func(map[string]any)
		wantErr   string
		// times is how often to try, since apps start in any order.
		times int
	}{
		{"provision of another app", bad, faulty("provision"), "faulty at provision", 3},
		{"provision of another app, after ours", bad, faulty("provision-late"), "faulty at provision-late", 3},
		{"validation of another app", bad, faulty("validate"), "faulty at validate", 3},
		{"start of another app", bad, faulty("start"), "faulty at start", 40},
		{"start of another app, other store", "store probe <db> 2\n" + bad, faulty("start"), "faulty at start", 3},
		{"provision of ours", bad, func(cfg map[string]any) {
			cfg["apps"].(map[string]any)["xivo_auth"].(map[string]any)["startup_check"] = "maybe"
		}, `startup_check is "maybe": it is one of warn, require`, 3},
		{"provision of the store", bad, func(cfg map[string]any) {
			cfg["apps"].(map[string]any)["xivo_auth"].(map[string]any)["store"] = map[string]any{"engine": "postgres"}
		}, "a postgres store needs a dsn", 3},
		{"after the start", bad, func(cfg map[string]any) {
			delete(cfg["apps"].(map[string]any), "http") // Caddy leaves its listeners open here
			cfg["admin"].(map[string]any)["config"] = map[string]any{"persist": false, "load": map[string]any{"module": "nowhere"}}
		}, "nowhere", 3},
	} {
		t.Run(c.name, func(t *testing.T) {
			n := newNode(t)
			token := n.mint(theWorld(t).alice, "demo.read")
			n.start(old, sites)
			n.warm(token)
			before, opens := n.service(), n.switches().opens.Load()
			seen := map[int]bool{} // how many generations other apps met at start
			hook := func() {
				before.mu.Lock()
				defer before.mu.Unlock()
				seen[len(before.stack)] = true
			}
			atStart.Store(&hook)
			t.Cleanup(func() { atStart.Store(nil) })
			for range c.times {
				err := n.loadJSON(c.app, sites, c.change)
				if err == nil || !strings.Contains(err.Error(), c.wantErr) {
					t.Fatalf("error %v, want one with %q", err, c.wantErr)
				}
			}
			eventually(t, "what was opened in vain is closed", func() bool { return openProbes.Load() == 1 })
			if n.service() != before || n.refs() != 1 {
				t.Fatalf("another service, or %d references instead of 1", n.refs())
			}
			if before.inForce() == nil || len(before.stack) != 1 {
				t.Errorf("%d configurations in force, want 1", len(before.stack))
			}
			if got := before.inForce().soft; got.settings.TokenLifetime != 10*time.Minute || got.bootstrap != nil {
				t.Errorf("the refused configuration is in force: %+v", got)
			}
			if c.times > 10 && (!seen[1] || !seen[2]) {
				t.Errorf("only one order of starting was tried: %v", seen)
			}
			n.hit(token)
			if !strings.Contains(c.app, "store") && n.switches().opens.Load() != opens {
				t.Error("the store was opened again")
			}
			if !strings.Contains(c.name, "start") {
				return // nothing was put in force
			}
			if _, answer := n.login("alice", alicePassword); lifetimeOf(t, answer) != 10*time.Minute {
				t.Errorf("the lifetime is no longer the old one: %s", answer)
			}
		})
	}
}

// Requests of the old configuration end as if nothing had happened.
func TestReload_ChangedDSN_DrainsInflight(t *testing.T) {
	n := newNode(t)
	alice := theWorld(t).alice
	token, onlyInA := n.mint(alice, "demo.read"), n.mint(alice, "demo.read")
	n.start("", sites)
	slow := &gate{make(chan struct{}), make(chan struct{})}
	n.switches().gate.Store(slow)
	done := make(chan reply, 1)
	go func() {
		r, err := n.try("GET", n.url("/"), "", "X-Auth-Token", token)
		if err != nil {
			r.body = err.Error()
		}
		done <- r
	}()
	<-slow.entered
	n.switches().gate.Store(nil)
	a := n.service()

	other := filepath.Join(n.dir, "b.db")
	raw, err := os.ReadFile(theWorld(t).file)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(other, raw, 0o600); err != nil {
		t.Fatal(err)
	}
	n.start("store probe "+other, sites)
	if n.service() == a {
		t.Fatal("another database is the same service")
	}
	// New requests meet B, which does not know A's tokens.
	if r := n.guarded(onlyInA); r.status != http.StatusUnauthorized {
		t.Errorf("B accepts a token of A: %d", r.status)
	}
	<-a.ended.Done()
	if a.drain(time.Now()) || n.switches().closes.Load() != 0 {
		t.Fatal("A was closed under a request")
	}
	close(slow.open)
	if r := <-done; r.status != http.StatusOK || r.body != "allowed" {
		t.Errorf("the request on A got %d %s", r.status, r.body)
	}
	eventually(t, "A is closed", func() bool { return n.switches().closes.Load() == 1 })
	if a.enter() {
		t.Error("a closed service lets a request in")
	}
	// What meets it all the same is told to come back.
	for _, h := range []caddyhttp.MiddlewareHandler{guardOn(a, ""), &API{shared: a}} {
		rec := httptest.NewRecorder()
		if err := h.ServeHTTP(rec, httptest.NewRequest(http.MethodGet, "/0.1/status", nil), nil); err != nil || rec.Code != http.StatusServiceUnavailable || rec.Header().Get("Retry-After") == "" {
			t.Errorf("%T on a closed service: %d %v %v", h, rec.Code, rec.Header(), err)
		}
	}
}

func TestReload_100x_NoGrowth(t *testing.T) {
	n := newNode(t)
	token := n.mint(theWorld(t).alice, "demo.read")
	n.start("", sites)
	n.warm(token)
	count := func() int {
		n.client.CloseIdleConnections()
		runtime.GC()
		return runtime.NumGoroutine()
	}
	for i := range 5 { // what Caddy starts only once
		n.start(fmt.Sprintf("token_lifetime %dm", i+1), sites)
	}
	n.hit(token)
	before := count()
	for i := range 100 {
		n.start(fmt.Sprintf("token_lifetime %dm", i+1), sites)
		if i%10 == 0 {
			// Every tenth is one with a service of its own, and back.
			n.start("store probe <db> 7", sites)
			n.start("", sites)
			n.warm(token)
		}
	}
	n.hit(token)
	// A few are Caddy's own on their way out; a leak of ours is 100 or 20.
	eventually(t, "goroutines are as few as before", func() bool { return count() <= before+5 })
	eventually(t, "one store is open", func() bool { return openProbes.Load() == 1 })
	if refs := n.refs(); refs != 1 {
		t.Errorf("%d references, want 1", refs)
	}
}

// The same for connections to a real server: however often the configuration
// or the pool changes, there is one pool and one that listens.
func TestReload_100x_NoGrowthOfConnections(t *testing.T) {
	dsn := pgtest.DSN(t)
	st := openPostgres(t, dsn)
	n := newNode(t)
	t.Setenv("XIVO_AUTH_TEST_DSN", dsn)
	pool := func(size int) string {
		return fmt.Sprintf("store postgres {env.XIVO_AUTH_TEST_DSN} {\n max_conns %d\n}\n", size)
	}
	conns := func() (open int) {
		// Not those of the test itself, which has a name of its own.
		if err := st.DB().QueryRowContext(t.Context(), `select count(*) from pg_stat_activity
			where datname = current_database() and backend_type = 'client backend' and application_name = 'caddy'`).Scan(&open); err != nil {
			t.Fatal(err)
		}
		return open
	}
	t.Setenv("PGAPPNAME", "caddy")
	for i := range 100 {
		n.start(pool(3)+fmt.Sprintf("token_lifetime %dm", i+1), sites)
		if i%10 == 0 {
			n.start(pool(2), sites)
			n.start(pool(3), sites)
		}
		if r := n.guarded(uuid.NewString()); r.status != http.StatusUnauthorized {
			t.Fatalf("%d %s", r.status, r.body)
		}
	}
	eventually(t, "no more connections than one service has", func() bool { return conns() <= 3+1 })
	if conns() == 0 {
		t.Error("none were counted, which proves nothing")
	}
}

// The log of a service goes where the configuration in force says.
func TestPool_HoldsNothingOfOldConfig(t *testing.T) {
	n := newNode(t)
	n.switches().down.Store(true)
	n.start("startup_check warn\nbootstrap first x", sites)
	first := n.logs()
	if !strings.Contains(first, "the database is not ready") {
		t.Fatalf("nobody was told:\n%s", first)
	}
	sh := n.service()
	n.start("startup_check warn\nbootstrap second x", strings.Replace(sites, "respond allowed", "respond reloaded", 1))
	if n.service() != sh {
		t.Fatal("another service")
	}
	// From here on with another log file.
	cfg := strings.Replace(n.caddyfile("startup_check warn\nbootstrap third x", sites), "caddy.log", "new.log", 1)
	if err := caddy.Load(adapt(t, cfg), true); err != nil {
		t.Fatal(err)
	}
	old := n.logs()
	n.switches().down.Store(false)
	eventually(t, "the database heals", sh.isPrepared)
	slog.New(sh.sink).Info("a line of the service")
	eventually(t, "the new log has what the service says", func() bool {
		raw, _ := os.ReadFile(filepath.Join(n.dir, "new.log"))
		return strings.Contains(string(raw), "the database is ready") && strings.Contains(string(raw), "a line of the service")
	})
	if now := n.logs(); strings.Contains(now[len(old):], "database") || strings.Contains(now[len(old):], "a line") {
		t.Errorf("the old log was written to:\n%s", now[len(old):])
	}
	if len(sh.stack) != 1 || sh.stack[:2][1] != nil {
		t.Error("an old configuration is still held")
	}
}

// The administrator that is created when the database comes up is that of the
// configuration in force by then.
func TestHeal_UsesConfigurationInForce(t *testing.T) {
	n := newNode(t)
	n.db = filepath.Join(n.dir, "empty.db")
	n.switches().down.Store(true)
	n.start("bootstrap first {env.NOT_SET}", sites)
	n.start("bootstrap second "+alicePassword, sites)
	n.switches().down.Store(false)
	eventually(t, "the database heals", n.service().isPrepared)
	list, err := n.service().Users.List(t.Context())
	if err != nil || len(list) != 1 || list[0].Username != "second" {
		t.Errorf("users %+v, %v", list, err)
	}
}

// An attempt for a configuration that was replaced while it went on is not the
// last: the one in force, which failed when it was loaded, is still to be tried.
func TestHeal_ReplacedMeanwhile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "auth.db")
	asks := func(admin string) soft {
		return soft{settings: authsvc.Settings{CleanupInterval: -1}, bootstrap: &authsvc.Bootstrap{User: admin, Password: alicePassword}, log: slog.DiscardHandler}
	}
	first, second := asks("first"), asks("second")
	sh, err := openShared(hard{store: &probeStore{Path: path}, feed: authsvc.Feed{Off: true}}, first)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { sh.end(); sh.drain(time.Now().Add(patience)); _ = sh.Close() }()
	on := probeSwitches(path)
	on.down.Store(true)
	old := sh.activate(first)
	if err := sh.prepare(first, false); err != nil {
		t.Fatal(err)
	}
	held := &gate{entered: make(chan struct{}), open: make(chan struct{})}
	on.stateGate.Store(held)
	<-held.entered // for the first
	on.stateGate.Store(nil)
	sh.activate(second)
	if err := sh.prepare(second, false); err != nil {
		t.Fatal(err)
	}
	sh.deactivate(old)
	on.down.Store(false)
	close(held.open)
	eventually(t, "the one in force is tried", func() bool {
		sh.mu.Lock()
		defer sh.mu.Unlock()
		return sh.prepared && sh.ready == second.wants() && !sh.healing
	})
}

// An admin request may still hold an app that is being cleaned up.
func TestAdmin_RacesCleanup(t *testing.T) {
	n := newNode(t)
	n.start("", sites)
	loaded, err := caddy.ActiveContext().App("xivo_auth")
	if err != nil {
		t.Fatal(err)
	}
	app := loaded.(*App)
	gone := make(chan struct{})
	go func() {
		defer close(gone)
		for app.inside(func(*shared) error { return nil }) == nil {
			runtime.Gosched()
		}
	}()
	n.start("token_lifetime 5m", sites)
	select {
	case <-gone:
	case <-time.After(patience):
		t.Error("an app that was cleaned up still has a service")
	}
}

// The service of a configuration that was not started does not work on the
// database: it may only be checked.
func TestProvision_RunsNoJanitor(t *testing.T) {
	janitors := func() int {
		buf := make([]byte, 1<<20)
		return strings.Count(string(buf[:runtime.Stack(buf, true)]), "authsvc.(*Service).runJanitor in goroutine")
	}
	eventually(t, "no janitor of another test is left", func() bool { return janitors() == 0 })
	s := soft{settings: authsvc.Settings{CleanupInterval: time.Hour}, log: slog.DiscardHandler}
	sh, err := openShared(hard{store: &probeStore{Path: filepath.Join(t.TempDir(), "auth.db")}}, s)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = sh.Close() }()
	eventually(t, "no janitor runs", func() bool { return janitors() == 0 })
	sh.activate(s)
	if janitors() != 1 {
		t.Errorf("%d janitors after the start, want 1", janitors())
	}
}

func (sh *shared) isPrepared() bool {
	sh.mu.Lock()
	defer sh.mu.Unlock()
	return sh.prepared
}

// handClock moves by hand only.
type handClock struct{ unixNano atomic.Int64 }

func (c *handClock) now() time.Time          { return time.Unix(0, c.unixNano.Load()) }
func (c *handClock) advance(d time.Duration) { c.unixNano.Add(int64(d)) }

// setClock gives one to the services that are opened from here on.
func setClock(t *testing.T) *handClock {
	c := new(handClock)
	c.unixNano.Store(time.Now().UnixNano())
	clock = c.now
	t.Cleanup(func() { clock = time.Now })
	return c
}

// lifetimeOf reads it off the answer to a login.
func lifetimeOf(t *testing.T, answer string) time.Duration {
	t.Helper()
	var body struct {
		Data struct {
			Issued  string `json:"utc_issued_at"`
			Expires string `json:"utc_expires_at"`
		}
	}
	if err := json.Unmarshal([]byte(answer), &body); err != nil {
		t.Fatal(err)
	}
	issued, err1 := time.Parse("2006-01-02T15:04:05.999999999", body.Data.Issued)
	expires, err2 := time.Parse("2006-01-02T15:04:05.999999999", body.Data.Expires)
	if err := errors.Join(err1, err2); err != nil {
		t.Fatalf("%v in %s", err, answer)
	}
	return expires.Sub(issued).Round(time.Second)
}
