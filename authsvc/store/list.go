package store

// List says which part of a list is asked for. The caller has checked its
// words; what a resource can be ordered, searched and filtered by is said with
// the method that lists it.
type List struct {
	// Tenant is the tenant whose rows are listed, and Recurse whether those
	// of the tenants below it are, too. "" is no tenant's.
	Tenant  string
	Recurse bool
	// Everywhere lists what is of User or Group, one of which must be given,
	// whatever the tenant. It is said and not left to an empty Tenant, which
	// a token without a tenant has.
	Everywhere bool
	// User and Group narrow the scope, and so Total, to what is of one user
	// or group. "" for all.
	User, Group string

	// Order names a column, "" for the default; rows that are equal in it
	// are in the order of their keys, so that pages never overlap.
	Order      string
	Descending bool
	// Limit is the most items returned, nil for all; 0 returns none.
	Limit  *int64
	Offset int64

	// Search, unless nil, is looked for ignoring case: its words must stand
	// in one of the searched columns in their order. % and _ are wildcards,
	// as on the reference. "" matches every row that has such a column.
	Search *string
	// Filters are columns that must equal a value.
	Filters map[string]any
}

// Page is one part of a list.
type Page[T any] struct {
	Total    int // rows in the scope
	Filtered int // those that search and filters leave
	Items    []T // never nil
}
