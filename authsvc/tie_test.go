package authsvc_test

import (
	"context"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/uuid"

	"github.com/wazo-edge/xivo-auth/authsvc"
	"github.com/wazo-edge/xivo-auth/authsvc/cache"
	"github.com/wazo-edge/xivo-auth/authsvc/grant"
	"github.com/wazo-edge/xivo-auth/authsvc/guard"
	"github.com/wazo-edge/xivo-auth/authsvc/store"
)

// oneToken is a store of a single token.
type oneToken struct {
	store.Store
	id      string
	expires time.Time
	reads   atomic.Int64

	sync.Mutex
	err error
}

func (o *oneToken) answer(err error) {
	o.Lock()
	defer o.Unlock()
	o.err = err
}

func (o *oneToken) Token(_ context.Context, id string) (store.Token, error) {
	o.reads.Add(1)
	o.Lock()
	defer o.Unlock()
	if o.err == nil && id != o.id {
		return store.Token{}, store.ErrNotFound
	}
	return store.Token{UUID: id, AuthID: grant.InternalAuthID, ExpiresAt: o.expires.Unix()}, o.err
}

func (*oneToken) Close() error { return nil }

// tied is a service and something tied to its token, in a synctest bubble.
type tied struct {
	*testing.T
	svc   *authsvc.Service
	store *oneToken
	grant *grant.Grant
	ended atomic.Int64
	untie func()
}

const tieMaxAge = 5 * time.Minute

// newTied ties something to a token that is good for an hour and half a
// second.
func newTied(t *testing.T) *tied {
	t.Helper()
	time.Sleep(500 * time.Millisecond) // tokens expire at whole seconds, clocks read between them
	d := &tied{T: t, store: &oneToken{id: uuid.NewString(), expires: time.Now().Add(time.Hour + time.Second)}}
	var err error
	d.svc, err = authsvc.New(authsvc.Config{Store: d.store, Cache: cache.Config{Grants: 100}},
		authsvc.Settings{CleanupInterval: -1, Cache: cache.Limits{MaxAge: tieMaxAge, StaleIfError: -1}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = d.svc.Close() })
	d.grant = d.decide().Grant
	if d.grant == nil {
		t.Fatal("the token is no good")
	}
	d.untie = d.svc.Tie(d.grant, func() { d.ended.Add(1) })
	t.Cleanup(func() { d.untie() })
	synctest.Wait()
	return d
}

func (d *tied) decide() guard.Decision {
	return d.svc.Decide(d.Context(), scopePolicy(""), guard.Request{Method: "GET", Target: "/", Tokens: []string{d.store.id}})
}

// endsWithin lets at most that much time go by.
func (d *tied) endsWithin(limit time.Duration) {
	d.Helper()
	time.Sleep(limit)
	synctest.Wait()
	if n := d.ended.Load(); n != 1 {
		d.Fatalf("ended %d times", n)
	}
}

// holds lets that much time go by.
func (d *tied) holds(for_ time.Duration) {
	d.Helper()
	time.Sleep(for_)
	synctest.Wait()
	if n := d.ended.Load(); n != 0 {
		d.Fatalf("ended %d times", n)
	}
}

