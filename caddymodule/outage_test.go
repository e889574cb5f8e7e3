package caddymodule

import (
	"database/sql"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/wazo-edge/xivo-auth/authsvc/store"
	"github.com/wazo-edge/xivo-auth/authsvc/store/postgres"
	"github.com/wazo-edge/xivo-auth/internal/pgtest"
)

// want503 checks the answer of a guard that cannot ask the store.
func want503(t *testing.T, r reply) {
	t.Helper()
	body, _, _ := strings.Cut(r.body, `"timestamp": `)
	const want = `{"message": "Authentication server unreachable", "error_id": "authentication-server-unreachable", ` +
		`"details": {"original_error": "the token store is unavailable"}, `
	if r.status != http.StatusServiceUnavailable || body != want || r.header.Get("Retry-After") != "1" ||
		r.header.Get("Content-Type") != "application/json" {
		t.Errorf("got %d %v %s", r.status, r.header, r.body)
	}
}

// F9: with the store down what is in memory is served, and what is not is 503,
// never 401 and never let through.
func TestGuard_BackendDown_503(t *testing.T) {
	n, up, w := newNode(t), newUpstream(t), theWorld(t)
	now := setClock(t)
	st := openDB(t, n.db)
	hour := now.now().Add(time.Hour)
	cached, unseen := mintIn(t, st, w.alice, hour, "demo.read"), mintIn(t, st, w.alice, hour, "demo.read")
	n.start("stale_if_error 30s\ncache {\n grants 1000\n max_age 10s\n negative 100 1ms\n}", fmt.Sprintf(`http://:<port> {
	handle /0.1/* {
		xivo_auth_api
	}
	handle {
		xivo_auth_guard {
			scope demo.read
		}
		reverse_proxy %s
	}
}`, up.addr))
	n.warm(cached)
	for len(up.got) > 0 {
		<-up.got
	}
	n.switches().down.Store(true)

	if r := n.guarded(cached); r.status != http.StatusOK {
		t.Errorf("cached: %d %s", r.status, r.body)
	}
	wantHeaders(t, up.take(t), map[string]string{"X-Auth-User-Uuid": w.alice.UUID, "X-Auth-Degraded": ""})
	for _, token := range []string{unseen, uuid.NewString()} {
		want503(t, n.guarded(token))
	}
	// What can be told without the store is told.
	for _, token := range []string{"", "no-token"} {
		if r := n.guarded(token); r.status != http.StatusUnauthorized {
			t.Errorf("%q: %d", token, r.status)
		}
	}
	// The tenant tree is not in memory, so nobody knows whether he may.
	want503(t, n.do("GET", n.url("/"), "", "X-Auth-Token", cached, "Wazo-Tenant", w.below))
	for _, r := range []reply{
		n.do("POST", n.url("/0.1/token"), "{}", "Authorization", basic("alice", alicePassword)),
		n.do("GET", n.url("/0.1/token/"+unseen), ""),
	} {
		if r.status != http.StatusServiceUnavailable || r.header.Get("Retry-After") != "1" || strings.Contains(r.body, "refused") {
			t.Errorf("API: %d %v %s", r.status, r.header, r.body)
		}
	}
	up.untouched(t)

	now.advance(20 * time.Second) // past max_age
	if r := n.guarded(cached); r.status != http.StatusOK {
		t.Errorf("stale: %d %s", r.status, r.body)
	}
	wantHeaders(t, up.take(t), map[string]string{"X-Auth-User-Uuid": w.alice.UUID, "X-Auth-Degraded": "1"})
	now.advance(20 * time.Second) // past stale_if_error
	want503(t, n.guarded(cached))
	up.untouched(t)

	told := strings.Count(n.logs(), "tokens that are not in memory cannot be checked")
	if told != 1 {
		t.Errorf("the outage was told %d times, want once for a while", told)
	}
	for line := range strings.Lines(n.logs()) {
		// Not those of the proxy, which this Caddyfile does not filter.
		if strings.Contains(line, `xivo_auth`) && (strings.Contains(line, cached) || strings.Contains(line, unseen)) {
			t.Errorf("a token in the log: %s", line)
		}
	}
	n.switches().down.Store(false)
	for _, token := range []string{cached, unseen} {
		if r := n.guarded(token); r.status != http.StatusOK {
			t.Errorf("after the outage: %d %s", r.status, r.body)
		}
	}
}

