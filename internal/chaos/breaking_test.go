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

// How much of something is done.
const (
	reloadEvery = 100 * time.Millisecond
	purged      = 2000
	floods      = 60
)

type faultFunc func(context.Context, *rand.Rand)

// lanes are the faults of the database, of the links to it, and of the nodes.
// Of each lane there is one at a time.
func (b *breaker) lanes() [][]faultFunc {
	postgres := func(kind Kind, end func() error, down ...time.Duration) faultFunc {
		return func(ctx context.Context, rng *rand.Rand) { b.postgres(ctx, kind, end, down[rng.IntN(len(down))]) }
	}
	// Sometimes for longer than tokens are honoured without it.
	const a, s, long = 200 * time.Millisecond, time.Second, StaleIfError + time.Second
	return [][]faultFunc{
		{
			b.listeners, b.backends, b.purge,
			postgres(PostgresStopped, b.pg.Shutdown, a, s, long),
			postgres(PostgresRestart, b.pg.Shutdown, 0),
			postgres(PostgresCrashed, b.pg.Crash, 0, s, long),
		},
		{
			b.slow, b.cut, b.exhaust,
			func(ctx context.Context, rng *rand.Rand) { b.hole(ctx, rng, Hole, false) },
			func(ctx context.Context, rng *rand.Rand) { b.hole(ctx, rng, DeadHole, true) },
		},
		{
			b.killNode, b.reloads, b.flushes, b.killCommitted, b.stand,
			func(ctx context.Context, rng *rand.Rand) { b.set(ctx, rng, ClockAhead) },
			func(ctx context.Context, rng *rand.Rand) { b.set(ctx, rng, ClockBack) },
		},
	}
}

// run breaks one thing after the other until ctx is done and each was broken
// once. Everything is whole again when it returns.
func (b *breaker) run(ctx context.Context, stream uint64, faults []faultFunc) {
	rng := b.rng(stream)
	all := context.WithoutCancel(ctx)
	for first := true; first || ctx.Err() == nil; first = false {
		for _, i := range rng.Perm(len(faults)) {
			if !first && ctx.Err() != nil {
				return
			}
			pause(all, rng, 700*time.Millisecond)
			faults[i](all, rng)
		}
	}
}

func (b *breaker) terminate(ctx context.Context, kind Kind, which string) {
	defer b.Broken(kind, Database)()
	_, _ = b.db.DB().ExecContext(ctx, `select pg_terminate_backend(pid) from pg_stat_activity
where pid <> pg_backend_pid() and datname = current_database() and `+which)
}

// listeners has tokens revoked all the while.
func (b *breaker) listeners(ctx context.Context, rng *rand.Rand) {
	revoked, done := context.WithCancel(ctx)
	var busy sync.WaitGroup
	stream := rng.Uint64() // now: the source is not to be shared
	busy.Go(func() { b.revoke(revoked, stream, 20*time.Millisecond) })
	for range 2 + rng.IntN(6) {
		b.terminate(ctx, ListenersCut, `(query ilike 'listen%' or query = '') and application_name = 'xivo-auth'`)
		pause(ctx, rng, 100*time.Millisecond)
	}
	done()
	busy.Wait()
}

func (b *breaker) backends(ctx context.Context, rng *rand.Rand) {
	for range 1 + rng.IntN(3) {
		b.terminate(ctx, BackendsCut, `backend_type = 'client backend'`)
		pause(ctx, rng, 200*time.Millisecond)
	}
}

func (b *breaker) postgres(ctx context.Context, kind Kind, end func() error, down time.Duration) {
	defer b.Broken(kind, Database)()
	if err := end(); err != nil {
		b.nodes[0].t.Errorf("ending Postgres: %v", err)
	}
	time.Sleep(down)
	if err := b.pg.Restart(ctx); err != nil {
		b.nodes[0].t.Errorf("starting Postgres: %v", err)
	}
}

// any is one of the nodes, whose link or process is ours until release.
func (b *breaker) any(rng *rand.Rand, of []sync.Mutex) (n *node, release func()) {
	i := rng.IntN(len(b.nodes))
	of[i].Lock()
	return b.nodes[i], of[i].Unlock
}

func (b *breaker) slow(ctx context.Context, rng *rand.Rand) {
	n, release := b.any(rng, b.links)
	defer release()
	defer b.slowed(n)()
	pause(ctx, rng, 2*time.Second)
}

// slowed is a link with latency until it is mended.
func (b *breaker) slowed(n *node) (mend func()) {
	mended := b.Broken(Slow, n.i)
	n.link.Slow(Latency)
	return func() { n.link.Slow(0); mended() }
}

// exhaust has a node with two connections asked for many tokens at once, over a
// slow link, while its listener is cut, so that the feed has to catch up over a
// connection that it does not get.
func (b *breaker) exhaust(ctx context.Context, rng *rand.Rand) {
	n := b.nodes[len(b.nodes)-1]
	b.links[n.i].Lock()
	defer b.links[n.i].Unlock()
	defer b.slowed(n)()
	defer b.Broken(Exhausted, n.i)()
	var all sync.WaitGroup
	for range floods {
		all.Go(func() { b.check(n, madeUp+uuid.NewString()[9:], true) })
	}
	pause(ctx, rng, 100*time.Millisecond)
	b.terminate(ctx, ListenersCut, `(query ilike 'listen%' or query = '') and application_name = 'xivo-auth'`)
	all.Wait()
}

func (b *breaker) cut(ctx context.Context, rng *rand.Rand) {
	n, release := b.any(rng, b.links)
	defer release()
	defer b.Broken(Cut, n.i)()
	n.link.Cut()
	pause(ctx, rng, []time.Duration{100 * time.Millisecond, time.Second, StaleIfError}[rng.IntN(3)])
	n.link.Mend()
}

