package store

import (
	"context"
	"time"
)

// ChangeKind tells what a change is about. It is a closed set; the values are
// those of the log.
type ChangeKind string

// The kinds.
const (
	// TokensEnded are tokens that were deleted before their expiry.
	TokensEnded ChangeKind = "ended"
	// TokensChanged are tokens whose rows are others now, which only somebody
	// with a database client does.
	TokensChanged ChangeKind = "changed"
	// UsersChanged are users who were deleted or moved to another tenant.
	UsersChanged ChangeKind = "users"
	// TenantsChanged is a tenant tree that is another now.
	TenantsChanged ChangeKind = "tenants"
	// Everything is a table that was emptied at once.
	Everything ChangeKind = "everything"
)

// Change is an entry of the revocation log. IDs are uuids of tokens or users,
// none for the other kinds.
type Change struct {
	Kind ChangeKind
	IDs  []string
}

// Position is a place in the log. It means something to the store it comes
// from only; the zero value is before everything.
type Position struct {
	// History names what the place is one of: this log, as this server tells
	// it. Places are numbered by the server, and one that takes another's
	// place gives the same numbers to other entries.
	History string
	// At is the number.
	At int64
	// Seen tells which entries from there on were there already, where later
	// ones may have lower numbers.
	Seen string
}

// Log is the revocation log: what ended early, whoever ended it, written by
// triggers on the service's own tables and so by every program that writes to
// them. Its tables, functions and triggers are named xivo_edge_… and are no
// part of the historical schema: [Log.RemoveLog] leaves no trace of them.
type Log interface {
	// InstallLog creates them where they are missing, or of another version.
	// It is safe to call from several processes at once. An error wraps
	// [ErrSchema] when the role may not.
	InstallLog(ctx context.Context) error
	// RemoveLog removes them. Without them it does nothing.
	RemoveLog(ctx context.Context) error
	// LogEnd returns a position such that every change committed after the
	// call is read from it. [ErrSchema] when there is no log.
	LogEnd(ctx context.Context) (Position, error)
	// ReadLog returns the changes committed since from was returned, and the
	// position to go on from. gap is true when that cannot be told, since some
	// were pruned meanwhile, or the log or the server are others than from is
	// of: then nothing read before from can be trusted any more.
	ReadLog(ctx context.Context, from Position) (changes []Change, next Position, gap bool, err error)
	// PruneLog removes entries older than before and returns how many.
	PruneLog(ctx context.Context, before time.Time) (int, error)
	// Listen tells l of every change at the moment it is committed, and
	// returns with an error when that has come to an end, so also when it
	// proves to hear nothing, l.Ready returns one, or ctx is done. The error wraps
	// [errors.ErrUnsupported] where the database cannot tell.
	Listen(ctx context.Context, l Listener) error
}

// Listener is told what [Log.Listen] hears, from one goroutine.
type Listener interface {
	// Ready is called first, once it is proved that changes are heard: nothing
	// that is committed from then on is missed. An error ends the listening.
	Ready() error
	// Changed is called for every change.
	Changed(c Change)
	// Alive is called now and then: whatever was committed longer than ago
	// before the call was told. While it is not called nobody knows that.
	Alive(ago time.Duration)
}