func TestTie(t *testing.T) {
	t.Parallel()
	const slack = 10 * time.Second
	down := fmt.Errorf("%w: connection refused", store.ErrUnavailable)
	for _, c := range []struct {
		name string
		run  func(d *tied)
	}{
		{"expires", func(d *tied) {
			d.holds(time.Hour) // it is good through its last second, of which half is left
			d.holds(500 * time.Millisecond)
			d.endsWithin(2 * time.Millisecond)
		}},
		{"expires while the store is down", func(d *tied) {
			d.store.answer(down)
			d.holds(time.Hour)
			d.endsWithin(time.Second)
		}},
		{"revoked elsewhere", func(d *tied) {
			d.holds(time.Minute)
			d.store.answer(store.ErrNotFound)
			d.endsWithin(tieMaxAge - time.Minute + slack)
		}},
		{"revoked elsewhere, much later", func(d *tied) {
			d.holds(30 * time.Minute)
			d.store.answer(store.ErrNotFound)
			d.endsWithin(tieMaxAge + slack)
		}},
		{"revoked elsewhere, found out by a request", func(d *tied) {
			d.holds(tieMaxAge - 2*time.Second)
			d.store.answer(store.ErrNotFound)
			d.holds(2 * time.Second)
			d.decide()
			d.endsWithin(0)
		}},
		{"revoked elsewhere during an outage", func(d *tied) {
			d.store.answer(down)
			d.holds(30 * time.Minute)
			d.store.answer(store.ErrNotFound)
			d.endsWithin(slack)
		}},
		{"an outage that passes", func(d *tied) {
			d.store.answer(down)
			d.holds(30 * time.Minute)
			d.store.answer(nil)
			d.holds(29 * time.Minute)
		}},
		{"max_age is shortened", func(d *tied) {
			d.svc.Apply(authsvc.Settings{CleanupInterval: -1, Cache: cache.Limits{MaxAge: time.Second}})
			d.holds(tieMaxAge + slack) // when it was going to look anyhow
			d.store.answer(store.ErrNotFound)
			d.endsWithin(slack)
		}},
		{"untied", func(d *tied) {
			d.untie()
			d.untie()
			d.holds(2 * time.Hour)
		}},
		{"closed", func(d *tied) {
			_ = d.svc.Close()
			d.endsWithin(0)
			d.untie()
		}},
		{"tied when it is closed already", func(d *tied) {
			d.untie()
			_ = d.svc.Close()
			d.untie = d.svc.Tie(d.grant, func() { d.ended.Add(1) })
			d.endsWithin(0)
		}},
		{"tied when it is gone already", func(d *tied) {
			// So long ago that only the store remembers.
			d.untie()
			d.holds(tieMaxAge)
			d.store.answer(store.ErrNotFound)
			d.untie = d.svc.Tie(d.grant, func() { d.ended.Add(1) })
			d.endsWithin(0)
		}},
		{"tied when it has expired already", func(d *tied) {
			d.untie()
			d.holds(2 * time.Hour)
			reads := d.store.reads.Load()
			d.untie = d.svc.Tie(d.grant, func() { d.ended.Add(1) })
			d.endsWithin(0)
			if n := d.store.reads.Load(); n != reads {
				d.Errorf("the store was asked about a token that has expired")
			}
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				d := newTied(t)
				c.run(d)
				// Whatever happened, it happened once and left nothing.
				ended := d.ended.Load()
				d.untie()
				time.Sleep(2 * time.Hour)
				synctest.Wait()
				if n := d.ended.Load(); n != ended {
					t.Errorf("ended %d times", n)
				}
				if n := d.svc.CacheStats().Watches; n != 0 {
					t.Errorf("%d watches left behind", n)
				}
			})
		})
	}
}

// TestTie_AsksAsOftenAsItMust: many ties of one token are one reader, who
// comes when memory would have asked anyhow, and rarely during an outage.
func TestTie_AsksAsOftenAsItMust(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		d := newTied(t)
		for range 100 {
			untie := d.svc.Tie(d.grant, func() { d.ended.Add(1) })
			defer untie()
		}
		synctest.Wait()
		// One let it in, and memory may not show yet what it has taken in.
		begun := d.store.reads.Load()
		if begun > 2 {
			t.Errorf("%d reads to begin with", begun)
		}
		d.holds(50 * time.Minute)
		if n := d.store.reads.Load() - begun; n < 8 || n > 10 {
			t.Errorf("%d reads in 10 times max_age", n)
		}
	})
}

// TestTie_EndMayDoAnything: what end does cannot hold the service up.
func TestTie_EndMayDoAnything(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		d := newTied(t)
		release := make(chan struct{})
		var untie func()
		untie = d.svc.Tie(d.grant, func() {
			untie()
			<-release
			d.svc.Tie(d.grant, func() { d.ended.Add(1) })()
		})
		d.store.answer(store.ErrNotFound)
		time.Sleep(tieMaxAge)
		d.decide()
		_ = d.svc.Close() // does not wait for it
		close(release)
		synctest.Wait()
	})
}
