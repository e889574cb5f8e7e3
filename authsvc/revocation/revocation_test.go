package revocation_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/uuid"

	"github.com/wazo-edge/xivo-auth/authsvc/revocation"
	"github.com/wazo-edge/xivo-auth/authsvc/store"
)

// fakeLog is a log in memory, with faults.
type fakeLog struct {
	mu         sync.Mutex
	entries    []store.Change
	pruned     int
	down       error
	installErr error
	listenErr  error
	history    string
	noListen   bool
	listeners  map[*listener]bool
	reads      []store.Position
}

type listener struct {
	store.Listener
	cut   chan struct{}
	alive chan time.Duration
}

func (l *fakeLog) State(context.Context) (store.SchemaState, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return store.SchemaCurrent, l.down
}

func (l *fakeLog) InstallLog(context.Context) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	return errors.Join(l.down, l.installErr)
}
func (l *fakeLog) RemoveLog(context.Context) error { return nil }

func (l *fakeLog) LogEnd(context.Context) (store.Position, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.end(), l.down
}

func (l *fakeLog) ReadLog(_ context.Context, from store.Position) ([]store.Change, store.Position, bool, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.down != nil {
		return nil, store.Position{}, false, l.down
	}
	l.reads = append(l.reads, from)
	return slices.Clone(l.entries[max(int(from.At), l.pruned):]), l.end(), int(from.At) < l.pruned, nil
}

func (l *fakeLog) end() store.Position {
	return store.Position{History: l.history, At: int64(len(l.entries))}
}

func (l *fakeLog) PruneLog(context.Context, time.Time) (int, error) { return 0, nil }

func (l *fakeLog) Listen(ctx context.Context, told store.Listener) error {
	l.mu.Lock()
	if l.noListen {
		l.mu.Unlock()
		return fmt.Errorf("listening: %w", errors.ErrUnsupported)
	}
	if err := errors.Join(l.down, l.listenErr); err != nil {
		l.mu.Unlock()
		return err
	}
	me := &listener{told, make(chan struct{}), make(chan time.Duration)}
	l.listeners[me] = true
	l.mu.Unlock()
	if err := told.Ready(); err != nil {
		return err
	}
	for {
		select {
		case ago := <-me.alive:
			told.Alive(ago)
		case <-me.cut:
			return errors.New("cut")
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// beat has those who listen told that the connection was alive some time ago.
func (l *fakeLog) beat(ago time.Duration) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for listener := range l.listeners {
		listener.alive <- ago
	}
}

// commit logs a change, and tells it to those who listen.
func (l *fakeLog) commit(c store.Change) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.entries = append(l.entries, c)
	for listener := range l.listeners {
		listener.Changed(c)
	}
}

// swallow logs a change that nobody is told.
func (l *fakeLog) swallow(c store.Change) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.entries = append(l.entries, c)
}

// cut ends all listening, and everything else fails with err.
func (l *fakeLog) cut(err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.down = err
	for listener := range l.listeners {
		close(listener.cut)
	}
	clear(l.listeners)
}

// sink records what it is told.
type sink struct {
	mu    sync.Mutex
	told  []string
	heard []time.Time // the moments of FeedLive
	valid time.Duration
	wakes chan struct{}
}

func (s *sink) add(format string, args ...any) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.told = append(s.told, fmt.Sprintf(format, args...))
	select {
	case s.wakes <- struct{}{}:
	default:
	}
}

func (s *sink) Revoke(ids ...uuid.UUID)     { s.add("revoke %v", ids) }
func (s *sink) Doubt(time.Time)             { s.add("doubt") }
func (s *sink) DoubtUsers(ids ...uuid.UUID) { s.add("users %v", ids) }
func (s *sink) FeedLost()                   { s.add("lost") }
func (s *sink) FeedOff()                    { s.add("off") }
func (s *sink) FeedLive(at time.Time, validFor time.Duration) {
	s.mu.Lock()
	s.heard = append(s.heard, at)
	s.valid = validFor
	s.mu.Unlock()
	s.add("live")
}
func (s *sink) Expire() { s.add("tenants") }

