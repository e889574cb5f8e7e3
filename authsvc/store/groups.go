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
	// ListGroups orders by name (the default) or uuid, searches the name, and
	// filters uuid, name, slug, user_uuid (of a member), policy_uuid and
	// policy_slug (of a policy linked to it; all strings) and system_managed
	// (bool). l.User selects the groups that he is a member of.
	ListGroups(ctx context.Context, l List) (Page[Group], error)
	// CreateGroup inserts g, which no system manages, with a uuid it chooses
	// and the first of slugs that no group of its tenant has in any case.
	// [ConflictError] of name or slug; [ErrNotFound] when there is no such
	// tenant.
	CreateGroup(ctx context.Context, g Group, slugs []string) (Group, error)
	// RenameGroup changes the name and returns the group. [ConflictError] of
	// the name when another group of the tenant has it; [ErrNotFound] when
	// there is no such group.
	RenameGroup(ctx context.Context, uuid, name string) (Group, error)
	// DeleteGroup removes the group and its links; [ErrNotFound] when there
	// is none.
	DeleteGroup(ctx context.Context, uuid string) error
	// AddGroupMember makes the user a member, which he may be already.
	// [ErrNotFound] when there is no such group or user.
	AddGroupMember(ctx context.Context, groupUUID, userUUID string) error
	// RemoveGroupMember ends that, and reports whether he was one.
	RemoveGroupMember(ctx context.Context, groupUUID, userUUID string) (was bool, err error)
}
