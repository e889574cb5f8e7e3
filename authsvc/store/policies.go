package store

import "context"

// Policy is one row of auth_policy with its accesses, as it is seen from a
// tenant.
type Policy struct {
	UUID        string
	TenantUUID  string // whose it is
	Name        string
	Slug        string
	Description *string // nil when null
	// ACL is a set: each access once, in the order of their bytes. Never nil.
	ACL []string
	// ConfigManaged policies come from the configuration, are seen in every
	// tenant and not changed by clients. Null counts as false.
	ConfigManaged bool
	// Shared policies are seen in the tenants below their own, too.
	Shared bool
	// Inherited tells that the policy is seen from outside its tenant and what
	// is above that. It is not said of lists that are no tenant's.
	Inherited bool
}

// NewPolicy is what [Policies.CreatePolicy] inserts.
type NewPolicy struct {
	TenantUUID  string
	Name        string
	Description *string
	ACL         []string // in any order, repeated or not
	Shared      bool
	// Slugs are tried in this order, and the first that is free in the tenant
	// is taken: one, when the client has chosen it.
	Slugs []string
}

// Holder is a user or a group that has policies: one of the two uuids.
type Holder struct{ User, Group string }

// Policies keeps what users and groups may do.
//
// A policy is seen from its own tenant and those above that. One that is shared
// is seen from the tenants below its own, too, and one of the configuration
// from all. What is not seen from a tenant is [ErrNotFound] there.
type Policies interface {
	// UserAccesses returns, in this order and with duplicates kept: the
	// accesses of the top tenant's policy named basePolicy ("" for none),
	// those of the policies of the user's groups, those of the user's own
	// policies. One round trip.
	UserAccesses(ctx context.Context, userUUID, basePolicy string) ([]string, error)

	// PolicyByUUID returns the policy as it is seen from tenant.
	PolicyByUUID(ctx context.Context, tenant, uuid string) (Policy, error)
	// PolicyBySlug returns the policy with this very slug among those that are
	// seen from tenant, leaving out what is below it. Of several it is the
	// tenant's own, then one of the configuration, then a shared one.
	PolicyBySlug(ctx context.Context, tenant, slug string) (Policy, error)
	// ListPolicies lists what is seen from the list's tenant, with Recurse what
	// is below it as well. Orders: name, slug, description, uuid. Search: name,
	// description. Filters: uuid, name, slug, tenant_uuid, user_uuid,
	// group_uuid (who has it) and, unless Everywhere, read_only: true for those
	// of the configuration and those that the top tenant shares, false for
	// those of the listed tenants themselves.
	ListPolicies(ctx context.Context, want List) (Page[Policy], error)

	// CreatePolicy inserts a policy. It is a [ConflictError] when its name or
	// slug is that of another one in its tenant (slugs in either case), of one
	// of the configuration, of one that a tenant above shares, or, if it is
	// shared itself, of any in a tenant below; [ErrNotFound] when there is no
	// such tenant.
	CreatePolicy(ctx context.Context, p NewPolicy) (Policy, error)
	// UpdatePolicy has edit change the name, description and accesses of a
	// policy, while nobody else changes it, and stores the outcome. An error of
	// edit, which may run several times, is returned and nothing changed. A
	// name that changes must be free as in CreatePolicy.
	UpdatePolicy(ctx context.Context, tenant, uuid string, edit func(*Policy) error) (Policy, error)
	// DeletePolicy deletes a policy unless may, which sees it as it is then,
	// returns an error. Whoever had it has it no more.
	DeletePolicy(ctx context.Context, tenant, uuid string, may func(Policy) error) error

	// AddPolicy gives a policy to a user or group that may have it already;
	// [ErrNotFound] when one of both does not exist.
	AddPolicy(ctx context.Context, h Holder, uuid string) error
	// RemovePolicy takes it away, if it is there.
	RemovePolicy(ctx context.Context, h Holder, uuid string) error
}
