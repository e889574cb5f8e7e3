// Package revocation hears of what ends tokens early, wherever it was done,
// and tells the cache: the feed. It follows the store's revocation log, by
// being told of each entry where the database can do that, by reading it again
// and again where it cannot.
//
// What is promised: a revocation that was committed anywhere is refused here
// as soon as the feed delivers it, a few milliseconds later. While the feed is
// not heard, nothing in memory is served without asking the store again. When
// it is heard again, the log is read from before the loss, and nothing in it
// is missed.
//
// A loss counts from the last moment at which the feed was known to have told
// everything, not from when it was noticed: a network that swallows packets
// goes unnoticed for a while, and what was revoked meanwhile is not to be
// honoured for as much longer (ADR 10).
package revocation

import (
	"context"
	"errors"
	"log/slog"
	"math/rand/v2"
	"sync"
	"time"

	"github.com/google/uuid"

	"github.com/wazo-edge/xivo-auth/authsvc/store"
)

// Grants is the cache. See its methods.
type Grants interface {
	Revoke(tokens ...uuid.UUID)
	Doubt(before time.Time)
	DoubtUsers(users ...uuid.UUID)
	FeedLost()
	FeedLive(heard time.Time, validFor time.Duration)
	FeedOff()
}

// Tenants is the tenant tree in memory.
type Tenants interface{ Expire() }

// Store is what the feed needs of one.
type Store interface {
	store.Log
	State(ctx context.Context) (store.SchemaState, error)
}

// Config is what a feed is made of.
type Config struct {
	Store   Store
	Grants  Grants
	Tenants Tenants
	// Poll reads the log this often instead of listening. Default: listen,
	// and read every 250 ms where the database cannot tell.
	Poll time.Duration
	// Retention is how long entries of the log are kept. A node that hears
	// nothing for longer looks up everything again. Default one hour.
	Retention time.Duration
	Now       func() time.Time
	Log       *slog.Logger
}

const (
	// defaultPoll bounds how late a revocation is noticed without listening.
	defaultPoll = 250 * time.Millisecond
	// checkpoint is how often the place in the log is asked for from which to
	// read after a loss. It counts once the feed is known to have told what
	// was committed before the answer.
	checkpoint = 10 * time.Second
	// silence is how long a read of the log may go unanswered, as long as a
	// connection that listens may be silent before it counts as lost. For as
	// long the cache takes the feed for heard without being told so again:
	// whoever would tell it may be standing still (ADR 12).
	silence = 2 * time.Second
	// minPause and maxPause bound the wait before another attempt.
	minPause = 20 * time.Millisecond
	maxPause = 2 * time.Second
	// pruneEvery is how often old entries are removed, by every node.
	pruneEvery = 5 * time.Minute
	// tellEvery is how often it is told why the feed is not heard.
	tellEvery = time.Minute
)

// State tells how the feed is. It is a closed set, fit for a metric label.
type State string

// The states.
const (
	// Waiting is before it was heard for the first time.
	Waiting State = "waiting"
	Live    State = "live"
	Lost    State = "lost"
)

// Status is the feed at one moment.
type Status struct {
	State State
	// Mode is "listen" or "poll".
	Mode  string
	Since time.Time // of the state
	// Changes counts what was delivered, Losses how often the feed was lost.
	Changes, Losses uint64
	Err             string // why it is not live
}

// Feed follows the log. Use [New].
type Feed struct {
	cfg Config

	mu     sync.Mutex
	status Status
	from   store.Position // to read from after a loss
	known  bool           // from is a place in the log
	end    store.Position // of the log, as asked for last
	ended  time.Time      // when that was answered; zero when it was made use of
	told   time.Time      // when it was told last why it is not heard

	restart func(error) // ends the listening, to begin anew
}

// New returns a feed that does nothing before [Feed.Run].
func New(cfg Config) *Feed {
	if cfg.Retention <= 0 {
		cfg.Retention = time.Hour
	}
	mode := "listen"
	if cfg.Poll > 0 {
		mode = "poll"
	}
	return &Feed{cfg: cfg, status: Status{State: Waiting, Mode: mode, Since: cfg.Now()}}
}

// Status returns how the feed is.
func (f *Feed) Status() Status {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.status
}

// Run follows the log until ctx is done.
func (f *Feed) Run(ctx context.Context) {
	f.cfg.Grants.FeedLost() // nothing has been heard yet
	if !f.install(ctx) {
		return
	}
	var others sync.WaitGroup
	defer others.Wait()
	others.Go(func() { f.prune(ctx) })
	poll := f.cfg.Poll
	if poll <= 0 {
		if f.listen(ctx); ctx.Err() != nil {
			return
		}
		poll = defaultPoll
		f.mu.Lock()
		f.status.Mode = "poll"
		f.mu.Unlock()
	}
	f.poll(ctx, poll)
}

// install makes sure that there is a log, once the service's own schema is
// there: a database that is not ours is not touched.
func (f *Feed) install(ctx context.Context) bool {
	off := false // as with the feed off
	for pause := minPause; ; pause = min(2*pause, maxPause) {
		state, err := f.cfg.Store.State(ctx)
		if err == nil && state == store.SchemaCurrent {
			if err = f.cfg.Store.InstallLog(ctx); err == nil {
				if off {
					f.cfg.Grants.FeedLost() // from here on it is heard, or nothing is trusted
				}
				return true
			}
		}
		if ctx.Err() != nil {
			return false
		}
		if errors.Is(err, store.ErrSchema) && !off {
			off = true
			f.cfg.Grants.FeedOff()
			f.cfg.Log.Warn("the revocation feed cannot be installed: what is revoked elsewhere is noticed within max_age only", slog.Any("error", err))
		}
		switch {
		case err == nil:
		case off:
			f.mu.Lock()
			f.status.Err = err.Error()
			f.mu.Unlock()
		default:
			f.lost(err)
		}
		if !wait(ctx, pause) {
			return false
		}
	}
}

