//go:build chaos

package caddymodule

import (
	"os"
	"strings"
	"sync/atomic"
	"time"

	"github.com/wazo-edge/xivo-auth/internal/wallclock"
)

// A binary built with the tag chaos, which only internal/chaos does, has a wall
// clock that can be set: a file that XIVO_CHAOS_CLOCK names says by how much.
func init() {
	var ahead atomic.Int64
	clock = func() time.Time { return wallclock.Set(time.Now(), time.Duration(ahead.Load())) }
	go func() {
		for ; ; time.Sleep(20 * time.Millisecond) {
			text, _ := os.ReadFile(os.Getenv("XIVO_CHAOS_CLOCK"))
			if d, err := time.ParseDuration(strings.TrimSpace(string(text))); err == nil {
				ahead.Store(int64(d))
			}
		}
	}()
}