// until waits for the last thing told to be this, and returns everything told
// since the last time.
func (s *sink) until(t *testing.T, last string) []string {
	t.Helper()
	for deadline := time.After(10 * time.Second); ; {
		s.mu.Lock()
		if i := slices.Index(s.told, last); i >= 0 {
			told := s.told[:i+1]
			s.told = s.told[i+1:]
			s.mu.Unlock()
			return told
		}
		s.mu.Unlock()
		select {
		case <-s.wakes:
		case <-deadline:
			t.Fatalf("never told: %s; told %v", last, s.told)
		}
	}
}

func start(t *testing.T, l *fakeLog, poll time.Duration) (*revocation.Feed, *sink) {
	t.Helper()
	return startAt(t, l, poll, time.Now)
}

func startAt(t *testing.T, l *fakeLog, poll time.Duration, now func() time.Time) (*revocation.Feed, *sink) {
	t.Helper()
	s := &sink{wakes: make(chan struct{}, 1)}
	f := newFeed(l, s, poll, now, slog.New(slog.DiscardHandler))
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() { defer close(done); f.Run(ctx) }()
	t.Cleanup(func() { cancel(); <-done })
	return f, s
}

func newFeed(l *fakeLog, s *sink, poll time.Duration, now func() time.Time, log *slog.Logger) *revocation.Feed {
	l.listeners = map[*listener]bool{}
	return revocation.New(revocation.Config{Store: l, Grants: s, Tenants: s, Poll: poll, Now: now, Log: log})
}

func ended(ids ...uuid.UUID) store.Change {
	c := store.Change{Kind: store.TokensEnded}
	for _, id := range ids {
		c.IDs = append(c.IDs, id.String())
	}
	return c
}

var modes = map[string]struct {
	log  func() *fakeLog
	poll time.Duration
	mode string
}{
	"listen":                   {func() *fakeLog { return new(fakeLog) }, 0, "listen"},
	"poll":                     {func() *fakeLog { return new(fakeLog) }, time.Millisecond, "poll"},
	"where nobody can be told": {func() *fakeLog { return &fakeLog{noListen: true} }, 0, "poll"},
}

// TestFeed_Delivers: every kind of change reaches who it is for.
func TestFeed_Delivers(t *testing.T) {
	t.Parallel()
	for name, m := range modes {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			l := m.log()
			f, s := start(t, l, m.poll)
			first := s.until(t, "live")
			if !slices.Equal(first, []string{"lost", "doubt", "tenants", "live"}) {
				t.Errorf("at first: %v", first)
			}
			a, b := uuid.New(), uuid.New()
			l.commit(ended(a, b))
			s.until(t, fmt.Sprintf("revoke %v", []uuid.UUID{a, b}))
			l.commit(store.Change{Kind: store.UsersChanged, IDs: []string{a.String(), "no uuid"}})
			s.until(t, fmt.Sprintf("users %v", []uuid.UUID{a}))
			l.commit(store.Change{Kind: store.TenantsChanged})
			s.until(t, "tenants")
			for _, kind := range []store.ChangeKind{store.TokensChanged, store.Everything, "of the future"} {
				l.commit(store.Change{Kind: kind})
				s.until(t, "doubt")
			}
			if st := f.Status(); st.State != revocation.Live || st.Mode != m.mode || st.Changes < 6 || st.Losses != 0 || st.Err != "" {
				t.Errorf("%+v", st)
			}
		})
	}
}

