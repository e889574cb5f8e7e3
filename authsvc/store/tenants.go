package store

import (
	"context"
	"errors"
)

// ErrHasChildren reports a tenant that others are below.
var ErrHasChildren = errors.New("there are tenants below it")

// ErrDescendant reports a parent that is the tenant itself or below it.
var ErrDescendant = errors.New("the parent is the tenant or below it")

// ReferenceError is an [ErrNotFound] of something that a row was to refer to,
// and not of that row.
type ReferenceError struct {
	Field string // as clients call it: "contact", …
	Value string
}

func (e *ReferenceError) Error() string { return e.Field + " refers to nothing" }

// Is makes it an [ErrNotFound].
func (e *ReferenceError) Is(target error) bool { return target == ErrNotFound }

// Tenant is the part of auth_tenant that the tree is made of.
type Tenant struct {
	UUID   string
	Parent string // equal to UUID for the top tenant
	Slug   string
}

// TenantProfile is a whole tenant. Texts are "" when null.
type TenantProfile struct {
	Tenant
	Name    string
	Phone   string
	Contact string // the uuid of a user, of whatever tenant
	Method  string // for users whose own is MethodDefault
	Domains []string
	Address Address
}

// Address is one row of auth_address; the zero one stands for no row.
type Address struct{ Line1, Line2, City, State, Country, ZipCode string }

// Domain is one row of auth_tenant_domain.
type Domain struct{ UUID, Name string }

// NewTenant is what [Tenants.CreateTenant] inserts.
type NewTenant struct {
	// TenantProfile with the parent below which it comes to be. UUID "" lets
	// the store choose one; Slug is not read.
	TenantProfile
	// Slugs are candidates, of which the tenant gets the first that is free.
	Slugs []string
	// Defaults are what every tenant has: its group of all users gets
	// AllUsers, and Groups are made.
	Defaults Defaults
}

// Tenants keeps the tenant tree. A scope is the tenant in which somebody acts:
// what is neither it nor below it does not exist for him, which is looked at
// in the very transaction that changes it.
type Tenants interface {
	// TenantTree returns every tenant, in no particular order.
	TenantTree(ctx context.Context) ([]Tenant, error)
	// ListTenants orders by name (the default) or slug, searches name, slug
	// and domains, and filters uuid, name, slug, domain_name (strings) and
	// uuids ([]string). Domains come in the order of their bytes.
	ListTenants(ctx context.Context, l List) (Page[TenantProfile], error)
	// TenantByUUID is [ErrNotFound] for a tenant that is not in scope.
	TenantByUUID(ctx context.Context, uuid, scope string) (TenantProfile, error)
	// TenantDomains returns the domains of a tenant ordered by name;
	// [ErrNotFound] when there is no such tenant.
	TenantDomains(ctx context.Context, uuid string) ([]Domain, error)
	// CreateTenant inserts the tenant with its domains, address, group of all
	// users and defaults, all or nothing, and returns the slugs of default
	// policies that it could not get since the top tenant has none. In this
	// order: [ErrNotFound] when there is no such parent; [ConflictError] of
	// slug, domain_names, parent_uuid (the uuid is the parent's) or uuid;
	// [ReferenceError] of contact.
	CreateTenant(ctx context.Context, n NewTenant) (t TenantProfile, missing []string, err error)
	// UpdateTenant replaces everything but parent and slug, and returns what
	// there is then: [ErrNotFound] when it is not in scope, [ConflictError]
	// of domain_names, [ReferenceError] of contact, in this order. Domains
	// that stay keep their uuids.
	UpdateTenant(ctx context.Context, t TenantProfile, scope string) (TenantProfile, error)
	// MoveTenant gives the tenant another parent. When either is not in scope
	// it is a [ReferenceError] of tenant_uuid or parent_tenant_uuid;
	// [ErrDescendant] when that would make a circle, also when somebody moves
	// the parent at the same moment.
	MoveTenant(ctx context.Context, uuid, parent, scope string) error
	// DeleteTenant removes the tenant with its users, groups, policies,
	// sessions and tokens, and returns the tokens: those of its sessions and
	// those of its users, wherever they logged in. [ErrNotFound] when it is
	// not in scope, [ErrHasChildren] while there are tenants below it. Tokens
	// are returned beside [ErrUnavailable], too; see [Logins].
	DeleteTenant(ctx context.Context, uuid, scope string) ([]EndedToken, error)
}