func (b *breaker) hole(ctx context.Context, rng *rand.Rand, kind Kind, forGood bool) {
	n, release := b.any(rng, b.links)
	defer release()
	defer b.Broken(kind, n.i)()
	n.link.Hole(forGood)
	pause(ctx, rng, []time.Duration{300 * time.Millisecond, time.Second, 2 * time.Second, 4 * time.Second}[rng.IntN(4)])
	n.link.Mend()
}

func (b *breaker) killNode(ctx context.Context, rng *rand.Rand) {
	n, release := b.any(rng, b.procs)
	defer release()
	defer b.Broken(NodeDown, n.i)()
	n.kill()
	pause(ctx, rng, 300*time.Millisecond)
	n.restart()
}

// stand has a process stand still, as a machine does that is suspended or moved,
// while tokens that it has in memory are revoked elsewhere. Those who ask it are
// answered when it goes on, before it can have heard anything.
func (b *breaker) stand(ctx context.Context, rng *rand.Rand) {
	n, release := b.any(rng, b.procs)
	defer release()
	var held []Token
	for range 8 {
		if t, ok := b.take(rng); ok {
			b.warm(t)
			held = append(held, t)
		}
	}
	mended := b.Broken(NodeStill, n.i)
	resume := n.suspend()
	ended := make([]Revocation, len(held))
	for i, t := range held {
		ended[i] = b.bySQL(ctx, t, `delete from auth_token where uuid = $1`, t.ID)
	}
	pause(ctx, rng, 2*Heard) // from as long as it may honour them to three times that
	var asked sync.WaitGroup
	for i, t := range held {
		asked.Go(func() { b.check(n, t.ID, i%2 == 0) })
	}
	time.Sleep(20 * time.Millisecond) // they are on their way
	resume()
	mended()
	asked.Wait()
	for i, t := range held {
		b.after(t, ended[i])
	}
}

// killCommitted kills a node that revokes, when the database has committed that
// and the answer is on its way to the node, which a slow link makes sure of. It
// tries again where something else that is broken comes between.
func (b *breaker) killCommitted(ctx context.Context, rng *rand.Rand) {
	n, release := b.any(rng, b.procs)
	defer release()
	b.links[n.i].Lock()
	defer b.links[n.i].Unlock()
	for range 20 {
		if t, ok := b.take(rng); ok { // else nobody could issue any
			b.warm(t)
			if b.killRevoking(ctx, n, t) {
				return
			}
		}
		pause(ctx, rng, 200*time.Millisecond)
	}
	n.t.Logf("node %d: it never came to a kill between commit and answer", n.i)
}

// killRevoking reports whether it came to that.
func (b *breaker) killRevoking(ctx context.Context, n *node, t Token) bool {
	mend := b.slowed(n)
	defer mend()
	answered := make(chan struct{})
	var asked sync.WaitGroup
	defer asked.Wait()
	asked.Go(func() {
		r := b.byAPI(n, t)
		close(answered)
		b.after(t, r)
	})
	for !b.gone(ctx, t.ID) {
		select {
		case <-answered:
			return false
		case <-time.After(5 * time.Millisecond):
		}
	}
	select {
	case <-answered:
		return false
	default:
	}
	defer b.Broken(KilledCommitted, n.i)()
	n.kill()
	n.restart()
	return true
}

func (b *breaker) reloads(_ context.Context, rng *rand.Rand) {
	n, release := b.any(rng, b.procs)
	defer release()
	b.reloadFor(n, time.Second+below(rng, time.Second))
}

// reloadFor reloads the process of a node that is the caller's.
func (b *breaker) reloadFor(n *node, d time.Duration) {
	defer b.Broken(Reloads, n.i)()
	tick := time.NewTicker(reloadEvery)
	defer tick.Stop()
	for end := time.Now().Add(d); time.Now().Before(end); <-tick.C {
		if err := n.reload(); err != nil {
			n.t.Errorf("node %d: %v", n.i, err)
			return
		}
	}
}

func (b *breaker) flushes(ctx context.Context, rng *rand.Rand) {
	n, release := b.any(rng, b.procs)
	defer release()
	defer b.Broken(Flush, n.i)()
	for range 5 {
		if err := n.flush(); err != nil {
			n.t.Errorf("node %d: %v", n.i, err)
		}
		pause(ctx, rng, 50*time.Millisecond)
	}
}

// set sets the wall clock of a node, and right again.
func (b *breaker) set(ctx context.Context, rng *rand.Rand, kind Kind) {
	n, release := b.any(rng, b.procs)
	defer release()
	defer b.Broken(kind, n.i)()
	n.setClock(effects[kind].set)
	pause(ctx, rng, 1500*time.Millisecond)
	n.setClock(0)
}

// purge removes thousands of expired tokens at once, besides what the nodes'
// janitors do.
func (b *breaker) purge(ctx context.Context, _ *rand.Rand) {
	defer b.Broken(Purge, Database)()
	_, _ = b.db.DB().ExecContext(ctx, `with s as (
	insert into auth_session (uuid, tenant_uuid) select uuid_generate_v4(), $1 from generate_series(1, $3) returning uuid
)
insert into auth_token (auth_id, issued_t, expire_t, session_uuid) select $2, 0, 1, uuid from s`, b.tenant, b.user, purged)
	_, _ = b.db.DB().ExecContext(ctx, `delete from auth_session where uuid in (select session_uuid from auth_token where expire_t < extract(epoch from now()) - 1)`)
}
