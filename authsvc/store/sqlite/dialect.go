package sqlite

import (
	"bytes"
	"context"
	"database/sql"
	_ "embed"
	"encoding/json"
	"errors"
	"fmt"
	"regexp"
	"strings"

	"modernc.org/sqlite"
	sqlite3 "modernc.org/sqlite/lib"

	"github.com/wazo-edge/xivo-auth/authsvc/store/sqlstore"
)

//go:embed schema.sql
var schemaSQL string

const sqlListTables = `select name from sqlite_schema where type = 'table' and name = any($1)`

// dialect is SQLite. It has no state.
type dialect struct{}

var _ sqlstore.Dialect = dialect{}

var (
	anyOf       = regexp.MustCompile(`= any\(\$(\d+)\)`)
	anyRow      = regexp.MustCompile(`= any\(array\((select [^()]*)\)\)`)
	unnest      = regexp.MustCompile(`unnest\(cast\(\$(\d+) as text\[\]\)\) as (\w+) \(value\)`)
	placeholder = regexp.MustCompile(`\$(\d+)`)
)

// Rebind rewrites lists, placeholders and the collation by bytes.
func (dialect) Rebind(query string) string {
	query = anyOf.ReplaceAllString(query, `in (select value from json_each($$$1))`)
	query = anyRow.ReplaceAllString(query, `in ($1)`)
	query = unnest.ReplaceAllString(query, `(select value from json_each($$$1)) as $2`)
	query = strings.ReplaceAll(query, `collate "C"`, `collate binary`)
	return placeholder.ReplaceAllString(query, `?$1`)
}

// List wraps v as a JSON array.
func (dialect) List(v []string) any {
	if len(v) == 0 {
		return "[]"
	}
	b, err := json.Marshal(v)
	if err != nil { // strings always marshal
		panic(err)
	}
	return string(b)
}

// ScanList reads a JSON array.
func (dialect) ScanList(dst *[]string) sql.Scanner { return (*list)(dst) }

// SingleWriter is true: a write locks the file.
func (dialect) SingleWriter() bool { return true }

// LockLogins is not needed: begin immediate locks the file.
func (dialect) LockLogins() string { return "" }

// LockTree is not needed either.
func (dialect) LockTree() string { return "" }

// LockUser is not needed either.
func (dialect) LockUser() string { return "" }

// LockSchema is not needed either.
func (dialect) LockSchema() string { return "" }

func (dialect) ListTables() string { return sqlListTables }

// CreateTables creates the tables.
func (dialect) CreateTables(ctx context.Context, tx *sql.Tx) error {
	_, err := tx.ExecContext(ctx, schemaSQL)
	return err
}

// CreateIndex implements [sqlstore.Dialect].
func (dialect) CreateIndex(i sqlstore.Index) string {
	return `create index if not exists ` + i.Name + ` on ` + i.Table + ` (` + i.Columns + `)`
}

// ListIndexes implements [sqlstore.Dialect].
func (dialect) ListIndexes() string {
	return `select name from sqlite_schema where type = 'index' and name = any($1)`
}

var (
	//go:embed log.sql
	logSQL string
	//go:embed log_drop.sql
	logDropSQL string
)

// LogVersion is that of log.sql.
func (dialect) LogVersion() int { return 2 }

// CreateLog runs log.sql.
func (dialect) CreateLog(ctx context.Context, tx *sql.Tx) error {
	_, err := tx.ExecContext(ctx, logSQL)
	return err
}

// DropLog runs log_drop.sql.
func (dialect) DropLog(ctx context.Context, tx *sql.Tx) error {
	_, err := tx.ExecContext(ctx, logDropSQL)
	return err
}

// Clock is that of the machine.
func (dialect) Clock() string { return `cast(strftime('%s', 'now') as integer)` }

// LogHistory is an id that was made with the log.
func (dialect) LogHistory() string { return `(select id from xivo_edge_history)` }

// LogEnd is the next number: one transaction writes at a time.
func (dialect) LogEnd() string {
	return `coalesce((select seq from sqlite_sequence where name = 'xivo_edge_revocation'), 0) + 1`
}

// LogSeen is nothing: who comes later has a higher number.
func (dialect) LogSeen() string { return `''` }

