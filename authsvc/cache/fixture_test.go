package cache_test

import (
	"context"
	"encoding/binary"
	"errors"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/wazo-edge/xivo-auth/authsvc/acl"
	"github.com/wazo-edge/xivo-auth/authsvc/cache"
	"github.com/wazo-edge/xivo-auth/authsvc/grant"
)

var errDown = errors.New("connection refused")

// token returns the n-th of the tokens the tests use; its last byte, by which
// the cache chooses a shard, is that of n. Its first bytes differ, too: of the
// tokens that share eight of them, which random ones do not, ristretto keeps
// only one.
func token(n int) uuid.UUID {
	id := uuid.UUID{6: 0x40}
	binary.BigEndian.PutUint32(id[:], uint32(n))
	binary.BigEndian.PutUint64(id[8:], 0x8000000000000000|uint64(n))
	return id
}

var (
	someACL = acl.Compile([]string{"confd.#"})
	start   = time.Unix(1_700_000_000, 0)
)

// newGrant makes a grant that ends at expires and was read at validated.
func newGrant(id uuid.UUID, expires, validated time.Time) *grant.Grant {
	return grant.New(grant.Fields{
		Token: id, AuthID: "6f1a2c3e-0b77-4c7e-9a55-3d4f5e6a7b8c", SessionUUID: id.String(),
		IssuedAt: start.Unix(), ExpiresAt: expires.Unix(), ACL: someACL,
	}, validated)
}

// loader is a store of tokens in memory that can fail and be held up.
type loader struct {
	sync.Mutex
	rows  map[uuid.UUID]time.Time // token -> expiry
	err   error
	loads atomic.Int64

	// before and after are called around reading the row, when set.
	before, after func()
}

func newLoader(ids ...uuid.UUID) *loader {
	l := &loader{rows: map[uuid.UUID]time.Time{}}
	for _, id := range ids {
		l.rows[id] = start.AddDate(200, 0, 0) // past the moment synctest begins at, too
	}
	return l
}

func (l *loader) set(id uuid.UUID, expires time.Time) {
	l.Lock()
	defer l.Unlock()
	l.rows[id] = expires
}

func (l *loader) remove(id uuid.UUID) {
	l.Lock()
	defer l.Unlock()
	delete(l.rows, id)
}

func (l *loader) fail(err error) {
	l.Lock()
	defer l.Unlock()
	l.err = err
}

func (l *loader) LoadGrant(ctx context.Context, id uuid.UUID, now time.Time) (*grant.Grant, error) {
	l.loads.Add(1)
	if l.before != nil {
		l.before()
	}
	l.Lock()
	expires, ok := l.rows[id]
	err := l.err
	l.Unlock()
	if l.after != nil {
		l.after()
	}
	switch {
	case ctx.Err() != nil:
		return nil, ctx.Err()
	case err != nil:
		return nil, err
	case !ok:
		return nil, grant.ErrUnknown
	}
	return newGrant(id, expires, now), nil
}

// clock is one that tests move.
type clock struct{ atomic.Int64 }

func newClock() *clock {
	c := &clock{}
	c.Store(start.UnixNano())
	return c
}

func (c *clock) now() time.Time          { return time.Unix(0, c.Load()) }
func (c *clock) advance(d time.Duration) { c.Add(int64(d)) }

func newCache(t testing.TB, l cache.Loader, cfg cache.Config) *cache.Cache {
	t.Helper()
	if cfg.Grants == 0 {
		cfg.Grants = 10_000
	}
	c, err := cache.New(l, cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	return c
}

// kind names what an error of Lookup means to its callers.
func kind(err error) string {
	switch {
	case err == nil:
		return "granted"
	case errors.Is(err, grant.ErrUnknown):
		return "unknown"
	default:
		return "cannot tell"
	}
}
