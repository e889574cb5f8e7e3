// Package cache keeps grants in memory in front of a store and never serves
// one that was revoked, has expired, or was not confirmed for too long.
//
// What it relies on, and what readers of the code should hold on to:
//
//   - Grants are cached, never decisions (ADR 0002).
//   - ristretto is best effort. Any Set may vanish, a Set becomes visible
//     later, and one that was queued before a Del may be visible for a moment
//     after that Del returned. So Del alone revokes nothing: revocation is
//     recorded exactly, in tombstones, and every answer is checked against
//     them last.
//   - A tombstone outlives every read of the store that could have begun
//     before it; after that the store itself says no.
package cache

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"sync/atomic"
	"time"

	"github.com/dgraph-io/ristretto/v2"
	"github.com/google/uuid"
	lru "github.com/hashicorp/golang-lru/v2"
	"golang.org/x/sync/singleflight"

	"github.com/wazo-edge/xivo-auth/authsvc/grant"
)

// Loader reads one grant from the store: [grant.ErrUnknown] when there is no
// such token, any other error when the store could not be asked. now is the
// moment to stamp the grant with.
type Loader interface {
	LoadGrant(ctx context.Context, token uuid.UUID, now time.Time) (*grant.Grant, error)
}

// Config sizes a cache. Zero values mean the defaults.
type Config struct {
	// Grants is how many ordinary grants fit. Default 1 000 000, about
	// 400 MB when full.
	Grants int
	// Negative is how many unknown tokens are remembered. Default 65 536.
	Negative int
	// LoadTimeout bounds one read of the store, and with it how long a
	// revocation must be remembered. Default 5 s.
	LoadTimeout time.Duration
	// Now is the clock. Default time.Now.
	Now func() time.Time
}

// Limits can change while the cache is in use. Zero values mean the defaults.
type Limits struct {
	// MaxAge is how long a grant is served before the store must vouch for
	// it again. Default 5 minutes.
	MaxAge time.Duration
	// NegativeTTL is how long an unknown token stays known as such. Default
	// 10 s; negative turns the negative cache off.
	NegativeTTL time.Duration
	// StaleIfError is how long after the store last vouched for it a grant
	// is still honoured when the store cannot be asked. Default 30 s;
	// negative means not at all.
	StaleIfError time.Duration
}

// Cache serves grants. Safe for concurrent use. Use [New].
type Cache struct {
	loader Loader
	now    func() time.Time
	steady *steady
	limits limits
	trust  trust

	grants   *ristretto.Cache[string, *grant.Grant]
	negative *lru.Cache[uuid.UUID, time.Time] // unknown token -> when the store said so
	flights  singleflight.Group
	timeout  time.Duration
	reads    chan struct{}
	queued   atomic.Int64
	checks   checks
	shards   shards
}

const (
	// maxReads is how many reads of the store are under way at most, half of
	// the connections a store has by default, and maxQueued how many wait.
	maxReads  = 16
	maxQueued = 4096
	// nominalSize is what one ordinary grant costs with what ristretto keeps
	// beside it; see BenchmarkMillionGrants.
	nominalSize = 400
	// overhead is the part of nominalSize that ristretto takes.
	overhead = 240
	// minCost keeps a small cache able to hold grants that carry an ACL
	// nobody shares.
	minCost = 16 << 20
)

// New returns a cache in front of loader. Close it when it is no longer used.
func New(loader Loader, cfg Config) (*Cache, error) {
	if cfg.Grants <= 0 {
		cfg.Grants = 1_000_000
	}
	if cfg.Negative <= 0 {
		cfg.Negative = 65_536
	}
	if cfg.LoadTimeout <= 0 {
		cfg.LoadTimeout = 5 * time.Second
	}
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	c := &Cache{loader: loader, now: cfg.Now, steady: newSteady(cfg.Now()), timeout: cfg.LoadTimeout, reads: make(chan struct{}, maxReads)}
	c.shards.horizon = 4 * cfg.LoadTimeout
	c.checks.ctx, c.checks.cancel = context.WithCancel(context.Background())
	c.SetLimits(Limits{})
	c.trust.now = func() int64 { return c.steady.at(c.now()).UnixNano() }
	c.FeedOff()

	var err error
	c.grants, err = ristretto.NewCache(&ristretto.Config[string, *grant.Grant]{
		// ristretto asks for ten counters a grant and rounds them up to a
		// power of two; eight do, and do not double for a million.
		NumCounters: 8 * int64(cfg.Grants),
		MaxCost:     max(minCost, nominalSize*int64(cfg.Grants)),
		BufferItems: 64,
		// The cost we pass covers the internals; without this a small cache
		// would hold almost nothing.
		IgnoreInternalCost: true,
		KeyToHash:          words,
	})
	if err != nil {
		return nil, fmt.Errorf("making the grant cache: %w", err)
	}
	if c.negative, err = lru.New[uuid.UUID, time.Time](cfg.Negative); err != nil {
		return nil, fmt.Errorf("making the negative cache: %w", err)
	}
	return c, nil
}

// words spells a token as the two words ristretto keys by: its 128 bits
// themselves and no hash of them, so there is no collision to construct.
func words(token string) (uint64, uint64) {
	id, _ := grant.ParseID(token)
	return binary.LittleEndian.Uint64(id[:8]), binary.LittleEndian.Uint64(id[8:])
}

