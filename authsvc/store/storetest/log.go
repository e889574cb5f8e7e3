package storetest

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/wazo-edge/xivo-auth/authsvc/store"
)

var logCases = map[string]func(*testing.T, *bench){
	"Log/NotInstalled": testLogNotInstalled,
	"Log/Install":      testLogInstall,
	"Log/Remove":       testLogRemove,
	"Log/AtOnce":       testLogAtOnce,
	"Log/Tokens":       testLogTokens,
	"Log/Many":         testLogMany,
	"Log/Changed":      testLogChanged,
	"Log/Users":        testLogUsers,
	"Log/Tenants":      testLogTenants,
	"Log/SlowWriter":   testLogSlowWriter,
	"Log/Once":         testLogOnce,
	"Log/Prune":        testLogPrune,
	"Log/PruneSlow":    testLogPruneSlow,
	"Log/PruneOrder":   testLogPruneOrder,
	"Log/Reinstalled":  testLogReinstalled,
	"Log/Restored":     testLogRestored,
	"Log/History":      testLogHistory,
	"Log/Listen":       testLogListen,
}

const never = 1<<31 - 1 // an expiry far away, in Unix seconds

// logged installs the log and returns a function that lists what was logged
// since it was called last, "kind id", sorted and without repetitions. Entries
// may be read again, so it counts them all each time.
func (b *bench) logged() func() []string {
	b.t.Helper()
	must(b.t, "InstallLog", b.InstallLog(b.t.Context()))
	read := func() map[string]int {
		b.t.Helper()
		changes, _, gap, err := b.ReadLog(b.t.Context(), store.Position{})
		must(b.t, "ReadLog", err)
		if gap {
			b.t.Error("a gap in the log")
		}
		count := map[string]int{}
		for _, c := range changes {
			for _, id := range c.IDs {
				count[string(c.Kind)+" "+id]++
			}
			if len(c.IDs) == 0 {
				count[string(c.Kind)]++
			}
		}
		return count
	}
	before := read()
	return func() []string {
		b.t.Helper()
		list, now := []string{}, read()
		for line, n := range now {
			if n > before[line] {
				list = append(list, line)
			}
		}
		before = now
		slices.Sort(list)
		return list
	}
}

func testLogNotInstalled(t *testing.T, b *bench) {
	_, err := b.LogEnd(t.Context())
	want(t, "LogEnd", err, store.ErrSchema)
	_, _, _, err = b.ReadLog(t.Context(), store.Position{})
	want(t, "ReadLog", err, store.ErrSchema)
	_, err = b.PruneLog(t.Context(), time.Now())
	want(t, "PruneLog", err, store.ErrSchema)
	must(t, "RemoveLog", b.RemoveLog(t.Context()))
}

func testLogInstall(t *testing.T, b *bench) {
	since := b.logged()
	token := b.token("a", never)
	_, err := b.DeleteToken(t.Context(), token.UUID)
	must(t, "DeleteToken", err)
	// Installing what is there keeps what was logged.
	must(t, "InstallLog", b.InstallLog(t.Context()))
	equal(t, "logged", since(), []string{"ended " + token.UUID})
	// What another version left is replaced.
	b.exec(`update xivo_edge_state set version = 0`)
	must(t, "InstallLog", b.InstallLog(t.Context()))
	equal(t, "version", b.count(`select version from xivo_edge_state`) > 0, true)
	b.exec(`update xivo_edge_state set version = 1000000`)
	want(t, "InstallLog over a newer one", b.InstallLog(t.Context()), store.ErrSchema)
	// The service's own tables are as they were.
	state, err := b.State(t.Context())
	must(t, "State", err)
	equal(t, "state", state, store.SchemaCurrent)
}

func testLogRemove(t *testing.T, b *bench) {
	b.logged()
	must(t, "RemoveLog", b.RemoveLog(t.Context()))
	_, err := b.LogEnd(t.Context())
	want(t, "LogEnd", err, store.ErrSchema)
	// Nothing of it is in the way of writers.
	token := b.token("a", never)
	_, err = b.DeleteToken(t.Context(), token.UUID)
	must(t, "DeleteToken", err)
	b.exec(`update auth_tenant set phone = '1'`)
	must(t, "RemoveLog", b.RemoveLog(t.Context()))
	must(t, "InstallLog", b.InstallLog(t.Context()))
}