// poll reads the log again and again.
func (f *Feed) poll(ctx context.Context, every time.Duration) {
	for {
		if err := f.pollOnce(ctx, every+silence); err != nil && ctx.Err() == nil {
			f.lost(err)
		}
		if !wait(ctx, every) {
			return
		}
	}
}

// pollOnce takes a read that is not answered for a loss while the feed is live;
// afterwards it has as long as the store allows, to catch up with much.
func (f *Feed) pollOnce(ctx context.Context, validFor time.Duration) error {
	if f.Status().State == Live {
		var cancel func()
		ctx, cancel = context.WithTimeout(ctx, silence)
		defer cancel()
	}
	return f.catchUp(ctx, validFor)
}

// catchUp reads what the log has that was not read yet, and then the feed is
// live. The first time there is nothing to read: whatever is in memory from
// before is looked up again.
func (f *Feed) catchUp(ctx context.Context, validFor time.Duration) error {
	f.mu.Lock()
	from, known := f.from, f.known
	f.mu.Unlock()
	asked := f.cfg.Now()
	if !known {
		end, err := f.cfg.Store.LogEnd(ctx)
		if err != nil {
			return err
		}
		f.cfg.Grants.Doubt(f.cfg.Now())
		f.cfg.Tenants.Expire()
		f.live(end, asked, validFor)
		return nil
	}
	changes, next, gap, err := f.cfg.Store.ReadLog(ctx, from)
	if err != nil {
		return err
	}
	if gap {
		f.cfg.Log.Warn("the revocation log does not go on where this node had read (it was pruned, or the database restarted or replaced): all tokens in memory are looked up again")
		f.deliver(store.Change{Kind: store.Everything})
	}
	for _, c := range changes {
		f.deliver(c)
	}
	f.live(next, asked, validFor)
	return nil
}

// deliver tells the cache of one change.
func (f *Feed) deliver(c store.Change) {
	f.mu.Lock()
	f.status.Changes++
	f.mu.Unlock()
	switch c.Kind {
	case store.TokensEnded:
		f.cfg.Grants.Revoke(ids(c.IDs)...)
	case store.UsersChanged:
		f.cfg.Grants.DoubtUsers(ids(c.IDs)...)
	case store.TenantsChanged:
		f.cfg.Tenants.Expire()
	default: // rows that never change did, or a newer version tells what this one does not know
		f.cfg.Grants.Doubt(f.cfg.Now())
		f.cfg.Tenants.Expire()
	}
}

// ids leaves out what is no uuid: no token in memory is spelled otherwise.
func ids(texts []string) []uuid.UUID {
	list := make([]uuid.UUID, 0, len(texts))
	for _, text := range texts {
		if id, err := uuid.Parse(text); err == nil {
			list = append(list, id)
		}
	}
	return list
}

// live is called when everything committed before heard was delivered, and
// whatever the log has from a place on is or will be. validFor is how long that
// may be taken for hearing.
func (f *Feed) live(from store.Position, heard time.Time, validFor time.Duration) {
	f.mu.Lock()
	was := f.status
	f.from, f.known, f.ended = from, true, time.Time{}
	if was.State != Live {
		f.status.State, f.status.Since, f.status.Err = Live, f.cfg.Now(), ""
	}
	f.cfg.Grants.FeedLive(heard, validFor) // under the lock, so that the status says nothing else
	f.mu.Unlock()
	if was.State != Live {
		f.cfg.Log.Info("the revocation feed is live", slog.String("mode", was.Mode))
	}
}

// lost notes why the feed is not heard. It is told when that begins, and again
// now and then: the reason may have become another, such as a pooler that came
// up where a database was.
func (f *Feed) lost(err error) {
	f.mu.Lock()
	now, was := f.cfg.Now(), f.status.State
	f.status.Err = err.Error()
	if was == Live {
		f.status.State, f.status.Since = Lost, now
		f.status.Losses++
		f.cfg.Grants.FeedLost()
	}
	tell := was == Live || f.told.IsZero() || now.Sub(f.told) >= tellEvery
	if tell {
		f.told = now
	}
	f.mu.Unlock()
	switch {
	case !tell:
	case was == Waiting:
		f.cfg.Log.Warn("the revocation feed is not heard yet: until it is, every token is looked up each time it is used", slog.Any("error", err))
	default:
		f.cfg.Log.Warn("the revocation feed is lost: until it is back, every token is looked up each time it is used", slog.Any("error", err))
	}
}

// prune removes old entries, now and then.
func (f *Feed) prune(ctx context.Context) {
	for wait(ctx, pruneEvery/2+rand.N(pruneEvery)) { // not all nodes at once
		if _, err := f.cfg.Store.PruneLog(ctx, f.cfg.Now().Add(-f.cfg.Retention)); err != nil && ctx.Err() == nil {
			f.cfg.Log.Warn("pruning the revocation log", slog.Any("error", err))
		}
	}
}

// wait sleeps and reports whether ctx is not done.
func wait(ctx context.Context, d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return ctx.Err() == nil
	case <-ctx.Done():
		return false
	}
}