// The database is down when a configuration is loaded, is killed while it is
// in use, and comes back.
func TestStart_DBDown(t *testing.T) {
	n, w := newNode(t), theWorld(t)
	token := n.mint(w.alice, "demo.read")
	n.start("token_lifetime 10m", sites)
	n.warm(token)
	before := n.service()
	down := fmt.Sprintf("store postgres postgres://u:hunter2@127.0.0.1:%d/auth?sslmode=disable\n", freePort(t))
	err := n.load(down+"startup_check require", sites)
	if err == nil || !strings.Contains(err.Error(), "preparing the database") || strings.Contains(err.Error(), "hunter2") {
		t.Errorf("error %v", err)
	}
	if n.service() != before || n.refs() != 1 || before.inForce().soft.settings.TokenLifetime != 10*time.Minute {
		t.Error("the old configuration is no longer in force")
	}
	n.hit(token)

	// The same with the service that runs: its database goes and nothing is
	// dialled, since it was ready once.
	n.switches().down.Store(true)
	if err := n.load("startup_check require", sites); err != nil {
		t.Errorf("a reload with the database down, which need not be prepared: %v", err)
	}
	n.hit(token)
	n.switches().down.Store(false)

	n.start(down+"startup_check warn", sites)
	want503(t, n.guarded(token))
	if logs := n.logs(); !strings.Contains(logs, "the database is not ready") || strings.Contains(logs, "hunter2") {
		t.Error("the outage is not told, or more than that")
	}
	// A reload that insists changes nothing.
	if err := n.load(down+"startup_check require", sites); err == nil {
		t.Error("no error")
	}
	if n.refs() != 1 || n.service().inForce().soft.log == nil || len(n.service().stack) != 1 {
		t.Error("the refused configuration is left behind")
	}
}

// A database with a schema of somebody else's is not touched, and served again
// when it has ours.
func TestStart_ForeignSchema(t *testing.T) {
	n, w := newNode(t), theWorld(t)
	token := n.mint(w.alice, "demo.read")
	db, err := sql.Open("sqlite", n.db)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = db.Close() }()
	var ours string
	if err := db.QueryRow(`select version_num from alembic_version_auth`).Scan(&ours); err != nil {
		t.Fatal(err)
	}
	revise := func(revision string) {
		t.Helper()
		if _, err := db.Exec(`update alembic_version_auth set version_num = ?1`, revision); err != nil {
			t.Fatal(err)
		}
	}
	revise("2017")
	if err := n.load("startup_check require", sites); err == nil || !strings.Contains(err.Error(), "found revision 2017") {
		t.Errorf("error %v, want one that names the revision", err)
	}
	n.start("", sites)
	want503(t, n.guarded(token))
	if r := n.do("GET", n.url("/0.1/token/"+token), ""); r.status != http.StatusServiceUnavailable || r.header.Get("Retry-After") == "" {
		t.Errorf("API: %d %s", r.status, r.body)
	}
	if !strings.Contains(n.logs(), "found revision 2017") {
		t.Error("nobody is told what is wrong")
	}
	revise(ours)
	eventually(t, "the database is ours", n.service().isPrepared)
	n.warm(token)
}

func TestPostgres_DownAndUp(t *testing.T) {
	srv, err := pgtest.Start(t.Context())
	if err != nil {
		t.Skip(err)
	}
	t.Cleanup(func() {
		if err := srv.Stop(); err != nil {
			t.Error(err)
		}
	})
	if err := srv.Kill(); err != nil {
		t.Fatal(err)
	}
	n := newNode(t)
	t.Setenv("XIVO_AUTH_TEST_DSN", srv.DSN)
	const app = "store postgres {env.XIVO_AUTH_TEST_DSN} {\n timeout 2s\n}\nbackend wazo_user\nbootstrap root " + adminPassword
	if err := n.load(app+"\nstartup_check require", sites); err == nil {
		t.Fatal("it started without a database")
	}
	n.start(app, sites)
	want503(t, n.guarded(uuid.NewString()))
	if err := srv.Restart(t.Context()); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the database is prepared", n.service().isPrepared)
	token, _ := n.login("root", adminPassword)
	n.warm(token)

	st, err := postgres.Open(srv.DSN, store.Options{MaxConns: 1})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = st.Close() }()
	root, err := st.UserByName(t.Context(), "root")
	if err != nil {
		t.Fatal(err)
	}
	unseen := mintIn(t, st, root, time.Now().Add(time.Hour), "#")
	if err := srv.Kill(); err != nil {
		t.Fatal(err)
	}
	if r := n.guarded(token); r.status != http.StatusOK {
		t.Errorf("cached: %d %s", r.status, r.body)
	}
	want503(t, n.guarded(unseen))
	want503(t, n.guarded(uuid.NewString()))
	if r := n.do("POST", n.url("/0.1/token"), "{}", "Authorization", basic("root", adminPassword)); r.status != http.StatusServiceUnavailable {
		t.Errorf("login: %d %s", r.status, r.body)
	}
	// Neither does a reload need it.
	n.start(app+"\nstartup_check require\ntoken_lifetime 5m", sites)
	if r := n.guarded(token); r.status != http.StatusOK {
		t.Errorf("cached, after a reload: %d %s", r.status, r.body)
	}
	if err := srv.Restart(t.Context()); err != nil {
		t.Fatal(err)
	}
	if r := n.guarded(unseen); r.status != http.StatusOK {
		t.Errorf("after the outage: %d %s", r.status, r.body)
	}
	if r := n.do("DELETE", n.url("/0.1/token/"+token), ""); r.status != http.StatusOK {
		t.Errorf("DELETE: %d %s", r.status, r.body)
	}
	if r := n.guarded(token); r.status != http.StatusUnauthorized {
		t.Errorf("revoked: %d", r.status)
	}
}
