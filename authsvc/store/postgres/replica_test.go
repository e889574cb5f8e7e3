package postgres_test

import (
	"bytes"
	"context"
	"database/sql"
	"errors"
	"log/slog"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/wazo-edge/xivo-auth/authsvc/store"
	"github.com/wazo-edge/xivo-auth/authsvc/store/postgres"
	"github.com/wazo-edge/xivo-auth/authsvc/store/sqlstore"
	"github.com/wazo-edge/xivo-auth/authsvc/store/storetest"
	"github.com/wazo-edge/xivo-auth/internal/pgtest"
)

// pair is a primary with a streaming standby.
type pair struct{ primary, standby *pgtest.Server }

func startPair(ctx context.Context) (p pair, err error) {
	if p.primary, err = pgtest.StartPrimary(ctx); err != nil {
		return p, err
	}
	if p.standby, err = p.primary.Standby(ctx); err != nil {
		return p, errors.Join(err, p.primary.Stop())
	}
	return p, nil
}

// commonPair is for tests that neither stop nor pause it. It ends with the
// process.
var commonPair = sync.OnceValues(func() (pair, error) { return startPair(context.Background()) })

func newPair(t testing.TB) pair {
	t.Helper()
	p, err := startPair(t.Context())
	p.or(t, err)
	t.Cleanup(func() { _, _ = p.standby.Stop(), p.primary.Stop() })
	return p
}

func (p pair) or(t testing.TB, err error) pair {
	t.Helper()
	if errors.Is(err, pgtest.ErrMissing) {
		t.Skip(err)
	}
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// database makes one, and says how to reach it on both.
func (p pair) database(t testing.TB) (primary, standby string) {
	t.Helper()
	primary = pgtest.DatabaseOn(t, p.primary.DSN)
	_, name, _ := strings.Cut(primary, "/xivo_auth_test_")
	name, _, _ = strings.Cut(name, "?")
	return primary, pgtest.WithDatabase(p.standby.DSN, "xivo_auth_test_"+name)
}

// replicated is a store with a replica that follows and a feed that is heard.
type replicated struct {
	*sqlstore.Store
	t       testing.TB
	tenant  string
	dsns    [2]string // of the primary and the standby
	standby *sql.DB
	log     *logbook
	told    chan store.Change
	deafen  func() // ends the listening and waits for that
}

func newReplicated(t testing.TB, primary, standby string) *replicated {
	t.Helper()
	r := openReplicated(t, primary, standby)
	r.listen()
	r.eventually("the replica is asked", func() bool {
		_, _ = r.Token(t.Context(), uuid.NewString())
		return r.stats()[store.ReplicaAbsent] > 0
	})
	return r
}

// openReplicated does not listen yet.
func openReplicated(t testing.TB, primary, standby string) *replicated {
	t.Helper()
	r := &replicated{t: t, dsns: [2]string{primary, standby}, log: new(logbook), told: make(chan store.Change, 100)}
	s, err := postgres.Open(primary, store.Options{MaxConns: 8, ReplicaDSN: standby, Log: slog.New(slog.NewTextHandler(r.log, nil))})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	r.Store = s
	if _, err := s.Migrate(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := s.InstallLog(t.Context()); err != nil {
		t.Fatal(err)
	}
	tree, err := s.TenantTree(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	r.tenant = tree[0].UUID
	if r.standby, err = sql.Open("postgres", standby); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = r.standby.Close() })
	return r
}

// listen does so until the test ends, again after every loss.
func (r *replicated) listen() {
	ctx, cancel := context.WithCancel(context.Background())
	var done sync.WaitGroup
	done.Go(func() {
		for ctx.Err() == nil {
			_ = r.Listen(ctx, r)
		}
	})
	r.deafen = func() { cancel(); done.Wait() }
	r.t.Cleanup(r.deafen)
}

// Ready implements [store.Listener].
func (*replicated) Ready() error { return nil }

// Changed implements [store.Listener].
func (r *replicated) Changed(c store.Change) { r.told <- c }

// Alive implements [store.Listener].
func (*replicated) Alive(time.Duration) {}

func (r *replicated) stats() store.ReplicaStats {
	stats, _ := r.ReplicaStats()
	return stats
}

func (r *replicated) eventually(what string, ok func() bool) {
	r.t.Helper()
	for deadline := time.Now().Add(20 * time.Second); !ok(); time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			r.t.Fatalf("never happened: %s (%v)\n%s", what, r.stats(), r.log)
		}
	}
}

