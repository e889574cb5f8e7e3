package assertion

import (
	"errors"
	"fmt"
	"time"
	"unicode/utf8"

	lru "github.com/hashicorp/golang-lru/v2"
)

const (
	// DefaultIssuer is the claim iss of a zero [Config].
	DefaultIssuer = "xivo-auth"
	// DefaultLifetime is the lifetime of one.
	DefaultLifetime = 30 * time.Second
	// MinLifetime leaves half of it over whenever an assertion is reused, as
	// times in it are whole seconds.
	MinLifetime = 2 * time.Second
	// MaxLifetime bounds what one that was stolen is good for.
	MaxLifetime = 60 * time.Second
)

// Config is what a signer is made of. Zero values mean the defaults.
type Config struct {
	// Keys are Ed25519 private keys, each a PEM block of PKCS #8 as
	// [GenerateKey] and `openssl genpkey -algorithm ed25519` make them. The
	// first signs and all are published, so that keys can be rotated: add the
	// new one second, make it first once every node and upstream has seen it
	// (five minutes), and drop the old one a minute after that.
	//
	// Default: one generated with the signer. It is gone with the process, and
	// nodes do not know each other's: an upstream of several would have to ask
	// the very one that signed for its keys, so give them all the same.
	Keys [][]byte
	// Issuer is the claim iss. Default "xivo-auth".
	Issuer string
	// Lifetime is how long an assertion is good: whole seconds, from 2 s to
	// 60 s. Default 30 s.
	Lifetime time.Duration
	// Now is the clock. Default time.Now.
	Now func() time.Time
}

// Signer makes assertions. Safe for concurrent use; apart from what it
// remembers for reuse it is immutable.
type Signer struct {
	*ring
	// own is a generated ring, kept while there is another in its place; nil
	// when none was ever needed.
	own      *ring
	issuer   string
	lifetime time.Duration
	now      func() time.Time
	made     *lru.Cache[subject, made]
}

// New returns a signer. It fails when a key is not what [Config] says or is
// there twice, and when there can be no such issuer or lifetime.
func New(cfg Config) (*Signer, error) {
	s := &Signer{issuer: cfg.Issuer, lifetime: cfg.Lifetime, now: cfg.Now, made: memory()}
	if s.issuer == "" {
		s.issuer = DefaultIssuer
	}
	if !utf8.ValidString(s.issuer) {
		return nil, errors.New("assertion: the issuer is not UTF-8")
	}
	if s.lifetime == 0 {
		s.lifetime = DefaultLifetime
	}
	if s.lifetime < MinLifetime || s.lifetime > MaxLifetime || s.lifetime%time.Second != 0 {
		return nil, fmt.Errorf("assertion: the lifetime is %s: it is whole seconds from %s to %s", s.lifetime, MinLifetime, MaxLifetime)
	}
	if s.now == nil {
		s.now = time.Now
	}
	var err error
	if s.ring, err = newRing(cfg.Keys); err != nil {
		return nil, fmt.Errorf("assertion: %w", err)
	}
	if len(cfg.Keys) == 0 {
		s.own = s.ring
	}
	return s, nil
}

// Next returns the signer to go on with when a reload asks for asked: s itself
// when it has the same keys, issuer and lifetime, so that nothing is signed
// again, and otherwise a new one with s's clock and nothing of what s
// remembers. A key that was generated for s, or for one that s came after, is
// the one used whenever asked was made without keys: it survives all reloads.
func (s *Signer) Next(asked *Signer) *Signer {
	n := &Signer{ring: asked.ring, own: s.own, issuer: asked.issuer, lifetime: asked.lifetime, now: s.now}
	if n.own == nil {
		n.own = asked.own
	}
	if asked.ring == asked.own {
		n.ring = n.own
	}
	if n.same(s.ring) && n.issuer == s.issuer && n.lifetime == s.lifetime {
		return s
	}
	n.made = memory()
	return n
}
