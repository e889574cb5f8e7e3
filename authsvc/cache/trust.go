package cache

import (
	"math"
	"sync"
	"sync/atomic"
	"time"

	"github.com/google/uuid"

	"github.com/wazo-edge/xivo-auth/authsvc/grant"
)

// trust tells which grants in memory are served without asking the store
// again, besides those that are too old. The revocation feed moves it.
type trust struct {
	// floor is when the store must have vouched for a grant at the earliest,
	// in nanoseconds of the steady clock. While the feed is lost no moment is late enough.
	floor atomic.Int64
	users atomic.Pointer[map[uuid.UUID]int64] // the same for grants of a few users

	mu      sync.Mutex
	lost    bool
	heard   int64 // all that was committed before was told; 0 never
	doubted int64 // what floor is while the feed is not lost
}

// maxUsers bounds how many users are doubted one by one.
const maxUsers = 1024

// in reports whether g is to be trusted. It costs an atomic load or two.
func (t *trust) in(g *grant.Grant) bool {
	return g.Validated() >= t.floor.Load() && !t.doubtsUser(g)
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
	t.doubted = max(t.doubted, c.steady.at(before).UnixNano())
	t.users.Store(nil) // they are among them
	t.settle()
}

// DoubtUsers does so for the grants of some users: they were deleted, or moved
// to another tenant.
func (c *Cache) DoubtUsers(users ...uuid.UUID) {
	t, now := &c.trust, c.steady.at(c.now())
	t.mu.Lock()
	defer t.mu.Unlock()
	next := make(map[uuid.UUID]int64, len(users))
	if held := t.users.Load(); held != nil {
		for id, at := range *held {
			if at > now.Add(-c.limits.maxAge()).UnixNano() { // else no grant is that old
				next[id] = at
			}
		}
	}
	for _, id := range users {
		next[id] = now.UnixNano()
	}
	if len(next) > maxUsers {
		t.doubted = max(t.doubted, now.UnixNano())
		t.users.Store(nil)
		t.settle()
		return
	}
	t.users.Store(&next)
}

// FeedLost tells the cache that it does not hear of revocations elsewhere: until
// [Cache.FeedLive], every grant is looked up again each time it is used, and
// what was vouched for when the feed was last heard is honoured for
// stale_if_error from then on while the store cannot be asked.
func (c *Cache) FeedLost() {
	t := &c.trust
	t.mu.Lock()
	defer t.mu.Unlock()
	t.lost = true
	t.settle()
}

// FeedLive tells it that it does, and that it was told of everything that was
// committed before heard. It is called again and again while that is so.
func (c *Cache) FeedLive(heard time.Time) {
	t := &c.trust
	t.mu.Lock()
	defer t.mu.Unlock()
	t.lost, t.heard = false, c.steady.at(heard).UnixNano()
	t.settle()
}

// settle publishes the floor. The caller holds the lock.
func (t *trust) settle() {
	if t.lost {
		t.floor.Store(math.MaxInt64)
	} else {
		t.floor.Store(t.doubted)
	}
}

// bearable reports whether g is honoured although the store could not be
// asked; now is of the steady clock. The feed vouches for what it has not
// revoked, as long as it is heard; not so for what is doubted for a reason of
// its own.
func (c *Cache) bearable(g *grant.Grant, now time.Time) bool {
	t := &c.trust
	t.mu.Lock()
	vouched := g.Validated()
	if t.lost && vouched >= t.doubted && !t.doubtsUser(g) {
		vouched = max(vouched, t.heard)
	}
	t.mu.Unlock()
	since := time.Duration(now.UnixNano() - vouched)
	return since >= 0 && since < c.limits.staleIfError() && g.Age(now) < c.limits.maxAge()+c.limits.staleIfError()
}
