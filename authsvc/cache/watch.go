package cache

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"time"

	"github.com/google/uuid"

	"github.com/wazo-edge/xivo-auth/authsvc/grant"
)

// watch is one caller's wish to be told.
type watch struct {
	ended func()
	done  atomic.Bool // told, or not to be told any more
}

func (w *watch) tell() {
	if w.done.CompareAndSwap(false, true) {
		w.ended()
	}
}

// watchers of one token. A set, and no list: a service's token may have
// thousands, each of which leaves on its own.
type watchers map[*watch]struct{}

// tell tells all of them, each on a goroutine of its own: neither the lock that
// whoever revokes may hold nor another watcher is theirs to keep waiting.
func (ws watchers) tell() {
	for w := range ws {
		go w.tell()
	}
}

// Watch has ended called, once and on a goroutine of its own, when the token
// is revoked or the store turns out not to know it, which may be at once:
// whatever order a revocation and Watch come in, ended is called. Closing the
// cache calls it, too. What Watch cannot tell is that a token expires, or that
// it was revoked longer ago than a read of the store takes: see [Cache.Check].
//
// The caller must call stop in the end. It can be called any number of times,
// from ended as well; after it returned, ended is not called if it has not
// been by then.
func (c *Cache) Watch(id uuid.UUID, ended func()) (stop func()) {
	w := &watch{ended: ended}
	sh := c.shards.of(id)
	sh.Lock()
	defer sh.Unlock()
	if sh.closed || sh.dead(id) {
		go w.tell()
		return func() { w.done.Store(true) }
	}
	if sh.watched == nil {
		sh.watched = make(map[uuid.UUID]watchers)
	}
	if sh.watched[id] == nil {
		sh.watched[id] = make(watchers, 1)
	}
	sh.watched[id][w] = struct{}{}
	sh.watches.Add(1)
	return func() {
		if !w.done.Swap(true) {
			sh.unwatch(id, w)
		}
	}
}

// unwatch forgets w, unless it was dismissed already.
func (sh *shard) unwatch(id uuid.UUID, w *watch) {
	sh.Lock()
	defer sh.Unlock()
	set := sh.watched[id]
	if _, ok := set[w]; !ok {
		return
	}
	delete(set, w)
	sh.watches.Add(-1)
	if len(set) == 0 {
		sh.forget(id)
	}
}

// dismiss forgets those who watch id and returns them to be told. The caller
// holds the lock.
func (sh *shard) dismiss(id uuid.UUID) watchers {
	set := sh.watched[id]
	if set != nil {
		sh.watches.Add(int32(-len(set)))
		sh.forget(id)
	}
	return set
}

func (sh *shard) forget(id uuid.UUID) {
	delete(sh.watched, id)
	if len(sh.watched) == 0 {
		sh.watched = nil // a map never shrinks
	}
}

// MaxAge is how long a grant is served before the store must vouch for it
// again.
func (c *Cache) MaxAge() time.Duration { return c.limits.maxAge() }

// checks fences [Cache.Check] off from [Cache.Close].
type checks struct {
	sync.RWMutex
	ctx    context.Context // done when the cache is being closed
	cancel context.CancelFunc
}

// errClosed says nothing about a token.
var errClosed = errors.New("the grant cache is closed")

// Check is [Cache.Lookup] for those who hold on to a grant and belong to no
// request: it can run and be called while the cache is closed and afterwards,
// and then fails with an error that is not [grant.ErrUnknown].
func (c *Cache) Check(id uuid.UUID) (*grant.Grant, error) {
	c.checks.RLock()
	defer c.checks.RUnlock()
	if c.checks.ctx.Err() != nil {
		return nil, errClosed
	}
	g, _, err := c.Lookup(c.checks.ctx, id.String())
	return g, err
}

// end makes checks fail and waits for those under way.
func (c *checks) end() {
	c.cancel()
	c.Lock()
	defer c.Unlock()
}
