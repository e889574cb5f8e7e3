package postgres_test

import (
	"context"
	"errors"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/wazo-edge/xivo-auth/authsvc/store"
	"github.com/wazo-edge/xivo-auth/authsvc/store/sqlstore"
	"github.com/wazo-edge/xivo-auth/internal/pgtest"
)

// ear is a [store.Listener] that counts.
type ear struct {
	ready chan struct{}
	alive chan struct{}
}

func newEar() ear { return ear{make(chan struct{}), make(chan struct{}, 1)} }

func (e ear) Ready() error         { close(e.ready); return nil }
func (e ear) Changed(store.Change) {}
func (e ear) Alive(time.Duration) {
	select {
	case e.alive <- struct{}{}:
	default:
	}
}

// listening is a store with the log whose connections go through p.
func listening(t *testing.T, timeout time.Duration) (p *proxy, s *sqlstore.Store) {
	t.Helper()
	dsn := pgtest.DSN(t)
	direct, _ := migrated(t, dsn, store.Options{Timeout: time.Minute})
	if err := direct.InstallLog(t.Context()); err != nil {
		t.Fatal(err)
	}
	p = newProxy(t, dsn)
	return p, openStore(t, p.DSN, store.Options{Timeout: timeout})
}

// TestListen_NeverBegins: the network swallows the answer to LISTEN. Who waits
// for it for ever neither hears of revocations nor knows that he does not.
func TestListen_NeverBegins(t *testing.T) {
	t.Parallel()
	p, s := listening(t, 200*time.Millisecond)
	p.ignore("LISTEN")
	e := newEar()
	var err error
	for range 20 { // on a busy machine connecting may take too long before that
		err = s.Listen(t.Context(), e)
		if !errors.Is(err, store.ErrUnavailable) {
			t.Fatal(err)
		}
		if errors.Is(err, context.DeadlineExceeded) {
			break
		}
	}
	if !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("%v", err)
	}
	select {
	case <-e.ready:
		t.Error("it is said to be heard")
	default:
	}
}

// TestListen_FallsSilent: a connection that listens is forgotten by a firewall.
// It says nothing, as one does on which there is nothing to tell.
func TestListen_FallsSilent(t *testing.T) {
	t.Parallel()
	p, s := listening(t, time.Minute)
	e, ended := newEar(), make(chan error, 1)
	go func() { ended <- s.Listen(t.Context(), e) }()
	select {
	case <-e.alive:
	case err := <-ended:
		t.Fatal(err)
	}
	p.forget()
	if err := <-ended; !errors.Is(err, store.ErrUnavailable) || !strings.Contains(err.Error(), "no answer for") {
		t.Errorf("%v", err)
	}
}

// TestConnect_FewAtATime: a server that was restarted is slow to shake hands. All
// that wait for it must not do so at once.
func TestConnect_FewAtATime(t *testing.T) {
	t.Parallel()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = l.Close() }()
	accepted := make(chan net.Conn, 16)
	go func() {
		for {
			c, err := l.Accept() // and that is all it does
			if err != nil {
				return
			}
			accepted <- c
		}
	}()
	s := openStore(t, "postgres://u@"+l.Addr().String()+"/db?sslmode=disable", store.Options{MaxConns: 16, Timeout: time.Minute})
	const atATime = 4
	failed := make(chan error, atATime)
	var held []net.Conn
	for range atATime {
		go func() { failed <- s.Ping(t.Context()) }()
		held = append(held, <-accepted)
	}
	for try := 1; ; try++ { // on a busy machine its time may be up before it comes to that
		ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
		err := s.Ping(ctx)
		cancel()
		if errors.Is(err, store.ErrUnavailable) && strings.Contains(err.Error(), "waiting for others to connect") {
			break
		}
		if err == nil || try == 20 {
			t.Fatalf("one more: %v", err)
		}
	}
	if n := len(accepted); n != 0 {
		t.Errorf("%d more were connected", n)
	}
	// Who is done with it, well or not, makes room.
	for _, c := range held {
		_ = c.Close()
		if err := <-failed; !errors.Is(err, store.ErrUnavailable) {
			t.Errorf("a server that hung up: %v", err)
		}
	}
	go func() { failed <- s.Ping(t.Context()) }()
	_ = (<-accepted).Close()
	<-failed
}

