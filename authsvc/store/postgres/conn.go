package postgres

import (
	"context"
	"database/sql/driver"
	"errors"
	"fmt"
	"io"
	"net"
	"sync/atomic"
	"time"

	"github.com/lib/pq"
)

// The driver honours a context by asking the server, over a second
// connection, to cancel, and goes on reading until the server complies. A
// server that hangs, or a network that swallows packets, thus blocks a caller
// whose time is long up. What follows bounds that wait, notices connections
// that died while idle before a statement is sent into them, and keeps
// database/sql from silently repeating a write whose outcome is unknown. Where
// a network swallows packets, one statement without an answer is enough to give
// up all connections that have been silent for as long.

// cancelGrace is how long a server may take to confirm a cancelled statement
// before the connection is cut.
const cancelGrace = 200 * time.Millisecond

// errLost replaces driver.ErrBadConn, on which database/sql would run the
// statement again, once a statement may have reached the server.
var errLost = fmt.Errorf("connection lost during a statement: %w", io.ErrUnexpectedEOF)

// errConnect marks what happened before there was a session to ask anything,
// such as a server without TLS or one that refuses a setting.
var errConnect = errors.New("connecting")

// connector makes guarded connections. It is safe for concurrent use.
type connector struct {
	cfg pq.Config
	// silent is when a statement was sent that got no answer at all before its
	// time was up, by clock: what was last heard from before
	// that is not to be used any more.
	silent atomic.Int64
	gate   chan struct{}
}

// maxConnecting is how many connections are opened at a time. All that were lost
// at once would otherwise be opened at once, by a server that has trouble enough:
// each takes so long that all are given up, and begun again, for ever.
const maxConnecting = 4

func newConnector(cfg pq.Config) *connector {
	return &connector{cfg: cfg, gate: make(chan struct{}, maxConnecting)}
}

// unanswered notes such a statement.
func (c *connector) unanswered(sent int64) {
	for {
		old := c.silent.Load()
		if sent <= old || c.silent.CompareAndSwap(old, sent) {
			return
		}
	}
}

var _ driver.Connector = (*connector)(nil)

// Connect opens a connection; ctx bounds the handshake too.
func (c *connector) Connect(ctx context.Context) (driver.Conn, error) {
	select {
	case c.gate <- struct{}{}:
		defer func() { <-c.gate }()
	case <-ctx.Done():
		return nil, fmt.Errorf("%w: waiting for others to connect: %w", errConnect, ctx.Err())
	}
	inner, err := pq.NewConnectorConfig(c.cfg)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", errConnect, err)
	}
	d := &dialer{ctx: ctx}
	inner.Dialer(d)
	cn, err := inner.Connect(ctx)
	d.connected.Store(true)
	if d.stop != nil && !d.stop() && err == nil {
		// ctx ended at the last moment and has cut the connection.
		_ = cn.Close()
		err = ctx.Err()
	}
	if err != nil {
		return nil, fmt.Errorf("%w: %w", errConnect, err)
	}
	pqCn, ok := cn.(pqConn)
	if !ok || d.raw == nil {
		_ = cn.Close()
		return nil, errors.New("postgres: the driver's connection lacks an interface this package relies on")
	}
	return &conn{pqConn: pqCn, raw: d.raw, from: c}, nil
}

// Driver is required by [driver.Connector]; nothing here calls it.
func (c *connector) Driver() driver.Driver { return &pq.Driver{} }

// dialer remembers the socket of the connection being made. The driver uses
// it again, later and from other goroutines, to send cancel requests.
type dialer struct {
	ctx       context.Context // of Connect, which outlives no call
	raw       *countingConn
	stop      func() bool
	connected atomic.Bool
}

var (
	_ pq.Dialer        = (*dialer)(nil)
	_ pq.DialerContext = (*dialer)(nil)
)

// DialContext implements [pq.DialerContext].
func (d *dialer) DialContext(ctx context.Context, network, address string) (net.Conn, error) {
	nc, err := (&net.Dialer{}).DialContext(ctx, network, address)
	if err != nil || d.connected.Load() {
		return nc, err
	}
	if d.stop != nil { // an earlier host of several
		d.stop()
	}
	d.raw = &countingConn{Conn: nc}
	//nolint:contextcheck // the context of the call, not that of connecting
	d.stop = context.AfterFunc(d.ctx, func() { _ = nc.SetDeadline(time.Unix(1, 0)) })
	return d.raw, nil
}

// Dial implements [pq.Dialer], which the driver prefers not to use.
func (d *dialer) Dial(network, address string) (net.Conn, error) {
	return d.DialContext(context.Background(), network, address)
}

