package storetest

import (
	"math"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/wazo-edge/xivo-auth/authsvc/store"
)

var purgeCases = map[string]func(*testing.T, *bench){
	"Purge/Boundary": testPurgeBoundary,
	"Purge/Order":    testPurgeOrder,
	"Purge/Shared":   testPurgeShared,
	"Purge/Far":      testPurgeFar,
	"Purge/AtOnce":   testPurgeAtOnce,
	"Purge/Clock":    testPurgeClock,
}

// A token lives through the second it expires in.
func testPurgeBoundary(t *testing.T, b *bench) {
	before, at, after := b.token("a", 99), b.token("a", 100), b.token("a", 101)
	ended, err := b.DeleteExpiredTokens(t.Context(), 100, 10)
	must(t, "DeleteExpiredTokens", err)
	equal(t, "ended", ended, []store.EndedToken{{
		UUID: before.UUID, AuthID: "a", SessionUUID: before.SessionUUID, SessionTenant: b.top, SessionEnded: true,
	}})
	if b.hasToken(before.UUID) || b.hasSession(before.SessionUUID) {
		t.Error("the expired token or its session stayed")
	}
	if !b.hasToken(at.UUID) || !b.hasToken(after.UUID) || !b.hasSession(at.SessionUUID) {
		t.Error("a token went that had not expired")
	}
	ended, err = b.DeleteExpiredTokens(t.Context(), 101, 10)
	must(t, "DeleteExpiredTokens", err)
	equal(t, "a second later", uuidsOf(ended), []string{at.UUID})
}

func testPurgeOrder(t *testing.T, b *bench) {
	byExpiry := map[int64]string{}
	for _, expires := range []int64{5, 3, 9, 1, 7} {
		byExpiry[expires] = b.token("a", expires).UUID
	}
	for _, step := range []struct {
		limit int
		want  []int64
	}{{0, nil}, {-1, nil}, {2, []int64{1, 3}}, {2, []int64{5, 7}}, {2, []int64{9}}, {2, nil}} {
		ended, err := b.DeleteExpiredTokens(t.Context(), 1000, step.limit)
		must(t, "DeleteExpiredTokens", err)
		ids := []string{}
		for _, expires := range step.want {
			ids = append(ids, byExpiry[expires])
		}
		equal(t, "ended", uuidsOf(ended), ids)
	}
	equal(t, "sessions", b.count(`select count(*) from auth_session`), 0)
}

// Sessions stay as long as a token needs them.
func testPurgeShared(t *testing.T, b *bench) {
	alive := b.token("a", 1000)
	expired := b.sibling(alive, "a", 1)
	both := b.token("b", 2)
	twin := b.sibling(both, "b", 3)
	split := b.token("c", 4)
	late := b.sibling(split, "c", 5)

	ended, err := b.DeleteExpiredTokens(t.Context(), 100, 4)
	must(t, "DeleteExpiredTokens", err)
	equal(t, "ended", uuidsOf(ended), []string{expired.UUID, both.UUID, twin.UUID, split.UUID})
	gone := []bool{}
	for _, e := range ended {
		gone = append(gone, e.SessionEnded)
	}
	equal(t, "sessions ended", gone, []bool{false, true, true, false})
	if !b.hasToken(alive.UUID) || !b.hasToken(late.UUID) || b.hasSession(both.SessionUUID) {
		t.Error("wrong rows went")
	}
	ended, err = b.DeleteExpiredTokens(t.Context(), 100, 4)
	must(t, "DeleteExpiredTokens", err)
	if len(ended) != 1 || !ended[0].SessionEnded || b.hasSession(split.SessionUUID) {
		t.Errorf("the rest: %+v", ended)
	}
}

// The clock may pass what the column holds.
func testPurgeFar(t *testing.T, b *bench) {
	tok := b.token("a", math.MaxInt32)
	for _, now := range []int64{math.MinInt64, -1, 0, math.MaxInt32} {
		ended, err := b.DeleteExpiredTokens(t.Context(), now, 10)
		if err != nil || len(ended) != 0 {
			t.Errorf("at %d: %+v, %v", now, ended, err)
		}
	}
	ended, err := b.DeleteExpiredTokens(t.Context(), math.MaxInt64, math.MaxInt)
	must(t, "DeleteExpiredTokens", err)
	equal(t, "ended", uuidsOf(ended), []string{tok.UUID})
}

// The store's clock tells the time: of two readings the later is no earlier, and
// they are no further from this machine's than the test takes.
func testPurgeClock(t *testing.T, b *bench) {
	first, err := b.Clock(t.Context())
	must(t, "Clock", err)
	second, err := b.Clock(t.Context())
	must(t, "Clock", err)
	if second.Before(first) || time.Since(first).Abs() > patience {
		t.Errorf("the clock says %s, then %s; here it is %s", first, second, time.Now())
	}
}

func testPurgeAtOnce(t *testing.T, b *bench) {
	const (
		tokens  = 120
		purgers = 4
		limit   = 7
	)
	var all []string
	for i := range tokens {
		all = append(all, b.token("a", int64(i%10)).UUID)
	}
	stores := []store.Store{b.Store, b.reopen(store.Options{Timeout: patience}).Store}
	var (
		wg   sync.WaitGroup
		mu   sync.Mutex
		seen []string
	)
	for i := range purgers {
		s := stores[i%len(stores)]
		wg.Go(func() {
			for {
				ended, err := s.DeleteExpiredTokens(t.Context(), 100, limit)
				if err != nil {
					t.Errorf("DeleteExpiredTokens: %v", err)
					return
				}
				if len(ended) > limit {
					t.Errorf("%d tokens at a limit of %d", len(ended), limit)
				}
				mu.Lock()
				seen = append(seen, uuidsOf(ended)...)
				done := len(seen) >= tokens
				mu.Unlock()
				if done {
					return
				}
			}
		})
	}
	wg.Wait()
	slices.Sort(seen)
	equal(t, "tokens, each reported once", seen, sorted(all...))
	equal(t, "sessions", b.count(`select count(*) from auth_session`), 0)
}
