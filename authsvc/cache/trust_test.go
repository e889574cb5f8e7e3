package cache_test

import (
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/uuid"

	"github.com/wazo-edge/xivo-auth/authsvc/cache"
	"github.com/wazo-edge/xivo-auth/authsvc/grant"
)

// holder is the user of every grant here.
var holder = uuid.MustParse("6f1a2c3e-0b77-4c7e-9a55-3d4f5e6a7b8c")

// resident is a cache with one token in memory.
func resident(t *testing.T) (*cache.Cache, *loader, *clock, string) {
	t.Helper()
	id := token(1)
	l, now := newLoader(id), newClock()
	c := newCache(t, l, cache.Config{Now: now.now})
	look(t, c, id.String(), "granted", grant.Miss)
	c.Wait()
	look(t, c, id.String(), "granted", grant.Hit)
	now.advance(time.Second)
	return c, l, now, id.String()
}

func look(t *testing.T, c *cache.Cache, token, want string, state grant.State) {
	t.Helper()
	_, got, err := c.Lookup(t.Context(), token)
	if kind(err) != want || got != state {
		t.Errorf("%s, %v; want %s, %v", kind(err), got, want, state)
	}
	c.Wait()
}

// TestDoubt: what was vouched for before is looked up once more, and once.
func TestDoubt(t *testing.T) {
	t.Parallel()
	c, _, now, id := resident(t)
	c.Doubt(now.now().Add(-time.Minute)) // before it was read
	look(t, c, id, "granted", grant.Hit)
	c.Doubt(now.now())
	look(t, c, id, "granted", grant.Miss)
	look(t, c, id, "granted", grant.Hit)
	c.Doubt(now.now().Add(-time.Minute)) // an older doubt takes nothing back
	look(t, c, id, "granted", grant.Hit)
}

// TestDoubtUsers: the grants of these users are, and of nobody else.
func TestDoubtUsers(t *testing.T) {
	t.Parallel()
	c, _, now, id := resident(t)
	c.DoubtUsers(uuid.New(), uuid.Nil)
	look(t, c, id, "granted", grant.Hit)
	c.DoubtUsers(uuid.New(), holder)
	look(t, c, id, "granted", grant.Miss)
	look(t, c, id, "granted", grant.Hit)
	now.advance(time.Second)
	// Of very many at once, everybody is.
	many := make([]uuid.UUID, 2000)
	for i := range many {
		many[i] = uuid.New()
	}
	c.DoubtUsers(many...)
	look(t, c, id, "granted", grant.Miss)
	look(t, c, id, "granted", grant.Hit)
}

// TestDoubtUsers_Remembered: a doubt lasts as long as a grant from before it can
// be honoured, which with the store out of reach is longer than max_age.
func TestDoubtUsers_Remembered(t *testing.T) {
	t.Parallel()
	c, l, now, id := resident(t)
	c.SetLimits(cache.Limits{MaxAge: 10 * time.Minute, StaleIfError: 30 * time.Minute})
	c.DoubtUsers(holder)
	now.advance(15 * time.Minute)
	c.DoubtUsers(uuid.New()) // when old ones are forgotten
	c.FeedLive(now.now(), time.Second)
	now.advance(16 * time.Minute) // more than stale_if_error since the store vouched
	l.fail(errDown)
	look(t, c, id, "cannot tell", grant.Miss)
}

// TestSetLimits_Older: a grant of a user whom nobody remembers to doubt does not
// come back when grants may be older; those of others stay.
func TestSetLimits_Older(t *testing.T) {
	t.Parallel()
	c, l, now, id := resident(t)
	c.SetLimits(cache.Limits{MaxAge: time.Minute, StaleIfError: time.Second})
	c.DoubtUsers(holder)
	now.advance(time.Hour)
	c.DoubtUsers(uuid.New()) // when old ones are forgotten
	c.SetLimits(cache.Limits{MaxAge: 24 * time.Hour})
	l.remove(token(1))
	look(t, c, id, "unknown", grant.Miss)

	c, _, now, id = resident(t)
	c.SetLimits(cache.Limits{MaxAge: time.Minute, StaleIfError: time.Second})
	c.DoubtUsers(uuid.New())
	now.advance(time.Hour)
	look(t, c, id, "granted", grant.Miss)
	c.DoubtUsers(uuid.New())
	c.SetLimits(cache.Limits{MaxAge: 24 * time.Hour})
	look(t, c, id, "granted", grant.Hit)
}

