package cache

import (
	"sync"
	"sync/atomic"
	"time"
)

// steady is the clock by which the cache tells how long ago something was, and
// what came first. It goes on like the monotonic clock when somebody sets the
// wall clock back, so that nothing is honoured for longer than it should be or
// passes for newer than what took its place. It follows the wall clock when
// that leaps ahead: a machine that was suspended has a monotonic clock that
// slept, too. Safe for concurrent use; make it with newSteady.
type steady struct {
	base time.Time

	skew  atomic.Int64 // how far the wall clock has gone ahead of the monotonic one
	ahead atomic.Int64 // the sum of its leaps forward

	mu   sync.Mutex
	last time.Duration // on the monotonic clock: when it was last seen to leap
}

// maxSlew is what the two clocks may part without somebody having set one.
// They are slewed together, so seconds would have to be missing.
const maxSlew = time.Second

func newSteady(now time.Time) *steady { return &steady{base: now} }

// at returns where the clock stood when the service's clock said now, which it
// did a moment ago at most. It neither allocates nor takes a lock while nobody
// sets the wall clock.
func (s *steady) at(now time.Time) time.Time {
	// Sub uses the monotonic clock where both times have a reading of it; the
	// clocks of tests have none, and then this is the wall clock.
	monotonic := now.Sub(s.base)
	origin := s.base.Round(0)
	ahead := s.ahead.Load()
	skew := now.Round(0).Sub(origin) - monotonic
	if d := skew - time.Duration(s.skew.Load()); d > maxSlew || d < -maxSlew {
		ahead = s.leap(monotonic, skew)
	}
	return origin.Add(monotonic + time.Duration(ahead))
}

// leap notes that the wall clock was set.
func (s *steady) leap(monotonic, skew time.Duration) (ahead int64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	d := skew - time.Duration(s.skew.Load())
	if monotonic < s.last { // it was read before, by somebody who is late
		return s.ahead.Load() - int64(max(0, -d))
	}
	if d > maxSlew {
		s.ahead.Add(int64(d))
	}
	if d > maxSlew || d < -maxSlew {
		s.skew.Store(int64(skew))
		s.last = monotonic
	}
	return s.ahead.Load()
}
