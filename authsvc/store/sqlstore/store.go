// Package sqlstore implements store.Store over database/sql with one set of
// statements for every database.
//
// Statements are constants in the Postgres way of writing; a [Dialect]
// translates them once, when the store is made. What cannot be said in one
// way for all (writes in a single round trip, the DDL, error codes) is the
// dialect's. Open a store with store/postgres or store/sqlite.
package sqlstore

import (
	"context"
	"database/sql"
	"errors"
	"math/rand/v2"
	"sync/atomic"
	"time"

	"github.com/wazo-edge/xivo-auth/authsvc/store"
)

const (
	// maxAttempts bounds how often a call that the database rolled back, or
	// a read whose connection broke, is tried.
	maxAttempts = 4
	// retryPause is the longest pause before the second attempt; it grows
	// with every further one. Deadlocks need the parties to fall out of step.
	retryPause = 10 * time.Millisecond
	// migrateFactor times Options.Timeout bounds Migrate, which creates some
	// twenty tables and may queue behind another process that does.
	migrateFactor = 12
)

// Store is a [store.Store] over a connection pool. It is safe for concurrent
// use. Every call ends within Options.Timeout, Migrate within twelve times
// that.
type Store struct {
	db      *sql.DB
	dialect Dialect
	q       statements
	texts   texts
	timeout time.Duration
	// writer holds one permit when the database has a single writer, else
	// it is nil.
	writer  chan struct{}
	closed  atomic.Bool
	listen  ListenFunc  // nil where the database cannot tell
	replica Replica     // nil: none
	trace   store.Trace // nil: nobody observes
}

var _ store.Store = (*Store)(nil)

// New takes over db, which [Store.Close] closes, and applies the pool sizes
// in o. It does not connect.
func New(db *sql.DB, d Dialect, o store.Options) *Store {
	o = o.Defaults()
	LimitPool(db, o)
	s := &Store{db: db, dialect: d, q: rebind(d), texts: texts{dialect: d}, timeout: o.Timeout, trace: o.Trace}
	if d.SingleWriter() {
		s.writer = make(chan struct{}, 1)
	}
	return s
}

// LimitPool applies the pool sizes in o.
func LimitPool(db *sql.DB, o store.Options) {
	db.SetMaxOpenConns(o.MaxConns)
	db.SetMaxIdleConns(o.MaxConns)
	db.SetConnMaxIdleTime(o.ConnMaxIdle)
}

// DB returns the pool, for what stands beside the store (a feed, fixtures of
// tests). Statements given to it go to the database as they are.
func (s *Store) DB() *sql.DB { return s.db }

// Rebind translates a statement written the Postgres way, for use with
// [Store.DB].
func (s *Store) Rebind(query string) string { return s.dialect.Rebind(query) }

// Ping reports whether the database answers.
func (s *Store) Ping(ctx context.Context) error {
	return s.call(ctx, "pinging", read, func(ctx context.Context) error {
		// A statement rather than db.PingContext: drivers reduce whatever
		// fails in a ping to "bad connection" and so lose the reason.
		var one int
		return s.db.QueryRowContext(ctx, s.q.ping).Scan(&one)
	})
}

// Close closes the pool. Calls in flight finish, later ones fail with
// [store.ErrUnavailable]. Closing again does nothing and returns nil.
func (s *Store) Close() error {
	s.closed.Store(true)
	err := s.db.Close()
	if s.replica != nil {
		err = errors.Join(err, s.replica.Close())
	}
	return err
}

// mode tells how a call may be queued and repeated.
type mode int

const (
	read mode = iota
	write
	migrate
)

// call runs f bounded by the store's timeout, again after errors that allow
// it, and translates what it fails with. f must be free of effects outside
// the database, since it may run several times.
func (s *Store) call(ctx context.Context, op string, m mode, f func(context.Context) error) (err error) {
	if s.trace != nil {
		var end func(string)
		ctx, end = s.trace(ctx, op)
		defer func() { end(store.Outcome(err)) }()
	}
	timeout := s.timeout
	if m == migrate {
		timeout *= migrateFactor
	}
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	if s.closed.Load() {
		return s.fail(ctx, op, errClosed)
	}
	if err := ctx.Err(); err != nil {
		return s.fail(ctx, op, err)
	}
	if m != read && s.writer != nil {
		select {
		case s.writer <- struct{}{}:
			defer func() { <-s.writer }()
		case <-ctx.Done():
			return s.fail(ctx, op, ctx.Err())
		}
	}
	for attempt := 1; ; attempt++ {
		err := f(ctx)
		if err == nil {
			return nil
		}
		again := false
		switch s.classify(err) {
		case KindRetry:
			again = true
		case KindLost:
			again = m == read
		}
		if !again || attempt == maxAttempts || !pause(ctx, attempt) {
			return s.fail(ctx, op, err)
		}
	}
}

// pause waits a random while that grows with attempt; it reports false when
// ctx ended first.
func pause(ctx context.Context, attempt int) bool {
	t := time.NewTimer(rand.N(time.Duration(attempt) * retryPause))
	defer t.Stop()
	select {
	case <-t.C:
		return ctx.Err() == nil
	case <-ctx.Done():
		return false
	}
}

// InTx runs f in a transaction that is committed when f returns nil and
// rolled back otherwise. A panic in f rolls back and goes on.
func InTx(ctx context.Context, db *sql.DB, f func(*sql.Tx) error) error {
	tx, err := db.BeginTx(ctx, nil)
	if err != nil {
		return err
	}
	// After a successful Commit this is a no-op; otherwise its error adds
	// nothing to the one being returned.
	defer func() { _ = tx.Rollback() }()
	if err := f(tx); err != nil {
		return err
	}
	return tx.Commit()
}

// Queryer is what reading needs of a pool or a transaction.
type Queryer interface {
	QueryContext(ctx context.Context, query string, args ...any) (*sql.Rows, error)
}

// collect reads all rows of a query. The result is never nil.
func collect[T any](ctx context.Context, q Queryer, scan func(*sql.Rows) (T, error), query string, args ...any) ([]T, error) {
	rows, err := q.QueryContext(ctx, query, args...)
	if err != nil {
		return nil, err
	}
	defer func() { _ = rows.Close() }()
	out := []T{}
	for rows.Next() {
		v, err := scan(rows)
		if err != nil {
			return nil, err
		}
		out = append(out, v)
	}
	return out, rows.Err()
}
