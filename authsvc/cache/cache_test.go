package cache_test

import (
	"context"
	"errors"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/uuid"

	"github.com/wazo-edge/xivo-auth/authsvc/cache"
	"github.com/wazo-edge/xivo-auth/authsvc/grant"
)

// script is a cache with its loader and clock, and what was done to them.
type script struct {
	*testing.T
	cache *cache.Cache
	store *loader
	clock *clock
	id    uuid.UUID
}

// lookup looks the token up and checks state, outcome, and how many reads of
// the store there have been since the beginning.
func (s script) lookup(state grant.State, outcome string, loads int64) {
	s.Helper()
	g, gotState, err := s.cache.Lookup(s.Context(), s.id.String())
	s.cache.Wait()
	if gotState != state || kind(err) != outcome || s.store.loads.Load() != loads {
		s.Fatalf("Lookup: %v, %s (%v), %d loads; want %v, %s, %d loads",
			gotState, kind(err), err, s.store.loads.Load(), state, outcome, loads)
	}
	if (g != nil) != (err == nil) || g != nil && g.Token() != s.id {
		s.Fatalf("Lookup returned the grant %v with the error %v", g, err)
	}
}

func TestLookup(t *testing.T) {
	t.Parallel()
	const (
		granted, unknown, cannotTell = "granted", "unknown", "cannot tell"
		age, negative, stale         = 5 * time.Minute, 10 * time.Second, 30 * time.Second // the defaults
	)
	for _, c := range []struct {
		name string
		run  func(s script)
	}{
		{"miss, then hit", func(s script) {
			s.lookup(grant.Miss, granted, 1)
			s.lookup(grant.Hit, granted, 1)
		}},
		{"unknown, then known to be", func(s script) {
			s.store.remove(s.id)
			s.lookup(grant.Miss, unknown, 1)
			s.clock.advance(negative - 1)
			s.lookup(grant.Negative, unknown, 1)
			s.clock.advance(1)
			s.lookup(grant.Miss, unknown, 2)
		}},
		{"negative cache off", func(s script) {
			s.store.remove(s.id)
			s.cache.SetLimits(cache.Limits{NegativeTTL: -1})
			s.lookup(grant.Miss, unknown, 1)
			s.lookup(grant.Miss, unknown, 2)
		}},
		{"negative cache turned off later", func(s script) {
			s.store.remove(s.id)
			s.lookup(grant.Miss, unknown, 1)
			s.cache.SetLimits(cache.Limits{NegativeTTL: -1})
			s.lookup(grant.Miss, unknown, 2)
		}},
		{"unknown, then issued here", func(s script) {
			s.store.remove(s.id)
			s.lookup(grant.Miss, unknown, 1)
			s.cache.Put(newGrant(s.id, start.Add(time.Hour), start))
			s.cache.Wait()
			s.lookup(grant.Hit, granted, 1)
		}},
		{"unknown, then issued here, and forgotten by ristretto", func(s script) {
			s.store.remove(s.id)
			s.lookup(grant.Miss, unknown, 1)
			s.store.set(s.id, start.Add(time.Hour))
			// Too big to be kept at all.
			s.cache.Put(grant.New(grant.Fields{
				Token: s.id, ExpiresAt: start.Add(time.Hour).Unix(), ACL: someACL, Metadata: strings.Repeat("x", 32<<20),
			}, start))
			s.lookup(grant.Miss, granted, 2)
		}},
		{"served up to max_age", func(s script) {
			s.lookup(grant.Miss, granted, 1)
			s.clock.advance(age - 1)
			s.lookup(grant.Hit, granted, 1)
			s.clock.advance(1)
			s.lookup(grant.Miss, granted, 2)
			s.clock.advance(age - 1)
			s.lookup(grant.Hit, granted, 2)
		}},
		{"deleted by somebody else", func(s script) {
			s.lookup(grant.Miss, granted, 1)
			s.store.remove(s.id)
			s.clock.advance(age)
			s.lookup(grant.Miss, unknown, 2)
			s.lookup(grant.Negative, unknown, 2)
		}},
		{"store down, not asked", func(s script) {
			s.lookup(grant.Miss, granted, 1)
			s.store.fail(errDown)
			s.lookup(grant.Hit, granted, 1)
		}},
		{"store down, stale for a while", func(s script) {
			s.cache.SetLimits(cache.Limits{MaxAge: time.Second})
			s.lookup(grant.Miss, granted, 1)
			s.store.fail(errDown)
			s.clock.advance(time.Second)
			s.lookup(grant.Degraded, granted, 2)
			s.clock.advance(stale - time.Second - 1)
			s.lookup(grant.Degraded, granted, 3)
			s.clock.advance(1)
			s.lookup(grant.Miss, cannotTell, 4)
			s.store.fail(nil)
			s.lookup(grant.Miss, granted, 5)
			s.lookup(grant.Hit, granted, 5)
		}},
		{"store down, stale not wanted", func(s script) {
			s.cache.SetLimits(cache.Limits{MaxAge: time.Second, StaleIfError: -1})
			s.lookup(grant.Miss, granted, 1)
			s.store.fail(errDown)
			s.clock.advance(time.Second)
			s.lookup(grant.Miss, cannotTell, 2)
		}},
		{"store down, gone is gone", func(s script) {
			s.cache.SetLimits(cache.Limits{MaxAge: time.Second})
			s.lookup(grant.Miss, granted, 1)
			s.store.remove(s.id)
			s.clock.advance(time.Second)
			s.lookup(grant.Miss, unknown, 2)
			s.store.fail(errDown)
			s.clock.advance(negative)
			s.lookup(grant.Miss, cannotTell, 3)
		}},
		{"an outage is no knowledge", func(s script) {
			s.store.fail(errDown)
			s.lookup(grant.Miss, cannotTell, 1)
			s.store.fail(nil)
			s.lookup(grant.Miss, granted, 2)
		}},
		{"the clock steps back", func(s script) {
			s.cache.SetLimits(cache.Limits{MaxAge: time.Minute, StaleIfError: time.Hour})
			s.lookup(grant.Miss, granted, 1)
			s.clock.advance(-time.Second)
			s.store.fail(errDown)
			s.lookup(grant.Miss, cannotTell, 2)
			s.store.fail(nil)
			s.lookup(grant.Miss, granted, 3)
			s.lookup(grant.Hit, granted, 3)
		}},
		{"the clock steps back behind an unknown token", func(s script) {
			s.store.remove(s.id)
			s.lookup(grant.Miss, unknown, 1)
			s.clock.advance(-time.Hour)
			s.lookup(grant.Miss, unknown, 2)
		}},
		{"expires in memory", func(s script) {
			s.cache.SetLimits(cache.Limits{MaxAge: 24 * time.Hour})
			s.store.set(s.id, start.Add(time.Hour))
			s.lookup(grant.Miss, granted, 1)
			s.clock.advance(time.Hour)
			s.lookup(grant.Hit, granted, 1)
			s.clock.advance(1)
			s.lookup(grant.Hit, unknown, 1)
		}},
		{"expires in memory while the store is down", func(s script) {
			s.cache.SetLimits(cache.Limits{MaxAge: time.Second, StaleIfError: 24 * time.Hour})
			s.store.set(s.id, start.Add(time.Hour))
			s.lookup(grant.Miss, granted, 1)
			s.store.fail(errDown)
			s.clock.advance(time.Hour)
			s.lookup(grant.Degraded, granted, 2)
			s.clock.advance(1)
			s.lookup(grant.Hit, unknown, 2)
		}},
		{"expired and not removed yet", func(s script) {
			s.store.set(s.id, start.Add(-time.Second))
			s.lookup(grant.Miss, unknown, 1)
			s.lookup(grant.Negative, unknown, 1)
		}},
		{"expires while it is read", func(s script) {
			s.store.set(s.id, start.Add(time.Second))
			s.store.after = func() { s.clock.advance(time.Second + 1) }
			s.lookup(grant.Miss, unknown, 1)
		}},
		{"expires while the store fails", func(s script) {
			s.cache.SetLimits(cache.Limits{MaxAge: time.Second, StaleIfError: 24 * time.Hour})
			s.store.set(s.id, start.Add(time.Minute))
			s.lookup(grant.Miss, granted, 1)
			s.store.fail(errDown)
			s.clock.advance(time.Minute)
			s.store.after = func() { s.clock.advance(1) }
			s.lookup(grant.Miss, cannotTell, 2)
		}},
		{"limits apply to what is held", func(s script) {
			s.lookup(grant.Miss, granted, 1)
			s.clock.advance(2 * time.Second)
			s.lookup(grant.Hit, granted, 1)
			s.cache.SetLimits(cache.Limits{MaxAge: time.Second})
			s.lookup(grant.Miss, granted, 2)
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			id := token(1)
			store, clock := newLoader(id), newClock()
			c.run(script{t, newCache(t, store, cache.Config{Now: clock.now}), store, clock, id})
		})
	}
}

