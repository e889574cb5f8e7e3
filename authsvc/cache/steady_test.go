package cache_test

import (
	"sync/atomic"
	"testing"
	"time"

	"github.com/wazo-edge/xivo-auth/authsvc/cache"
	"github.com/wazo-edge/xivo-auth/authsvc/grant"
	"github.com/wazo-edge/xivo-auth/internal/wallclock"
)

// machine has a monotonic clock, which time passes on, and a wall clock, which
// can be set besides.
type machine struct {
	base        time.Time
	passed, set atomic.Int64
}

func newMachine() *machine { return &machine{base: time.Now()} }

func (m *machine) now() time.Time {
	return wallclock.Set(m.base.Add(time.Duration(m.passed.Load())), time.Duration(m.set.Load()))
}

func (m *machine) pass(d time.Duration) { m.passed.Add(int64(d)) }

// step sets the wall clock. A machine that was suspended finds that it was, too.
func (m *machine) step(d time.Duration) { m.set.Add(int64(d)) }

// onMachine is a cache with one token in memory, whose feed is heard.
func onMachine(t *testing.T) (*cache.Cache, *loader, *machine, string) {
	t.Helper()
	id, m := token(1), newMachine()
	l := newLoader(id)
	c := newCache(t, l, cache.Config{Now: m.now})
	c.SetLimits(cache.Limits{MaxAge: time.Hour, StaleIfError: 30 * time.Second})
	c.FeedLive(m.now(), 10_000*time.Hour)
	look(t, c, id.String(), "granted", grant.Miss)
	look(t, c, id.String(), "granted", grant.Hit)
	return c, l, m, id.String()
}

// TestClockSteps_StaleIfError: setting the clock back does not have anything
// honoured for longer. Lost is nothing: who is revoked in the outage is refused
// when his time is up.
func TestClockSteps_StaleIfError(t *testing.T) {
	t.Parallel()
	for name, steps := range map[string][]time.Duration{
		"never":            {0, 0},
		"back":             {-20 * time.Second, 0},
		"back, far":        {-24 * time.Hour, 0},
		"back, and right":  {-20 * time.Second, 20 * time.Second},
		"twice back":       {-10 * time.Second, -15 * time.Second},
		"back by a little": {-900 * time.Millisecond, 0},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c, l, m, id := onMachine(t)
			l.fail(errDown)
			c.FeedLost()
			m.pass(10 * time.Second)
			m.step(steps[0])
			m.pass(10 * time.Second)
			if steps[1] <= 0 { // a leap ahead may have been a suspension
				look(t, c, id, "granted", grant.Degraded)
			}
			m.step(steps[1])
			m.pass(11 * time.Second)
			look(t, c, id, "cannot tell", grant.Miss)
		})
	}
}

// TestClockSteps_Ahead: a machine that was suspended did not hear of what was
// revoked meanwhile, and its monotonic clock slept with it.
func TestClockSteps_Ahead(t *testing.T) {
	t.Parallel()
	c, l, m, id := onMachine(t)
	l.remove(token(1)) // the feed would have told
	m.step(2 * time.Hour)
	look(t, c, id, "unknown", grant.Miss)

	c, l, m, id = onMachine(t)
	c.FeedLost()
	l.fail(errDown)
	look(t, c, id, "granted", grant.Degraded)
	m.step(time.Minute)
	look(t, c, id, "cannot tell", grant.Miss)
}

// TestClockSteps_MaxAge: with the feed off, max_age bounds how late a revocation
// is noticed, whatever the wall clock says.
func TestClockSteps_MaxAge(t *testing.T) {
	t.Parallel()
	c, l, m, id := onMachine(t)
	l.remove(token(1))
	m.pass(40 * time.Minute)
	m.step(-30 * time.Minute)
	look(t, c, id, "granted", grant.Hit)
	m.pass(21 * time.Minute)
	look(t, c, id, "unknown", grant.Miss)
}

// TestClockSteps_Doubt: what was read while the clock was ahead does not pass for
// newer than a doubt that came when it was right again.
func TestClockSteps_Doubt(t *testing.T) {
	t.Parallel()
	for name, doubt := range map[string]func(*cache.Cache, *machine){
		"all":  func(c *cache.Cache, m *machine) { c.Doubt(m.now()) },
		"user": func(c *cache.Cache, _ *machine) { c.DoubtUsers(holder) },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c, l, m, id := onMachine(t)
			m.step(24 * time.Hour)
			look(t, c, id, "granted", grant.Miss)
			look(t, c, id, "granted", grant.Hit)
			m.step(-24 * time.Hour)
			m.pass(time.Second)
			look(t, c, id, "granted", grant.Hit)
			doubt(c, m)
			l.remove(token(1))
			m.pass(time.Second)
			look(t, c, id, "unknown", grant.Miss)
		})
	}
}

// TestClockSteps_Expiry: a token expires by the wall clock, and that a clock was
// wrong is forgotten the moment that it is right.
func TestClockSteps_Expiry(t *testing.T) {
	t.Parallel()
	id, m := token(1), newMachine()
	l := newLoader(id)
	l.set(id, m.now().Add(10*time.Minute))
	c := newCache(t, l, cache.Config{Now: m.now})
	look(t, c, id.String(), "granted", grant.Miss)
	m.step(time.Hour)
	look(t, c, id.String(), "unknown", grant.Hit)
	c.Doubt(m.now())
	m.pass(time.Second)
	look(t, c, token(2).String(), "unknown", grant.Miss)
	l.set(token(2), m.base.Add(10*time.Minute))
	look(t, c, token(2).String(), "unknown", grant.Negative)
	m.step(-time.Hour)
	look(t, c, id.String(), "granted", grant.Miss)
	look(t, c, token(2).String(), "granted", grant.Miss)
	m.pass(11 * time.Minute)
	look(t, c, id.String(), "unknown", grant.Hit)
}

// TestClockSteps_Revoke: a revocation holds.
func TestClockSteps_Revoke(t *testing.T) {
	t.Parallel()
	c, l, m, id := onMachine(t)
	c.Revoke(token(1))
	l.remove(token(1))
	for _, step := range []time.Duration{time.Hour, -2 * time.Hour, 24 * time.Hour, -24 * time.Hour} {
		m.step(step)
		m.pass(time.Second)
		if _, _, err := c.Lookup(t.Context(), id); kind(err) != "unknown" {
			t.Errorf("after a step of %s: %s", step, kind(err))
		}
	}
}

// TestClockSteps_Issued: a token that is issued after a step is as good as any.
func TestClockSteps_Issued(t *testing.T) {
	t.Parallel()
	c, _, m, _ := onMachine(t)
	for i, step := range []time.Duration{time.Hour, -2 * time.Hour} {
		m.step(step)
		id := token(10 + i)
		c.Put(newGrant(id, start.AddDate(200, 0, 0), m.now()))
		c.Wait()
		look(t, c, id.String(), "granted", grant.Hit)
	}
}