// issue makes a token that is good for long.
func (r *replicated) issue() string {
	r.t.Helper()
	id := uuid.NewString()
	if err := r.CreateToken(r.t.Context(), store.Session{UUID: uuid.NewString(), TenantUUID: r.tenant},
		store.Token{UUID: id, AuthID: "a", ExpiresAt: time.Now().Unix() + 3600}); err != nil {
		r.t.Fatal(err)
	}
	return id
}

// end deletes a token and waits until the feed has told of it.
func (r *replicated) end(id string) {
	r.t.Helper()
	if _, err := r.DeleteToken(r.t.Context(), id); err != nil {
		r.t.Fatal(err)
	}
	for c := range r.told {
		if len(c.IDs) == 1 && c.IDs[0] == id {
			return
		}
	}
}

// onStandby reports whether the standby has a token.
func (r *replicated) onStandby(id string) (has bool) {
	r.t.Helper()
	if err := r.standby.QueryRowContext(r.t.Context(), `select exists (select from auth_token where uuid = $1)`, id).Scan(&has); err != nil {
		r.t.Fatal(err)
	}
	return has
}

// read reads a token and tells how the replica took part.
func (r *replicated) read(id string) (how store.ReplicaRead, err error) {
	r.t.Helper()
	before := r.stats()
	_, err = r.Token(r.t.Context(), id)
	for outcome, n := range r.stats() {
		if n == before[outcome]+1 {
			how = store.ReplicaRead(outcome)
		}
	}
	return how, err
}

func (r *replicated) wants(what, id string, how store.ReplicaRead, target error) {
	r.t.Helper()
	if got, err := r.read(id); got != how || !errors.Is(err, target) {
		r.t.Errorf("%s: the replica's part is %v, the error %v, want %v and %v", what, got, err, how, target)
	}
}

// answers waits until the replica itself answers for a token.
func (r *replicated) answers(id string) {
	r.t.Helper()
	r.eventually("the replica answers", func() bool {
		how, err := r.read(id)
		if err != nil {
			r.t.Fatalf("a token that exists: %v", err)
		}
		return how == store.ReplicaAnswered
	})
}

// refuses waits until the replica is asked for a revoked token that it still
// has, which nobody gets meanwhile.
func (r *replicated) refuses(id string) {
	r.t.Helper()
	r.eventually("the replica is asked", func() bool {
		how, err := r.read(id)
		if !errors.Is(err, store.ErrNotFound) {
			r.t.Fatalf("a revoked token: %v", err)
		}
		return how == store.ReplicaBehind
	})
}

// pause has the standby replay nothing more.
func (r *replicated) pause() {
	r.t.Helper()
	if _, err := r.standby.ExecContext(r.t.Context(), `select pg_wal_replay_pause()`); err != nil {
		r.t.Fatal(err)
	}
	r.eventually("the standby pauses", func() bool {
		var paused bool
		err := r.standby.QueryRowContext(r.t.Context(), `select pg_get_wal_replay_pause_state() = 'paused'`).Scan(&paused)
		return err == nil && paused
	})
}

func (r *replicated) resume() {
	r.t.Helper()
	if _, err := r.standby.ExecContext(r.t.Context(), `select pg_wal_replay_resume()`); err != nil {
		r.t.Fatal(err)
	}
}

// logbook keeps what was logged.
type logbook struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (l *logbook) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.buf.Write(p)
}

func (l *logbook) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.buf.String()
}

func (l *logbook) count(text string) int { return strings.Count(l.String(), text) }