// DialTimeout implements [pq.Dialer].
func (d *dialer) DialTimeout(network, address string, timeout time.Duration) (net.Conn, error) {
	ctx, cancel := context.WithTimeout(context.Background(), timeout)
	defer cancel()
	return d.DialContext(ctx, network, address)
}

// countingConn knows whether anything was sent since the last reset, and when
// something was received last.
type countingConn struct {
	net.Conn
	sent  atomic.Bool
	heard atomic.Int64
}

// Read notes that bytes arrived.
func (c *countingConn) Read(p []byte) (int, error) {
	n, err := c.Conn.Read(p)
	if n > 0 {
		c.heard.Store(clock())
	}
	return n, err
}

// Write notes that bytes left.
func (c *countingConn) Write(p []byte) (int, error) {
	n, err := c.Conn.Write(p)
	if n > 0 {
		c.sent.Store(true)
	}
	return n, err
}

// pqConn is what database/sql uses of the driver's connection.
type pqConn interface {
	driver.Conn
	driver.ConnBeginTx
	driver.ConnPrepareContext
	driver.ExecerContext
	driver.QueryerContext
	driver.Pinger
	driver.SessionResetter
	driver.Validator
}

// conn is a connection whose reads end when their context does. As any
// [driver.Conn] it serves one goroutine at a time.
type conn struct {
	pqConn
	raw  *countingConn
	from *connector
	cut  atomic.Bool // a context ended during a statement
}

// guard cuts the connection shortly after ctx ends. The returned function
// ends the guard.
func (c *conn) guard(ctx context.Context) (release func()) {
	c.raw.sent.Store(false)
	if ctx.Done() == nil {
		return func() {}
	}
	sent := clock()
	stop := context.AfterFunc(ctx, func() {
		_ = c.raw.SetDeadline(time.Now().Add(cancelGrace))
	})
	return func() {
		if !stop() {
			c.cut.Store(true)
			if c.raw.heard.Load() < sent && errors.Is(ctx.Err(), context.DeadlineExceeded) {
				c.from.unanswered(sent)
			}
		}
	}
}

// lost hides an error that would make database/sql repeat what was sent.
func (c *conn) lost(err error) error {
	if errors.Is(err, driver.ErrBadConn) && c.raw.sent.Load() {
		return errLost
	}
	return err
}

// ExecContext implements [driver.ExecerContext].
func (c *conn) ExecContext(ctx context.Context, query string, args []driver.NamedValue) (driver.Result, error) {
	defer c.guard(ctx)()
	res, err := c.pqConn.ExecContext(ctx, query, args)
	return res, c.lost(err)
}

// QueryContext implements [driver.QueryerContext].
func (c *conn) QueryContext(ctx context.Context, query string, args []driver.NamedValue) (driver.Rows, error) {
	release := c.guard(ctx)
	rows, err := c.pqConn.QueryContext(ctx, query, args)
	if err != nil {
		release()
		return nil, c.lost(err)
	}
	return &guardedRows{Rows: rows, c: c, release: release}, nil
}

// BeginTx implements [driver.ConnBeginTx]; the guard lasts until the
// transaction ends.
func (c *conn) BeginTx(ctx context.Context, opts driver.TxOptions) (driver.Tx, error) {
	release := c.guard(ctx)
	tx, err := c.pqConn.BeginTx(ctx, opts)
	if err != nil {
		release()
		// An empty transaction that may have begun is safe to begin again.
		return nil, err
	}
	return &guardedTx{Tx: tx, c: c, release: release}, nil
}

// ResetSession refuses a connection that died while it was idle.
func (c *conn) ResetSession(ctx context.Context) error {
	if !c.IsValid() || c.raw.heard.Load() < c.from.silent.Load() || !alive(c.raw.Conn) {
		return driver.ErrBadConn
	}
	return c.pqConn.ResetSession(ctx)
}

// IsValid implements [driver.Validator].
func (c *conn) IsValid() bool { return !c.cut.Load() && c.pqConn.IsValid() }

type guardedRows struct {
	driver.Rows
	c       *conn
	release func()
}

func (r *guardedRows) Next(dest []driver.Value) error {
	return r.c.lost(r.Rows.Next(dest))
}

func (r *guardedRows) Close() error {
	defer r.release()
	return r.c.lost(r.Rows.Close())
}

type guardedTx struct {
	driver.Tx
	c       *conn
	release func()
}

func (t *guardedTx) Commit() error {
	defer t.release()
	t.c.raw.sent.Store(false)
	return t.c.lost(t.Tx.Commit())
}

func (t *guardedTx) Rollback() error {
	defer t.release()
	return t.Tx.Rollback()
}
