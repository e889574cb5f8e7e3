package store

import "context"

// Indexes are those that the historical schema lacks: without them, logins,
// lists and the deletion of users, policies and expired tokens read whole
// tables. They are named xivo_edge_…, and nothing else depends on them.
type Indexes interface {
	// InstallIndexes makes those that are missing and returns their names. On
	// Postgres writers are not kept waiting meanwhile. It may be called by
	// several processes at once; [ErrSchema] when the role may not.
	InstallIndexes(ctx context.Context) (made []string, err error)
	// RemoveIndexes removes them. Without them it does nothing.
	RemoveIndexes(ctx context.Context) error
	// MissingIndexes returns the names of those that are not there, or not
	// whole since making them was interrupted.
	MissingIndexes(ctx context.Context) ([]string, error)
}
