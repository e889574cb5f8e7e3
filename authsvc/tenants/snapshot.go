package tenants

import (
	"context"
	"fmt"
	"sync/atomic"
	"time"

	"golang.org/x/sync/singleflight"

	"github.com/wazo-edge/xivo-auth/authsvc/store"
)

const (
	// maxAge is how long a snapshot is trusted for what it says.
	maxAge = 5 * time.Second
	// minAge is how long it is trusted for what it lacks. A tenant created a
	// moment ago must be found; asking for tenants that do not exist must
	// not become a way to make the store read all of them each time.
	minAge = time.Second
	// staleIfError is how long it is trusted for what it says while the store
	// cannot be asked, as grants are.
	staleIfError = 30 * time.Second
	// readTimeout bounds one read of all tenants.
	readTimeout = 5 * time.Second
)

// Reader reads the tenants that a tree is made of.
type Reader interface {
	TenantTree(ctx context.Context) ([]store.Tenant, error)
}

// Snapshot keeps a recent [Tree]. Safe for concurrent use.
type Snapshot struct {
	store  Reader
	now    func() time.Time
	held   atomic.Pointer[dated]
	epoch  atomic.Int64 // grows with each Expire
	flight singleflight.Group
}

type dated struct {
	*Tree
	at    time.Time
	epoch int64 // of the snapshot when it was begun to be read
}

// recent returns what is held unless it is older than age, or was read before
// the last Expire: who reads may put it there after that.
func (s *Snapshot) recent(age time.Duration) *Tree {
	d := s.held.Load()
	if d == nil || d.epoch != s.epoch.Load() {
		return nil
	}
	if a := s.now().Sub(d.at); a < 0 || a >= age {
		return nil
	}
	return d.Tree
}

// NewSnapshot returns an empty snapshot; the first question reads the store.
func NewSnapshot(s Reader, now func() time.Time) *Snapshot {
	return &Snapshot{store: s, now: now}
}

// Tree returns a tree read at most maxAge ago.
func (s *Snapshot) Tree(ctx context.Context) (*Tree, error) { return s.within(ctx, maxAge) }

func (s *Snapshot) within(ctx context.Context, age time.Duration) (*Tree, error) {
	if t := s.recent(age); t != nil {
		return t, nil
	}
	done := s.flight.DoChan("", func() (any, error) {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), readTimeout)
		defer cancel()
		at, epoch := s.now(), s.epoch.Load()
		rows, err := s.store.TenantTree(ctx)
		if err != nil {
			return nil, fmt.Errorf("reading the tenants: %w", err)
		}
		d := &dated{NewTree(rows), at, epoch}
		s.held.Store(d)
		return d.Tree, nil
	})
	select {
	case r := <-done:
		if r.Err != nil && age == maxAge {
			if t := s.recent(staleIfError); t != nil {
				return t, nil
			}
		}
		t, _ := r.Val.(*Tree)
		return t, r.Err
	case <-ctx.Done():
		return nil, fmt.Errorf("waiting for the tenants: %w", ctx.Err())
	}
}

// Expire has the tree read again before it is asked the next time, and what is
// being read at the moment thrown away.
func (s *Snapshot) Expire() {
	s.epoch.Add(1)
	s.flight.Forget("")
}

// Contains reports whether tenant is ancestor or below it. When the snapshot
// says no it is read again unless it is quite new, since that is also the
// answer for a tenant it does not know yet.
func (s *Snapshot) Contains(ctx context.Context, ancestor, tenant string) (bool, error) {
	for _, age := range [...]time.Duration{maxAge, minAge} {
		t, err := s.within(ctx, age)
		if err != nil || t.Contains(ancestor, tenant) {
			return err == nil, err
		}
	}
	return false, nil
}

// Top returns the uuid of the top tenant, "" while there is none.
func (s *Snapshot) Top(ctx context.Context) (string, error) {
	t, err := s.Tree(ctx)
	if err != nil {
		return "", err
	}
	return t.Top(), nil
}

// Find returns the uuid of the tenant that id names by uuid or slug.
func (s *Snapshot) Find(ctx context.Context, id string) (uuid string, ok bool, err error) {
	for _, age := range [...]time.Duration{maxAge, minAge} {
		t, err := s.within(ctx, age)
		if err != nil {
			return "", false, err
		}
		if t.Has(id) {
			return id, true, nil
		}
		if uuid, ok := t.BySlug(id); ok {
			return uuid, true, nil
		}
	}
	return "", false, nil
}
