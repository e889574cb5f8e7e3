package httpapi

import (
	"context"
	"errors"
	"net/http"
	"strings"
	"time"

	"github.com/wazo-edge/xivo-auth/authsvc/acl"
	"github.com/wazo-edge/xivo-auth/authsvc/grant"
	"github.com/wazo-edge/xivo-auth/authsvc/store"
)

// Access decides who may use the routes that need a token.
type Access struct {
	// Grants answers what a token grants: [grant.ErrUnknown] when it is
	// none, any other error when that could not be told.
	Grants interface {
		Lookup(ctx context.Context, token string) (*grant.Grant, grant.State, error)
	}
	// Tenants answers whether tenant is ancestor or below it.
	Tenants interface {
		Contains(ctx context.Context, ancestor, tenant string) (bool, error)
		// Top is the top tenant, "" while there is none.
		Top(ctx context.Context) (string, error)
	}
}

// Caller is who a request is from.
type Caller struct {
	Grant  *grant.Grant
	access *Access
	token  string // as it was sent
	tenant string // Wazo-Tenant, "" when absent
}

// admit checks the token, then the access that the route requires, before
// anything else of the request is looked at (errors.md §4).
func (a *Access) admit(r *http.Request, required string) (*Caller, error) {
	// Several values are one text that is no token, and no tenant, as for a WSGI
	// server: whatever stands in front may have read another of them than we would.
	token := strings.TrimSpace(strings.Join(r.Header["X-Auth-Token"], ","))
	held, _, err := a.Grants.Lookup(r.Context(), token)
	switch {
	case errors.Is(err, grant.ErrUnknown):
		return nil, Unauthorized(http.StatusUnauthorized, token, required)
	case err != nil:
		return nil, err
	}
	c := &Caller{Grant: held, access: a, token: token, tenant: strings.Join(r.Header["Wazo-Tenant"], ",")}
	if !held.Allows(required) {
		return nil, Forbidden(http.StatusUnauthorized, token, required, c.tenant)
	}
	return c, nil
}

// Tenant is the tenant the request is about: the one that Wazo-Tenant names,
// which must be the caller's own or one below it, else the caller's own.
func (c *Caller) Tenant(ctx context.Context) (string, error) {
	own := c.Grant.Tenant()
	if c.orphaned() {
		return "", UnknownUser(c.Grant.AuthID())
	}
	if c.tenant == "" || c.tenant == own {
		return own, nil
	}
	below, err := c.access.Tenants.Contains(ctx, own, c.tenant)
	if err != nil {
		return "", err
	}
	if !below {
		return "", API(http.StatusUnauthorized, "unauthorized-tenant", "Unauthorized tenant", Details{{"tenant_uuid", c.tenant}}, "")
	}
	return c.tenant, nil
}

// Sees reports whether owner, the tenant of a resource, is tenant or below it.
// What is elsewhere does not exist for whoever asks in tenant.
func (c *Caller) Sees(ctx context.Context, tenant, owner string) (bool, error) {
	if owner == tenant {
		return true, nil
	}
	return c.access.Tenants.Contains(ctx, tenant, owner)
}

// Knows reports whether owner, the tenant of a resource, is the caller's own or
// below it, whatever Wazo-Tenant says: what is elsewhere he sees in no tenant
// he could name. It is for the operations that are of no tenant on the
// reference, where it would otherwise be enough to know a uuid.
func (c *Caller) Knows(ctx context.Context, owner string) (bool, error) {
	if c.orphaned() {
		return false, nil
	}
	return c.Sees(ctx, c.Grant.Tenant(), owner)
}

// KnowsUser is nil for a user whom the caller [Caller.Knows]. Others do not exist
// for him: 404.
func (c *Caller) KnowsUser(ctx context.Context, u store.User) error {
	known, err := c.Knows(ctx, u.TenantUUID)
	if err == nil && !known {
		err = UnknownUser(u.UUID)
	}
	return err
}

// orphaned reports whether the token has outlived its user, as it does one whom
// the historical service deletes: it speaks for nobody any more.
func (c *Caller) orphaned() bool { return c.Grant.IsUser() && !c.Grant.UserExists() }

// Users finds users.
type Users interface {
	// UserByUUID is [store.ErrNotFound] when there is none.
	UserByUUID(ctx context.Context, uuid string) (store.User, error)
}

// User returns the user with this uuid when he is in the tenant the request is
// about, which User returns, too, or below it. Others do not exist for the
// caller: 404.
func (c *Caller) User(ctx context.Context, users Users, uuid string) (u store.User, tenant string, err error) {
	return find(ctx, c, users.UserByUUID, uuid, func(u store.User) string { return u.TenantUUID }, UnknownUser)
}

