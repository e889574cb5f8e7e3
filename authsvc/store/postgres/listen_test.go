package postgres_test

import (
	"context"
	"errors"
	"net"
	"strings"
	"testing"
	"time"

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
	err := within(t, "listening", func() error { return s.Listen(t.Context(), e) })
	if !errors.Is(err, store.ErrUnavailable) || !errors.Is(err, context.DeadlineExceeded) {
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
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	if err := s.Ping(ctx); !errors.Is(err, store.ErrUnavailable) || !strings.Contains(err.Error(), "waiting for others to connect") {
		t.Errorf("one more: %v", err)
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
