//go:build chaos

package chaos

import (
	"context"
	"math/rand/v2"
	"sync"
	"time"

	"github.com/google/uuid"

	"github.com/wazo-edge/xivo-auth/internal/pgtest"
)

// breaker breaks things and mends them.
type breaker struct {
	*world
	pg *pgtest.Server
	// Two faults at a time never touch the same node's link or process.
	links, procs []sync.Mutex
}

// run breaks one thing after the other until ctx is done. Everything is whole
// again when it returns.
func (b *breaker) run(ctx context.Context, stream uint64, faults []func(context.Context, *rand.Rand), quiet time.Duration) {
	rng := b.rng(stream)
	var order []int
	for pause(ctx, rng, quiet) {
		if len(order) == 0 { // each once, then each again
			order = rng.Perm(len(faults))
		}
		next := order[0]
		order = order[1:]
		faults[next](ctx, rng)
	}
}

// outer are faults of the database and the links to it, inner those of nodes.
func (b *breaker) outer() []func(context.Context, *rand.Rand) {
	return []func(context.Context, *rand.Rand){
		b.listeners, b.backends, b.postgres, b.slow, b.cut,
		func(ctx context.Context, rng *rand.Rand) { b.hole(ctx, rng, Hole, false) },
		func(ctx context.Context, rng *rand.Rand) { b.hole(ctx, rng, DeadHole, true) },
		b.listeners, b.exhaust,
	}
}

func (b *breaker) inner() []func(context.Context, *rand.Rand) {
	return []func(context.Context, *rand.Rand){b.killNode, b.reloads, b.flushes, b.purge, b.revokeAndKill}
}

func (b *breaker) terminate(ctx context.Context, kind Kind, which string) {
	defer b.Broken(kind, Database)()
	_, _ = b.db.DB().ExecContext(ctx, `select pg_terminate_backend(pid) from pg_stat_activity
where pid <> pg_backend_pid() and datname = current_database() and `+which)
}

func (b *breaker) listeners(ctx context.Context, rng *rand.Rand) {
	for range 1 + rng.IntN(6) {
		b.terminate(ctx, ListenersCut, `(query ilike 'listen%' or query = '') and application_name = 'xivo-auth'`)
		if !pause(ctx, rng, 100*time.Millisecond) {
			return
		}
	}
}

func (b *breaker) backends(ctx context.Context, rng *rand.Rand) {
	for range 1 + rng.IntN(3) {
		b.terminate(ctx, BackendsCut, `backend_type = 'client backend'`)
		if !pause(ctx, rng, 200*time.Millisecond) {
			return
		}
	}
}

func (b *breaker) postgres(ctx context.Context, rng *rand.Rand) {
	defer b.Broken(PostgresDown, Database)()
	_ = b.pg.Kill()
	// Sometimes for longer than tokens are honoured without it.
	pause(ctx, rng, []time.Duration{200 * time.Millisecond, time.Second, StaleIfError + time.Second}[rng.IntN(3)])
	// Also when the test is over: everything is whole in the end.
	if err := b.pg.Restart(context.WithoutCancel(ctx)); err != nil {
		b.nodes[0].t.Errorf("restarting Postgres: %v", err)
	}
}

func (b *breaker) slow(ctx context.Context, rng *rand.Rand) {
	i := rng.IntN(len(b.nodes))
	b.links[i].Lock()
	defer b.links[i].Unlock()
	defer b.Broken(Slow, i)()
	b.nodes[i].link.Slow(Latency)
	pause(ctx, rng, 2*time.Second)
	b.nodes[i].link.Slow(0)
}

// exhaust has a node with two connections asked for many tokens at once, over a
// slow link.
func (b *breaker) exhaust(ctx context.Context, rng *rand.Rand) {
	i := len(b.nodes) - 1
	b.links[i].Lock()
	defer b.links[i].Unlock()
	defer b.Broken(Slow, i)()
	defer b.Broken(Flood, i)()
	b.nodes[i].link.Slow(Latency)
	var all sync.WaitGroup
	for range 60 {
		all.Go(func() { b.check(b.nodes[i], madeUp+uuid.NewString()[9:], true) })
	}
	all.Wait()
	b.nodes[i].link.Slow(0)
	pause(ctx, rng, 100*time.Millisecond)
}

