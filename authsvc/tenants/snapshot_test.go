package tenants_test

import (
	"context"
	"errors"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/wazo-edge/xivo-auth/authsvc/store"
	"github.com/wazo-edge/xivo-auth/authsvc/tenants"
)

var errDown = errors.New("connection refused")

// table is a store of tenants.
type table struct {
	rows  []store.Tenant
	err   error
	reads atomic.Int64
	hold  chan struct{}
}

func (s *table) TenantTree(context.Context) ([]store.Tenant, error) {
	s.reads.Add(1)
	if s.hold != nil {
		<-s.hold
	}
	return s.rows, s.err
}

// script is a snapshot, its store and its clock.
type script struct {
	*testing.T
	*tenants.Snapshot
	store *table
	now   time.Time
}

func newScript(t *testing.T) *script {
	s := &script{T: t, now: time.Unix(1_700_000_000, 0), store: &table{rows: []store.Tenant{
		{UUID: "top", Parent: "top", Slug: "master"}, {UUID: "a", Parent: "top", Slug: "acme"},
	}}}
	s.Snapshot = tenants.NewSnapshot(s.store, func() time.Time { return s.now })
	return s
}

func (s *script) contains(tenant string, want bool, wantErr error, reads int64) {
	s.Helper()
	ok, err := s.Contains(s.Context(), "top", tenant)
	if ok != want || !errors.Is(err, wantErr) || s.store.reads.Load() != reads {
		s.Fatalf("Contains(%q) = %v, %v after %d reads; want %v, %v, %d", tenant, ok, err, s.store.reads.Load(), want, wantErr, reads)
	}
}

func (s *script) add(uuid string) {
	s.store.rows = append(s.store.rows, store.Tenant{UUID: uuid, Parent: "top", Slug: "slug-" + uuid})
}

func TestSnapshot(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name string
		run  func(s *script)
	}{
		{"read once while it is fresh", func(s *script) {
			s.contains("a", true, nil, 1)
			s.now = s.now.Add(5*time.Second - 1)
			s.contains("a", true, nil, 1)
			s.now = s.now.Add(1)
			s.contains("a", true, nil, 2)
		}},
		{"a new tenant is found after a second", func(s *script) {
			s.contains("a", true, nil, 1)
			s.add("b")
			s.now = s.now.Add(time.Second - 1)
			s.contains("b", false, nil, 1)
			s.now = s.now.Add(1)
			s.contains("b", true, nil, 2)
		}},
		{"asking for nobody reads once a second", func(s *script) {
			for range 100 {
				s.contains("nobody", false, nil, 1)
			}
			for range 5 {
				s.now = s.now.Add(time.Second)
				reads := s.store.reads.Load() + 1
				for range 100 {
					s.contains("nobody", false, nil, reads)
				}
			}
		}},
		{"a removed tenant is gone with the next read", func(s *script) {
			s.contains("a", true, nil, 1)
			s.store.rows = s.store.rows[:1]
			s.now = s.now.Add(5 * time.Second)
			s.contains("a", false, nil, 2)
		}},
		{"store down at first", func(s *script) {
			s.store.err = errDown
			s.contains("a", false, errDown, 1)
			s.store.err = nil
			s.contains("a", true, nil, 2)
		}},
		{"store down later: stale for what it says", func(s *script) {
			s.contains("a", true, nil, 1)
			s.store.err = errDown
			s.now = s.now.Add(30*time.Second - 1)
			s.contains("a", true, nil, 2)
			s.now = s.now.Add(1)
			s.contains("a", false, errDown, 3)
		}},
		{"store down later: nothing for what it lacks", func(s *script) {
			s.contains("a", true, nil, 1)
			s.store.err = errDown
			s.now = s.now.Add(time.Second)
			s.contains("nobody", false, errDown, 2)
			s.contains("a", true, nil, 2)
		}},
		{"the clock steps back", func(s *script) {
			s.contains("a", true, nil, 1)
			s.now = s.now.Add(-time.Hour)
			s.contains("a", true, nil, 2)
			s.now = s.now.Add(-time.Hour)
			s.store.err = errDown
			s.contains("a", false, errDown, 3)
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			c.run(newScript(t))
		})
	}
}

func TestSnapshot_Find(t *testing.T) {
	t.Parallel()
	s := newScript(t)
	for _, c := range []struct {
		name, id, uuid string
		ok             bool
	}{
		{"by uuid", "a", "a", true}, {"by slug", "acme", "a", true}, {"nobody", "b", "", false},
		{"spelling", "ACME", "", false}, {"nothing", "", "", false},
	} {
		if uuid, ok, err := s.Find(t.Context(), c.id); uuid != c.uuid || ok != c.ok || err != nil {
			t.Errorf("%s: Find(%q) = %q, %v, %v", c.name, c.id, uuid, ok, err)
		}
	}
	s.add("b")
	s.now = s.now.Add(time.Second)
	if uuid, ok, err := s.Find(t.Context(), "slug-b"); uuid != "b" || !ok || err != nil {
		t.Errorf("a new tenant: %q, %v, %v", uuid, ok, err)
	}
	s.store.err = errDown
	s.now = s.now.Add(time.Second)
	if _, ok, err := s.Find(t.Context(), "c"); ok || !errors.Is(err, errDown) {
		t.Errorf("with the store down: %v, %v", ok, err)
	}
	if tree, err := s.Tree(t.Context()); err != nil || !tree.Has("b") {
		t.Errorf("Tree: %v", err)
	}
}

// TestSnapshot_OneReadForAll: those who wait share one read, and the first who
// leaves does not end it.
func TestSnapshot_OneReadForAll(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := newScript(t)
		s.store.hold = make(chan struct{})
		first, leave := context.WithCancel(t.Context())
		var firstErr error
		go func() { _, firstErr = s.Contains(first, "top", "a") }()
		synctest.Wait()
		var found atomic.Int64
		for range 1000 {
			go func() {
				if ok, err := s.Contains(t.Context(), "top", "a"); ok && err == nil {
					found.Add(1)
				}
			}()
		}
		synctest.Wait()
		leave()
		synctest.Wait()
		if !errors.Is(firstErr, context.Canceled) {
			t.Errorf("who left got %v", firstErr)
		}
		close(s.store.hold)
		synctest.Wait()
		if found.Load() != 1000 || s.store.reads.Load() != 1 {
			t.Errorf("%d of 1000 found it, with %d reads", found.Load(), s.store.reads.Load())
		}
	})
}

// TestSnapshot_Expire: a tenant was moved, and what is being read meanwhile may
// show it where it was. Who asks after that is not answered from it.
func TestSnapshot_Expire(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := newScript(t)
		s.contains("a", true, nil, 1)
		s.contains("a", true, nil, 1)
		s.Expire()
		s.store.hold = make(chan struct{})
		go func() { _, _ = s.Contains(t.Context(), "top", "a") }()
		synctest.Wait()
		s.Expire()
		close(s.store.hold)
		synctest.Wait()
		s.store.hold = nil
		s.contains("a", true, nil, 3)
		s.contains("a", true, nil, 3)
		// Nor is it while the store cannot be asked.
		s.Expire()
		s.store.err = errDown
		s.contains("a", false, errDown, 4)
	})
}