// TestStore_Replica is the whole contract on a store that reads from a replica.
//
// It is not part of make test: for the moment until a node hears of what it
// ended itself, its replica may still answer with it. The service forgets such
// tokens by tombstones and never sees that; a few cases of the contract, which
// look at the store alone, do on a busy machine. What is promised of replicas is
// proved by the TestReplica_ and by TestFeed_Replica.
func TestStore_Replica(t *testing.T) {
	if os.Getenv("XIVO_AUTH_TEST_REPLICA") == "" {
		t.Skip("takes minutes and a machine with nothing else to do: XIVO_AUTH_TEST_REPLICA=1 runs it")
	}
	t.Parallel()
	p, err := commonPair()
	p = p.or(t, err)
	var mu sync.Mutex
	var all store.ReplicaStats
	t.Cleanup(func() {
		t.Logf("reads of the replica: %v", all)
		if all[store.ReplicaAnswered] == 0 {
			t.Error("the replica answered nothing: this tests nothing")
		}
	})
	storetest.Run(t, func(t testing.TB, o store.Options) storetest.Fixture {
		t.Helper()
		primary, standby := p.database(t)
		o.ReplicaDSN = standby
		f, err := openDSN(primary, o)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = f.Store.Close() })
		s := f.Store.(*sqlstore.Store)
		t.Cleanup(func() {
			mu.Lock()
			defer mu.Unlock()
			stats, _ := s.ReplicaStats()
			for outcome, n := range stats {
				all[outcome] += n
			}
		})
		if strings.Contains(t.Name(), "/Schema/") || strings.Contains(t.Name(), "/Log/") {
			return f // these make and remove what listening needs
		}
		r := &replicated{Store: s, t: t, log: new(logbook), told: make(chan store.Change, 10_000)}
		if _, err := s.Migrate(t.Context()); err != nil {
			t.Fatal(err)
		}
		if err := s.InstallLog(t.Context()); err != nil {
			t.Fatal(err)
		}
		r.listen()
		r.eventually("the replica is asked", func() bool {
			_, _ = s.Token(t.Context(), uuid.NewString())
			return r.stats()[store.ReplicaAbsent] > 0
		})
		return f
	})
}

// TestReplica_Behind: a replica that replays nothing more neither hides a token
// that was just issued nor brings back one that was revoked, however long ago,
// and answers again when it has caught up.
func TestReplica_Behind(t *testing.T) {
	t.Parallel()
	primary, standby := newPair(t).database(t)
	r := newReplicated(t, primary, standby)
	kept, ended := r.issue(), r.issue()
	r.answers(kept)
	r.answers(ended)

	r.pause()
	r.wants("a token issued before the pause", kept, store.ReplicaAnswered, nil)
	fresh := r.issue()
	r.wants("a token issued during it", fresh, store.ReplicaAbsent, nil)
	r.wants("a token nobody has", uuid.NewString(), store.ReplicaAbsent, store.ErrNotFound)

	r.end(ended)
	if !r.onStandby(ended) {
		t.Fatal("the standby has replayed the revocation: this tests nothing")
	}
	r.wants("a token revoked during it", ended, store.ReplicaBehind, store.ErrNotFound)
	r.wants("another, from then on", kept, store.ReplicaBehind, nil)

	// A node that was started after the revocation was never told of it.
	late := openReplicated(t, r.dsns[0], r.dsns[1])
	late.wants("before it listens", ended, store.ReplicaUnheard, store.ErrNotFound)
	late.listen()
	late.refuses(ended)

	r.resume()
	r.answers(kept)
	r.answers(fresh)
	late.answers(kept)
	r.wants("the revoked one", ended, store.ReplicaAbsent, store.ErrNotFound)
	if log := r.log.String(); log != "" {
		t.Errorf("a replica that is behind is no news:\n%s", log)
	}
}

