package throttle

import (
	"fmt"
	"strings"
	"testing"
	"time"
)

func fixture(t *testing.T, cfg Config) (*Throttle, *time.Time) {
	t.Helper()
	now := time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)
	cfg.Now = func() time.Time { return now }
	th, err := New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	return th, &now
}

func fail(th *Throttle, n int, login, addr string) {
	for range n {
		th.Failed(login, addr)
	}
}

func TestThrottle_LoginFromAddress(t *testing.T) {
	t.Parallel()
	th, now := fixture(t, Config{})
	fail(th, 9, "alice", "192.0.2.1")
	if w := th.Wait("alice", "192.0.2.1"); w != 0 {
		t.Fatalf("after 9 failures: wait %s", w)
	}
	th.Failed("ALICE", "192.0.2.1") // the same login
	if w := th.Wait("alice", "192.0.2.1"); w != 6*time.Second {
		t.Fatalf("after 10 failures: wait %s, not 6s", w)
	}
	for _, other := range [][2]string{{"alice", "192.0.2.2"}, {"bob", "192.0.2.1"}} {
		if w := th.Wait(other[0], other[1]); w != 0 {
			t.Errorf("%v has to wait %s for what somebody else did", other, w)
		}
	}
	*now = now.Add(6 * time.Second)
	if w := th.Wait("alice", "192.0.2.1"); w != 0 {
		t.Errorf("6 s later: wait %s", w)
	}
}

func TestThrottle_Address(t *testing.T) {
	t.Parallel()
	th, now := fixture(t, Config{})
	for i := range 100 {
		th.Failed(fmt.Sprint("user", i), "192.0.2.1")
	}
	if w := th.Wait("nobody-yet", "192.0.2.1"); w != 600*time.Millisecond {
		t.Fatalf("wait %s, not 600ms", w)
	}
	if w := th.Wait("user1", "192.0.2.2"); w != 0 {
		t.Errorf("another address: wait %s", w)
	}
	*now = now.Add(time.Minute)
	fail(th, 99, "x", "192.0.2.1") // fills the bucket of x, and all but fills the address's
	if w := th.Wait("y", "192.0.2.1"); w != 0 {
		t.Errorf("after a minute of rest and 99 failures: wait %s", w)
	}
}

func TestThrottle_Keys(t *testing.T) {
	t.Parallel()
	same := [][2]string{
		{"2001:db8::1", "2001:db8::ffff:1"},
		{"::ffff:192.0.2.1", "192.0.2.1"},
		{"fe80::1%eth0", "fe80::2"},
	}
	for _, p := range same {
		if keys("a", p[0]) != keys("a", p[1]) {
			t.Errorf("%s and %s are counted apart", p[0], p[1])
		}
	}
	if keys("a", "2001:db8:0:1::1") == keys("a", "2001:db8:0:2::1") {
		t.Error("two /64 are counted as one")
	}
	if n := len(keys(strings.Repeat("x", 1<<20), "192.0.2.1")[0]); n > 300 {
		t.Errorf("a key of %d bytes", n)
	}
}

func TestThrottle_Bounded(t *testing.T) {
	t.Parallel()
	th, _ := fixture(t, Config{Keys: 8})
	for i := range 1000 {
		th.Failed("alice", fmt.Sprintf("192.0.%d.%d", i/256, i%256))
	}
	for i, b := range th.buckets {
		if b.Len() > 8 {
			t.Errorf("bucket list %d holds %d keys", i, b.Len())
		}
	}
}

func TestThrottle_ClockStepsBack(t *testing.T) {
	t.Parallel()
	th, now := fixture(t, Config{})
	fail(th, 10, "alice", "192.0.2.1")
	*now = now.Add(-time.Hour)
	if w := th.Wait("alice", "192.0.2.1"); w != 6*time.Second {
		t.Errorf("wait %s, not 6s: a clock that steps back must neither forgive nor lock out", w)
	}
}

// A batch is let in before the first of it has failed; it is paid back.
func TestThrottle_ParallelGuesses(t *testing.T) {
	t.Parallel()
	th, now := fixture(t, Config{Address: Limit{Burst: 1 << 20, Every: time.Nanosecond}})
	admitted := 0
	for range 100 { // a batch every six seconds for ten minutes
		batch := 0
		for range 200 {
			if th.Wait("admin", "192.0.2.1") == 0 {
				batch++
			}
		}
		fail(th, batch, "admin", "192.0.2.1")
		admitted += batch
		*now = now.Add(6 * time.Second)
	}
	if admitted > 200+100 {
		t.Errorf("%d guesses in ten minutes", admitted)
	}
}

// One client that keeps sending a dead refresh token must not shut out the
// others at its address (Authelia #415).
func TestThrottle_WithoutLogin(t *testing.T) {
	t.Parallel()
	th, _ := fixture(t, Config{})
	fail(th, 99, "", "192.0.2.1")
	if w := th.Wait("", "192.0.2.1"); w != 0 {
		t.Errorf("after 99 failures of the address: wait %s", w)
	}
	th.Failed("", "192.0.2.1")
	if w := th.Wait("", "192.0.2.1"); w != 600*time.Millisecond {
		t.Errorf("after 100: wait %s", w)
	}
}