// Groups finds groups.
type Groups interface {
	// GroupByUUID is [store.ErrNotFound] when there is none.
	GroupByUUID(ctx context.Context, uuid string) (store.Group, error)
}

// Group is [Caller.User] for groups.
func (c *Caller) Group(ctx context.Context, groups Groups, uuid string) (g store.Group, tenant string, err error) {
	return find(ctx, c, groups.GroupByUUID, uuid, func(g store.Group) string { return g.TenantUUID }, UnknownGroup)
}

func find[T any](ctx context.Context, c *Caller, byUUID func(context.Context, string) (T, error), uuid string, owner func(T) string, unknown func(string) *Error) (v T, tenant string, err error) {
	var none T
	if tenant, err = c.Tenant(ctx); err != nil {
		return none, "", err
	}
	if v, err = byUUID(ctx, uuid); err != nil {
		if errors.Is(err, store.ErrNotFound) {
			err = unknown(uuid)
		}
		return none, "", err
	}
	if seen, err := c.Sees(ctx, tenant, owner(v)); err != nil || !seen {
		if err == nil {
			err = unknown(uuid)
		}
		return none, "", err
	}
	return v, tenant, nil
}

// Top refuses who is not of the top tenant. As on the reference that goes by
// the tenant of the token, whatever Wazo-Tenant says.
func (c *Caller) Top(ctx context.Context) error {
	top, err := c.access.Tenants.Top(ctx)
	if err == nil && (top == "" || c.Grant.Tenant() != top || c.orphaned()) {
		err = API(http.StatusUnauthorized, "unauthorized", "Unauthorized", Details{{"invalid_token", c.token}}, "")
	}
	return err
}

// MayAdd refuses the first access that the caller may not give to anybody: else
// whoever may edit policies could grant himself what he does not hold
// (acl.md §4; Keystone OSSA-2026-015).
func (c *Caller) MayAdd(ctx context.Context, accesses ...string) error {
	return c.may(ctx, c.Grant.MayAdd, accesses)
}

// MayRemove refuses the first access that the caller may not take from anybody.
func (c *Caller) MayRemove(ctx context.Context, accesses ...string) error {
	return c.may(ctx, c.Grant.MayRemove, accesses)
}

// MatchTime is how long the questions of one request to an access list may take
// together; then it is 503. One is answered in a few milliseconds whatever the
// list ([acl.ACL.Match]), but a request may ask thousands, of a list that who
// sends it has written to be slow. Others take a thousandth of it.
const MatchTime = time.Second

func (c *Caller) may(ctx context.Context, may func(string) bool, accesses []string) error {
	ctx, cancel := context.WithTimeout(ctx, MatchTime)
	defer cancel()
	for _, access := range accesses {
		if err := ctx.Err(); err != nil {
			return err
		}
		if !may(access) {
			return API(http.StatusUnauthorized, "unauthorized", "Unauthorized",
				Details{{"invalid_token", c.token}, {"required_access", access}}, "")
		}
	}
	return nil
}

// Self is the uuid of the user the caller is, for routes below /users/me. A
// token that is no user's has none: 404.
func (c *Caller) Self() (uuid string, err error) {
	if !c.Grant.IsUser() {
		return "", UnknownUser("None")
	}
	return c.Grant.AuthID(), nil
}

// requirement is the access a route requires, with the path parameters whose
// values belong into it.
type requirement struct {
	literals []string // one more than there are params
	params   []string
}

// parseRequirement reads a template such as auth.users.{user_uuid}.read.
func parseRequirement(template string) (q requirement) {
	for {
		before, rest, found := strings.Cut(template, "{")
		q.literals = append(q.literals, before)
		if !found {
			return q
		}
		name, after, _ := strings.Cut(rest, "}")
		q.params = append(q.params, name)
		template = after
	}
}

// of fills the template with the values of one request. A dot in a value would
// add a segment, so none stays (acl.md §5).
func (q requirement) of(r *http.Request) string {
	var b strings.Builder
	for i, literal := range q.literals {
		b.WriteString(literal)
		if i < len(q.params) {
			b.WriteString(acl.Escape(r.PathValue(q.params[i])))
		}
	}
	return b.String()
}

// guarded wraps a handler that wants to know its caller.
func (m *Mux) guarded(rt Route) handleFunc {
	required := parseRequirement(rt.ACL)
	return func(w http.ResponseWriter, r *http.Request) error {
		caller, err := m.access.admit(r, required.of(r))
		if err != nil {
			return err
		}
		return rt.HandleAs(w, r, caller)
	}
}
