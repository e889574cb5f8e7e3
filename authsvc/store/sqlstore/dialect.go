package sqlstore

import (
	"context"
	"database/sql"

	"github.com/wazo-edge/xivo-auth/authsvc/store"
)

// Dialect is what one database does in its own way. It holds no connection
// and no state of a call; every method is safe for concurrent use.
type Dialect interface {
	// Rebind turns a statement written the Postgres way ($1, = any($1),
	// = any(array(select …)) without parentheses inside,
	// unnest(cast($1 as text[])) as x (value), collate "C") into this
	// database's. It is called once per statement, when the store is made,
	// but for lists, which are put together when they are asked for.
	Rebind(query string) string
	// List wraps strings as one argument, for = any($1) and for the columns
	// that hold a list. A nil list is stored as an empty one.
	List(v []string) any
	// ScanList returns a destination that fills dst from a list column, with
	// an empty list rather than nil.
	ScanList(dst *[]string) sql.Scanner
	// Classify tells what an error of the driver means. What every driver
	// has in common (no rows, contexts, bad connections) is already handled.
	Classify(err error) Kind
	// SingleWriter tells that the database lets one transaction write at a
	// time, so that waiting in a fair queue here beats polling its lock.
	SingleWriter() bool
	// LockLogins is a statement that keeps other writers of the login
	// namespace out until the transaction ends, "" when BEGIN already does.
	LockLogins() string

	// LockTree is a statement that keeps other writers of what must be right
	// over several tenants out until the transaction ends: who is whose
	// parent, and the names of policies that are shared. "" when BEGIN
	// already does. Whoever needs both takes LockLogins first.
	LockTree() string

	// LockUser is a statement that keeps other logins of the user with uuid
	// $1 out until the transaction ends, "" when BEGIN already does.
	LockUser() string

	// LockSchema is a statement that keeps other migrations out until the
	// transaction ends, "" when BEGIN already does.
	LockSchema() string
	// ListTables is a query for those of the table names in list $1 that
	// unqualified statements would find.
	ListTables() string
	// CreateTables creates all tables inside tx, empty.
	CreateTables(ctx context.Context, tx *sql.Tx) error

	// CreateIndex is a statement that makes an index unless it is there.
	CreateIndex(i Index) string
	// ListIndexes is a query for those of the index names in list $1 that are
	// there and whole.
	ListIndexes() string

	Sessions
	LogDialect
}

// Sessions are the few writes that Postgres does in a single statement, and
// so in one round trip, and that other databases need a transaction for.
// Their errors are the driver's own; the Store classifies them.
type Sessions interface {
	// CreateToken inserts both rows; see [store.Tokens]. The arguments are
	// those of [SessionArgs] and [TokenArgs].
	CreateToken(ctx context.Context, db *sql.DB, session, token []any) error
	// IssueToken runs [SQLIssueSession] and [SQLIssueToken] with [IssueArgs]
	// and returns the ACL, [sql.ErrNoRows] when the session was refused.
	IssueToken(ctx context.Context, db *sql.DB, args []any) (acl []string, err error)
	// IssueTokenTx does so inside a transaction.
	IssueTokenTx(ctx context.Context, tx *sql.Tx, args []any) (acl []string, err error)
	// DeleteToken returns [sql.ErrNoRows] when there is no such token.
	DeleteToken(ctx context.Context, db *sql.DB, uuid string) (store.EndedToken, error)
	// Clock is an expression for the whole seconds since 1970.
	Clock() string
	// DeleteExpiredTokens is called with a positive limit.
	DeleteExpiredTokens(ctx context.Context, db *sql.DB, now int64, limit int) ([]store.EndedToken, error)
	DeleteUserSessions(ctx context.Context, db *sql.DB, authID string) ([]store.EndedToken, error)
}

// Kind is what an error of a driver means for the caller.
type Kind int

const (
	// KindOther is an error nobody foresaw; it is passed on as it is.
	KindOther Kind = iota
	// KindNotFound is a row that refers to one that does not exist.
	KindNotFound
	// KindConflict is a violated unique constraint.
	KindConflict
	// KindInvalid is a value the column cannot hold.
	KindInvalid
	// KindUnavailable is a database that could not be asked.
	KindUnavailable
	// KindLost is a connection that broke under the call: nobody knows
	// whether a write happened, so only reads are repeated.
	KindLost
	// KindRetry is a transaction the database rolled back to resolve a
	// deadlock or a serialization conflict; repeating it is safe.
	KindRetry
	// KindSchema is a table, column or right that is missing.
	KindSchema
)
