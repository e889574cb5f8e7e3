package password

import (
	"cmp"
	"context"
	"errors"
	"slices"
	"sync"
	"time"

	"github.com/wazo-edge/xivo-auth/authsvc/client"
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

// queue hands the slots out, to clients in turn: a storm of logins must cost
// those who make it, and neither memory, nor the checks of tokens, which need
// no slot, nor the logins of others. One client may fill the queue while it is
// alone, as a whole company behind one address does on a Monday; who comes when
// it is full takes the place of the last one of whoever holds most, and waits
// for one password of each other client at most. So nobody is kept out by fewer
// addresses than there are places (a login storm from one address kept all
// others at 503). What is for no client, as on the command line, counts as one.
type queue struct {
	slots int

	mu      sync.Mutex
	running int
	waiting int
	lines   []*line // of those who wait; whose turn is next first
}

// line is those that wait of one client, who came first first. It is never
// empty.
type line struct {
	of      string // which client
	waiters []*waiter
}

// waiter is told once: nil when it has a slot, [ErrBusy] when its place went to
// somebody else.
type waiter struct {
	line *line
	told chan error
}

// places is how many may wait.
func (q *queue) places() int { return queuePerSlot * q.slots }

// full reports whether one more password of a client would be refused at once.
func (q *queue) full(who string) bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	return q.running == q.slots && q.waiting >= q.places() && q.outdone(q.line(who)) == nil
}

// line is the one of a client, nil when he does not wait.
func (q *queue) line(who string) *line {
	for _, l := range q.lines {
		if l.of == who {
			return l
		}
	}
	return nil
}

// outdone is the longest line, if it would be no shorter than mine after one of
// it gave its place up to mine. Two clients cannot take a place from each other
// in turns.
func (q *queue) outdone(mine *line) *line {
	have := 0
	if mine != nil {
		have = len(mine.waiters)
	}
	longest := slices.MaxFunc(q.lines, func(a, b *line) int { return cmp.Compare(len(a.waiters), len(b.waiters)) })
	if len(longest.waiters) < have+2 {
		return nil
	}
	return longest
}

// acquire takes a slot, waiting for one. It takes time proportional to the
// number of clients that wait.
func (q *queue) acquire(ctx context.Context) (release func(), err error) {
	w, err := q.enter(client.From(ctx))
	if err != nil {
		return nil, err
	}
	if w == nil {
		return q.release, nil
	}
	deadline := time.NewTimer(queueWait)
	defer deadline.Stop()
	select {
	case err := <-w.told:
		if err != nil {
			return nil, err
		}
		return q.release, nil
	case <-deadline.C:
		err = ErrBusy
	case <-ctx.Done():
		err = ctx.Err()
	}
	q.leave(w)
	return nil, err
}

// enter takes a free slot, or a place in the queue: then the waiter is not nil.
func (q *queue) enter(who string) (*waiter, error) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.running < q.slots { // nobody waits
		q.running++
		return nil, nil //nolint:nilnil // there is nothing to wait for
	}
	mine := q.line(who)
	if q.waiting >= q.places() {
		most := q.outdone(mine)
		if most == nil {
			return nil, ErrBusy
		}
		last := most.waiters[len(most.waiters)-1]
		q.remove(last)
		last.told <- ErrBusy
	}
	if mine == nil {
		mine = &line{of: who}
		q.lines = append(q.lines, mine)
	}
	w := &waiter{line: mine, told: make(chan error, 1)}
	mine.waiters = append(mine.waiters, w)
	q.waiting++
	return w, nil
}

// release passes a slot on to whose turn it is, or gives it back.
func (q *queue) release() {
	q.mu.Lock()
	defer q.mu.Unlock()
	if len(q.lines) == 0 {
		q.running--
		return
	}
	l := q.lines[0]
	w := l.waiters[0]
	q.lines = append(slices.Delete(q.lines, 0, 1), l) // its turn is last
	q.remove(w)
	w.told <- nil
}

// leave takes w out, who waits no longer, and passes the slot on that it may
// have got meanwhile.
func (q *queue) leave(w *waiter) {
	q.mu.Lock()
	if slices.Contains(w.line.waiters, w) {
		q.remove(w)
	}
	q.mu.Unlock()
	select {
	case err := <-w.told:
		if err == nil {
			q.release()
		}
	default:
	}
}

// remove takes w out of its line, and that out when nobody is left in it:
// nothing is kept of clients who do not wait.
func (q *queue) remove(w *waiter) {
	l := w.line
	i := slices.Index(l.waiters, w)
	l.waiters = slices.Delete(l.waiters, i, i+1)
	q.waiting--
	if len(l.waiters) == 0 {
		i := slices.Index(q.lines, l)
		q.lines = slices.Delete(q.lines, i, i+1)
	}
}