// LogUnseen is always so.
func (dialect) LogUnseen() string { return `$2 = ''` }

// list scans a JSON array and leaves out nulls, which grant nothing.
type list []string

// Scan implements [sql.Scanner].
func (l *list) Scan(src any) error {
	var text []byte
	switch v := src.(type) {
	case string:
		text = []byte(v)
	case []byte:
		text = v
	default:
		return fmt.Errorf("a list column holds %T", src)
	}
	// encoding/json leaves a null element of []string as "", so only lists
	// without the word take the short way.
	if !bytes.Contains(text, []byte("null")) {
		*l = list{}
		return json.Unmarshal(text, (*[]string)(l))
	}
	var elements []*string
	if err := json.Unmarshal(text, &elements); err != nil {
		return fmt.Errorf("a list column holds no JSON array of strings: %w", err)
	}
	*l = make(list, 0, len(elements))
	for _, e := range elements {
		if e != nil {
			*l = append(*l, *e)
		}
	}
	return nil
}

// primary is the primary result code of a driver's error, 0 for others.
func primary(err error) int {
	var e *sqlite.Error
	if !errors.As(err, &e) {
		return 0
	}
	return e.Code() & 0xff
}

// Classify goes by result code, and by text where SQLite has a single code
// for whatever is wrong with a statement.
func (dialect) Classify(err error) sqlstore.Kind {
	var e *sqlite.Error
	if !errors.As(err, &e) {
		return sqlstore.KindOther
	}
	if kind, ok := kinds[e.Code()]; ok {
		return kind
	}
	if kind, ok := kinds[e.Code()&0xff]; ok {
		return kind
	}
	if e.Code() == sqlite3.SQLITE_ERROR {
		for _, text := range []string{"no such table", "no such column", "already exists"} {
			if strings.Contains(e.Error(), text) {
				return sqlstore.KindSchema
			}
		}
	}
	return sqlstore.KindOther
}

// kinds holds extended codes and, for the rest of their family, primary ones.
var kinds = map[int]sqlstore.Kind{
	sqlite3.SQLITE_CONSTRAINT_UNIQUE:     sqlstore.KindConflict,
	sqlite3.SQLITE_CONSTRAINT_PRIMARYKEY: sqlstore.KindConflict,
	sqlite3.SQLITE_CONSTRAINT_ROWID:      sqlstore.KindConflict,
	sqlite3.SQLITE_CONSTRAINT_FOREIGNKEY: sqlstore.KindNotFound,
	sqlite3.SQLITE_CONSTRAINT_CHECK:      sqlstore.KindInvalid,
	sqlite3.SQLITE_CONSTRAINT_NOTNULL:    sqlstore.KindInvalid,
	sqlite3.SQLITE_CONSTRAINT_DATATYPE:   sqlstore.KindInvalid,
	sqlite3.SQLITE_TOOBIG:                sqlstore.KindInvalid,
	sqlite3.SQLITE_MISMATCH:              sqlstore.KindInvalid,

	sqlite3.SQLITE_BUSY_SNAPSHOT: sqlstore.KindRetry,
	sqlite3.SQLITE_BUSY_RECOVERY: sqlstore.KindRetry,
	sqlite3.SQLITE_SCHEMA:        sqlstore.KindRetry,

	sqlite3.SQLITE_BUSY:      sqlstore.KindUnavailable,
	sqlite3.SQLITE_LOCKED:    sqlstore.KindUnavailable,
	sqlite3.SQLITE_PROTOCOL:  sqlstore.KindUnavailable,
	sqlite3.SQLITE_INTERRUPT: sqlstore.KindUnavailable,
	sqlite3.SQLITE_IOERR:     sqlstore.KindUnavailable,
	sqlite3.SQLITE_FULL:      sqlstore.KindUnavailable,
	sqlite3.SQLITE_CANTOPEN:  sqlstore.KindUnavailable,
	sqlite3.SQLITE_READONLY:  sqlstore.KindUnavailable,
	sqlite3.SQLITE_PERM:      sqlstore.KindUnavailable,
	sqlite3.SQLITE_NOMEM:     sqlstore.KindUnavailable,
	sqlite3.SQLITE_CORRUPT:   sqlstore.KindUnavailable,

	sqlite3.SQLITE_NOTADB: sqlstore.KindSchema,
}
