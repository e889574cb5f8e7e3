package postgres

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"slices"
	"sync"

	"github.com/wazo-edge/xivo-auth/authsvc/store"
	"github.com/wazo-edge/xivo-auth/authsvc/store/sqlstore"
)

// Statement is what was sent to the server.
type Statement struct {
	Query string
	Args  []any
}

// Recorder keeps the statements of a store, of which many are put together
// while it runs, so that a test can ask what the server makes of them.
type Recorder struct {
	connector *connector
	mu        sync.Mutex
	sent      []Statement
}

// OpenRecorded is [Open] with a recorder.
func OpenRecorded(dsn string, o store.Options) (*sqlstore.Store, *Recorder, error) {
	o = o.Defaults()
	cfg, err := config(dsn, o)
	if err != nil {
		return nil, nil, err
	}
	r := &Recorder{connector: newConnector(cfg)}
	return sqlstore.New(sql.OpenDB(r), dialect{}, o), r, nil
}

// Take returns what was sent since it was called last.
func (r *Recorder) Take() []Statement {
	r.mu.Lock()
	defer r.mu.Unlock()
	sent := r.sent
	r.sent = nil
	return sent
}

func (r *Recorder) note(query string, args []driver.NamedValue) {
	s := Statement{Query: query}
	for _, a := range args {
		v := a.Value
		if b, ok := v.([]byte); ok {
			v = slices.Clone(b)
		}
		s.Args = append(s.Args, v)
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.sent = append(r.sent, s)
}

// Connect implements [driver.Connector].
func (r *Recorder) Connect(ctx context.Context) (driver.Conn, error) {
	c, err := r.connector.Connect(ctx)
	if err != nil {
		return nil, err
	}
	return &recordedConn{pqConn: c.(pqConn), to: r}, nil
}

// Driver implements [driver.Connector].
func (r *Recorder) Driver() driver.Driver { return r.connector.Driver() }

type recordedConn struct {
	pqConn
	to *Recorder
}

func (c *recordedConn) ExecContext(ctx context.Context, query string, args []driver.NamedValue) (driver.Result, error) {
	c.to.note(query, args)
	return c.pqConn.ExecContext(ctx, query, args)
}

func (c *recordedConn) QueryContext(ctx context.Context, query string, args []driver.NamedValue) (driver.Rows, error) {
	c.to.note(query, args)
	return c.pqConn.QueryContext(ctx, query, args)
}
