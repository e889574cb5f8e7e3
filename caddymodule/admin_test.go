package caddymodule

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/caddyserver/caddy/v2"
	"github.com/google/uuid"

	"github.com/wazo-edge/xivo-auth/authsvc"
	"github.com/wazo-edge/xivo-auth/authsvc/cache"
	"github.com/wazo-edge/xivo-auth/authsvc/grant"
	"github.com/wazo-edge/xivo-auth/authsvc/revocation"
	"github.com/wazo-edge/xivo-auth/authsvc/store"
)

// adminAnswer asks one of our endpoints and checks the status.
func (n *node) adminAnswer(method, path, body string, status int) (answer map[string]any) {
	n.t.Helper()
	r := n.do(method, n.adminURL("/xivo-auth/"+path), body, "Content-Type", "application/json")
	if r.status != status || r.header.Get("Content-Type") != "application/json" {
		n.t.Errorf("%s %s %s: %d %v %s", method, path, body, r.status, r.header, r.body)
	}
	if err := json.Unmarshal([]byte(r.body), &answer); err != nil {
		n.t.Errorf("%s %s: %v in %s", method, path, err, r.body)
	}
	return answer
}

// endpoints are ours, with the method each takes.
var endpoints = map[string]string{
	"explain": "POST", "cache": "GET", "cache/flush": "POST", "revoke": "POST", "feed": "GET", "ready": "GET", "live": "GET",
}

// Each endpoint takes one method, and none but live is there without the app.
func TestAdmin_Methods(t *testing.T) {
	n := newNode(t)
	n.start("", sites)
	for path, method := range endpoints {
		for _, other := range []string{"GET", "POST", "PUT", "DELETE"} {
			if other == method {
				continue
			}
			if r := n.do(other, n.adminURL("/xivo-auth/"+path), "{}"); r.status != http.StatusMethodNotAllowed || r.header.Get("Allow") != method {
				t.Errorf("%s %s: %d, Allow %q", other, path, r.status, r.header.Get("Allow"))
			}
		}
		for _, near := range []string{path + "/", path + "/x"} {
			if r := n.do(method, n.adminURL("/xivo-auth/"+near), "{}"); r.status != http.StatusNotFound {
				t.Errorf("%s: %d", near, r.status)
			}
		}
	}
	for _, path := range []string{"live", "ready"} { // probes like it short
		if r := n.do("HEAD", n.adminURL("/xivo-auth/"+path), ""); r.status != http.StatusOK || r.body != "" {
			t.Errorf("HEAD %s: %d %q", path, r.status, r.body)
		}
	}
	n.loadText(fmt.Sprintf("{\n admin 127.0.0.1:%d\n persist_config off\n}\n", n.admin))
	for path, method := range endpoints {
		want := http.StatusNotFound
		if path == "live" {
			want = http.StatusOK
		}
		n.adminAnswer(method, path, "{}", want)
	}
}

// What the cache tells, and that a flush has everything looked up once more and
// logs nobody out.
func TestAdmin_Cache(t *testing.T) {
	n := newNode(t)
	token := n.mint(theWorld(t).alice, "demo.read")
	n.start("cache {\n grants 1000\n negative 10 1s\n}\nstale_if_error 7s", sites)
	if got := n.adminAnswer("GET", "cache", "", http.StatusOK); got["hit_ratio"] != nil {
		t.Errorf("before the first lookup: %v", got)
	}
	n.warm(token)
	n.guarded(uuid.NewString())
	n.guarded("no token")
	got := n.adminAnswer("GET", "cache", "", http.StatusOK)
	ratio, _ := got["hit_ratio"].(float64)
	lookups := got["lookups"].(map[string]any)
	if ratio <= 0 || ratio >= 1 || lookups["hit"].(float64) < 1 || lookups["miss"].(float64) < 2 || lookups["refused"].(float64) != 1 || len(lookups) != grant.States {
		t.Errorf("%v", got)
	}
	want := `{"grants":1000,"max_age":"5m0s","negative":10,"negative_ttl":"1s","stale_if_error":"7s"}`
	if limits, _ := json.Marshal(got["limits"]); string(limits) != want {
		t.Errorf("limits %s, want %s", limits, want)
	}
	n.hit(token)
	reads := n.switches().reads.Load()
	n.adminAnswer("POST", "cache/flush", "", http.StatusOK)
	if r := n.guarded(token); r.status != http.StatusOK || n.switches().reads.Load() != reads+1 {
		t.Errorf("after a flush: %d, the store was asked %d times", r.status, n.switches().reads.Load()-reads)
	}
}

