// Package wallclock tells times as [time.Now] does on a machine whose wall clock
// somebody has set: the monotonic clock knows nothing of it. For tests, which
// cannot set the clock of the machine they run on.
package wallclock

import (
	"time"
	"unsafe"
)

// hasMonotonic is the bit of a time's first word that says that it has a
// reading of the monotonic clock, and nanoBits is how many bits hold the
// nanoseconds; between the two are seconds. The test of this package notices
// when package time has it otherwise one day.
const (
	hasMonotonic = 1 << 63
	nanoBits     = 30
)

// Set returns t as it would have been read if the wall clock had been set by a
// number of whole seconds before: its monotonic reading is still the same.
// Without one it is a time that much later.
func Set(t time.Time, by time.Duration) time.Time {
	by = by.Truncate(time.Second)
	wall := (*uint64)(unsafe.Pointer(&t))
	if *wall&hasMonotonic == 0 {
		return t.Add(by)
	}
	*wall += uint64(by/time.Second) << nanoBits
	return t
}