func TestLookup_NotAToken(t *testing.T) {
	t.Parallel()
	id := token(0xab)
	store := newLoader(id)
	c := newCache(t, store, cache.Config{})
	if _, _, err := c.Lookup(t.Context(), id.String()); err != nil {
		t.Fatal(err)
	}
	c.Wait()
	for _, s := range []string{
		"", " ", strings.ToUpper(id.String()), "{" + id.String() + "}", "urn:uuid:" + id.String(),
		strings.ReplaceAll(id.String(), "-", ""), id.String() + " ", "\x00", strings.Repeat("x", 1<<20),
	} {
		if g, state, err := c.Lookup(t.Context(), s); g != nil || state != grant.Refused || !errors.Is(err, grant.ErrUnknown) {
			t.Errorf("Lookup(%.50q) = %v, %v, %v", s, g, state, err)
		}
	}
	if n := store.loads.Load(); n != 1 {
		t.Errorf("the store was asked %d times, want once, for the token itself", n)
	}
	if n := c.Stats().Lookups[grant.Refused]; n != 9 {
		t.Errorf("%d refusals counted, want 9", n)
	}
}

// TestLookup_OneReadForAll: 10 000 callers that miss the same token at the same
// time make one read.
func TestLookup_OneReadForAll(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		const callers = 10_000
		id := token(1)
		store, release := newLoader(id), make(chan struct{})
		store.before = func() { <-release }
		c := newCache(t, store, cache.Config{})
		var granted atomic.Int64
		for range callers {
			go func() {
				if _, _, err := c.Lookup(t.Context(), id.String()); err == nil {
					granted.Add(1)
				}
			}()
		}
		synctest.Wait()
		close(release)
		synctest.Wait()
		if granted.Load() != callers || store.loads.Load() != 1 {
			t.Errorf("%d of %d callers got the grant, with %d reads", granted.Load(), callers, store.loads.Load())
		}
		if got := c.Stats().Lookups; got[grant.Miss] != callers {
			t.Errorf("counted %v, want %d misses", got, callers)
		}
	})
}

