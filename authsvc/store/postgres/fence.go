package postgres

import (
	"context"
	"crypto/rand"
	"database/sql"
	"log/slog"
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	"github.com/wazo-edge/xivo-auth/authsvc/store"
)

const (
	// sqlFence commits an entry of the revocation log that revokes nothing:
	// whoever has it has all that was committed before.
	sqlFence = `select xivo_edge_announce('fence', array[$1])`
	// kindFence is its kind. Nobody but fences hears of it.
	kindFence store.ChangeKind = "fence"
	// refence is how long a node hears of nothing before it writes a fence: the
	// entry it knows would be pruned some day, and no replica have it.
	refence = time.Minute
)

// fence keeps [replica.heard] for as long as one connection listens. Its
// methods belong to the goroutine that does; a nil one does nothing.
//
// Notifications arrive in the order of commits, so the latest stands for all.
// Not so what was read of the log while this began: between its entries and the
// first notifications there is no order. So nothing counts before a fence is
// heard that was written when all of them had been delivered.
type fence struct {
	replica *replica
	primary *sql.DB
	nonce   string
	passed  bool      // our fence was heard
	last    time.Time // when something was heard last, while passed
	writing atomic.Bool
	told    atomic.Bool // that it cannot be written
}

// newFence returns nil where there is no replica.
func newFence(r *replica, primary *sql.DB) *fence {
	if r == nil {
		return nil
	}
	return &fence{replica: r, primary: primary, nonce: rand.Text()}
}

// write has the fence written when one is needed, without waiting for it:
// revocations are delivered meanwhile.
func (f *fence) write(ctx context.Context) {
	if f == nil || f.passed && time.Since(f.last) < refence || !f.writing.CompareAndSwap(false, true) {
		return
	}
	go func() {
		defer f.writing.Store(false)
		ctx, cancel := context.WithTimeout(ctx, heartbeat)
		defer cancel()
		_, err := f.primary.ExecContext(ctx, sqlFence, f.nonce)
		if err != nil && ctx.Err() == nil && !f.told.Swap(true) {
			f.replica.log.Warn("the read replica is not used: no fence can be written to the revocation log", slog.Any("error", err))
		}
	}()
}

// hear notes an entry before it is delivered: a read of a token that begins
// after that has to have it.
func (f *fence) hear(n notice) {
	if f == nil || n.Kind == kindFence && n.pos == 0 { // an echo, which is of no entry
		return
	}
	if n.Kind == kindFence && len(n.IDs) == 1 && n.IDs[0] == f.nonce {
		f.passed = true
		f.alive(time.Now())
	}
	if !f.passed {
		return
	}
	if n.pos == 0 { // by triggers of another version
		f.end()
		return
	}
	f.last = time.Now()
	f.replica.heard.Store(n.pos)
}

// alive notes that everything committed before a moment was heard. Without that,
// a process that was stopped for an hour, or a machine that was suspended for one,
// would go on with what it knew.
func (f *fence) alive(at time.Time) {
	if f != nil {
		f.replica.known.Store(&at)
	}
}

// end forgets what was heard: from now on, something may be missed.
func (f *fence) end() {
	if f == nil {
		return
	}
	f.passed = false
	f.replica.heard.Store(0)
}

// notice is a notification.
type notice struct {
	store.Change
	pos int64 // the transaction that it tells of, 0 when it does not say
}

// parseNotice reads the text that xivo_edge_announce sends: the kind, the
// transaction, uuids.
func parseNotice(text string) (n notice) {
	words := strings.Fields(text)
	if len(words) == 0 {
		return n
	}
	n.Kind, words = store.ChangeKind(words[0]), words[1:]
	if len(words) > 0 {
		if pos, err := strconv.ParseInt(words[0], 10, 64); err == nil && pos > 0 {
			n.pos, words = pos, words[1:]
		}
	}
	n.IDs = words
	return n
}