// TestListen_AnotherDatabase: a connection that leads to another database than
// everything else answers each heartbeat and hears nothing.
func TestListen_AnotherDatabase(t *testing.T) {
	t.Parallel()
	s := openStore(t, pgtest.DSN(t), store.Options{Timeout: time.Minute, ListenDSN: pgtest.DSN(t)})
	e := newEar()
	err := within(t, "listening", func() error { return s.Listen(t.Context(), e) })
	if !errors.Is(err, store.ErrUnavailable) || !strings.Contains(err.Error(), "feed poll") {
		t.Errorf("%v", err)
	}
	select {
	case <-e.ready:
		t.Error("it is said to be heard")
	case <-e.alive:
		t.Error("it is said to be alive")
	default:
	}
}

// TestListen_NothingMissed: what is committed before it is clear that the
// connection hears is told when it is.
func TestListen_NothingMissed(t *testing.T) {
	t.Parallel()
	dsn := pgtest.DSN(t)
	other, _ := migrated(t, dsn, store.Options{Timeout: time.Minute})
	s := openStore(t, dsn, store.Options{MaxConns: 1, Timeout: time.Minute})
	if err := s.InstallLog(t.Context()); err != nil {
		t.Fatal(err)
	}
	taken, err := s.DB().Conn(t.Context()) // so it cannot call out yet
	if err != nil {
		t.Fatal(err)
	}
	e := hearer{ready: make(chan struct{}), told: make(chan store.Change, 1)}
	go func() { _ = s.Listen(t.Context(), e) }()
	for listens := false; !listens; {
		if err := other.DB().QueryRowContext(t.Context(), `select exists (select from pg_stat_activity
where datname = current_database() and query ilike 'listen%' and state = 'idle')`).Scan(&listens); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := other.DB().ExecContext(t.Context(), `select xivo_edge_announce('tenants', '{}')`); err != nil {
		t.Fatal(err)
	}
	select {
	case <-e.ready:
		t.Error("it is said to be heard")
	case <-e.told:
		t.Error("told before that")
	default:
	}
	_ = taken.Close()
	<-e.ready
	if c := <-e.told; c.Kind != store.TenantsChanged {
		t.Errorf("%+v", c)
	}
}

// hearer is a [store.Listener] that keeps what it is told.
type hearer struct {
	ready chan struct{}
	told  chan store.Change
}

func (h hearer) Ready() error           { close(h.ready); return nil }
func (h hearer) Changed(c store.Change) { h.told <- c }
func (hearer) Alive(time.Duration)      {}

// TestListen_OrdinaryRole: finding out whether it hears, and which history it
// reads, takes no right but to read the log, not even to write.
func TestListen_OrdinaryRole(t *testing.T) {
	t.Parallel()
	dsn := pgtest.DSN(t)
	admin, _ := migrated(t, dsn, store.Options{Timeout: time.Minute})
	if err := admin.InstallLog(t.Context()); err != nil {
		t.Fatal(err)
	}
	role := "reader_" + strings.ReplaceAll(uuid.NewString(), "-", "")
	for _, stmt := range []string{
		`create role ` + role + ` login`, `alter role ` + role + ` set default_transaction_read_only = on`,
		`grant select on xivo_edge_state, xivo_edge_revocation to ` + role,
	} {
		if _, err := admin.DB().ExecContext(t.Context(), stmt); err != nil {
			t.Fatal(err)
		}
	}
	t.Cleanup(func() {
		if _, err := admin.DB().ExecContext(context.Background(), `drop owned by `+role+`; drop role `+role); err != nil {
			t.Error(err)
		}
	})
	s := openStore(t, strings.Replace(dsn, "postgres@", role+"@", 1), store.Options{Timeout: time.Minute})
	e, ended := newEar(), make(chan error, 1)
	go func() { ended <- s.Listen(t.Context(), e) }()
	select {
	case <-e.alive:
	case err := <-ended:
		t.Fatal(err)
	}
	mine, err := s.LogEnd(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	theirs, err := admin.LogEnd(t.Context())
	if err != nil || mine.History == "" || mine.History != theirs.History {
		t.Errorf("%q and %q, %v", mine.History, theirs.History, err)
	}
	if _, _, gap, err := s.ReadLog(t.Context(), mine); err != nil || gap {
		t.Errorf("gap %v, %v", gap, err)
	}
}