func (b *breaker) cut(ctx context.Context, rng *rand.Rand) {
	i := rng.IntN(len(b.nodes))
	b.links[i].Lock()
	defer b.links[i].Unlock()
	defer b.Broken(Cut, i)()
	b.nodes[i].link.Cut()
	pause(ctx, rng, []time.Duration{100 * time.Millisecond, time.Second, StaleIfError}[rng.IntN(3)])
	b.nodes[i].link.Mend()
}

func (b *breaker) hole(ctx context.Context, rng *rand.Rand, kind Kind, forGood bool) {
	i := rng.IntN(len(b.nodes))
	b.links[i].Lock()
	defer b.links[i].Unlock()
	defer b.Broken(kind, i)()
	b.nodes[i].link.Hole(forGood)
	pause(ctx, rng, []time.Duration{300 * time.Millisecond, time.Second, 2 * time.Second, 4 * time.Second}[rng.IntN(4)])
	b.nodes[i].link.Mend()
}

func (b *breaker) killNode(ctx context.Context, rng *rand.Rand) {
	b.restart(ctx, rng, b.nodes[rng.IntN(len(b.nodes))], func() {})
}

// restart kills a node, after something, and starts it again.
func (b *breaker) restart(ctx context.Context, rng *rand.Rand, n *node, first func()) {
	b.procs[n.i].Lock()
	defer b.procs[n.i].Unlock()
	first()
	defer b.Broken(NodeDown, n.i)()
	n.kill()
	pause(ctx, rng, 300*time.Millisecond)
	n.start()
	if !n.serving(30 * time.Second) {
		n.t.Errorf("node %d does not start:\n%s", n.i, n.tail(20))
	}
}

// revokeAndKill kills a node that is answering a revocation: before the commit,
// between it and the answer, or just after.
func (b *breaker) revokeAndKill(ctx context.Context, rng *rand.Rand) {
	t, ok := b.take(rng)
	if !ok {
		return
	}
	b.warm(t)
	n := b.nodes[rng.IntN(len(b.nodes))]
	done := make(chan struct{})
	b.restart(ctx, rng, n, func() {
		go func() {
			defer close(done)
			b.after(t, b.byAPI(n, t))
		}()
		time.Sleep(below(rng, 5*time.Millisecond))
	})
	<-done
}

func (b *breaker) reloads(ctx context.Context, rng *rand.Rand) {
	n := b.nodes[rng.IntN(len(b.nodes))]
	b.reloadFor(ctx, n, 2*time.Second+below(rng, 2*time.Second))
}

func (b *breaker) reloadFor(ctx context.Context, n *node, d time.Duration) {
	b.procs[n.i].Lock()
	defer b.procs[n.i].Unlock()
	defer b.Broken(Reloads, n.i)()
	tick := time.NewTicker(100 * time.Millisecond)
	defer tick.Stop()
	for end := time.Now().Add(d); time.Now().Before(end) && ctx.Err() == nil; <-tick.C {
		if err := n.reload(); err != nil {
			n.t.Errorf("node %d: %v", n.i, err)
			return
		}
	}
}

func (b *breaker) flushes(_ context.Context, rng *rand.Rand) {
	n := b.nodes[rng.IntN(len(b.nodes))]
	b.procs[n.i].Lock()
	defer b.procs[n.i].Unlock()
	defer b.Broken(Flush, n.i)()
	if err := n.flush(); err != nil {
		n.t.Logf("node %d: %v", n.i, err)
	}
}

// purge removes thousands of expired tokens at once, besides what the nodes'
// janitors do.
func (b *breaker) purge(ctx context.Context, _ *rand.Rand) {
	defer b.Broken(Purge, Database)()
	_, _ = b.db.DB().ExecContext(ctx, `with s as (
	insert into auth_session (uuid, tenant_uuid) select uuid_generate_v4(), $1 from generate_series(1, 2000) returning uuid
)
insert into auth_token (auth_id, issued_t, expire_t, session_uuid) select $2, 0, 1, uuid from s`, b.tenant, b.user)
	_, _ = b.db.DB().ExecContext(ctx, `delete from auth_session where uuid in (select session_uuid from auth_token where expire_t < extract(epoch from now()) - 1)`)
}
