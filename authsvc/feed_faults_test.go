package authsvc_test

import (
	"context"
	"sync/atomic"
	"testing"
	"time"

	"github.com/wazo-edge/xivo-auth/authsvc"
	"github.com/wazo-edge/xivo-auth/authsvc/cache"
	"github.com/wazo-edge/xivo-auth/authsvc/grant"
	"github.com/wazo-edge/xivo-auth/authsvc/guard"
	"github.com/wazo-edge/xivo-auth/authsvc/revocation"
	"github.com/wazo-edge/xivo-auth/authsvc/store"
	"github.com/wazo-edge/xivo-auth/authsvc/store/postgres"
	"github.com/wazo-edge/xivo-auth/authsvc/store/sqlstore"
	"github.com/wazo-edge/xivo-auth/internal/pgtest"
	"github.com/wazo-edge/xivo-auth/internal/wallclock"
)

// lonely is a cluster of one node with a clock and few connections of its own,
// whose pool it returns as well.
func lonely(t *testing.T, now func() time.Time) (*cluster, *sqlstore.Store) {
	t.Helper()
	dsn := pgtest.DSN(t)
	c := newCluster(t, 0, authsvc.Feed{}, func() (*sqlstore.Store, error) { return postgres.Open(dsn, store.Options{MaxConns: 4}) })
	st, err := postgres.Open(dsn, store.Options{MaxConns: 2, Timeout: time.Second})
	if err != nil {
		t.Fatal(err)
	}
	svc, err := authsvc.New(authsvc.Config{Store: st, Now: now, StoreClock: true, Cache: cache.Config{Grants: 10_000}},
		authsvc.Settings{Cache: cache.Limits{MaxAge: 24 * time.Hour, StaleIfError: time.Hour}, CleanupInterval: -1})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = svc.Close() })
	svc.StartFeed()
	c.nodes = append(c.nodes, svc)
	c.live()
	return c, st
}

// cutListeners ends the connections over which nodes listen.
func (c *cluster) cutListeners() {
	c.t.Helper()
	c.exec(`select pg_terminate_backend(pid) from pg_stat_activity
where datname = current_database() and pid <> pg_backend_pid() and (query ilike 'listen%' or query = '')`)
}

// TestFeed_PoolExhausted: the feed has to catch up and every connection is in
// use, as by a crowd that logs in. It is not live before it has read what it
// missed, and until then nothing is served from memory unasked. Lost is nothing:
// what was revoked meanwhile is refused once there is a connection, before
// anything else is trusted again.
func TestFeed_PoolExhausted(t *testing.T) {
	t.Parallel()
	c, st := lonely(t, time.Now)
	node, tokens := c.nodes[0], c.known(c.user("alice"), 2)
	ctx, release := context.WithCancel(context.Background())
	defer release()
	for range 2 {
		// Whoever is in line before is served first.
		c.eventually("a connection is taken", func() bool {
			conn, err := st.DB().Conn(ctx)
			if err != nil {
				return false
			}
			context.AfterFunc(ctx, func() { _ = conn.Close() })
			return true
		})
	}
	c.cutListeners()
	c.eventually("the node notices", func() bool {
		s, _ := node.FeedStatus()
		return s.State == revocation.Lost
	})
	c.exec(`delete from auth_token where uuid = $1`, tokens[0].UUID)
	// It listens again, and cannot read the log.
	for range 2 {
		if s, _ := node.FeedStatus(); s.State != revocation.Lost {
			t.Errorf("the feed is %s although it cannot have caught up", s.State)
		}
		// Nobody knows, so who was vouched for a moment ago still is.
		if d := decide(node, tokens[1].UUID, ""); d.Verdict != guard.Allow || d.State != grant.Degraded {
			t.Errorf("a token of a moment ago: %v %v", d.Verdict, d.State)
		}
	}
	release()
	c.live()
	if d := decide(node, tokens[0].UUID, ""); d.Verdict != guard.Unauthenticated {
		t.Errorf("the feed is live, and what it missed is: %v", d.Verdict)
	}
	c.eventually("the other is served from memory", func() bool {
		d := decide(node, tokens[1].UUID, "")
		return d.Verdict == guard.Allow && d.State == grant.Hit
	})
}

// TestFeed_ClockSteps: somebody sets the node's clock, there and back again, while
// tokens are revoked and the connection that listens is cut. Lost is nothing:
// what was revoked is refused, what was not is accepted, and what has expired by
// the node's clock alone is neither removed nor remembered as gone.
func TestFeed_ClockSteps(t *testing.T) {
	t.Parallel()
	var ahead atomic.Int64
	c, _ := lonely(t, func() time.Time { return wallclock.Set(time.Now(), time.Duration(ahead.Load())) })
	node := c.nodes[0]
	tokens, kept := c.known(c.user("alice"), 24), c.known(c.user("alice"), 1)[0]
	steps := []time.Duration{30 * time.Minute, 0, -30 * time.Minute, -24 * time.Hour, 0}
	for i, token := range tokens {
		ahead.Store(int64(steps[i%len(steps)]))
		if i%6 == 0 {
			c.cutListeners()
		}
		c.exec(`delete from auth_token where uuid = $1`, token.UUID)
		c.refused("a deletion while the clock was set", token)
		if d := decide(node, kept.UUID, ""); d.Verdict != guard.Allow {
			t.Errorf("with the clock at %s: %v %s", steps[i%len(steps)], d.Verdict, d.Reason)
		}
	}
	// By two hours ahead it has expired, but not for the database.
	ahead.Store(int64(2 * time.Hour))
	if d := decide(node, kept.UUID, ""); d.Verdict != guard.Unauthenticated {
		t.Errorf("expired by its own clock: %v", d.Verdict)
	}
	if n, err := node.PurgeExpired(t.Context()); err != nil || n != 0 {
		t.Errorf("%d tokens were removed that are valid by the database's clock, %v", n, err)
	}
	ahead.Store(0)
	if d := decide(node, kept.UUID, ""); d.Verdict != guard.Allow {
		t.Errorf("the clock is right again: %v %s", d.Verdict, d.Reason)
	}
	c.live()
	c.refused("all that was revoked", tokens...)
}
