package chaos

import (
	"context"
	"database/sql"
	"errors"
	"flag"
	"net/http"
	"os/exec"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/wazo-edge/xivo-auth/authsvc/store"
	"github.com/wazo-edge/xivo-auth/authsvc/store/postgres"
	"github.com/wazo-edge/xivo-auth/internal/pgtest"
)

var (
	duration = flag.Duration("chaos.duration", 20*time.Second, "how long to break things")
	seed     = flag.Uint64("seed", uint64(time.Now().UnixNano()), "which faults come when")
)

// TestChaos lets clients and faults loose on three nodes and judges what
// happened: no revocation is honoured for longer than docs/operations.md says,
// no valid token is refused, and nobody is answered 503 without a reason.
func TestChaos(t *testing.T) {
	b := newWorld(t)
	b.live(t)
	reloads := min(*duration/5, 20*time.Second)
	b.verdict(t, func(ctx context.Context) {
		all, cancel := context.WithTimeout(ctx, *duration-reloads)
		defer cancel()
		var lanes sync.WaitGroup
		for i, faults := range b.lanes() {
			lanes.Go(func() { b.run(all, uint64(2+i), faults) })
		}
		lanes.Wait()
		if slices.Contains(b.Missing(Kinds), KilledCommitted) {
			// It needs the others to hold still for a moment, which in a
			// short run they may never do.
			b.live(t)
			b.killCommitted(ctx, b.rng(1))
		}
		// With all else whole: nobody is refused, or gets no answer, because
		// a configuration is loaded.
		b.live(t)
		b.reloadFor(b.nodes[0], reloads)
	})
	if missing := b.Missing(Kinds); len(missing) > 0 {
		t.Errorf("nothing was broken like this: %q", missing)
	}
}

// newWorld starts Postgres and the nodes.
func newWorld(t *testing.T) *breaker {
	t.Helper()
	if testing.Short() {
		t.Skip("breaks processes for many seconds: not with -short")
	}
	pg, err := pgtest.Start(t.Context())
	if errors.Is(err, pgtest.ErrMissing) {
		t.Skip(err)
	}
	if _, err := exec.LookPath("go"); err != nil {
		t.Skip("the nodes cannot be built: ", err)
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

	w := &world{db: db, dsn: pg.DSN + "&connect_timeout=20", seed: *seed, client: &http.Client{
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
	for deadline := time.Now().Add(time.Minute); w.user == ""; time.Sleep(20 * time.Millisecond) { // they serve before that
		err := db.DB().QueryRowContext(t.Context(), `select uuid, tenant_uuid from auth_user where username = 'admin'`).Scan(&w.user, &w.tenant)
		if err != nil && time.Now().After(deadline) {
			t.Fatal(err)
		}
	}
	return b
}

// live waits until every node hears the feed.
func (w *world) live(t *testing.T) {
	t.Helper()
	w.everywhere(func(n *node) {
		for deadline := time.Now().Add(time.Minute); !n.live(); time.Sleep(20 * time.Millisecond) {
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
	w.History = NewHistory()
	var clients sync.WaitGroup
	clients.Go(func() { w.issue(ctx) })
	for i := range 3 {
		clients.Go(func() { w.revoke(ctx, uint64(10+i), 250*time.Millisecond) })
	}
	for i, n := range w.nodes {
		for j := range perNode {
			clients.Go(func() { w.use(ctx, n, uint64(100+perNode*i+j)) })
		}
	}
	clients.Go(func() { w.tick(ctx) })
	clients.Go(func() { w.ask(ctx, w.dsn) })
	disturb(ctx)
	w.live(t)
	time.Sleep(Heard)
	cancel()
	clients.Wait()
	w.finale(t)
	t.Logf("\n%s%d new connections were closed by a reload, and made again\n", Report(w.History), w.resets.Load())
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

// tick notes when the machine did something else.
func (w *world) tick(ctx context.Context) {
	for ctx.Err() == nil {
		from := w.Now()
		time.Sleep(10 * time.Millisecond)
		if w.Now()-from > longStill {
			w.Noticed(Stalled, from)
		}
	}
}

// ask notes when the database takes its time although nothing is done to the
// way to it: then the nodes may find so, too, and say 503.
func (w *world) ask(ctx context.Context, dsn string) {
	for rng := w.rng(5); pause(ctx, rng, 250*time.Millisecond); {
		from := w.Now()
		if db, err := sql.Open("postgres", dsn); err == nil {
			_ = db.PingContext(ctx)
			_ = db.Close()
		}
		if w.Now()-from > longTime {
			w.Noticed(Overloaded, from)
		}
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