// Lookup returns what token grants. The error is [grant.ErrUnknown] when there
// is no such token, and another one when that cannot be told because the store
// is unavailable: callers must answer the second with 503, never 401 and never
// by letting the request pass.
//
// A hit takes no lock but a shard's read lock while revocations are fresh, and
// does not allocate. Concurrent misses of one token make one read, which the
// first caller's departure does not cancel.
func (c *Cache) Lookup(ctx context.Context, token string) (*grant.Grant, grant.State, error) {
	id, ok := grant.ParseID(token)
	if !ok {
		c.shards.of(id).count[grant.Refused].Add(1)
		return nil, grant.Refused, grant.ErrUnknown
	}
	g, state, err := c.lookup(ctx, id, token)
	sh := c.shards.of(id)
	sh.count[state].Add(1)
	// Last of all: whatever memory or a read that was under way says, a
	// token that was revoked before this call began is not granted by it,
	// and is known to be none even while the store cannot be asked.
	if sh.revoked(id) {
		return nil, state, grant.ErrUnknown
	}
	return g, state, err
}

func (c *Cache) lookup(ctx context.Context, id uuid.UUID, token string) (*grant.Grant, grant.State, error) {
	now := c.now()
	held, state, err := c.recall(id, token, now)
	if state != grant.Miss {
		return held, state, err
	}
	g, err := c.load(ctx, id, token)
	now = c.now() // the read took its time, and may have begun before this call
	switch {
	case err == nil && g.Expired(now):
		return nil, grant.Miss, grant.ErrUnknown
	case err != nil && !errors.Is(err, grant.ErrUnknown) && held != nil && !held.Expired(now):
		if c.bearable(held, c.steady.at(now)) {
			return held, grant.Degraded, nil
		}
	}
	return g, grant.Miss, err
}

// recall answers from memory where it may. With [grant.Miss] the store has to be
// asked; held is what is known from before then, or nil.
func (c *Cache) recall(id uuid.UUID, token string, now time.Time) (held *grant.Grant, state grant.State, err error) {
	held, ok := c.grants.Get(token)
	if ok && held.Token() == id {
		if held.Expired(now) {
			return nil, grant.Hit, grant.ErrUnknown
		}
		at := c.steady.at(now)
		if age := held.Age(at); age >= 0 && age < c.limits.maxAge() && c.trust.holds(held, at.UnixNano()) {
			return held, grant.Hit, nil
		}
		return held, grant.Miss, nil
	}
	if at, known := c.negative.Get(id); known {
		if age := wall(now).Sub(at); age >= 0 && age < c.limits.negativeTTL() {
			return nil, grant.Negative, grant.ErrUnknown
		}
	}
	return nil, grant.Miss, nil
}

// publish offers g to the cache unless its token is revoked.
func (c *Cache) publish(id uuid.UUID, token string, g *grant.Grant) bool {
	sh := c.shards.of(id)
	sh.Lock()
	defer sh.Unlock()
	sh.prune(c.shards.horizon)
	if sh.dead(id) {
		return false
	}
	if sh.closed {
		return true
	}
	left := g.ExpiresAt().Sub(c.now()) + time.Second
	c.grants.SetWithTTL(token, g, int64(overhead+g.Size()), left)
	return true
}

// drop takes a grant out and tells those who watch it.
func (c *Cache) drop(id uuid.UUID, token string) {
	sh := c.shards.of(id)
	sh.Lock()
	defer sh.Unlock()
	if !sh.closed {
		c.grants.Del(token)
	}
	sh.dismiss(id).tell()
}

// wall is now by the wall clock alone. By it a token counts as expired, so when it
// is set back, which may be to the right time, that is to be found out again.
func wall(now time.Time) time.Time { return now.Round(0) }

// Put takes in a grant that was just issued here, and was vouched for at a
// moment of the service's clock that is not long ago.
func (c *Cache) Put(g *grant.Grant) {
	id, now := g.Token(), c.now()
	c.negative.Remove(id)
	c.publish(id, id.String(), g.Vouched(c.steady.at(now).Add(-max(0, g.Age(now)))))
}

// Revoke makes every later [Cache.Lookup] of these tokens answer
// [grant.ErrUnknown]. When it returns, that holds on this node.
func (c *Cache) Revoke(tokens ...uuid.UUID) {
	for _, id := range tokens {
		c.shards.of(id).bury(id, c.shards.horizon)
		c.drop(id, id.String())
	}
}

// Wait blocks until the grants offered so far can be found. For tests and
// benchmarks: nothing else may depend on it.
func (c *Cache) Wait() { c.grants.Wait() }

// Close ends the cache's goroutines and tells all who watch. No [Cache.Lookup]
// may run or follow; a read that outlived the caller who asked for it may, so
// whatever it does with ristretto, which panics when it is closed meanwhile, is
// fenced off first.
func (c *Cache) Close() {
	c.checks.end()
	for i := range c.shards.list {
		sh := &c.shards.list[i]
		sh.Lock()
		sh.closed = true
		for id := range sh.watched {
			sh.dismiss(id).tell()
		}
		sh.Unlock()
	}
	c.grants.Close()
}