func testLogAtOnce(t *testing.T, b *bench) {
	b.together(6, func(_ int, s store.Store) {
		if err := s.InstallLog(t.Context()); err != nil {
			t.Errorf("InstallLog: %v", err)
		}
	})
	equal(t, "states", b.count(`select count(*) from xivo_edge_state`), 1)
}

// Whatever deletes a token is told, however it was deleted, unless it had
// expired.
func testLogTokens(t *testing.T, b *bench) {
	since := b.logged()
	now := time.Now().Unix()
	own, bySQL, bySession, expired := b.token("a", now+100), b.token("a", now+100), b.token("a", now+100), b.token("a", now-10)
	equal(t, "issuing is not told", since(), []string{})
	_, err := b.DeleteToken(t.Context(), own.UUID)
	must(t, "DeleteToken", err)
	equal(t, "through the store", since(), []string{"ended " + own.UUID})
	b.exec(`delete from auth_token where uuid = $1`, bySQL.UUID)
	equal(t, "by hand", since(), []string{"ended " + bySQL.UUID})
	b.exec(`delete from auth_session where uuid = $1`, bySession.SessionUUID)
	equal(t, "with its session", since(), []string{"ended " + bySession.UUID})
	_, err = b.DeleteExpiredTokens(t.Context(), now, 10)
	must(t, "DeleteExpiredTokens", err)
	if b.hasToken(expired.UUID) {
		t.Error("the expired token is there")
	}
	b.exec(`delete from auth_token where uuid = 'none'`)
	equal(t, "what had expired, and nothing", since(), []string{})
}

// More than one notification holds.
func testLogMany(t *testing.T, b *bench) {
	since := b.logged()
	want := []string{}
	first := b.token("a", never)
	want = append(want, "ended "+first.UUID)
	for range 450 {
		want = append(want, "ended "+b.sibling(first, "a", never).UUID)
	}
	slices.Sort(want)
	b.exec(`delete from auth_token`)
	equal(t, "logged", since(), want)
}

func testLogChanged(t *testing.T, b *bench) {
	since := b.logged()
	token := b.token("a", never)
	b.exec(`update auth_token set user_agent = 'x'`)
	equal(t, "what grants nothing", since(), []string{})
	b.exec(`update auth_token set expire_t = expire_t - 1`)
	equal(t, "another expiry", since(), []string{"changed " + token.UUID})
}

func testLogUsers(t *testing.T, b *bench) {
	since := b.logged()
	below := b.tenant("below", b.top)
	equal(t, "a tenant", since(), []string{"tenants"})
	since = b.logged()
	u := b.user("alice", "")
	b.exec(`update auth_user set firstname = 'Alice'`)
	equal(t, "what moves nobody", since(), []string{})
	b.exec(`update auth_user set tenant_uuid = $1 where uuid = $2`, below, u.UUID)
	equal(t, "moved", since(), []string{"users " + u.UUID})
	other := b.user("bob", "")
	_, err := b.DeleteUser(t.Context(), other.UUID)
	must(t, "DeleteUser", err)
	equal(t, "deleted", since(), []string{"users " + other.UUID})
}

func testLogTenants(t *testing.T, b *bench) {
	since := b.logged()
	a, c := b.tenant("a", b.top), b.tenant("c", b.top)
	u := b.user("alice", "")
	b.exec(`update auth_user set tenant_uuid = $1`, c)
	since()
	b.exec(`update auth_tenant set parent_uuid = $1 where uuid = $2`, a, c)
	equal(t, "another parent", since(), []string{"tenants"})
	b.exec(`update auth_tenant set phone = '1'`)
	equal(t, "what is not of the tree", since(), []string{})
	b.exec(`delete from auth_tenant where uuid = $1`, c)
	equal(t, "a tenant with its user", since(), []string{"tenants", "users " + u.UUID})
}

