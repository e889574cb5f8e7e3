package storetest

import (
	"fmt"
	"testing"

	"github.com/wazo-edge/xivo-auth/authsvc/store"
)

// A log that was removed and installed again under a reader: what ended meanwhile
// was not logged, and its numbers may be the old ones.
func testLogReinstalled(t *testing.T, b *bench) {
	for _, since := range []int{0, 1, 40} { // entries of the new log
		must(t, "InstallLog", b.InstallLog(t.Context()))
		b.exec(`update auth_tenant set slug = 'a'`)
		b.exec(`update auth_tenant set slug = 'b'`)
		_, from, _, err := b.ReadLog(t.Context(), store.Position{})
		must(t, "ReadLog", err)
		must(t, "RemoveLog", b.RemoveLog(t.Context()))
		must(t, "InstallLog", b.InstallLog(t.Context()))
		for i := range since {
			b.exec(`update auth_tenant set slug = $1`, fmt.Sprint("c", i))
		}
		_, next, gap, err := b.ReadLog(t.Context(), from)
		must(t, "ReadLog", err)
		equal(t, fmt.Sprintf("a gap after %d entries", since), gap, true)
		_, _, gap, err = b.ReadLog(t.Context(), next)
		must(t, "ReadLog", err)
		equal(t, "a gap once that is known", gap, false)
	}
}

// A place that the log has not reached is of another, such as a backup that was
// played back.
func testLogRestored(t *testing.T, b *bench) {
	must(t, "InstallLog", b.InstallLog(t.Context()))
	from, err := b.LogEnd(t.Context())
	must(t, "LogEnd", err)
	from.At += 1000
	_, next, gap, err := b.ReadLog(t.Context(), from)
	must(t, "ReadLog", err)
	equal(t, "a gap", gap && next.At < from.At, true)
}

// A history is the same for all who read the log, and again for who comes back.
func testLogHistory(t *testing.T, b *bench) {
	must(t, "InstallLog", b.InstallLog(t.Context()))
	end, err := b.LogEnd(t.Context())
	must(t, "LogEnd", err)
	must(t, "InstallLog", b.InstallLog(t.Context()))
	other := b.reopen(store.Options{})
	_, next, gap, err := other.Store.ReadLog(t.Context(), end)
	must(t, "ReadLog", err)
	equal(t, "a gap", gap, false)
	equal(t, "history", next.History, end.History)
	equal(t, "a history", end.History != "", true)
}
