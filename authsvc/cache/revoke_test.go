package cache_test

import (
	"context"
	"math/rand/v2"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/uuid"

	"github.com/wazo-edge/xivo-auth/authsvc/cache"
	"github.com/wazo-edge/xivo-auth/authsvc/grant"
)

// TestRevoke_RacesFill scripts every order of a revocation and a read of the
// same token that the code can tell apart. The store goes on saying that the
// token is good, as a replica that lags behind would: what refuses is memory
// alone.
func TestRevoke_RacesFill(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name string
		run  func(t *testing.T, r *race)
	}{
		{"never looked up", func(_ *testing.T, r *race) {
			r.cache.Revoke(r.id)
		}},
		{"resident", func(t *testing.T, r *race) {
			r.mustGrant(t)
			r.cache.Wait()
			r.mustGrant(t)
			r.cache.Revoke(r.id)
		}},
		{"filled, and not yet applied by ristretto", func(t *testing.T, r *race) {
			r.mustGrant(t)
			r.cache.Revoke(r.id)
		}},
		{"issued, and not yet applied by ristretto", func(_ *testing.T, r *race) {
			r.cache.Put(newGrant(r.id, r.expires, time.Now()))
			r.cache.Revoke(r.id)
		}},
		{"issued too late", func(_ *testing.T, r *race) {
			r.cache.Revoke(r.id)
			r.cache.Put(newGrant(r.id, r.expires, time.Now()))
			r.cache.Wait()
		}},
		{"before the read", func(t *testing.T, r *race) {
			r.store.before = r.hold
			first := r.begin(t)
			r.cache.Revoke(r.id)
			r.release()
			first.refused(t, "the lookup that was under way")
		}},
		{"between read and publication", func(t *testing.T, r *race) {
			r.store.after = r.hold
			first := r.begin(t)
			r.cache.Revoke(r.id)
			r.release()
			first.refused(t, "the lookup that was under way")
		}},
		{"joined after the revocation, before the read", func(t *testing.T, r *race) {
			r.store.before = r.hold
			r.begin(t)
			r.cache.Revoke(r.id)
			second := r.begin(t)
			r.release()
			second.refused(t, "the lookup that joined")
			r.loaded(t, 1)
		}},
		{"joined after the revocation, between read and publication", func(t *testing.T, r *race) {
			r.store.after = r.hold
			r.begin(t)
			r.cache.Revoke(r.id)
			second := r.begin(t)
			r.release()
			second.refused(t, "the lookup that joined")
			r.loaded(t, 1)
		}},
		{"joined before the revocation", func(t *testing.T, r *race) {
			r.store.after = r.hold
			r.begin(t)
			second := r.begin(t)
			r.cache.Revoke(r.id)
			r.release()
			second.refused(t, "the lookup that had joined")
			r.loaded(t, 1)
		}},
		{"while it is revalidated", func(t *testing.T, r *race) {
			r.mustGrant(t)
			r.cache.Wait()
			time.Sleep(time.Hour) // past max_age
			r.store.after = r.hold
			first := r.begin(t)
			r.cache.Revoke(r.id)
			r.release()
			first.refused(t, "the lookup that was under way")
			r.loaded(t, 2)
		}},
		{"while it cannot be revalidated", func(t *testing.T, r *race) {
			r.cache.SetLimits(cache.Limits{StaleIfError: 24 * time.Hour})
			r.mustGrant(t)
			r.cache.Wait()
			time.Sleep(time.Hour)
			r.store.fail(errDown)
			r.store.after = r.hold
			first := r.begin(t) // would be answered from memory, degraded
			r.cache.Revoke(r.id)
			r.release()
			first.refused(t, "the lookup that was under way")
		}},
		{"twice", func(t *testing.T, r *race) {
			r.mustGrant(t)
			r.cache.Revoke(r.id, r.id)
			r.cache.Revoke(r.id)
		}},
		{"among others", func(t *testing.T, r *race) {
			r.mustGrant(t)
			r.cache.Revoke(token(1+3*256), r.id, token(1+4*256))
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				r := newRace(t)
				c.run(t, r)
				r.begin(t).refused(t, "the next lookup")
				r.cache.Wait()
				r.begin(t).refused(t, "a lookup when ristretto has caught up")
				if _, _, err := r.cache.Lookup(t.Context(), r.bystander.String()); kind(err) == "unknown" {
					t.Errorf("another token of the same shard: %v", err)
				}
				r.afterwards(t)
			})
		})
	}
}

// race is a cache in a synctest bubble whose reads can be held up.
type race struct {
	cache         *cache.Cache
	store         *loader
	id, bystander uuid.UUID
	expires       time.Time
	gate          chan struct{}
}

