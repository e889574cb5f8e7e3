// Package sqlite opens a store in one SQLite file, for a single machine: any
// number of readers, one writer at a time. It is pure Go and needs no server.
//
// The tables are those of store/postgres, so rows can be copied across; see
// schema.sql for the types. Names are compared with a lower() that folds all
// of Unicode, as Postgres does, registered on this package's own instance of
// the driver. Two unique indexes are built with it. Another program can read
// the file, but one that brings its own ASCII-only lower() must not write
// usernames, addresses or slugs beyond ASCII: its entries in those indexes
// would be wrong, and an equal name might be accepted twice. `reindex` run
// through this package repairs them.
package sqlite

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"time"

	"modernc.org/sqlite"
	sqlite3 "modernc.org/sqlite/lib"

	"github.com/wazo-edge/xivo-auth/authsvc/store"
	"github.com/wazo-edge/xivo-auth/authsvc/store/sqlstore"
)

// reopenPause is how long to wait before opening again a file that another
// process is switching to WAL, which does not honour the busy timeout.
const reopenPause = 5 * time.Millisecond

// Open returns a store in the file at path, which may hold any character. It
// touches nothing: the first call creates a missing file, readable by its owner
// only, and the directories above it. Relative paths are taken from the working directory
// of the moment. "" and ":memory:" are refused: every connection of the pool
// would have a database of its own.
//
// Several stores and processes may open one file. A write waits for theirs up
// to o.Timeout, then fails with [store.ErrUnavailable].
func Open(path string, o store.Options) (*sqlstore.Store, error) { return open(path, o, false) }

// OpenReadOnly returns a store that changes nothing: neither the file, which
// has to exist, nor what is beside it. A server may have the file open and
// write to it. Writes fail.
func OpenReadOnly(path string, o store.Options) (*sqlstore.Store, error) { return open(path, o, true) }

func open(path string, o store.Options, readOnly bool) (*sqlstore.Store, error) {
	o = o.Defaults()
	if path == "" || path == ":memory:" {
		return nil, fmt.Errorf("sqlite: %q is no file; give a path", path)
	}
	if strings.IndexByte(path, 0) >= 0 {
		return nil, errors.New("sqlite: the path holds a NUL")
	}
	path, err := filepath.Abs(path)
	if err != nil {
		return nil, fmt.Errorf("sqlite: %w", err)
	}
	drv, err := ourDriver()
	if err != nil {
		return nil, fmt.Errorf("sqlite: %w", err)
	}
	c := &connector{driver: drv, path: path, dsn: dsn(path, o)}
	if readOnly {
		c.path, c.dsn = "", readOnlyDSN(path, o)
	}
	return sqlstore.New(sql.OpenDB(c), dialect{}, o), nil
}

// create makes the file and the directories above it. SQLite gives its -wal
// and -shm files the mode of the main one.
func create(path string) error {
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return err
	}
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return err
	}
	return f.Close()
}

// dsn is a URI, the only form in which a path may hold "?" or "#".
//
// What was answered is on the disk: with synchronous(NORMAL) a power loss takes
// back the last commits in WAL mode, and a token that was revoked, or a password
// that was changed, would be good again. It costs a millisecond where a login
// costs a hundred for its hash.
func dsn(path string, o store.Options) string {
	return uri(path, url.Values{
		"_busy_timeout": {strconv.FormatInt(o.Timeout.Milliseconds(), 10)},
		"_pragma":       {"journal_mode(WAL)", "synchronous(FULL)", "foreign_keys(1)"},
		// A transaction that starts as a reader and turns writer fails at
		// once when another wrote in between, whatever the busy timeout.
		"_txlock":    {"immediate"},
		"_dqs":       {"0"},
		"_defensive": {"1"},
	})
}

// readOnlyDSN has SQLite take the file as it is where nobody has it open: a
// reader, too, would leave a -wal and a -shm file behind.
func readOnlyDSN(path string, o store.Options) string {
	q := url.Values{"_busy_timeout": {strconv.FormatInt(o.Timeout.Milliseconds(), 10)}, "mode": {"ro"}}
	if _, err := os.Stat(path + "-wal"); errors.Is(err, os.ErrNotExist) {
		q.Set("immutable", "1")
	}
	return uri(path, q)
}

func uri(path string, q url.Values) string {
	path = filepath.ToSlash(path)
	if !strings.HasPrefix(path, "/") { // a Windows drive
		path = "/" + path
	}
	return (&url.URL{Scheme: "file", OmitHost: true, Path: path, RawQuery: q.Encode()}).String()
}

// ourDriver is an instance of the driver with our lower(). The one registered
// globally stays untouched, since it belongs to the whole process.
var ourDriver = sync.OnceValues(func() (*sqlite.Driver, error) {
	d := &sqlite.Driver{}
	return d, d.RegisterDeterministicScalarFunction("lower", 1, lower)
})

// lower folds as Postgres does in a UTF-8 locale: rune by rune.
func lower(_ *sqlite.FunctionContext, args []driver.Value) (driver.Value, error) {
	switch v := args[0].(type) {
	case nil:
		return nil, nil
	case string:
		return strings.ToLower(v), nil
	case []byte:
		return strings.ToLower(string(v)), nil
	default:
		return fmt.Sprint(v), nil
	}
}

// connector opens connections through our driver. It is safe for concurrent
// use.
type connector struct {
	driver *sqlite.Driver
	path   string // to create when it is missing, "" for nothing
	dsn    string
}

var _ driver.Connector = (*connector)(nil)

// Connect implements [driver.Connector].
func (c *connector) Connect(ctx context.Context) (driver.Conn, error) {
	if c.path != "" {
		if err := create(c.path); err != nil {
			return nil, fmt.Errorf("%w: sqlite: %w", store.ErrUnavailable, err)
		}
	}
	for {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		conn, err := c.driver.Open(c.dsn)
		if err == nil || primary(err) != sqlite3.SQLITE_BUSY {
			return conn, err
		}
		t := time.NewTimer(reopenPause)
		select {
		case <-t.C:
		case <-ctx.Done():
			t.Stop()
			return nil, fmt.Errorf("%w: %w", ctx.Err(), err)
		}
	}
}

// Driver implements [driver.Connector].
func (c *connector) Driver() driver.Driver { return c.driver }