// The three ways to revoke: counts, and the next request is refused.
func TestAdmin_Revoke(t *testing.T) {
	n, w := newNode(t), theWorld(t)
	st := openDB(t, n.db)
	n.start("", sites)
	fresh := func() (token, session string) {
		token = n.mint(w.alice, "demo.read")
		row, err := st.Token(t.Context(), token)
		if err != nil {
			t.Fatal(err)
		}
		n.warm(token)
		return token, row.SessionUUID
	}
	revoked := func(tokens ...string) {
		t.Helper()
		for _, token := range tokens {
			if r := n.guarded(token); r.status != http.StatusUnauthorized {
				t.Errorf("a revoked token: %d", r.status)
			}
		}
	}
	counts := func(got map[string]any, tokens, sessions float64) {
		t.Helper()
		if len(got) != 2 || got["tokens"] != tokens || got["sessions"] != sessions {
			t.Errorf("%v, want %v tokens and %v sessions", got, tokens, sessions)
		}
	}
	one, _ := fresh()
	two, session := fresh()
	three, _ := fresh()
	four, _ := fresh()
	counts(n.adminAnswer("POST", "revoke", `{"token": "`+one+`"}`, http.StatusOK), 1, 1)
	revoked(one)
	n.adminAnswer("POST", "revoke", `{"token": "`+one+`"}`, http.StatusNotFound)
	counts(n.adminAnswer("POST", "revoke", `{"session": "`+session+`"}`, http.StatusOK), 1, 1)
	revoked(two)
	n.adminAnswer("POST", "revoke", `{"session": "`+session+`"}`, http.StatusNotFound)
	counts(n.adminAnswer("POST", "revoke", `{"user": "`+strings.ToUpper(w.alice.UUID)+`"}`, http.StatusOK), 2, 2)
	revoked(three, four)
	counts(n.adminAnswer("POST", "revoke", `{"user": "ALICE"}`, http.StatusOK), 0, 0)
	five, _ := fresh()
	counts(n.adminAnswer("POST", "revoke", `{"user": "alice"}`, http.StatusOK), 1, 1)
	revoked(five)
	for _, user := range []string{"nobody", uuid.NewString()} {
		n.adminAnswer("POST", "revoke", `{"user": "`+user+`"}`, http.StatusNotFound)
	}

	for _, body := range []string{
		``, `{`, `[]`, `{}`, `{"token": ""}`, `{"token": 1}`, `{"token": "x"}`, `{"session": "` + one + `x"}`, `{"tokens": "` + one + `"}`,
		`{"token": "` + one + `", "user": "alice"}`, `{"token": "` + one + `", "session": "` + one + `"}`, `{"user": "alice"} {}`,
		`{"user": "` + strings.Repeat("x", maxQuestion) + `"}`,
	} {
		if got := n.adminAnswer("POST", "revoke", body, http.StatusBadRequest); strings.Contains(fmt.Sprint(got), one) {
			t.Errorf("%.60s: the mistake repeats the token: %v", body, got)
		}
	}
	n.switches().down.Store(true)
	if got := n.adminAnswer("POST", "revoke", `{"session": "`+session+`"}`, http.StatusServiceUnavailable); strings.Contains(fmt.Sprint(got), "dial") {
		t.Errorf("the outage tells more than it should: %v", got)
	}
	for line := range strings.Lines(n.logs()) {
		for _, token := range []string{one, two, three, four} {
			if strings.Contains(line, token) && strings.Contains(line, "admin") {
				t.Errorf("a token in the log: %s", line)
			}
		}
	}
}

func TestPublicError(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		err  error
		want int
	}{
		{store.ErrNotFound, 404},
		{store.ErrUnavailable, 503},
		{store.ErrSchema, 503},
		{errors.New("x"), 500},
	} {
		var got caddy.APIError
		if err := publicError(fmt.Errorf("select secret: %w", c.err)); !errors.As(err, &got) || got.HTTPStatus != c.want || got.Message == "" || strings.Contains(got.Message, "secret") {
			t.Errorf("%v: %d %q", c.err, got.HTTPStatus, got.Message)
		}
	}
}

