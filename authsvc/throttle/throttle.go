// Package throttle slows down who guesses passwords, without giving anybody a
// way to lock somebody else out: failures are counted for a login *from an
// address*, and for an address, never for a login alone (Authelia #415).
package throttle

import (
	"strings"
	"sync"
	"time"

	lru "github.com/hashicorp/golang-lru/v2"

	"github.com/wazo-edge/xivo-auth/authsvc/client"
)

// Limit is how many failures are let pass at once, and how long it takes for
// one of them to be forgotten.
type Limit struct {
	Burst int
	Every time.Duration
}

// Config are the limits. Zero values mean the defaults.
type Config struct {
	// Login is for one login from one address. Default: 10, one forgotten
	// every 6 s.
	Login Limit
	// Address is for all logins from one address, which may be that of a
	// whole company. Default: 100, one forgotten every 600 ms.
	Address Limit
	// Keys is how many of each are remembered. Default 65 536. Whoever has
	// more addresses than that is not stopped by counting them.
	Keys int
	// Now is the clock. Default time.Now.
	Now func() time.Time
}

// Throttle counts failed logins. Safe for concurrent use; every method is O(1).
type Throttle struct {
	cfg Config

	mu      sync.Mutex
	buckets [2]*lru.Cache[string, *bucket] // by login and address, by address
}

// bucket holds failures, and leaks.
type bucket struct {
	level float64
	at    time.Time
}

// New returns a throttle.
func New(cfg Config) (*Throttle, error) {
	if cfg.Login == (Limit{}) {
		cfg.Login = Limit{Burst: 10, Every: 6 * time.Second}
	}
	if cfg.Address == (Limit{}) {
		cfg.Address = Limit{Burst: 100, Every: 600 * time.Millisecond}
	}
	if cfg.Keys <= 0 {
		cfg.Keys = 65_536
	}
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	t := &Throttle{cfg: cfg}
	for i := range t.buckets {
		var err error
		if t.buckets[i], err = lru.New[string, *bucket](cfg.Keys); err != nil {
			return nil, err
		}
	}
	return t, nil
}

// byLogin is the index of the buckets by login and address.
const byLogin = 0

// Wait is how long a login from an address must wait before it is tried at
// all; 0 when it need not. Without a login, as with a refresh token, only the
// address counts.
func (t *Throttle) Wait(login, addr string) time.Duration {
	t.mu.Lock()
	defer t.mu.Unlock()
	now := t.cfg.Now()
	var wait time.Duration
	for i, key := range keys(login, addr) {
		if i == byLogin && login == "" {
			continue
		}
		if b, ok := t.buckets[i].Get(key); ok {
			limit := t.limit(i)
			b.leak(now, limit)
			if over := b.level - float64(limit.Burst-1); over > 0 {
				wait = max(wait, time.Duration(over*float64(limit.Every)))
			}
		}
	}
	return wait
}

// Failed records a failed login. Successful ones are not recorded and forgive
// nothing: who knows one password must not be able to guess others for free.
func (t *Throttle) Failed(login, addr string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	now := t.cfg.Now()
	for i, key := range keys(login, addr) {
		if i == byLogin && login == "" {
			continue
		}
		b, ok := t.buckets[i].Get(key)
		if !ok {
			b = &bucket{at: now}
			t.buckets[i].Add(key, b)
		}
		limit := t.limit(i)
		b.leak(now, limit)
		// No cap at the burst: those that were tried at the same time, before
		// the first of them failed, have to be paid back, or a batch every
		// few seconds would not be slowed down at all.
		b.level = min(b.level+1, float64(limit.Burst*maxDebt))
	}
}

// maxDebt bounds how long one has to wait after the largest batch of guesses:
// so many times what the burst takes to be forgotten.
const maxDebt = 60

func (t *Throttle) limit(i int) Limit { return [2]Limit{t.cfg.Login, t.cfg.Address}[i] }

func (b *bucket) leak(now time.Time, l Limit) {
	if d := now.Sub(b.at); d > 0 {
		b.level = max(0, b.level-float64(d)/float64(l.Every))
	}
	b.at = now
}

// keys are the bucket of a login from a client and that of the client. A login
// counts in any case, as it logs in in any.
func keys(login, addr string) [2]string {
	addr = client.Of(addr)
	// A login is as long as a header may be; what is remembered of it is not.
	const most = 256
	login = strings.ToLower(login)
	if len(login) > most {
		login = login[:most]
	}
	return [2]string{addr + "\x00" + login, addr}
}