func newRace(t *testing.T) *race {
	r := &race{id: token(1), bystander: token(1 + 256), gate: make(chan struct{})}
	r.store = newLoader(r.id, r.bystander)
	r.expires = r.store.rows[r.id]
	r.cache = newCache(t, r.store, cache.Config{})
	return r
}

// afterwards lets the tombstone go. By now the store says no itself, and
// nothing must have been left behind in memory that says otherwise.
func (r *race) afterwards(t *testing.T) {
	r.store.fail(nil)
	r.store.remove(r.id)
	r.cache.SetLimits(cache.Limits{MaxAge: 24 * time.Hour, NegativeTTL: -1})
	time.Sleep(time.Minute)
	r.cache.Revoke(token(1 + 2*256)) // has the shard pruned
	if n := r.cache.Stats().Tombstones; n != 1 {
		t.Fatalf("%d tombstones, want only the newest", n)
	}
	r.begin(t).refused(t, "a lookup long after")
}

// hold is put before or after the reading of a row.
func (r *race) hold() { <-r.gate }

// release lets the reads held up go on, and all that come.
func (r *race) release() {
	close(r.gate)
	synctest.Wait()
}

func (r *race) mustGrant(t *testing.T) {
	t.Helper()
	if _, _, err := r.cache.Lookup(t.Context(), r.id.String()); err != nil {
		t.Fatalf("before it was revoked: %v", err)
	}
}

func (r *race) loaded(t *testing.T, want int64) {
	t.Helper()
	if n := r.store.loads.Load(); n != want {
		t.Errorf("%d reads of the store, want %d: this is not the order the test is about", n, want)
	}
}

// begin starts a lookup and returns when it is over or held up.
func (r *race) begin(t *testing.T) *underWay {
	l := &underWay{}
	go func() {
		_, _, err := r.cache.Lookup(t.Context(), r.id.String())
		l.outcome.Store(kind(err))
	}()
	synctest.Wait()
	return l
}

type underWay struct{ outcome atomic.Value }

func (l *underWay) refused(t *testing.T, who string) {
	t.Helper()
	if got := l.outcome.Load(); got != "unknown" {
		t.Errorf("%s: %v, want unknown", who, got)
	}
}

// TestRevoke_Stress has many goroutines issue, look up and revoke, and holds
// every lookup against what was certain when it began. Most rows stay in the
// store after they were revoked, and reads dawdle, so only the cache keeps a
// revoked token out.
func TestRevoke_Stress(t *testing.T) {
	t.Parallel()
	tokens, rounds := 512, 8
	if testing.Short() {
		rounds = 2
	}
	store := newLoader()
	dawdle := func() {
		for range rand.IntN(4) {
			runtime.Gosched()
		}
	}
	store.before, store.after = dawdle, dawdle
	// What the store still has is granted again once its tombstone may go, so
	// that has to be later than a busy machine takes for a round.
	c := newCache(t, store, cache.Config{Negative: 16, LoadTimeout: 5 * time.Minute})
	c.SetLimits(cache.Limits{MaxAge: time.Millisecond}) // revalidation all the time
	far := start.AddDate(200, 0, 0)

	var wrong, granted, refused atomic.Int64
	for range rounds {
		ids := make([]uuid.UUID, tokens)
		gone := make([]atomic.Bool, tokens)  // set when Revoke has returned
		going := make([]atomic.Bool, tokens) // set before it is called
		for i := range ids {
			ids[i] = uuid.New()
			store.set(ids[i], far)
		}
		var wg sync.WaitGroup
		for range 4 {
			wg.Go(func() {
				for range 4 * tokens {
					i := rand.IntN(tokens)
					wasGone := gone[i].Load()
					_, _, err := c.Lookup(t.Context(), ids[i].String())
					switch {
					case err == nil && wasGone:
						wrong.Add(1)
					case err == nil:
						granted.Add(1)
					case kind(err) == "unknown" && !going[i].Load():
						t.Errorf("a token nobody revoked: %v", err)
					default:
						refused.Add(1)
					}
				}
			})
		}
		wg.Go(func() {
			for _, id := range ids {
				c.Put(newGrant(id, far, time.Now()))
				runtime.Gosched()
			}
		})
		for part := range 2 {
			wg.Go(func() {
				for _, i := range rand.Perm(tokens) {
					if i%2 != part || i%8 == 0 { // some live on
						continue
					}
					going[i].Store(true)
					if i%4 == 1 {
						store.remove(ids[i])
					}
					c.Revoke(ids[i])
					gone[i].Store(true)
					if _, _, err := c.Lookup(t.Context(), ids[i].String()); err == nil {
						wrong.Add(1)
					}
				}
			})
		}
		wg.Wait()
	}
	if n := wrong.Load(); n != 0 {
		t.Errorf("%d lookups that began after a revocation were granted", n)
	}
	if granted.Load() == 0 || refused.Load() == 0 {
		t.Errorf("%d granted, %d refused: nothing was tried", granted.Load(), refused.Load())
	}
	c.Wait()
	if n := c.Stats().Lookups; n[grant.Hit] == 0 || n[grant.Miss] == 0 {
		t.Errorf("lookups %v: hits and misses were to be mixed", n)
	}
}

