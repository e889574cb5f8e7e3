package policies

import (
	"errors"
	"net/http"

	"github.com/wazo-edge/xivo-auth/authsvc/form"
	"github.com/wazo-edge/xivo-auth/authsvc/httpapi"
	"github.com/wazo-edge/xivo-auth/authsvc/store"
)

// holder is a kind of what has policies.
type holder struct {
	path, access string
	// first has its existence checked before the policy of a uuid is looked
	// for.
	first bool
	// of finds the one of the path, which must be in the caller's sight.
	of func(h HTTP, r *http.Request, c *httpapi.Caller) (store.Holder, error)
}

var (
	users = holder{
		path: "/0.1/users/{user_uuid}", access: "auth.users.{user_uuid}",
		// The reference does not ask whose the user is. A policy can hold
		// "!#", which everybody may add: with it, whoever may link policies in
		// one tenant could take everything from any user of any other,
		// administrators of the top tenant included.
		of: func(h HTTP, r *http.Request, c *httpapi.Caller) (store.Holder, error) {
			u, _, err := c.User(r.Context(), h.Store, r.PathValue("user_uuid"))
			return store.Holder{User: u.UUID}, err
		},
	}
	groups = holder{
		path: "/0.1/groups/{group_uuid}", access: "auth.groups.{group_uuid}", first: true,
		of: func(h HTTP, r *http.Request, c *httpapi.Caller) (store.Holder, error) {
			g, _, err := c.Group(r.Context(), h.Store, r.PathValue("group_uuid"))
			return store.Holder{Group: g.UUID}, err
		},
	}
)

// link gives a policy to its holder, or takes it away. Whoever does needs to be
// allowed to do so with each of its accesses (acl.md §4).
//
// The reference finds a policy by uuid anywhere when a user is to get it. Here
// it must be in the caller's sight as for everything else: he could give
// himself one that somebody above extends later on.
func (h HTTP) link(of holder, by key, give bool) handler {
	may, change := (*httpapi.Caller).MayRemove, h.Store.RemovePolicy
	if give {
		may, change = (*httpapi.Caller).MayAdd, h.Store.AddPolicy
	}
	return func(w http.ResponseWriter, r *http.Request, c *httpapi.Caller) error {
		tenant, err := c.Tenant(r.Context())
		if err != nil {
			return err
		}
		var to store.Holder
		find := func() (err error) { to, err = of.of(h, r, c); return err }
		if of.first && by == byUUID {
			if err := find(); err != nil {
				return err
			}
		}
		p, err := h.find(r, by, tenant)
		if err != nil {
			return err
		}
		if of.first && by == bySlug {
			if err := find(); err != nil {
				return err
			}
		}
		if err := may(c, r.Context(), p.ACL...); err != nil {
			return err
		}
		if !of.first {
			if err := find(); err != nil {
				return err
			}
		}
		err = change(r.Context(), to, p.UUID)
		if errors.Is(err, store.ErrNotFound) { // one of both was just deleted
			err = httpapi.Reason(http.StatusNotFound, "No such policy "+p.UUID)
		}
		if err != nil {
			return err
		}
		httpapi.NoContent(w)
		return nil
	}
}

// ofUser and ofGroup list what one user or group has.
var (
	ofUser  = held(httpapi.InPath("user_uuid"), form.Text("group_uuid"))
	ofGroup = held(form.Text("user_uuid"), httpapi.InPath("group_uuid"))
)

func held(more ...form.Field) *httpapi.Listing {
	return httpapi.NewListing([]string{"name", "description", "uuid"}, true,
		append([]form.Field{form.Text("uuid"), form.Text("name"), form.Text("tenant_uuid")}, more...)...)
}

// listOfUser lists what a user has, as it is. The reference lets the holder of
// the access list that of anybody, whatever his tenant; here, a user out of
// sight has nothing to show, as one that does not exist.
func (h HTTP) listOfUser(w http.ResponseWriter, r *http.Request, c *httpapi.Caller) error {
	l, err := ofUser.Read(r)
	if err != nil {
		return err
	}
	l.Everywhere, l.User = true, r.PathValue("user_uuid")
	found := store.Page[store.Policy]{}
	u, err := h.Store.UserByUUID(r.Context(), l.User)
	seen := false
	if err == nil {
		seen, err = c.Knows(r.Context(), u.TenantUUID)
	}
	if err != nil && !errors.Is(err, store.ErrNotFound) {
		return err
	}
	if seen {
		if found, err = h.Store.ListPolicies(r.Context(), l); err != nil {
			return err
		}
	}
	return httpapi.WritePage(w, found, httpapi.ItemsFirst, spell(""))
}

// listOfGroup lists those that a group has of the policies in the caller's
// sight, but counts all that it has.
func (h HTTP) listOfGroup(w http.ResponseWriter, r *http.Request, c *httpapi.Caller) error {
	g, tenant, err := c.Group(r.Context(), h.Store, r.PathValue("group_uuid"))
	if err != nil {
		return err
	}
	l, err := ofGroup.Read(r)
	if err != nil {
		return err
	}
	l.Group, l.Tenant, l.Recurse = g.UUID, tenant, true
	found, err := h.Store.ListPolicies(r.Context(), l)
	if err != nil {
		return err
	}
	none := int64(0)
	l.Everywhere, l.Limit = true, &none
	all, err := h.Store.ListPolicies(r.Context(), l)
	if err != nil {
		return err
	}
	found.Total, found.Filtered = all.Total, all.Filtered
	return httpapi.WritePage(w, found, httpapi.ItemsFirst, spell(tenant))
}
