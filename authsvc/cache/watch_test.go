package cache_test

import (
	"math/rand/v2"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/uuid"

	"github.com/wazo-edge/xivo-auth/authsvc/cache"
)

// TestWatch: who is told of what.
func TestWatch(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name string
		run  func(w *watched)
		told int64
	}{
		{"nothing happens", func(*watched) {}, 0},
		{"revoked", func(w *watched) { w.watch(); w.cache.Revoke(w.id) }, 1},
		{"revoked among others", func(w *watched) { w.watch(); w.cache.Revoke(token(7), w.id, token(8)) }, 1},
		{"revoked twice", func(w *watched) { w.watch(); w.cache.Revoke(w.id); w.cache.Revoke(w.id) }, 1},
		{"revoked before", func(w *watched) { w.cache.Revoke(w.id); w.watch() }, 1},
		{"another token of the shard", func(w *watched) { w.watch(); w.cache.Revoke(token(1 + 256)) }, 0},
		{"twice the same token", func(w *watched) { w.watch(); w.watch(); w.cache.Revoke(w.id) }, 2},
		{"one of two stopped", func(w *watched) { w.watch()(); w.watch(); w.cache.Revoke(w.id) }, 1},
		{"stopped", func(w *watched) { w.watch()(); w.cache.Revoke(w.id) }, 0},
		{"stopped twice", func(w *watched) { stop := w.watch(); stop(); w.watch(); stop(); w.cache.Revoke(w.id) }, 1},
		{"stopped too late", func(w *watched) { stop := w.watch(); w.cache.Revoke(w.id); synctest.Wait(); stop() }, 1},
		{"stopped, of a token revoked before", func(w *watched) { w.cache.Revoke(w.id); stop := w.watch(); synctest.Wait(); stop() }, 1},
		{"known to the store", func(w *watched) { w.watch(); w.lookup("granted") }, 0},
		{"unknown to the store", func(w *watched) { w.watch(); w.store.remove(w.id); w.lookup("unknown") }, 1},
		{"expired in the store", func(w *watched) { w.watch(); w.store.set(w.id, time.Now().Add(-time.Minute)); w.lookup("unknown") }, 1},
		{"the store is down", func(w *watched) { w.watch(); w.store.fail(errDown); w.lookup("cannot tell") }, 0},
		{"found gone when it is revalidated", func(w *watched) {
			w.lookup("granted")
			w.cache.Wait()
			w.watch()
			w.store.remove(w.id)
			w.lookup("granted")
			synctest.Wait()
			if n := w.told.Load(); n != 0 {
				w.Errorf("told %d times of what nobody has noticed", n)
			}
			time.Sleep(time.Hour)
			w.lookup("unknown")
		}, 1},
		{"checked", func(w *watched) {
			w.watch()
			w.store.remove(w.id)
			if _, err := w.cache.Check(w.id); kind(err) != "unknown" {
				w.Errorf("Check: %v", err)
			}
		}, 1},
		{"issued again", func(w *watched) { w.watch(); w.cache.Put(newGrant(w.id, start.AddDate(200, 0, 0), time.Now())) }, 0},
		{"closed", func(w *watched) { w.watch(); w.watch()(); w.cache.Close() }, 1},
		{"closed before", func(w *watched) { w.cache.Close(); w.watch() }, 1},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				w := &watched{T: t, id: token(1)}
				w.store = newLoader(w.id, token(1+256))
				w.cache = newCache(t, w.store, cache.Config{})
				c.run(w)
				synctest.Wait()
				if n := w.told.Load(); n != c.told {
					t.Errorf("told %d times, want %d", n, c.told)
				}
				for _, stop := range w.stops {
					stop()
				}
				if n := w.cache.Stats().Watches; n != 0 {
					t.Errorf("%d watches left behind", n)
				}
			})
		})
	}
}

// watched is a cache and a token somebody watches.
type watched struct {
	*testing.T
	cache *cache.Cache
	store *loader
	id    uuid.UUID
	told  atomic.Int64
	stops []func()
}