// TestReplica_FeedLost: without the feed nobody can tell how new is new enough.
func TestReplica_FeedLost(t *testing.T) {
	t.Parallel()
	primary, standby := newPair(t).database(t)
	r := newReplicated(t, primary, standby)
	kept, ended := r.issue(), r.issue()
	r.answers(ended)
	r.pause()
	r.deafen()
	if _, err := r.DeleteToken(t.Context(), ended); err != nil { // nobody tells
		t.Fatal(err)
	}
	r.wants("a token revoked while nobody listened", ended, store.ReplicaUnheard, store.ErrNotFound)
	r.wants("another", kept, store.ReplicaUnheard, nil)
	r.listen()
	r.refuses(ended)
	r.resume()
	r.answers(kept)
}

// TestReplica_Killed: nobody notices, but operators, once.
func TestReplica_Killed(t *testing.T) {
	t.Parallel()
	p := newPair(t)
	primary, standby := p.database(t)
	r := newReplicated(t, primary, standby)
	known := r.issue()
	r.answers(known)

	var readers sync.WaitGroup
	stop := make(chan struct{})
	for range 4 {
		readers.Go(func() {
			for {
				select {
				case <-stop:
					return
				default:
				}
				if _, err := r.Token(t.Context(), known); err != nil {
					t.Errorf("while the replica is killed: %v", err)
					return
				}
			}
		})
	}
	if err := p.standby.Kill(); err != nil {
		t.Fatal(err)
	}
	r.eventually("the outage is noticed", func() bool { return r.stats()[store.ReplicaFailed] > 0 })
	close(stop)
	readers.Wait()
	fresh := r.issue()
	r.wants("a token issued meanwhile", fresh, store.ReplicaFailed, nil)

	// A store that is opened meanwhile.
	late := openReplicated(t, r.dsns[0], r.dsns[1])
	late.listen()
	late.eventually("it notices", func() bool {
		how, err := late.read(known)
		if err != nil {
			t.Fatal(err)
		}
		return how == store.ReplicaFailed
	})

	if err := p.standby.Restart(t.Context()); err != nil {
		t.Fatal(err)
	}
	r.answers(fresh)
	late.answers(fresh)
	for _, log := range []*logbook{r.log, late.log} {
		if log.count("of no use") != 1 || log.count("answers again") != 1 {
			t.Errorf("want one line about the outage and one about its end:\n%s", log)
		}
		if strings.Contains(log.String(), known) {
			t.Errorf("a token is in the log:\n%s", log)
		}
	}
}

// TestReplica_Hangs: a replica that says nothing holds one read up, for a part
// of the time that the store has, and then no more.
func TestReplica_Hangs(t *testing.T) {
	t.Parallel()
	p, err := commonPair()
	primary, standby := p.or(t, err).database(t)
	between := newProxy(t, standby)
	r := newReplicated(t, primary, between.DSN)
	known := r.issue()
	r.answers(known)
	between.stall()
	r.wants("the read that finds out", known, store.ReplicaFailed, nil)
	r.wants("the next", known, store.ReplicaFailed, nil)
	between.resume()
	r.answers(known)
}

// TestReplica_Promoted: a standby that was promoted has a history of its own,
// and proves nothing by it.
func TestReplica_Promoted(t *testing.T) {
	t.Parallel()
	p := newPair(t)
	primary, standby := p.database(t)
	r := newReplicated(t, primary, standby)
	known, ended := r.issue(), r.issue()
	r.answers(ended)
	if _, err := r.standby.ExecContext(t.Context(), `select pg_promote()`); err != nil {
		t.Fatal(err)
	}
	r.end(ended)
	// Its transactions have the numbers that the primary's have.
	if _, err := r.standby.ExecContext(t.Context(), `insert into xivo_edge_revocation (pos, kind) select n, 'fence' from generate_series(1, 10000) n`); err != nil {
		t.Fatal(err)
	}
	if !r.onStandby(ended) {
		t.Fatal("the promoted server lost the token: this tests nothing")
	}
	r.wants("a token revoked since", ended, store.ReplicaFailed, store.ErrNotFound)
	r.wants("another", known, store.ReplicaFailed, nil)
	if r.log.count("no standby") != 1 {
		t.Errorf("operators are not told:\n%s", r.log)
	}
}
