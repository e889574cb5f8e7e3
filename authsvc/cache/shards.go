package cache

import (
	"sync"
	"sync/atomic"
	"time"

	"github.com/google/uuid"

	"github.com/wazo-edge/xivo-auth/authsvc/grant"
)

// shards hold what must be exact, spread by token so that neither revocations
// nor counters of different tokens meet on one lock or cache line.
type shards struct {
	// horizon is how long a tombstone is kept: longer than any read of the
	// store can be under way, and than ristretto takes to apply its queue.
	horizon time.Duration
	list    [256]shard
}

type shard struct {
	sync.RWMutex
	tombs  map[uuid.UUID]time.Time // token -> when the tombstone may go
	next   time.Time               // when to look for tombstones to remove
	closed bool                    // ristretto takes no more writes

	watched map[uuid.UUID]watchers
	watches atomic.Int32 // all of them, readable without the lock

	live  atomic.Int32                // len(tombs), readable without the lock
	count [grant.States]atomic.Uint64 // lookups by state
	_     [64]byte                    // keeps the next shard off this one's cache line
}

// of picks by the last byte: tokens are version 4 uuids, all of it is random.
func (s *shards) of(id uuid.UUID) *shard { return &s.list[id[len(id)-1]] }

// bury records that id is revoked. Tombstones use the process's own monotonic
// clock: they measure how long reads take, not what time it is.
func (sh *shard) bury(id uuid.UUID, horizon time.Duration) {
	sh.Lock()
	defer sh.Unlock()
	sh.prune(horizon)
	if sh.tombs == nil {
		sh.tombs = make(map[uuid.UUID]time.Time)
	}
	sh.tombs[id] = time.Now().Add(horizon)
	sh.live.Store(int32(len(sh.tombs)))
}

// prune forgets the tombstones that have done their work, now and then. Fills
// prune as well as revocations do: after a burst of these the shard is to have
// its memory and its lock-free hits back. The caller holds the lock.
func (sh *shard) prune(horizon time.Duration) {
	if len(sh.tombs) == 0 {
		return
	}
	now := time.Now()
	if now.Before(sh.next) {
		return
	}
	for id, until := range sh.tombs {
		if now.After(until) {
			delete(sh.tombs, id)
		}
	}
	if len(sh.tombs) == 0 {
		sh.tombs = nil // a map never shrinks
	}
	sh.next = now.Add(horizon / 2)
	sh.live.Store(int32(len(sh.tombs)))
}

// revoked reports whether id has a tombstone.
func (sh *shard) revoked(id uuid.UUID) bool {
	if sh.live.Load() == 0 {
		return false
	}
	sh.RLock()
	defer sh.RUnlock()
	return sh.dead(id)
}

// dead is revoked for callers that hold the lock.
func (sh *shard) dead(id uuid.UUID) bool {
	_, ok := sh.tombs[id]
	return ok
}

// Stats are counts since the cache was made.
type Stats struct {
	Lookups    [grant.States]uint64 // indexed by grant.State
	Tombstones int
	Watches    int // calls of Watch that neither ended nor were stopped
}

// Stats sums up the shards; the counts are not one instant's.
func (c *Cache) Stats() (s Stats) {
	for i := range c.shards.list {
		sh := &c.shards.list[i]
		for state := range sh.count {
			s.Lookups[state] += sh.count[state].Load()
		}
		s.Tombstones += int(sh.live.Load())
		s.Watches += int(sh.watches.Load())
	}
	return s
}

// limits are the Limits in force, readable while they are changed.
type limits struct{ age, negative, stale atomic.Int64 }

func (l *limits) maxAge() time.Duration       { return time.Duration(l.age.Load()) }
func (l *limits) negativeTTL() time.Duration  { return time.Duration(l.negative.Load()) }
func (l *limits) staleIfError() time.Duration { return time.Duration(l.stale.Load()) }

// oldest is how long ago the store vouched at most for a grant that is honoured.
func (l *limits) oldest() time.Duration { return l.maxAge() + max(0, l.staleIfError()) }

// SetLimits puts l in force for the next lookup; cached grants stay.
func (c *Cache) SetLimits(l Limits) {
	or := func(d, otherwise time.Duration) int64 {
		if d == 0 {
			d = otherwise
		}
		return int64(d)
	}
	c.limits.age.Store(or(l.MaxAge, 5*time.Minute))
	c.limits.negative.Store(or(l.NegativeTTL, 10*time.Second))
	c.limits.stale.Store(or(l.StaleIfError, 30*time.Second))
}