// TestDoubt_Overtaken: a doubt about everything up to a moment takes nothing from
// one about a user that came later, and was overtaken by it.
func TestDoubt_Overtaken(t *testing.T) {
	t.Parallel()
	c, _, now, id := resident(t)
	before := now.now()
	now.advance(time.Second)
	c.FeedLost()
	look(t, c, id, "granted", grant.Miss) // read after before
	c.FeedOff()
	now.advance(time.Second)
	c.DoubtUsers(holder)
	c.Doubt(before)
	look(t, c, id, "granted", grant.Miss)
	look(t, c, id, "granted", grant.Hit)
}

// TestFeedLost: nothing is served from memory alone until the feed is heard
// again, and then it is as before.
func TestFeedLost(t *testing.T) {
	t.Parallel()
	c, l, now, id := resident(t)
	c.FeedLost()
	for range 3 {
		look(t, c, id, "granted", grant.Miss)
	}
	l.remove(token(1))
	look(t, c, id, "unknown", grant.Miss)
	l.set(token(1), start.AddDate(1, 0, 0))
	now.advance(time.Minute)
	look(t, c, id, "granted", grant.Miss)
	c.FeedLive(now.now(), time.Hour)
	look(t, c, id, "granted", grant.Hit)
	c.Doubt(now.now().Add(time.Second))
	c.FeedLost()
	c.FeedLive(now.now(), time.Hour)
	look(t, c, id, "granted", grant.Miss) // a doubt outlives the loss
}

// TestFeedLost_StoreDown: the feed vouched for what it did not revoke up to the
// moment when it was last heard, so that is honoured for stale_if_error from
// there on. A network that swallows packets keeps a loss from being noticed; a
// revocation in that time is not honoured for as much longer.
func TestFeedLost_StoreDown(t *testing.T) {
	t.Parallel()
	c, l, now, id := resident(t)
	c.SetLimits(cache.Limits{MaxAge: time.Hour, StaleIfError: 30 * time.Second})
	now.advance(20 * time.Minute) // long after the store vouched for it
	c.FeedLive(now.now(), time.Hour)
	l.fail(errDown)
	look(t, c, id, "granted", grant.Hit) // the feed is heard, as far as anybody knows
	now.advance(2 * time.Second)
	look(t, c, id, "granted", grant.Hit)
	c.FeedLost()
	look(t, c, id, "granted", grant.Degraded)
	now.advance(27 * time.Second)
	c.FeedLost() // told again, it is no later
	look(t, c, id, "granted", grant.Degraded)
	now.advance(time.Second)
	look(t, c, id, "cannot tell", grant.Miss)
	c.FeedLive(now.now(), time.Hour)
	look(t, c, id, "granted", grant.Hit)
}

// TestFeedLive_Lasts: hearing lasts for a while. A process that stood still, or
// hears late, asks the store again, whatever nobody had the time to notice. The
// store is asked for as long as that lasts, and nobody is refused for it.
func TestFeedLive_Lasts(t *testing.T) {
	t.Parallel()
	c, l, now, id := resident(t)
	c.SetLimits(cache.Limits{MaxAge: time.Hour, StaleIfError: 30 * time.Second})
	c.FeedLive(now.now(), 2*time.Second)
	now.advance(2*time.Second - 1)
	look(t, c, id, "granted", grant.Hit)
	now.advance(1)
	look(t, c, id, "granted", grant.Miss)
	look(t, c, id, "granted", grant.Miss)
	c.FeedLive(now.now(), 2*time.Second)
	look(t, c, id, "granted", grant.Hit)
	c.FeedLive(now.now().Add(-3*time.Second), 2*time.Second) // heard, but long ago
	look(t, c, id, "granted", grant.Miss)

	c.FeedLive(now.now(), 2*time.Second)
	now.advance(29 * time.Second) // it stood still
	l.fail(errDown)
	look(t, c, id, "granted", grant.Degraded)
	now.advance(time.Second)
	look(t, c, id, "cannot tell", grant.Miss)
	l.fail(nil)
	l.remove(token(1)) // elsewhere, meanwhile
	look(t, c, id, "unknown", grant.Miss)
}

// TestFeedLive_JoinedRead: nor does a read that somebody began before a
// revocation answer those who come when hearing is over.
func TestFeedLive_JoinedRead(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		id := token(1)
		l := newLoader(id)
		c := newCache(t, l, cache.Config{})
		c.FeedLive(time.Now(), 2*time.Second)
		deliver := make(chan struct{})
		l.after = sync.OnceFunc(func() { <-deliver })
		ask := func() chan error {
			answer := make(chan error, 1)
			go func() { _, _, err := c.Lookup(t.Context(), id.String()); answer <- err }()
			synctest.Wait()
			return answer
		}
		before := ask()
		l.remove(id)
		time.Sleep(2 * time.Second)
		after := ask()
		close(deliver)
		if err := <-before; err != nil {
			t.Errorf("who asked before: %v", err)
		}
		if got := kind(<-after); got != "unknown" {
			t.Errorf("who asked after: %s", got)
		}
	})
}

