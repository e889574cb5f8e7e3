package storetest

import (
	"testing"
	"time"

	"github.com/wazo-edge/xivo-auth/authsvc/store"
)

// prunes waits until pruning everything removes n entries: those of transactions
// younger than any that is under way, of the whole server, stay.
func (b *bench) prunes(n int) {
	b.t.Helper()
	got := 0
	for deadline := time.Now().Add(patience); got < n && time.Now().Before(deadline); {
		pruned, err := b.PruneLog(b.t.Context(), time.Now().Add(time.Hour))
		must(b.t, "PruneLog", err)
		got += pruned
	}
	equal(b.t, "pruned", got, n)
}

// What is under way may commit entries with lower numbers. Until it has, who has
// read all there is misses nothing, however old that is.
func testLogPruneSlow(t *testing.T, b *bench) {
	if b.Rebind(`$1`) != `$1` {
		return // one transaction writes at a time
	}
	must(t, "InstallLog", b.InstallLog(t.Context()))
	slow := b.token("a", never)
	tx, err := b.DB.BeginTx(t.Context(), nil)
	must(t, "begin", err)
	defer func() { _ = tx.Rollback() }()
	_, err = tx.ExecContext(t.Context(), `delete from auth_token where uuid = $1`, slow.UUID)
	must(t, "delete", err)
	b.exec(`update auth_tenant set slug = 'other'`)
	_, from, _, err := b.ReadLog(t.Context(), store.Position{})
	must(t, "ReadLog", err)
	n, err := b.PruneLog(t.Context(), time.Now().Add(time.Hour))
	must(t, "PruneLog", err)
	equal(t, "pruned", n, 0)
	_, from, gap, err := b.ReadLog(t.Context(), from)
	must(t, "ReadLog", err)
	equal(t, "a gap", gap, false)
	must(t, "commit", tx.Commit())
	changes, _, gap, err := b.ReadLog(t.Context(), from)
	must(t, "ReadLog", err)
	equal(t, "read", len(changes) == 1 && !gap, true)
	b.prunes(2)
}

// Entries are not as old as their numbers say. What is told of the pruned ones
// goes by the highest number, and none is removed beyond it.
func testLogPruneOrder(t *testing.T, b *bench) {
	must(t, "InstallLog", b.InstallLog(t.Context()))
	b.exec(`insert into xivo_edge_revocation (pos, at, kind) values (1, '2001-01-01T00:00:00.000000Z', 'tenants')`)
	b.exec(`insert into xivo_edge_revocation (pos, at, kind) values (2, '2000-01-01T00:00:00.000000Z', 'tenants')`)
	at := func(year int) int {
		n, err := b.PruneLog(t.Context(), time.Date(year, 6, 1, 0, 0, 0, 0, time.UTC))
		must(t, "PruneLog", err)
		return n
	}
	equal(t, "pruned of 2000", at(2000), 1)
	equal(t, "as told", b.count(`select pruned from xivo_edge_state`), 2)
	equal(t, "pruned of 2001", at(2001), 1)
	equal(t, "as told", b.count(`select pruned from xivo_edge_state`), 2)
}

func testLogPrune(t *testing.T, b *bench) {
	must(t, "InstallLog", b.InstallLog(t.Context()))
	from, err := b.LogEnd(t.Context())
	must(t, "LogEnd", err)
	n, err := b.PruneLog(t.Context(), time.Now().Add(time.Hour))
	must(t, "PruneLog", err)
	equal(t, "pruned of nothing", n, 0)
	_, next, gap, err := b.ReadLog(t.Context(), from)
	must(t, "ReadLog", err)
	equal(t, "gap where nothing was pruned", gap, false)
	b.token("a", never)
	b.exec(`delete from auth_token`)
	n, err = b.PruneLog(t.Context(), time.Now().Add(-time.Hour))
	must(t, "PruneLog", err)
	equal(t, "pruned of what is young", n, 0)
	changes, after, gap, err := b.ReadLog(t.Context(), next)
	must(t, "ReadLog", err)
	equal(t, "read", len(changes) == 1 && !gap, true)
	b.prunes(1)
	_, _, gap, err = b.ReadLog(t.Context(), next)
	must(t, "ReadLog", err)
	equal(t, "gap for who did not read it", gap, true)
	// Who did knows so once everything that was under way then has ended,
	// which on Postgres is any transaction of the server.
	for deadline := time.Now().Add(patience); gap && time.Now().Before(deadline); {
		_, after, gap, err = b.ReadLog(t.Context(), after)
		must(t, "ReadLog", err)
	}
	equal(t, "gap for who did", gap, false)
}
