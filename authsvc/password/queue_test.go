package password

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/wazo-edge/xivo-auth/authsvc/client"
)

// compute takes a slot, as if a hash were being computed, until end is called.
func compute(t *testing.T, k *Checker) (end func()) {
	t.Helper()
	end, err := k.queue.acquire(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return end
}

// storm is what becomes of passwords: whose got the slot, which is given back at
// once, in their order, and how many of whom were refused.
type storm struct {
	mu      sync.Mutex
	granted []string
	refused map[string]int
}

// send has n passwords of each client ask for the slot, one by one.
func (s *storm) send(ctx context.Context, k *Checker, n int, addrs ...string) {
	for range n {
		for _, addr := range addrs {
			go func() {
				release, err := k.queue.acquire(client.With(ctx, addr))
				s.mu.Lock()
				defer s.mu.Unlock()
				if err != nil {
					s.refused[addr]++
					return
				}
				s.granted = append(s.granted, addr)
				release()
			}()
			synctest.Wait() // in this order
		}
	}
}

// TestChecker_Queue: a storm of logins is turned away instead of piling up, and
// nobody waits for ever.
func TestChecker_Queue(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		k := NewChecker(1)
		end := compute(t, k) // a hash that never ends
		began := time.Now()
		waiting := make(chan error, queuePerSlot)
		for range queuePerSlot {
			go func() {
				_, err := k.Check(t.Context(), "x", "", nil)
				waiting <- err
			}()
		}
		if k.Full(t.Context()) {
			t.Error("full before anybody waits")
		}
		synctest.Wait()
		if _, err := k.Check(t.Context(), "x", "", nil); !errors.Is(err, ErrBusy) || time.Since(began) != 0 || !k.Full(t.Context()) {
			t.Errorf("with a full queue: %v after %v, full: %v", err, time.Since(began), k.Full(t.Context()))
		}
		for range queuePerSlot {
			if err := <-waiting; !errors.Is(err, ErrBusy) || time.Since(began) != queueWait {
				t.Errorf("in the queue: %v after %v", err, time.Since(began))
			}
		}
		end()
		if _, err := k.Check(t.Context(), "x", "", nil); err != nil {
			t.Errorf("afterwards: %v", err)
		}
		empty(t, k)
	})
}

// TestChecker_Clients: nobody is kept from logging in by who fills the queue
// from other addresses: he gets a place, and his turn after one password of
// each of them.
func TestChecker_Clients(t *testing.T) {
	t.Parallel()
	const victim = "192.0.2.1"
	for _, c := range []struct {
		name      string
		attackers []string
	}{
		{"one address", []string{"198.51.100.1"}},
		{"four addresses", []string{"198.51.100.1", "198.51.100.2", "198.51.100.3", "198.51.100.4"}},
		{"one /64", []string{"2001:db8::1", "2001:db8::2", "2001:db8::ffff:3"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				k := NewChecker(1)
				end := compute(t, k)
				s := &storm{refused: map[string]int{}}
				s.send(t.Context(), k, 64, c.attackers...)
				clients := map[string]bool{}
				for _, addr := range c.attackers {
					clients[client.Of(addr)] = true
					if !k.Full(client.With(t.Context(), addr)) {
						t.Errorf("%s is not refused before anything is looked up for it", addr)
					}
				}
				if k.Full(client.With(t.Context(), victim)) {
					t.Error("the victim is refused before anything is looked up for him")
				}
				s.send(t.Context(), k, 1, victim)
				if s.refused[victim] != 0 {
					t.Fatal("the victim is refused")
				}
				end()
				synctest.Wait()
				turn := 0
				for i, addr := range s.granted {
					if addr == victim {
						turn = i + 1
					}
				}
				if turn == 0 || turn > len(clients)+1 {
					t.Errorf("the victim's turn is number %d of %v", turn, s.granted)
				}
				if len(s.granted) != queuePerSlot {
					t.Errorf("%d waited, want as many as there are places", len(s.granted))
				}
				empty(t, k)
			})
		})
	}
}

// TestChecker_Displaced: who gives his place up is told at once, it is the one
// who came last, and nobody gives one up to a client that holds as many.
func TestChecker_Displaced(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		k := NewChecker(1)
		end := compute(t, k)
		began := time.Now()
		s := &storm{refused: map[string]int{}}
		s.send(t.Context(), k, queuePerSlot, "a")
		s.send(t.Context(), k, queuePerSlot, "b")
		if s.refused["a"] != queuePerSlot/2 || s.refused["b"] != queuePerSlot/2 || time.Since(began) != 0 {
			t.Errorf("refused %v after %v, want half of each at once", s.refused, time.Since(began))
		}
		end()
		synctest.Wait()
		for i, who := range s.granted {
			if want := []string{"a", "b"}[i%2]; who != want {
				t.Fatalf("turns %v, want them one by one", s.granted)
			}
		}
		empty(t, k)
	})
}

// TestChecker_GivesUp: whoever stops waiting at whatever moment leaves neither
// his place nor his slot taken.
func TestChecker_GivesUp(t *testing.T) {
	t.Parallel()
	k := NewChecker(2)
	var all sync.WaitGroup
	for i := range 400 {
		all.Go(func() {
			ctx, cancel := context.WithCancel(client.With(t.Context(), fmt.Sprint(i%7)))
			defer cancel()
			if i%2 == 0 {
				go cancel()
			}
			if release, err := k.queue.acquire(ctx); err == nil {
				release()
			}
		})
	}
	all.Wait()
	empty(t, k)
}

// empty proves that nothing is kept of those who are gone.
func empty(t *testing.T, k *Checker) {
	t.Helper()
	k.queue.mu.Lock()
	defer k.queue.mu.Unlock()
	if k.queue.running != 0 || k.queue.waiting != 0 || len(k.queue.lines) != 0 {
		t.Errorf("in the end %d run, %d wait, %d lines", k.queue.running, k.queue.waiting, len(k.queue.lines))
	}
}
