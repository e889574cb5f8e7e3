package store

import "context"

// Group is one row of auth_group.
type Group struct {
	UUID       string
	TenantUUID string
	Name       string
	Slug       string
	// SystemManaged groups have the members the service gives them, such as
	// the one with all users of a tenant, and cannot be changed by clients.
	SystemManaged bool
}

// Groups keeps groups of users.
type Groups interface {
	// GroupByUUID returns the group; [ErrNotFound] when there is none.
	GroupByUUID(ctx context.Context, uuid string) (Group, error)
}
