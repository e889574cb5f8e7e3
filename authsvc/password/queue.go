package password

import (
	"context"
	"errors"
	"time"
)

// ErrBusy reports that too many passwords wait to be checked, or that one
// waited for too long. Nothing was concluded about it.
var ErrBusy = errors.New("too many passwords to check")

const (
	// queuePerSlot bounds how many wait for one core: at a tenth of a second
	// each, the last of them waits for about queueWait.
	queuePerSlot = 32
	// queueWait is the longest a password waits for a core. Whoever waits
	// longer has a client that gave up.
	queueWait = 5 * time.Second
)

// Full reports whether a password would be refused with [ErrBusy] at once: for
// those who have something to do before they check it, which a storm of logins
// had better not cost. What follows may come out otherwise.
func (c *Checker) Full() bool {
	return len(c.slots) == cap(c.slots) && c.waiting.Load() >= c.places()
}

// places is how many may wait.
func (c *Checker) places() int64 { return int64(queuePerSlot * cap(c.slots)) }

// acquire takes a slot, waiting for one in a bounded queue: a storm of logins
// must cost those who make it, and neither memory nor the checks of tokens,
// which need no slot.
func (c *Checker) acquire(ctx context.Context) (release func(), err error) {
	release = func() { <-c.slots }
	select {
	case c.slots <- struct{}{}:
		return release, nil
	default:
	}
	if c.waiting.Add(1) > c.places() {
		c.waiting.Add(-1)
		return nil, ErrBusy
	}
	defer c.waiting.Add(-1)
	deadline := time.NewTimer(queueWait)
	defer deadline.Stop()
	select {
	case c.slots <- struct{}{}:
		return release, nil
	case <-deadline.C:
		return nil, ErrBusy
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}
