package wallclock_test

import (
	"testing"
	"time"

	"github.com/wazo-edge/xivo-auth/internal/wallclock"
)

func TestSet(t *testing.T) {
	t.Parallel()
	for _, by := range []time.Duration{0, time.Hour, -time.Hour, 20 * 365 * 24 * time.Hour, -90 * time.Second} {
		now := time.Now()
		set := wallclock.Set(now, by)
		if got := set.UnixNano() - now.UnixNano(); got != int64(by) {
			t.Errorf("set by %s, the wall clock moved by %s", by, time.Duration(got))
		}
		if got := set.Sub(now); got != 0 {
			t.Errorf("set by %s, the monotonic clock moved by %s", by, got)
		}
		if got := wallclock.Set(now.Round(0), by).Sub(now.Round(0)); got != by {
			t.Errorf("without a monotonic reading: %s, want %s", got, by)
		}
	}
}