// The feed, and what readiness makes of it.
func TestAdmin_FeedAndReady(t *testing.T) {
	n := newNode(t)
	n.start("feed {\n poll 5ms\n}", sites)
	eventually(t, "the feed is live", func() bool {
		s, _ := n.service().FeedStatus()
		return s.State == revocation.Live
	})
	eventually(t, "the node is ready", func() bool { return n.do("GET", n.adminURL("/xivo-auth/ready"), "").status == http.StatusOK })
	if got := n.adminAnswer("GET", "ready", "", http.StatusOK); got["ready"] != true || len(got) != 1 {
		t.Errorf("%v", got)
	}
	got := n.adminAnswer("GET", "feed", "", http.StatusOK)
	if got["state"] != "live" || got["mode"] != "poll" || got["since"] == nil || got["losses"] != 0.0 || got["error"] != nil {
		t.Errorf("%v", got)
	}

	// reasons are the checks that a probe finds failing. What the last probe
	// found holds for a second.
	reasons := func(want string) {
		t.Helper()
		var r reply
		eventually(t, "the node is not ready: "+want, func() bool {
			r = n.do("GET", n.adminURL("/xivo-auth/ready"), "")
			return r.status == http.StatusServiceUnavailable && strings.Contains(r.body, `"check":"`+want+`"`)
		})
		if !strings.HasPrefix(r.body, `{"ready":false,"reasons":[{`) || r.header.Get("Retry-After") != "1" {
			t.Errorf("%v %s", r.header, r.body)
		}
	}
	n.switches().down.Store(true)
	reasons("store")
	if r := n.do("GET", n.adminURL("/xivo-auth/live"), ""); r.status != http.StatusOK {
		t.Errorf("during an outage the process is dead: %d", r.status)
	}
	n.switches().down.Store(false)

	st := openDB(t, n.db)
	if err := st.RemoveLog(t.Context()); err != nil {
		t.Fatal(err)
	}
	reasons("feed")
	got = n.adminAnswer("GET", "feed", "", http.StatusOK)
	if got["state"] != "lost" || got["losses"] != 1.0 || !strings.Contains(fmt.Sprint(got["error"]), "revocation log") {
		t.Errorf("%v", got)
	}
	if err := st.InstallLog(t.Context()); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the node is ready again", func() bool { return n.do("GET", n.adminURL("/xivo-auth/ready"), "").status == http.StatusOK })

	n.start("feed off", sites)
	if got := n.adminAnswer("GET", "feed", "", http.StatusOK); got["state"] != "off" {
		t.Errorf("%v", got)
	}
	n.adminAnswer("GET", "ready", "", http.StatusOK)
	db, err := sql.Open("sqlite", n.db)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = db.Close() }()
	if _, err := db.ExecContext(t.Context(), `update alembic_version_auth set version_num = 'other'`); err != nil {
		t.Fatal(err)
	}
	reasons("schema")
}

// countedStore counts how often somebody looks at the schema.
type countedStore struct {
	store.Store
	looks atomic.Int64
}

func (c *countedStore) State(ctx context.Context) (store.SchemaState, error) {
	c.looks.Add(1)
	return c.Store.State(ctx)
}

// Any number of probes ask the store once.
func TestReady_ProbesShareAnAnswer(t *testing.T) {
	t.Parallel()
	st := &countedStore{Store: openDB(t, t.TempDir()+"/auth.db")}
	svc, err := authsvc.New(authsvc.Config{Store: st, Feed: authsvc.Feed{Off: true}, Cache: cache.Config{Grants: 1000}}, authsvc.Settings{CleanupInterval: -1})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = svc.Close() })
	h, sh := new(health), &shared{Service: svc}
	gone, cancel := context.WithCancel(t.Context())
	cancel() // a probe that hung up: its answer is right all the same
	var probes sync.WaitGroup
	for range 50 {
		probes.Go(func() {
			if list := h.check(gone, sh); len(list) != 1 || list[0].Check != "schema" || list[0].Reason != "the database is empty" {
				t.Errorf("%v", list)
			}
		})
	}
	probes.Wait()
	if looks := st.looks.Load(); looks != 1 {
		t.Errorf("the store was asked %d times", looks)
	}
	h.at = h.at.Add(-readyFor)
	if h.check(t.Context(), sh); st.looks.Load() != 2 {
		t.Error("an old answer is given for ever")
	}
}

func TestWithoutSecrets(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		"dial tcp 10.0.0.1:5432: connection refused": "dial tcp 10.0.0.1:5432: connection refused",
		`parse "postgres://u:p@ss:w@h/d": bad`:       `parse "postgres://u:REDACTED@h/d": bad`,
		`host=h password='it\'s me' user=u`:          `host=h password=REDACTED user=u`,
		`host=h PASSWORD = hunter2`:                  `host=h PASSWORD = REDACTED`,
		"":                                           "",
	} {
		if got := withoutSecrets(text); got != want {
			t.Errorf("%s\nbecomes %s\nwant    %s", text, got, want)
		}
	}
}
