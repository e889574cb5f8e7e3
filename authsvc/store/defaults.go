package store

import "context"

// Defaults are the policies and groups that a configuration wants to be there
// (contract: schema.md §4).
type Defaults struct {
	// Policies are kept in the top tenant, with these accesses, whatever
	// somebody made of them since.
	Policies []DefaultPolicy
	// AllUsers are policies that the group of all users has in each tenant.
	AllUsers DefaultPolicies
	// Groups are kept in each tenant.
	Groups []DefaultGroup
}

// DefaultPolicies tell by slug which policies of the top tenant a group is to
// have: true adds one, false is said for each case with the field.
type DefaultPolicies map[string]bool

// DefaultPolicy is a policy that the configuration manages. Clients cannot
// change it, and it is seen in every tenant.
type DefaultPolicy struct {
	Slug        string
	Description string
	ACL         []string
	Shared      bool
}

// DefaultGroup is a group that each tenant has.
type DefaultGroup struct {
	Slug string
	Name string // "" is the slug
	// Policies to add, or, where false, to remove.
	Policies DefaultPolicies
}

// Synced tells what [Provisioning.SyncDefaults] did and could not do.
type Synced struct {
	// Changed counts rows that were not as they should be.
	Changed int
	// MissingPolicies are slugs that the top tenant has no policy of.
	MissingPolicies []string
	// Orphans are slugs of policies that the configuration does not have any
	// more, and that stay because a user or a group has them.
	Orphans []string
	// TakenGroups are the tenants in which another group has the name of a
	// default group.
	TakenGroups []string
}

// Count adds rows that a statement changed, and passes its error on.
func (d *Synced) Count(n int64, err error) error {
	d.Changed += int(n)
	return err
}

// Provisioning brings what the configuration wants into the database.
type Provisioning interface {
	// SyncDefaults makes policies, then what the groups of all users have,
	// then the groups, and removes policies that it once made and that are
	// wanted no more, unless somebody has them. Each step is a transaction.
	// Several nodes may call it at once: the second finds it done. Calling it
	// again changes nothing.
	SyncDefaults(ctx context.Context, d Defaults) (Synced, error)
}