// TestFeedOff: then max_age alone counts, however long nobody tells anything.
func TestFeedOff(t *testing.T) {
	t.Parallel()
	c, _, now, id := resident(t)
	c.SetLimits(cache.Limits{MaxAge: time.Hour})
	now.advance(59 * time.Minute)
	look(t, c, id, "granted", grant.Hit) // it is from the start
	c.FeedLost()
	look(t, c, id, "granted", grant.Miss)
	c.FeedOff()
	now.advance(59 * time.Minute)
	look(t, c, id, "granted", grant.Hit)
	now.advance(time.Minute)
	look(t, c, id, "granted", grant.Miss)
}

// TestFeedLost_AtFirst: a feed that was never heard vouches for nothing.
func TestFeedLost_AtFirst(t *testing.T) {
	t.Parallel()
	c, l, now, id := resident(t)
	c.SetLimits(cache.Limits{MaxAge: time.Hour, StaleIfError: 30 * time.Second})
	c.FeedLost()
	l.fail(errDown)
	look(t, c, id, "granted", grant.Degraded) // the store did, a second ago
	now.advance(29 * time.Second)
	look(t, c, id, "cannot tell", grant.Miss)
}

// TestFeedLost_JoinedRead: with the feed lost, a read of the store that began
// before a revocation, and that a bad network delays, is no answer for those
// who ask after it. With the feed heard it is: the revocation is told.
func TestFeedLost_JoinedRead(t *testing.T) {
	t.Parallel()
	for name, lost := range map[string]bool{"lost": true, "heard": false} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				id := token(1)
				l := newLoader(id)
				c := newCache(t, l, cache.Config{})
				if lost {
					c.FeedLost()
				}
				deliver := make(chan struct{})
				l.after = sync.OnceFunc(func() { <-deliver })
				ask := func() chan error {
					answer := make(chan error, 1)
					go func() { _, _, err := c.Lookup(t.Context(), id.String()); answer <- err }()
					time.Sleep(time.Millisecond) // until it waits for the read
					synctest.Wait()
					return answer
				}
				before := ask()
				l.remove(id) // elsewhere
				after := ask()
				close(deliver)
				if err := <-before; err != nil {
					t.Errorf("who asked before: %v", err)
				}
				want := "granted"
				if lost {
					want = "unknown"
				}
				if got := kind(<-after); got != want {
					t.Errorf("who asked after: %s, want %s", got, want)
				}
			})
		})
	}
}

// TestFeedLost_Doubted: what is doubted for a reason of its own is not honoured
// on the word of the feed.
func TestFeedLost_Doubted(t *testing.T) {
	t.Parallel()
	for name, doubt := range map[string]func(c *cache.Cache, now time.Time){
		"all":  func(c *cache.Cache, now time.Time) { c.Doubt(now) },
		"user": func(c *cache.Cache, _ time.Time) { c.DoubtUsers(holder) },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c, l, now, id := resident(t)
			c.SetLimits(cache.Limits{MaxAge: time.Hour, StaleIfError: 30 * time.Second})
			now.advance(20 * time.Minute)
			doubt(c, now.now())
			l.fail(errDown)
			c.FeedLost()
			look(t, c, id, "cannot tell", grant.Miss)
		})
	}
}

// TestRevoke_WhileLost: a revocation holds whatever is trusted.
func TestRevoke_WhileLost(t *testing.T) {
	t.Parallel()
	c, l, _, id := resident(t)
	l.fail(errDown)
	c.FeedLost()
	look(t, c, id, "granted", grant.Degraded)
	c.Revoke(token(1))
	look(t, c, id, "unknown", grant.Miss)
}

// TestTrust_Stress moves everything at once; run it with -race.
func TestTrust_Stress(t *testing.T) {
	t.Parallel()
	c, _, now, id := resident(t)
	var all sync.WaitGroup
	for range 4 {
		all.Go(func() {
			for i := range 300 {
				switch i % 5 {
				case 0:
					c.FeedLost()
				case 1:
					c.FeedLive(now.now(), time.Hour)
				case 2:
					c.Doubt(now.now())
				case 3:
					c.DoubtUsers(holder, uuid.New())
				default:
					if _, _, err := c.Lookup(t.Context(), id); err != nil {
						t.Error(err)
					}
				}
			}
		})
	}
	all.Wait()
}
