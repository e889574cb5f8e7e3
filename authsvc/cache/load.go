package cache

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"time"

	"github.com/google/uuid"

	"github.com/wazo-edge/xivo-auth/authsvc/grant"
)

// load reads the token once for all that ask for it at the same time. What was
// read is at least as new as the call, unless the feed vouches for it: while
// that is lost, a read that somebody began before a revocation, and that a bad
// network delays, must not answer those who come after it.
func (c *Cache) load(ctx context.Context, id uuid.UUID, token string) (*grant.Grant, error) {
	asked := time.Now()
	for {
		f, err := c.join(ctx, id, token)
		if err != nil || !f.began.Before(asked) || c.trust.in(f.grant) {
			return f.grant, err
		}
		// At most once: the next read begins, or began, after that one ended.
	}
}

// flight is one read of the store.
type flight struct {
	grant *grant.Grant
	began time.Time
}

// join waits for the read that is under way, or for one of its own.
func (c *Cache) join(ctx context.Context, id uuid.UUID, token string) (flight, error) {
	done := c.flights.DoChan(token, func() (any, error) {
		// Detached: the caller who happened to be first may hang up.
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), c.timeout)
		defer cancel()
		began := time.Now()
		// Whoever looked into memory just before the last read was published
		// comes here just after, and needs none of his own.
		var (
			g     *grant.Grant
			state grant.State
			err   error
		)
		now := c.now()
		if !c.unlessClosed(id, func() { g, state, err = c.recall(id, token, now) }) {
			return flight{}, errClosed
		}
		if state == grant.Miss {
			if g, err = c.fill(ctx, id, token); err == nil {
				c.settle(id, token)
			}
		}
		return flight{g, began}, err
	})
	select {
	case r := <-done:
		f, _ := r.Val.(flight)
		return f, r.Err
	case <-ctx.Done():
		return flight{}, fmt.Errorf("waiting for a token to be read: %w", ctx.Err())
	}
}

// settle gives ristretto a moment to take in what was just published, so that
// of a crowd those who come a little later find it there. It may refuse it, too.
func (c *Cache) settle(id uuid.UUID, token string) {
	for range 64 {
		found := false
		open := c.unlessClosed(id, func() {
			held, ok := c.grants.Get(token)
			found = ok && held.Token() == id
		})
		if found || !open {
			return
		}
		runtime.Gosched()
	}
}

// unlessClosed has f use ristretto, or returns false. Even a Get panics while
// ristretto is being closed, and a read may outlive all who asked for it; those
// who ask need no fence, since none of them is inside when the cache is closed.
func (c *Cache) unlessClosed(id uuid.UUID, f func()) bool {
	sh := c.shards.of(id)
	sh.RLock()
	defer sh.RUnlock()
	if sh.closed {
		return false
	}
	f()
	return true
}

// errFull is why a read was not even begun. It counts as an outage: nothing is
// known about the token.
var errFull = fmt.Errorf("too many tokens to read at once: %w", context.DeadlineExceeded)

// turn waits until few enough reads are under way. A flood of made-up tokens,
// each of which is a miss, must leave connections to the store for those who
// log in, and cannot pile up reads that nobody waits for any more.
func (c *Cache) turn(ctx context.Context) (release func(), err error) {
	if c.queued.Add(1) > maxQueued {
		c.queued.Add(-1)
		return nil, errFull
	}
	defer c.queued.Add(-1)
	select {
	case c.reads <- struct{}{}:
		return func() { <-c.reads }, nil
	case <-ctx.Done():
		return nil, fmt.Errorf("waiting to read a token: %w", ctx.Err())
	}
}

// fill reads the store and publishes what it said, unless a revocation came
// between: the tombstone is looked for and the grant published under one lock,
// so a revocation either sees the grant in ristretto's queue before its own
// Del, or is seen here.
func (c *Cache) fill(ctx context.Context, id uuid.UUID, token string) (*grant.Grant, error) {
	release, err := c.turn(ctx)
	if err != nil {
		return nil, err
	}
	defer release()
	began := time.Now()
	now := c.now()
	g, err := c.loader.LoadGrant(ctx, id, c.steady.at(now))
	if time.Since(began) > c.shards.horizon/2 {
		// The process was stopped in the middle: a tombstone set since may
		// be forgotten already, so what was read proves nothing any more.
		return nil, fmt.Errorf("reading a token took too long to be trusted: %w", context.DeadlineExceeded)
	}
	if err == nil && g.Expired(now) {
		// Remembered like one that is gone: until the janitor comes by,
		// whoever keeps using it would have the store asked each time.
		err = grant.ErrUnknown
	}
	switch {
	case errors.Is(err, grant.ErrUnknown):
		if c.limits.negativeTTL() > 0 {
			c.negative.Add(id, wall(now))
		}
		c.drop(id, token)
		return nil, err
	case err != nil:
		return nil, err
	}
	if !c.publish(id, token, g) {
		return nil, grant.ErrUnknown
	}
	return g, nil
}