// TestLookup_JustPublished: who found nothing in memory looks once more before
// he reads, since the read he would have joined may just have ended.
func TestLookup_JustPublished(t *testing.T) {
	t.Parallel()
	id := token(1)
	store := newLoader(id)
	var c *cache.Cache
	var asked int
	now := func() time.Time {
		if asked++; asked == 3 { // New's, the lookup's, and then that of the read
			c.Put(newGrant(id, start.Add(time.Hour), start))
			c.Wait()
		}
		return start
	}
	c = newCache(t, store, cache.Config{Now: now})
	g, state, err := c.Lookup(t.Context(), id.String())
	if err != nil || g.Token() != id || state != grant.Miss || store.loads.Load() != 0 || asked < 3 {
		t.Errorf("%v, %v, %d reads, %d looks at the clock", state, err, store.loads.Load(), asked)
	}
}

// TestLookup_FirstCallerLeaves: the read goes on for the others.
func TestLookup_FirstCallerLeaves(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		id := token(1)
		store, release := newLoader(id), make(chan struct{})
		store.before = func() { <-release }
		c := newCache(t, store, cache.Config{})

		first, cancel := context.WithCancel(t.Context())
		var firstErr, secondErr error
		go func() { _, _, firstErr = c.Lookup(first, id.String()) }()
		synctest.Wait()
		go func() { _, _, secondErr = c.Lookup(t.Context(), id.String()) }()
		synctest.Wait()
		cancel()
		synctest.Wait()
		if !errors.Is(firstErr, context.Canceled) || errors.Is(firstErr, grant.ErrUnknown) {
			t.Errorf("the first caller, who left, got %v", firstErr)
		}
		close(release)
		synctest.Wait()
		if secondErr != nil || store.loads.Load() != 1 {
			t.Errorf("the second caller got %v after %d reads", secondErr, store.loads.Load())
		}
		c.Wait()
		if _, state, err := c.Lookup(t.Context(), id.String()); err != nil || state != grant.Hit {
			t.Errorf("afterwards: %v, %v", state, err)
		}
	})
}

