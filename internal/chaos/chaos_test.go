//go:build chaos

package chaos

import (
	"context"
	"database/sql"
	"errors"
	"flag"
	"net/http"
	"os"
	"sync"
	"testing"
	"time"

	"github.com/wazo-edge/xivo-auth/authsvc/store"
	"github.com/wazo-edge/xivo-auth/authsvc/store/postgres"
	"github.com/wazo-edge/xivo-auth/internal/pgtest"
)

// EnvDuration names the environment variable that takes the place of
// -chaos.duration.
const EnvDuration = "XIVO_CHAOS_DURATION"

var (
	duration = flag.Duration("chaos.duration", 20*time.Second, "how long to break things; also "+EnvDuration)
	seed     = flag.Uint64("seed", uint64(time.Now().UnixNano()), "which faults come when")
)

// TestChaos lets clients and faults loose on three nodes and judges what
// happened.
func TestChaos(t *testing.T) {
	b := newWorld(t)
	b.live(t)
	d := *duration
	if text := os.Getenv(EnvDuration); text != "" {
		var err error
		if d, err = time.ParseDuration(text); err != nil {
			t.Fatal(err)
		}
	}
	b.verdict(t, func(ctx context.Context) {
		ctx, cancel := context.WithTimeout(ctx, d)
		defer cancel()
		var all sync.WaitGroup
		all.Go(func() { b.run(ctx, 2, b.outer(), 1200*time.Millisecond) })
		all.Go(func() { b.run(ctx, 3, b.inner(), 3*time.Second) })
		all.Wait()
	})
}

// TestChaos_ReloadEvery100ms reloads one node all the time while the others go
// on: nobody is refused, nobody gets no answer, and no revocation is missed.
func TestChaos_ReloadEvery100ms(t *testing.T) {
	b := newWorld(t)
	b.live(t)
	b.verdict(t, func(ctx context.Context) { b.reloadFor(ctx, b.nodes[0], 4*time.Second) })
}

// newWorld starts Postgres and the nodes.
func newWorld(t *testing.T) *breaker {
	t.Helper()
	if testing.Short() {
		t.Skip("starts processes for many seconds: not with -short")
	}
	pg, err := pgtest.Start(t.Context())
	if errors.Is(err, pgtest.ErrMissing) {
		t.Skip(err)
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = pg.Stop() })
	db, err := postgres.Open(pg.DSN+"&application_name=chaos", store.Options{Timeout: 2 * time.Second, MaxConns: 8})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = db.Close() })
	t.Logf("-seed %d", *seed)

	w := &world{History: NewHistory(), db: db, seed: *seed, client: &http.Client{
		Timeout:   20 * time.Second,
		Transport: &http.Transport{MaxIdleConnsPerHost: 32, IdleConnTimeout: 10 * time.Second},
	}}
	b := &breaker{world: w, pg: pg, links: make([]sync.Mutex, 3), procs: make([]sync.Mutex, 3)}
	binary := build(t)
	for i, conns := range []int{16, 16, 2} {
		link, err := NewLink(pg.DSN)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(link.Close)
		w.nodes = append(w.nodes, newNode(t, i, binary, link, conns))
	}
	w.everywhere(func(n *node) { // at once, on an empty database
		if n.start(); !n.serving(60 * time.Second) {
			t.Errorf("node %d does not start:\n%s", n.i, n.tail(20))
		}
	})
	if t.Failed() {
		t.FailNow()
	}
	if err := db.DB().QueryRowContext(t.Context(), `select uuid, tenant_uuid from auth_user where username = 'admin'`).Scan(&w.user, &w.tenant); err != nil {
		t.Fatal(err)
	}
	return b
}

// live waits until every node hears the feed.
func (w *world) live(t *testing.T) {
	t.Helper()
	w.everywhere(func(n *node) {
		for deadline := time.Now().Add(30 * time.Second); !n.live(); time.Sleep(20 * time.Millisecond) {
			if time.Now().After(deadline) {
				t.Errorf("node %d does not hear the feed:\n%s", n.i, n.tail(20))
				return
			}
		}
	})
}

// verdict has the clients at work while disturb runs, and judges.
func (w *world) verdict(t *testing.T, disturb func(context.Context)) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	var clients sync.WaitGroup
	clients.Go(func() { w.issue(ctx) })
	for i := range 3 {
		clients.Go(func() { w.revoke(ctx, uint64(10+i)) })
	}
	for i, n := range w.nodes {
		for j := range perNode {
			clients.Go(func() { w.use(ctx, n, uint64(100+perNode*i+j)) })
		}
	}
	disturb(ctx)
	w.live(t)
	time.Sleep(Notice)
	cancel()
	clients.Wait()
	w.finale(t)
	t.Log("\n" + Report(w.History))
	for _, n := range w.nodes {
		n.mu.Lock()
		for _, end := range n.died {
			t.Errorf("%s\n%s", end, n.tail(60))
		}
		n.mu.Unlock()
	}
	violations := Judge(w.History)
	for i, v := range violations {
		if i == 8 {
			t.Errorf("and %d more", len(violations)-i)
			break
		}
		t.Errorf("%s  its log:\n%s", Tell(w.History, v), w.nodes[v.Check.Node].tail(12))
	}
	if t.Failed() {
		t.Logf("-seed %d", *seed)
	}
}

// finale asks every node about every token.
func (w *world) finale(t *testing.T) {
	t.Helper()
	rows, err := w.db.DB().QueryContext(t.Context(), `select uuid from auth_token`)
	if err != nil {
		t.Fatal(err)
	}
	defer rows.Close()
	there := map[string]bool{}
	for rows.Next() {
		var id sql.NullString
		if err := rows.Scan(&id); err != nil {
			t.Fatal(err)
		}
		there[id.String] = true
	}
	if err := rows.Err(); err != nil {
		t.Fatal(err)
	}
	ids := make(chan string, len(w.Tokens))
	for id := range w.Tokens {
		w.Gone[id] = !there[id]
		ids <- id
	}
	close(ids)
	w.Final = w.Now()
	var all sync.WaitGroup
	for range 4 {
		all.Go(func() {
			for id := range ids {
				for _, n := range w.nodes {
					w.check(n, id, id[0]%2 == 0)
				}
			}
		})
	}
	all.Wait()
}
