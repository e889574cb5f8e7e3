package authsvc

import (
	"errors"
	"math/rand/v2"
	"sync"
	"time"

	"github.com/wazo-edge/xivo-auth/authsvc/grant"
)

const (
	// tieRest is how long a tie waits at least before it looks its token up
	// again, whether the store said yes or nothing.
	tieRest = 5 * time.Second
	// tieTick is how exactly an expiry is met: timers and the clock need not
	// agree on how long a moment is.
	tieTick = time.Millisecond
)

// tie holds something long-lived to the token it was let in with.
type tie struct {
	service *Service
	grant   *grant.Grant
	end     func()

	mu      sync.Mutex // never held while end runs
	unwatch func()
	timer   *time.Timer
	over    bool
}

// Tie has end called, once and on a goroutine of its own, when the token that
// g was read from is revoked or expires, or when the service is closed. What
// is revoked here, or announced to this node, ends at once. What nobody
// announces is found out when memory does not vouch for the grant any longer
// and the store is asked again: max_age, and ten seconds at most. An outage
// ends nothing.
//
// The caller must call untie in the end; it can be called any number of times,
// from end as well. After it returned, end is not called if it has not been by
// then.
//
// A tie takes no goroutine while it waits. It can be made after the service
// was closed, and ends at once.
func (s *Service) Tie(g *grant.Grant, end func()) (untie func()) {
	t := &tie{service: s, grant: g, end: end}
	t.mu.Lock() // until there is all that cut lets go of
	defer t.mu.Unlock()
	t.unwatch = s.grants.Watch(g.Token(), t.cut)
	// The first look is due now: the grant may have been read so long ago
	// that a revocation since then is remembered by the store alone.
	t.timer = time.AfterFunc(0, t.recheck)
	return func() { t.loose() }
}

// cut ends what is tied.
func (t *tie) cut() {
	if t.loose() {
		t.end()
	}
}

// loose reports whether the tie held until now.
func (t *tie) loose() bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.over {
		return false
	}
	t.over = true
	t.timer.Stop()
	t.unwatch()
	return true
}

// recheck is what the timer does.
func (t *tie) recheck() {
	wait, live := t.check()
	if !live {
		t.cut()
		return
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	if !t.over {
		t.timer.Reset(wait)
	}
}

// check looks the token up again and tells when to do so next. live is false
// when it is no good any more.
func (t *tie) check() (wait time.Duration, live bool) {
	if t.grant.Expired(t.service.Now()) {
		return 0, false // nobody need be asked
	}
	age, wait := t.service.grants.MaxAge(), tieRest
	g, err := t.service.grants.Check(t.grant.Token())
	now := t.service.Now()
	switch {
	case errors.Is(err, grant.ErrUnknown):
		return 0, false
	case err == nil:
		// When memory asks the store again: before that it would only
		// repeat itself.
		wait = max(tieRest, min(age, age-g.Age(now)))
	}
	wait += rand.N(tieRest) // those who came together do not ask together
	return min(wait, max(tieTick, t.grant.ExpiresAt().Sub(now))), true
}