// TestLookup_SlowRead: a read is given up after LoadTimeout, and one that comes
// back all the same after the process was stopped for long proves nothing.
func TestLookup_SlowRead(t *testing.T) {
	t.Parallel()
	t.Run("honours its context", func(t *testing.T) {
		t.Parallel()
		synctest.Test(t, func(t *testing.T) {
			c := newCache(t, loadFunc(func(ctx context.Context, _ uuid.UUID, _ time.Time) (*grant.Grant, error) {
				<-ctx.Done()
				return nil, ctx.Err()
			}), cache.Config{LoadTimeout: time.Second})
			began := time.Now()
			_, _, err := c.Lookup(t.Context(), token(1).String())
			if !errors.Is(err, context.DeadlineExceeded) || time.Since(began) != time.Second {
				t.Errorf("%v after %v", err, time.Since(began))
			}
		})
	})
	t.Run("stopped in the middle", func(t *testing.T) {
		t.Parallel()
		synctest.Test(t, func(t *testing.T) {
			store := newLoader(token(1))
			store.after = func() { time.Sleep(2*time.Second + 1) }
			c := newCache(t, store, cache.Config{LoadTimeout: time.Second})
			if _, _, err := c.Lookup(t.Context(), token(1).String()); kind(err) != "cannot tell" {
				t.Errorf("Lookup: %v", err)
			}
			store.after = nil
			if _, state, err := c.Lookup(t.Context(), token(1).String()); err != nil || state != grant.Miss {
				t.Errorf("afterwards: %v, %v", state, err)
			}
		})
	})
}

type loadFunc func(context.Context, uuid.UUID, time.Time) (*grant.Grant, error)

func (f loadFunc) LoadGrant(ctx context.Context, id uuid.UUID, now time.Time) (*grant.Grant, error) {
	return f(ctx, id, now)
}

// TestLookup_Flood sends 100 000 tokens that do not exist. What is remembered
// of them is bounded, and those who have a token notice nothing.
func TestLookup_Flood(t *testing.T) {
	t.Parallel()
	const flood, senders, valid, negative = 100_000, 4, 100, 1000
	store := newLoader()
	for i := range valid {
		store.set(token(i), start.AddDate(200, 0, 0))
	}
	c := newCache(t, store, cache.Config{Grants: 1000, Negative: negative})
	for i := range valid {
		if _, _, err := c.Lookup(t.Context(), token(i).String()); err != nil {
			t.Fatal(err)
		}
	}
	c.Wait()
	var wg sync.WaitGroup
	for range senders {
		wg.Go(func() {
			for i := range flood / senders {
				if _, _, err := c.Lookup(t.Context(), uuid.NewString()); !errors.Is(err, grant.ErrUnknown) {
					t.Errorf("a random token: %v", err)
				}
				if i%8 != 0 {
					continue
				}
				if _, state, err := c.Lookup(t.Context(), token(i/8%valid).String()); err != nil || state != grant.Hit {
					t.Errorf("a valid token: %v, %v", state, err)
				}
			}
		})
	}
	wg.Wait()
	if n := store.loads.Load(); n != valid+flood {
		t.Errorf("%d reads of the store, want one for each token", n)
	}
	if n := c.NegativeLen(); n != negative {
		t.Errorf("%d unknown tokens remembered, want %d", n, negative)
	}
	if n := c.Stats().Tombstones; n != 0 {
		t.Errorf("%d tombstones for tokens nobody revoked", n)
	}
}