// TestFeed_CatchesUp: what was committed while the feed was lost is delivered
// before it counts as live again.
func TestFeed_CatchesUp(t *testing.T) {
	t.Parallel()
	for name, m := range modes {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			l := m.log()
			f, s := start(t, l, m.poll)
			s.until(t, "live")
			for range 3 {
				l.cut(errors.New("down"))
				s.until(t, "lost")
				if st := f.Status(); st.State != revocation.Lost || st.Err == "" {
					t.Errorf("%+v", st)
				}
				missed := uuid.New()
				l.commit(ended(missed))
				l.cut(nil)
				told := s.until(t, "live")
				if !slices.Contains(told, fmt.Sprintf("revoke %v", []uuid.UUID{missed})) {
					t.Errorf("live again without what was missed: %v", told)
				}
			}
			if st := f.Status(); st.Losses != 3 {
				t.Errorf("%+v", st)
			}
		})
	}
}

// TestFeed_LostSinceHeard: a loss counts from the last moment at which all that
// was committed is known to have been told, however late it is noticed.
func TestFeed_LostSinceHeard(t *testing.T) {
	t.Parallel()
	for _, m := range []struct {
		name string
		poll time.Duration
	}{{"listen", 0}, {"poll", time.Millisecond}} {
		t.Run(m.name, func(t *testing.T) {
			t.Parallel()
			l, now := new(fakeLog), new(handClock)
			f, s := startAt(t, l, m.poll, now.now)
			s.until(t, "live")
			now.Store(int64(100 * time.Second))
			s.mu.Lock()
			if want := m.poll + 2*time.Second; s.valid != want {
				t.Errorf("hearing lasts for %s, want %s", s.valid, want)
			}
			s.mu.Unlock()
			if m.poll == 0 {
				l.beat(300 * time.Millisecond)
				s.until(t, "live")
				s.want(t, 99_700*time.Millisecond)
				now.Store(int64(101 * time.Second))
				l.beat(0)
				s.until(t, "live")
				s.want(t, 101*time.Second)
			} else {
				for s.last() < 100*time.Second { // it is read every millisecond
					s.until(t, "live")
				}
			}
			heard := s.last()
			// Nothing more is told when the loss is noticed, later.
			now.Store(int64(200 * time.Second))
			l.cut(errors.New("down"))
			s.until(t, "lost")
			if m.poll == 0 {
				s.want(t, heard)
			}
			// When it is back, the log was read at that moment or later.
			now.Store(int64(300 * time.Second))
			l.cut(nil)
			s.until(t, "live")
			s.want(t, 300*time.Second)
			if st := f.Status(); st.Losses != 1 {
				t.Errorf("%+v", st)
			}
		})
	}
}

// want is the moment until which everything is said to have been told.
func (s *sink) want(t *testing.T, at time.Duration) {
	t.Helper()
	if got := s.last(); got != at {
		t.Errorf("heard everything until %s, want %s", got, at)
	}
}

func (s *sink) last() time.Duration {
	s.mu.Lock()
	defer s.mu.Unlock()
	return time.Duration(s.heard[len(s.heard)-1].UnixNano())
}

// handClock is set by hand.
type handClock struct{ atomic.Int64 }

func (c *handClock) now() time.Time { return time.Unix(0, c.Load()) }

// TestFeed_Gap: what was pruned before it was read may have been anything.
func TestFeed_Gap(t *testing.T) {
	t.Parallel()
	l := new(fakeLog)
	_, s := start(t, l, 0)
	s.until(t, "live")
	l.cut(errors.New("down"))
	s.until(t, "lost")
	l.commit(ended(uuid.New()))
	l.mu.Lock()
	l.pruned = len(l.entries)
	l.mu.Unlock()
	l.cut(nil)
	if told := s.until(t, "live"); !slices.Contains(told, "doubt") {
		t.Errorf("%v", told)
	}
}

