package cache

import (
	"maps"
	"math"
	"sync"
	"sync/atomic"
	"time"

	"github.com/google/uuid"

	"github.com/wazo-edge/xivo-auth/authsvc/grant"
)

// trust tells which grants in memory are served without asking the store
// again, besides those that are too old. The revocation feed moves it. Times are
// nanoseconds of the steady clock.
type trust struct {
	now func() int64

	// until is the moment from which nothing is served from memory, unless the
	// feed is heard again before: hearing lasts for a while only. That the feed
	// is lost has to be noticed by somebody who runs, and on a machine that
	// stood still a request may be served before he does. It knows what time it
	// is, so it need not wait for him.
	until atomic.Int64
	// floor is when the store must have vouched for a grant at the earliest.
	floor atomic.Int64
	users atomic.Pointer[map[uuid.UUID]int64] // the same for grants of a few users

	mu    sync.Mutex // for changes, and what follows
	heard int64      // all that was committed before was told; 0 never
}

// maxUsers bounds how many users are doubted one by one.
const maxUsers = 1024

// in reports whether g is to be trusted now.
func (t *trust) in(g *grant.Grant) bool { return t.holds(g, t.now()) }

// holds is in at a moment. It costs three atomic loads, in this order: the floor
// is raised before users below it are forgotten, and either is done before the
// feed is said to be heard.
func (t *trust) holds(g *grant.Grant, at int64) bool {
	return at < t.until.Load() && !t.doubtsUser(g) && g.Validated() >= t.floor.Load()
}

func (t *trust) doubtsUser(g *grant.Grant) bool {
	users := t.users.Load()
	return users != nil && g.Validated() < (*users)[g.User()]
}

// Doubt has every grant that the store vouched for before a moment looked up
// again when it is used next.
func (c *Cache) Doubt(before time.Time) {
	t := &c.trust
	t.mu.Lock()
	defer t.mu.Unlock()
	t.raise(c.steady.at(before).UnixNano())
}

// raise moves the floor, which may be beyond that already, and forgets the users
// whose grants are below it. Others were doubted since and stay so. The caller
// holds the lock.
func (t *trust) raise(floor int64) {
	floor = max(floor, t.floor.Load())
	next := map[uuid.UUID]int64{}
	for id, at := range t.doubted() {
		if at > floor {
			next[id] = at
		}
	}
	t.floor.Store(floor)
	if len(next) == 0 {
		t.users.Store(nil) // most lookups then do without a map
		return
	}
	t.users.Store(&next)
}

// doubted are the users, not to be changed.
func (t *trust) doubted() map[uuid.UUID]int64 {
	if held := t.users.Load(); held != nil {
		return *held
	}
	return nil
}

// DoubtUsers does so for the grants of some users: they were deleted, or moved
// to another tenant.
func (c *Cache) DoubtUsers(users ...uuid.UUID) {
	if len(users) == 0 {
		return
	}
	t, now := &c.trust, c.steady.at(c.now()).UnixNano()
	t.mu.Lock()
	defer t.mu.Unlock()
	next := make(map[uuid.UUID]int64, len(users))
	maps.Copy(next, t.doubted())
	for _, id := range users {
		next[id] = max(next[id], now)
	}
	t.users.Store(&next)
	// No grant is served or honoured that is older than this, so those below
	// need no names. They stay below: the limits may be raised some day.
	floor := int64(math.MinInt64)
	for _, at := range next {
		if at <= now-int64(c.limits.oldest()) || len(next) > maxUsers {
			floor = max(floor, at)
		}
	}
	t.raise(floor)
}

// FeedLost tells the cache that it does not hear of revocations elsewhere: until
// [Cache.FeedLive], every grant is looked up again each time it is used, and
// what was vouched for when the feed was last heard is honoured for
// stale_if_error from then on while the store cannot be asked.
func (c *Cache) FeedLost() {
	c.trust.mu.Lock()
	defer c.trust.mu.Unlock()
	c.trust.until.Store(math.MinInt64)
}

// FeedLive tells it that it does, and that it was told of everything that was
// committed before heard. That holds for a while, from heard on: then the feed
// counts as lost, unless this is called again. Whoever is late with it costs a
// look at the store, and nobody is refused for it.
func (c *Cache) FeedLive(heard time.Time, validFor time.Duration) {
	t := &c.trust
	t.mu.Lock()
	defer t.mu.Unlock()
	t.heard = c.steady.at(heard).UnixNano()
	t.until.Store(t.heard + int64(validFor))
}

// FeedOff tells it that nobody will tell it anything, which is so from the start
// until another of these is called: max_age alone bounds how late a revocation
// elsewhere is noticed.
func (c *Cache) FeedOff() {
	c.trust.mu.Lock()
	defer c.trust.mu.Unlock()
	c.trust.until.Store(math.MaxInt64)
}

// bearable reports whether g is honoured although the store could not be
// asked; now is of the steady clock. The feed vouches for what it has not
// revoked, up to when it was last heard; not so for what is doubted for a
// reason of its own.
func (c *Cache) bearable(g *grant.Grant, now time.Time) bool {
	t := &c.trust
	t.mu.Lock()
	vouched := g.Validated()
	if now.UnixNano() >= t.until.Load() && vouched >= t.floor.Load() && !t.doubtsUser(g) {
		vouched = max(vouched, t.heard)
	}
	t.mu.Unlock()
	since := time.Duration(now.UnixNano() - vouched)
	return since >= 0 && since < c.limits.staleIfError() && g.Age(now) < c.limits.oldest()
}