// TestLookup_BoundedReads: made-up tokens, each a miss of its own, do not take
// every connection of the store.
func TestLookup_BoundedReads(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		store, release := newLoader(), make(chan struct{})
		var begun atomic.Int64
		store.before = func() { begun.Add(1); <-release }
		c := newCache(t, store, cache.Config{})
		var callers sync.WaitGroup
		for i := range 100 {
			callers.Go(func() { _, _, _ = c.Lookup(t.Context(), token(i).String()) })
		}
		synctest.Wait()
		if n := begun.Load(); n != 16 {
			t.Errorf("%d reads are under way at once, want 16", n)
		}
		close(release)
		callers.Wait()
		if n := begun.Load(); n != 100 {
			t.Errorf("%d of 100 tokens were read", n)
		}
	})
}

// TestClose_Stress closes caches while reads come back.
func TestClose_Stress(t *testing.T) {
	t.Parallel()
	const reads = 16 // as many as may be under way
	for range 50 {
		release, begun := make(chan struct{}), make(chan struct{}, reads)
		store := newLoader()
		for i := range reads / 2 {
			store.set(token(i), start.AddDate(200, 0, 0))
		}
		var ended sync.WaitGroup
		ended.Add(reads)
		store.before = func() { begun <- struct{}{}; <-release }
		store.after = ended.Done
		c := newCache(t, store, cache.Config{})
		ctx, leave := context.WithCancel(t.Context())
		var callers sync.WaitGroup
		for i := range reads {
			callers.Go(func() { _, _, _ = c.Lookup(ctx, token(i).String()) })
		}
		for range reads {
			<-begun
		}
		leave()
		callers.Wait()
		close(release)
		c.Close()
		ended.Wait()
	}
}

// TestClose_FencesGet: ristretto panics even under a Get while it is closed, and a
// read of the store is in a goroutine of nobody's, where that ends the process. So
// a read looks nothing up beside who closes, which takes the lock of each shard.
func TestClose_FencesGet(t *testing.T) {
	t.Parallel()
	store := newLoader(token(1))
	c := newCache(t, store, cache.Config{})
	unlock := c.LockShard(token(1))
	found := make(chan error)
	go func() {
		_, _, err := c.Lookup(t.Context(), token(1).String())
		found <- err
	}()
	for range 10_000 { // as if closing took a while
		runtime.Gosched()
	}
	if n := store.loads.Load(); n != 0 {
		t.Error("memory was looked into meanwhile")
	}
	unlock()
	if err := <-found; err != nil || store.loads.Load() != 1 {
		t.Errorf("%v, %d reads", err, store.loads.Load())
	}
	c.Close()
	if c.UnlessClosed(token(1), func() { t.Error("used after it was closed") }) {
		t.Error("it is said to be open")
	}
}

// TestClose_ReadUnderWay: ristretto panics when it is written to after it was
// closed, and a read can outlive the caller who asked for it.
func TestClose_ReadUnderWay(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name string
		rows []uuid.UUID
	}{
		{"that finds the token", []uuid.UUID{token(1)}},
		{"that finds none", nil},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				store, release := newLoader(c.rows...), make(chan struct{})
				store.before = func() { <-release }
				held := newCache(t, store, cache.Config{})
				ctx, cancel := context.WithCancel(t.Context())
				go func() { _, _, _ = held.Lookup(ctx, token(1).String()) }()
				synctest.Wait()
				cancel()
				synctest.Wait()
				held.Close()
				close(release)
				synctest.Wait()
				held.Put(newGrant(token(2), start, start))
				held.Revoke(token(1), token(2))
				if n := held.Stats().Tombstones; n != 2 {
					t.Errorf("%d tombstones after closing, want 2", n)
				}
				held.Close() // again, as the fixture does, too
			})
		})
	}
}