// TestRevoke_TombstonesGo is a minute of looking up and revoking, in which most
// tombstones go again. From then on it is the store that says no, and what was
// read of it before the revocation must not be published after that, however
// late it comes: some reads take longer than a tombstone is kept, as those of a
// process that was stopped in between.
func TestRevoke_TombstonesGo(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		const tokens, horizon = 400, 4 * time.Second
		var (
			mu   sync.Mutex
			rows = map[uuid.UUID]bool{}
			gone = map[uuid.UUID]bool{} // Revoke has returned
		)
		id := func(i int) uuid.UUID { return token(256*i + i%4) } // in four shards
		far := start.AddDate(200, 0, 0)
		for i := range tokens {
			rows[id(i)] = true
		}
		store := loadFunc(func(_ context.Context, id uuid.UUID, now time.Time) (*grant.Grant, error) {
			mu.Lock()
			known := rows[id]
			mu.Unlock()
			switch rand.IntN(10) {
			case 0:
				time.Sleep(rand.N(2 * horizon))
			default:
				time.Sleep(rand.N(horizon / 4))
			}
			if !known {
				return nil, grant.ErrUnknown
			}
			return newGrant(id, far, now), nil
		})
		c := newCache(t, store, cache.Config{LoadTimeout: horizon / 4})
		c.SetLimits(cache.Limits{MaxAge: 3 * time.Second, NegativeTTL: -1})
		end := time.Now().Add(time.Minute)
		var asking sync.WaitGroup
		var after atomic.Int64 // lookups of tokens whose tombstone is gone
		for range 16 {
			asking.Go(func() {
				for time.Now().Before(end) {
					// Not all of them at any moment, but those that are revoked
					// about now.
					i := max(0, min(tokens-1, int(tokens*(1-time.Until(end).Seconds()/60))+rand.IntN(60)-50))
					mu.Lock()
					wasGone := gone[id(i)]
					mu.Unlock()
					_, _, err := c.Lookup(t.Context(), id(i).String())
					if wasGone && err == nil {
						t.Errorf("token %d was granted after it was revoked", i)
					}
					if wasGone && !c.Buried(id(i)) {
						after.Add(1)
					}
					time.Sleep(rand.N(20 * time.Millisecond))
				}
			})
		}
		for i := range tokens {
			time.Sleep(time.Minute / tokens)
			mu.Lock()
			delete(rows, id(i))
			mu.Unlock()
			c.Revoke(id(i))
			mu.Lock()
			gone[id(i)] = true
			mu.Unlock()
		}
		asking.Wait()
		if after.Load() == 0 {
			t.Error("no tombstone was gone when its token was asked for")
		}
	})
}

// TestTombstones: they outlast every read that could have begun before them,
// and not much more.
func TestTombstones(t *testing.T) {
	t.Parallel()
	const horizon = 4 * 5 * time.Second
	const many = 100
	for _, c := range []struct {
		name string
		next func(t *testing.T, c *cache.Cache)
		want int // tombstones after it
	}{
		{"the next revocation in the shard", func(_ *testing.T, c *cache.Cache) { c.Revoke(token(1 + 256*many)) }, 1},
		{"the next fill in the shard", func(t *testing.T, c *cache.Cache) {
			if _, _, err := c.Lookup(t.Context(), token(1+256*many).String()); err != nil {
				t.Fatal(err)
			}
		}, 0},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				store := newLoader()
				for i := range many + 1 {
					store.set(token(1+256*i), start.AddDate(200, 0, 0))
				}
				held := newCache(t, store, cache.Config{})
				for i := range many {
					held.Revoke(token(1 + 256*i)) // all in one shard
				}
				if n := held.Stats().Tombstones; n != many {
					t.Fatalf("%d tombstones, want %d", n, many)
				}
				time.Sleep(horizon)
				if _, _, err := held.Lookup(t.Context(), token(1).String()); kind(err) != "unknown" {
					t.Errorf("at the horizon: %v", err)
				}
				time.Sleep(horizon/2 + 1) // that often they are looked through
				c.next(t, held)
				if n := held.Stats().Tombstones; n != c.want {
					t.Errorf("%d tombstones, want %d", n, c.want)
				}
			})
		})
	}
}
