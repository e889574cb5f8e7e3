package postgres

import (
	"context"
	"crypto/rand"
	"database/sql"
	"errors"
	"fmt"
	"log/slog"
	"strconv"
	"time"
)

const (
	// sqlEcho notifies whoever listens and leaves nothing behind. Any role may
	// do that, and no table has to be there.
	sqlEcho = `select pg_notify('` + channel + `', 'fence ' || cast($1 as text))`
	// reecho is how long a node hears of nothing before it calls out again.
	reecho = time.Minute
)

// errDeaf ends a listening that proved to hear nothing. It is what an operator
// reads at night, so it says what to do.
var errDeaf = errors.New("what the database announces does not arrive on the connection that listens: " +
	"a pooler in transaction mode stands before the database, or the connection leads to another one; " +
	"give the store a direct connection to the same database (listen), or have the log read instead (feed poll)")

// echo finds out whether a connection that listens hears. That LISTEN was
// accepted and heartbeats are answered proves nothing: a pooler in transaction
// mode does both, each over whichever connection to the server is free, and
// throws notifications away. Whoever took that for a feed would go on accepting
// what others revoke, for max_age. So a node calls out over its pool, as
// whoever revokes does, and wants to hear it (ADR 12).
//
// Its methods belong to the goroutine that listens.
type echo struct {
	send    func(ctx context.Context, text string) error
	log     *slog.Logger
	nonce   string
	called  int        // calls so far
	back    int        // the latest call that was heard, 0 for none
	waiting bool       // for the database to take a call
	taken   time.Time  // when it took the latest, while that was not heard; else zero
	last    time.Time  // when anything was heard last
	results chan error // of calls
	told    bool       // that calls fail
}

// newEcho calls out over a pool; timeout bounds a call.
func newEcho(pool *sql.DB, log *slog.Logger, timeout time.Duration) *echo {
	return &echo{log: log, nonce: rand.Text(), results: make(chan error, 1), send: func(ctx context.Context, text string) error {
		ctx, cancel := context.WithTimeout(ctx, timeout)
		defer cancel()
		_, err := pool.ExecContext(ctx, sqlEcho, text)
		return err
	}}
}

// call calls out, without waiting for it, when nothing was heard for long
// enough and no other call is out.
func (e *echo) call(ctx context.Context) {
	if e.waiting || !e.taken.IsZero() || e.heard() && time.Since(e.last) < reecho {
		return
	}
	e.called++
	e.waiting = true
	text := e.text(e.called)
	go func() { e.results <- e.send(ctx, text) }()
}

func (e *echo) text(n int) string { return e.nonce + "-" + strconv.Itoa(n) }

// result takes in what became of a call. Before the first was heard, one that
// cannot be made ends the listening: nobody knows whether it hears. Later it
// does not. The connection has proved itself and lasts; and a pool in which
// every connection is taken, as by a crowd that logs in, would then have every
// token looked up besides.
func (e *echo) result(err error) error {
	e.waiting = false
	switch {
	case err == nil:
		e.told = false
		if e.back < e.called {
			e.taken = time.Now()
		}
	case !e.heard():
		return fmt.Errorf("finding out whether the connection that listens hears: %w", err)
	case !e.told:
		e.told = true
		e.log.Warn("whether the revocation feed still hears cannot be tried: nothing can be sent through the database", slog.Any("error", err))
	}
	return nil
}

// hear notes a notification. Whatever arrives proves that the connection hears;
// the first time it has to be our own: what others send may have been on its
// way while a pooler happened to have us on the right connection.
func (e *echo) hear(n notice) {
	if n.Kind == kindFence && len(n.IDs) == 1 && n.IDs[0] == e.text(e.called) {
		e.back, e.taken = e.called, time.Time{}
	}
	e.last = time.Now()
}

// heard reports whether a call ever came back.
func (e *echo) heard() bool { return e.back > 0 }

// due reports whether a heartbeat is of use now. Until the first call is back
// none is sent in the first second: a heartbeat has a pooler give us a
// connection to the server, which may be the very one that listens.
func (e *echo) due(now time.Time) bool {
	return e.heard() || !e.taken.IsZero() && now.Sub(e.taken) >= heartbeat
}

// missing reports whether a call stays out, given that a heartbeat sent at asked
// was answered and everything before the answer was taken in. The server sends
// what it has to notify before it answers, so this is no matter of patience: a
// busy machine does not make it true.
func (e *echo) missing(asked time.Time) bool {
	return !e.taken.IsZero() && asked.Sub(e.taken) >= heartbeat
}