// An entry of a transaction that began before a reader looked and ends after
// is read the next time.
func testLogSlowWriter(t *testing.T, b *bench) {
	must(t, "InstallLog", b.InstallLog(t.Context()))
	slow, fast := b.token("a", never), b.token("a", never)
	from, err := b.LogEnd(t.Context())
	must(t, "LogEnd", err)
	tx, err := b.DB.BeginTx(t.Context(), nil)
	must(t, "begin", err)
	defer func() { _ = tx.Rollback() }()
	_, err = tx.ExecContext(t.Context(), b.Rebind(`delete from auth_token where uuid = $1`), slow.UUID)
	must(t, "delete", err)
	if b.Rebind(`$1`) == `$1` { // Postgres: others write meanwhile
		b.exec(`delete from auth_token where uuid = $1`, fast.UUID)
	}
	for range 3 { // and readers go on
		if _, from, _, err = b.ReadLog(t.Context(), from); err != nil {
			t.Fatal(err)
		}
	}
	must(t, "commit", tx.Commit())
	changes, _, gap, err := b.ReadLog(t.Context(), from)
	must(t, "ReadLog", err)
	if gap || !strings.Contains(fmt.Sprint(changes), slow.UUID) {
		t.Errorf("%v, gap %v: the slow writer's token is missing", changes, gap)
	}
}

// An entry is read once, whatever transactions are under way: one that doubts
// everything would do so with every reading, for as long as a backup takes.
func testLogOnce(t *testing.T, b *bench) {
	must(t, "InstallLog", b.InstallLog(t.Context()))
	slow := b.token("a", never)
	tx, err := b.DB.BeginTx(t.Context(), nil)
	must(t, "begin", err)
	defer func() { _ = tx.Rollback() }()
	if b.Rebind(`$1`) == `$1` { // Postgres: others write meanwhile
		_, err = tx.ExecContext(t.Context(), `delete from auth_token where uuid = $1`, slow.UUID)
		must(t, "delete", err)
	} else {
		must(t, "rollback", tx.Rollback())
	}
	from, err := b.LogEnd(t.Context())
	must(t, "LogEnd", err)
	b.exec(`update auth_tenant set slug = 'other'`)
	var changes []store.Change
	var gap bool
	for i := range 3 {
		changes, from, gap, err = b.ReadLog(t.Context(), from)
		must(t, "ReadLog", err)
		equal(t, "a gap", gap, false)
		if i == 0 {
			equal(t, "read", changes, []store.Change{{Kind: store.TenantsChanged, IDs: []string{}}})
		} else {
			equal(t, "read again", len(changes), 0)
		}
	}
	if b.Rebind(`$1`) != `$1` {
		return
	}
	must(t, "commit", tx.Commit())
	changes, from, _, err = b.ReadLog(t.Context(), from)
	must(t, "ReadLog", err)
	equal(t, "of the slow transaction", changes, []store.Change{{Kind: store.TokensEnded, IDs: []string{slow.UUID}}})
	changes, _, _, err = b.ReadLog(t.Context(), from)
	must(t, "ReadLog", err)
	equal(t, "read again", len(changes), 0)
}

// ear is a [store.Listener].
type ear struct {
	ready chan struct{}
	got   chan store.Change
	alive chan time.Duration
}

func (e ear) Ready() error           { close(e.ready); return nil }
func (e ear) Changed(c store.Change) { e.got <- c }
func (e ear) Alive(ago time.Duration) {
	select {
	case e.alive <- ago:
	default: // nobody waits for it
	}
}

func testLogListen(t *testing.T, b *bench) {
	must(t, "InstallLog", b.InstallLog(t.Context()))
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	ready, got, alive, ended := make(chan struct{}), make(chan store.Change, 10), make(chan time.Duration), make(chan error, 1)
	go func() { ended <- b.Listen(ctx, ear{ready: ready, got: got, alive: alive}) }()
	select {
	case err := <-ended:
		if errors.Is(err, errors.ErrUnsupported) {
			return // this database is polled
		}
		t.Fatal(err)
	case <-ready:
	}
	token := b.token("a", never)
	b.exec(`delete from auth_token`)
	b.tenant("below", b.top)
	equal(t, "first", <-got, store.Change{Kind: store.TokensEnded, IDs: []string{token.UUID}})
	equal(t, "second", (<-got).Kind, store.TenantsChanged)
	// A sign of life vouches for what was committed before it was asked for:
	// that has been told. The one after the next was asked for later than now.
	token = b.token("a", never)
	b.exec(`delete from auth_token`)
	<-alive
	if ago := <-alive; ago <= 0 {
		t.Errorf("an answer %s after the question", ago)
	}
	select {
	case c := <-got:
		equal(t, "told before that", c, store.Change{Kind: store.TokensEnded, IDs: []string{token.UUID}})
	default:
		t.Error("everything is said to be told, and a revocation is not")
	}
	cancel()
	want(t, "Listen", <-ended, context.Canceled)
}