// TestFeed_Checkpoints: where to read from after a loss moves on to a place only
// once everything before it is known to have been told. A connection that says
// nothing for a while proves nothing, however long it seems to be fine.
func TestFeed_Checkpoints(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		l := new(fakeLog)
		_, s := start(t, l, 0)
		s.until(t, "live")
		place := func(want int64, what string) {
			t.Helper()
			l.cut(errors.New("down"))
			s.until(t, "lost")
			l.cut(nil)
			s.until(t, "live")
			l.mu.Lock()
			defer l.mu.Unlock()
			if got := l.reads[len(l.reads)-1].At; got != want {
				t.Errorf("%s: read from %d on, want %d", what, got, want)
			}
		}
		l.swallow(ended(uuid.New())) // committed, and never told
		time.Sleep(35 * time.Second)
		place(0, "nothing was heard")

		l.swallow(ended(uuid.New()))
		time.Sleep(35 * time.Second)
		l.beat(10 * time.Second) // the checkpoint is of a few seconds ago
		synctest.Wait()
		place(1, "what was heard is older")

		l.commit(ended(uuid.New()))
		time.Sleep(35 * time.Second)
		l.beat(0)
		synctest.Wait()
		l.commit(ended(uuid.New())) // after the checkpoint
		place(3, "it was heard since")
	})
}

// TestFeed_Elsewhere: the log's end is told by another server than the one that
// is listened to, which is alive and at which nobody revokes.
func TestFeed_Elsewhere(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		l := new(fakeLog)
		f, s := start(t, l, 0)
		s.until(t, "live")
		l.mu.Lock()
		l.history = "of another"
		l.mu.Unlock()
		time.Sleep(11 * time.Second)
		synctest.Wait()
		s.until(t, "lost")
		s.until(t, "live")
		if st := f.Status(); st.Losses != 1 || st.State != revocation.Live {
			t.Errorf("%+v", st)
		}
		time.Sleep(time.Minute)
		if st := f.Status(); st.Losses != 1 {
			t.Errorf("again: %+v", st)
		}
	})
}

// TestFeed_InstallsLater: a database that is down or lacks a right at first
// costs nothing but the time.
func TestFeed_InstallsLater(t *testing.T) {
	t.Parallel()
	l := &fakeLog{installErr: store.ErrSchema}
	f, s := start(t, l, 0)
	// Nothing is trusted until it is clear that there is no feed, and then as
	// with one that is off.
	if told := s.until(t, "off"); !slices.Equal(told, []string{"lost", "off"}) {
		t.Errorf("%v", told)
	}
	for deadline := time.Now().Add(10 * time.Second); f.Status().Err == ""; time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatal("the feed does not say why it waits")
		}
	}
	if st := f.Status(); st.State != revocation.Waiting {
		t.Errorf("%+v", st)
	}
	l.mu.Lock()
	l.installErr = nil
	l.mu.Unlock()
	// Now that there is one, nothing is trusted before it is heard.
	if told := s.until(t, "live"); !slices.Contains(told, "lost") {
		t.Errorf("%v", told)
	}
	if st := f.Status(); st.State != revocation.Live || st.Err != "" {
		t.Errorf("%+v", st)
	}
}

// TestFeed_TellsWhy: why the feed is not heard is told at once, and again as
// long as that lasts, with the reason of then; not each time it is tried.
func TestFeed_TellsWhy(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var log bytes.Buffer // written by one goroutine at a time
		l := &fakeLog{listenErr: errors.New("the first reason")}
		f := newFeed(l, &sink{wakes: make(chan struct{}, 1)}, 0, time.Now, slog.New(slog.NewTextHandler(&log, nil)))
		ctx, cancel := context.WithCancel(t.Context())
		go f.Run(ctx)
		time.Sleep(50 * time.Second)
		l.mu.Lock()
		l.listenErr = errors.New("the second reason")
		l.mu.Unlock()
		time.Sleep(55 * time.Second)
		cancel()
		synctest.Wait()
		for _, text := range []string{"the first reason", "the second reason"} {
			if n := strings.Count(log.String(), text); n != 1 {
				t.Errorf("%q is told %d times:\n%s", text, n, &log)
			}
		}
		if n := strings.Count(log.String(), "not heard yet"); n != 2 {
			t.Errorf("%s", &log)
		}
	})
}
