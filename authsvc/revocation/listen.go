package revocation

import (
	"context"
	"errors"
	"time"

	"github.com/wazo-edge/xivo-auth/authsvc/store"
)

// errElsewhere is why a connection that listens is given up that is fine.
var errElsewhere = errors.New("the database is not the one that the connection listens to: it was restarted, or another took its place")

// listen is told of changes until ctx is done or the database cannot tell.
func (f *Feed) listen(ctx context.Context) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	go f.checkpoints(ctx)
	for pause := minPause; ; pause = min(2*pause, maxPause) {
		ready, err := f.listenOnce(ctx)
		if ready {
			pause = minPause
		}
		if errors.Is(err, errors.ErrUnsupported) || ctx.Err() != nil {
			return
		}
		f.lost(err)
		if !wait(ctx, pause) {
			return
		}
	}
}

func (f *Feed) listenOnce(ctx context.Context) (ready bool, err error) {
	ctx, end := context.WithCancelCause(ctx)
	defer end(nil)
	f.mu.Lock()
	f.restart = end
	f.mu.Unlock()
	l := listener{f: f, ctx: ctx}
	err = f.cfg.Store.Listen(ctx, &l)
	if cause := context.Cause(ctx); errors.Is(cause, errElsewhere) {
		err = cause
	}
	return l.ready, err
}

// listener is the feed while the store tells it.
type listener struct {
	f     *Feed
	ctx   context.Context
	ready bool
}

func (l *listener) Ready() error {
	err := l.f.catchUp(l.ctx, silence)
	l.ready = err == nil
	return err
}

func (l *listener) Changed(c store.Change) { l.f.deliver(c) }

// Alive lets the feed be heard, and a checkpoint count that was passed on the
// way: everything that is not read from there on was told.
func (l *listener) Alive(ago time.Duration) {
	f := l.f
	heard := f.cfg.Now().Add(-ago)
	f.mu.Lock()
	defer f.mu.Unlock()
	if !f.ended.IsZero() && f.ended.Before(heard) {
		f.from, f.ended = f.end, time.Time{}
	}
	f.cfg.Grants.FeedLive(heard, silence)
}

// checkpoints asks for places in the log. Where the answer is from another
// server than the log was read from, the connection that listens is still with
// that one, which may well be alive and out of use: nobody revokes there.
func (f *Feed) checkpoints(ctx context.Context) {
	for wait(ctx, checkpoint) {
		end, err := f.cfg.Store.LogEnd(ctx)
		if err != nil {
			continue
		}
		f.mu.Lock()
		switch {
		case f.status.State != Live:
		case end.History != f.from.History:
			f.restart(errElsewhere)
		default:
			f.end, f.ended = end, f.cfg.Now()
		}
		f.mu.Unlock()
	}
}