func (w *watched) watch() (stop func()) {
	stop = w.cache.Watch(w.id, func() { w.told.Add(1) })
	w.stops = append(w.stops, stop)
	return stop
}

func (w *watched) lookup(want string) {
	w.Helper()
	if _, _, err := w.cache.Lookup(w.Context(), w.id.String()); kind(err) != want {
		w.Fatalf("Lookup: %v, want %s", err, want)
	}
}

// TestWatch_HoldsNobodyUp: whoever is told can take his time, and ask the
// cache whatever he likes.
func TestWatch_HoldsNobodyUp(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		id, other := token(1), token(1+256) // of one shard
		c := newCache(t, newLoader(id, other), cache.Config{})
		release, told := make(chan struct{}), make(chan struct{})
		var stop func()
		stop = c.Watch(id, func() {
			stop()
			c.Watch(id, func() {})()
			_, _, _ = c.Lookup(t.Context(), id.String())
			<-release
		})
		c.Watch(id, func() { close(told) })
		c.Revoke(id)
		<-told
		c.Revoke(other)
		close(release)
	})
}

// TestWatch_RacesRevoke: whichever comes first, the one who watches is told,
// and once; who stops meanwhile at most once.
func TestWatch_RacesRevoke(t *testing.T) {
	t.Parallel()
	rounds := 5000
	if testing.Short() {
		rounds = 500
	}
	c := newCache(t, newLoader(), cache.Config{})
	for range rounds {
		id := uuid.New()
		var told [4]atomic.Int64
		var all sync.WaitGroup
		all.Add(len(told)) // each of them is to be told
		var stopped atomic.Int64
		var callers sync.WaitGroup
		for i := range told {
			callers.Go(func() {
				for range rand.IntN(3) {
					runtime.Gosched()
				}
				c.Watch(id, func() { told[i].Add(1); all.Done() })
			})
		}
		callers.Go(func() {
			stop := c.Watch(id, func() { stopped.Add(1) })
			runtime.Gosched()
			stop()
			stop()
		})
		callers.Go(func() { c.Revoke(id) })
		callers.Wait()
		all.Wait() // hangs when one is never told
		for i := range told {
			if n := told[i].Load(); n != 1 {
				t.Fatalf("told %d times", n)
			}
		}
		if n := stopped.Load(); n > 1 {
			t.Fatalf("who stopped was told %d times", n)
		}
	}
	if n := c.Stats().Watches; n != 0 {
		t.Errorf("%d watches left behind", n)
	}
}

// TestWatch_Close: a check that is under way is cut short, and none begins any
// more; neither says anything about the token.
func TestWatch_Close(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		id := token(1)
		store := newLoader(id)
		gate := make(chan struct{})
		store.before = func() { <-gate }
		c := newCache(t, store, cache.Config{})
		outcome := make(chan error, 1)
		go func() {
			_, err := c.Check(id)
			outcome <- err
		}()
		synctest.Wait()
		c.Close()
		if err := <-outcome; kind(err) != "cannot tell" {
			t.Errorf("under way: %v", err)
		}
		if _, err := c.Check(id); kind(err) != "cannot tell" {
			t.Errorf("afterwards: %v", err)
		}
		close(gate)
	})
}

func TestWatch_Alloc(t *testing.T) {
	id := token(1)
	c := newCache(t, newLoader(id), cache.Config{})
	if _, _, err := c.Lookup(t.Context(), id.String()); err != nil {
		t.Fatal(err)
	}
	c.Wait()
	defer c.Watch(id, func() {})()
	text := id.String()
	if n := testing.AllocsPerRun(100, func() { _, _, _ = c.Lookup(t.Context(), text) }); n != 0 {
		t.Errorf("a hit of a token that is watched allocates %v times", n)
	}
}

func BenchmarkWatch(b *testing.B) {
	c := newCache(b, newLoader(), cache.Config{})
	ids := make([]uuid.UUID, 1024)
	for i := range ids {
		ids[i] = uuid.New()
	}
	b.ReportAllocs()
	i := 0
	for b.Loop() {
		c.Watch(ids[i%len(ids)], func() {})()
		i++
	}
}
