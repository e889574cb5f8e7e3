// Package store declares what the service keeps and the contract every
// database behind it fulfils. It holds plain types, sentinels and interfaces;
// the statements live in store/sqlstore, the dialects in store/postgres and
// store/sqlite, and the proof that both keep this contract in store/storetest.
//
// Every method honours its context: when it is done the call returns promptly
// with an error that wraps [ErrUnavailable] and the context's own error.
// Every value is safe for concurrent use. UUIDs are lower-case dashed text,
// as they stand in the historical schema; times are UTC.
package store

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"time"
)

// Sentinels. Stores wrap them with what they were doing; callers use
// [errors.Is]. The text of an error may name a table or constraint and is for
// logs only: it never reaches a client.
var (
	// ErrNotFound reports that the row asked for does not exist.
	ErrNotFound = errors.New("not found")
	// ErrConflict reports that a unique constraint refused the write.
	ErrConflict = errors.New("conflict")
	// ErrUnavailable reports that the database could not be asked: it is
	// down, the pool is exhausted, or the deadline passed. Nothing may be
	// concluded about the row.
	ErrUnavailable = errors.New("store unavailable")
	// ErrInvalid reports a write the database cannot hold as given: text that
	// is not UTF-8 or has a NUL, a value too long or outside its column's
	// range. Lookups of such text answer [ErrNotFound].
	ErrInvalid = errors.New("invalid value")
	// ErrSchema reports a database whose schema is not the one this version
	// works with. Retrying does not help; an operator has to act.
	ErrSchema = errors.New("unexpected database schema")
)

// MaxIndexed is how many bytes a text may have that every store can index,
// whatever the text: Postgres has 2704 for one that it cannot compress, and
// what stands beside it in the index.
const MaxIndexed = 2600

// ConflictError is an [ErrConflict] of which it is known what is taken.
type ConflictError struct {
	Field string // as clients call it: "username", "slug", "name", …
	Value string
}

func (e *ConflictError) Error() string { return e.Field + " is taken" }

// Is makes it an [ErrConflict].
func (e *ConflictError) Is(target error) bool { return target == ErrConflict }

// Store is the whole contract. Rooms ask for the small interfaces below.
type Store interface {
	Schema
	Tokens
	Logins
	RefreshTokens
	Sessions
	Users
	Accounts
	Groups
	Methods
	LDAPConfigs
	Policies
	Tenants
	Provisioning
	Indexes
	Log
	io.Closer
}

// SchemaState is what [Schema.State] found.
type SchemaState int

const (
	// SchemaEmpty is a database in which the service's tables do not exist.
	SchemaEmpty SchemaState = iota
	// SchemaCurrent is a database this version works with.
	SchemaCurrent
)

// Schema creates and recognises the tables (contract: schema.md).
type Schema interface {
	// State tells whether the tables exist. It returns an error wrapping
	// [ErrSchema] when they exist at another revision.
	State(ctx context.Context) (SchemaState, error)
	// Migrate creates the schema and its seeded rows when the database is
	// empty and does nothing when it is current. It is safe to call from
	// several processes at once. It returns whether it created anything.
	Migrate(ctx context.Context) (created bool, err error)
	// Ping reports whether the database answers.
	Ping(ctx context.Context) error
}

// Token is one row of auth_token with what is read beside it.
type Token struct {
	UUID        string
	AuthID      string // a user's uuid, or "wazo-auth" for internal tokens
	PBXUserUUID string // "" when null
	XiVOUUID    string // "" when null
	IssuedAt    int64  // Unix seconds
	ExpiresAt   int64  // Unix seconds
	Metadata    string // JSON text, "" when null
	SessionUUID string
	UserAgent   string
	RemoteAddr  string
	ACL         []string // never nil; order and duplicates kept

	// UserTenant is the current tenant of the user AuthID names, "" when
	// there is no such user (any more). It is read with the token in one
	// round trip and ignored on insertion.
	UserTenant string
}

// Session is one row of auth_session.
type Session struct {
	UUID       string
	Mobile     bool
	TenantUUID string
}

// EndedToken names a token that was deleted, and its session.
type EndedToken struct {
	UUID        string
	AuthID      string
	SessionUUID string
	// SessionTenant is the session's tenant.
	SessionTenant string
	// SessionEnded tells whether the session went with the token, as it does
	// when this was its only token.
	SessionEnded bool
}

// Tokens keeps tokens and their sessions.
type Tokens interface {
	// CreateToken inserts the session and its token, both or neither, in one
	// round trip where the database allows it.
	CreateToken(ctx context.Context, s Session, t Token) error
	// Token returns the row whether or not it expired, with UserTenant
	// filled, in one round trip; [ErrNotFound] when there is none.
	Token(ctx context.Context, uuid string) (Token, error)
	// DeleteToken removes the token, and its session when this was its only
	// token; [ErrNotFound] when there is none.
	DeleteToken(ctx context.Context, uuid string) (EndedToken, error)
	// DeleteExpiredTokens removes at most limit tokens with ExpiresAt < now
	// (Unix seconds), oldest first, with their sessions, in one transaction.
	// Several nodes may call it at once; each row is returned to one of them.
	DeleteExpiredTokens(ctx context.Context, now int64, limit int) ([]EndedToken, error)
	// Clock is the time by the store's own clock, to the second, which all
	// nodes have in common.
	Clock(ctx context.Context) (time.Time, error)
	// DeleteUserSessions removes every session that has a token of authID,
	// with those tokens.
	DeleteUserSessions(ctx context.Context, authID string) ([]EndedToken, error)
}

// Options are the settings both databases understand.
type Options struct {
	// MaxConns bounds the connection pool. Default 32.
	MaxConns int
	// ConnMaxIdle closes connections idle for longer. Default 5 minutes.
	ConnMaxIdle time.Duration
	// Timeout bounds every single operation, waiting for a connection
	// included. Default 5 seconds. It is also the longest a read can be in
	// flight, which the cache's revocation rule relies on.
	Timeout time.Duration
	// ReplicaDSN names a streaming standby, to read tokens from where that is
	// as good as asking the database itself. Default: none. Postgres only.
	ReplicaDSN string
	// Log is told of what operators need to know. Default: nothing.
	Log *slog.Logger
	// Trace observes every operation. Default: nobody does.
	Trace Trace
	// ListenDSN is how to reach the database for listening, which takes a
	// session of its own, where a pooler in transaction mode stands in
	// between. Default: as for everything else.
	ListenDSN string
}

// Defaults returns o with unset fields filled.
func (o Options) Defaults() Options {
	if o.MaxConns <= 0 {
		o.MaxConns = 32
	}
	if o.ConnMaxIdle <= 0 {
		o.ConnMaxIdle = 5 * time.Minute
	}
	if o.Timeout <= 0 {
		o.Timeout = 5 * time.Second
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	return o
}
