package tokens

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/wazo-edge/xivo-auth/authsvc/store"
)

// expiring has a number of expired tokens to be removed.
type expiring struct {
	store.Tokens
	sync.Mutex
	left  int
	err   error
	calls []string // "now limit"
}

// Clock is some seconds behind that of the janitor.
func (e *expiring) Clock(context.Context) (time.Time, error) {
	e.Lock()
	defer e.Unlock()
	return time.Unix(40, 0), e.err
}

func (e *expiring) DeleteExpiredTokens(_ context.Context, now int64, limit int) ([]store.EndedToken, error) {
	e.Lock()
	defer e.Unlock()
	e.calls = append(e.calls, fmt.Sprint(now, " ", limit))
	if e.err != nil {
		return nil, e.err
	}
	n := min(e.left, limit)
	e.left -= n
	return make([]store.EndedToken, n), nil
}

// purges is how often it was called.
func (e *expiring) purges() int {
	e.Lock()
	defer e.Unlock()
	return len(e.calls)
}

func (e *expiring) fail(err error) {
	e.Lock()
	defer e.Unlock()
	e.err = err
}

func TestJanitor_Purge(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name           string
		expired, batch int
		err            error
		removed, calls int
	}{
		{"nothing", 0, 10, nil, 0, 1},
		{"less than a batch", 9, 10, nil, 9, 1},
		{"a batch exactly", 10, 10, nil, 10, 2},
		{"several batches", 25, 10, nil, 25, 3},
		{"no batch size does not spin", 5, 0, nil, 0, 1},
		{"store down", 5, 10, errDown, 0, 1},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			s := &expiring{left: c.expired, err: c.err}
			j := Janitor{Store: s, Now: func() time.Time { return time.Unix(42, 999_999_999) }, Batch: c.batch, Log: slog.New(slog.DiscardHandler)}
			removed, err := j.Purge(t.Context())
			if removed != c.removed || !errors.Is(err, c.err) || len(s.calls) != c.calls {
				t.Errorf("removed %d, %v, in %d calls; want %d, %v, %d", removed, err, len(s.calls), c.removed, c.err, c.calls)
			}
			for _, call := range s.calls {
				if want := fmt.Sprint(42, " ", c.batch); call != want {
					t.Errorf("asked for %q, want %q", call, want)
				}
			}
		})
	}
}

// TestJanitor_StoreClock: a clock that runs ahead removes nothing that is valid
// by the store's; one that is behind removes nothing either, yet.
func TestJanitor_StoreClock(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name string
		now  int64
		err  error
		want []string
	}{
		{"ahead", 1000, nil, []string{"40 10"}},
		{"behind", 7, nil, []string{"7 10"}},
		{"store down", 1000, errDown, nil},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			s := &expiring{left: 1, err: c.err}
			j := Janitor{Store: s, Now: func() time.Time { return time.Unix(c.now, 0) }, StoreClock: true, Batch: 10, Log: slog.New(slog.DiscardHandler)}
			if _, err := j.Purge(t.Context()); !errors.Is(err, c.err) || !slices.Equal(s.calls, c.want) {
				t.Errorf("%v, calls %q; want %v, %q", err, s.calls, c.err, c.want)
			}
		})
	}
}

func TestJanitor_Run(t *testing.T) {
	t.Parallel()
	run := func(t *testing.T, interval time.Duration, s *expiring, log *slog.Logger) (stop func()) {
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan struct{})
		j := Janitor{Store: s, Now: time.Now, Interval: interval, Batch: 10, Log: log}
		go func() { defer close(done); j.Run(ctx) }()
		return func() { cancel(); <-done }
	}
	t.Run("every interval", func(t *testing.T) {
		t.Parallel()
		synctest.Test(t, func(t *testing.T) {
			s := &expiring{}
			stop := run(t, time.Minute, s, slog.New(slog.DiscardHandler))
			for i := range 3 {
				time.Sleep(time.Minute - 1)
				synctest.Wait()
				if s.purges() != i {
					t.Fatalf("%d purges before minute %d", s.purges(), i+1)
				}
				time.Sleep(time.Nanosecond)
				synctest.Wait()
				if s.purges() != i+1 {
					t.Fatalf("%d purges at minute %d", s.purges(), i+1)
				}
			}
			stop()
			time.Sleep(time.Hour)
			if s.purges() != 3 {
				t.Errorf("%d purges, the last after it was stopped", s.purges())
			}
		})
	})
	t.Run("goes on after an error", func(t *testing.T) {
		t.Parallel()
		synctest.Test(t, func(t *testing.T) {
			s := &expiring{err: errDown, left: 3}
			var log strings.Builder
			stop := run(t, time.Minute, s, slog.New(slog.NewTextHandler(&log, nil)))
			time.Sleep(time.Minute)
			synctest.Wait()
			s.fail(nil)
			time.Sleep(time.Minute)
			synctest.Wait()
			stop()
			if s.left != 0 || !strings.Contains(log.String(), "level=WARN") || !strings.Contains(log.String(), "tokens=3") {
				t.Errorf("%d left; log %s", s.left, log.String())
			}
		})
	})
	t.Run("an interval under a second is never", func(t *testing.T) {
		t.Parallel()
		synctest.Test(t, func(t *testing.T) {
			s := &expiring{}
			for _, interval := range []time.Duration{0, -time.Minute, time.Second - 1} {
				Janitor{Store: s, Now: time.Now, Interval: interval, Batch: 10}.Run(t.Context()) // returns
			}
			if s.purges() != 0 {
				t.Errorf("%d purges", s.purges())
			}
		})
	})
}
