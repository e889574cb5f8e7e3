package groups

import (
	"net/http"

	"github.com/wazo-edge/xivo-auth/authsvc/form"
	"github.com/wazo-edge/xivo-auth/authsvc/httpapi"
	"github.com/wazo-edge/xivo-auth/authsvc/store"
)

var (
	listing = httpapi.NewListing([]string{"name", "slug", "uuid", "read_only"}, true,
		form.Text("uuid"), form.Text("name"), form.Text("slug"), form.Text("user_uuid"), form.Text("policy_uuid"), form.Text("policy_slug"),
		form.Field{Name: "read_only", Kind: form.Boolean{}})

	listingOfUser = httpapi.NewListing([]string{"name", "uuid"}, true,
		form.Text("uuid"), form.Text("name"), httpapi.InPath("user_uuid"))
)

func (h HTTP) list(w http.ResponseWriter, r *http.Request, c *httpapi.Caller) error {
	l, err := listing.Read(r)
	if err != nil {
		return err
	}
	if l.Tenant, err = c.Tenant(r.Context()); err != nil {
		return err
	}
	if l.Order == "slug" || l.Order == "read_only" {
		// Orders that the historical service announces and does not have.
		return httpapi.Reason(http.StatusBadRequest, "Invalid sort column: "+l.Order)
	}
	if readOnly, ok := l.Filters["read_only"]; ok {
		delete(l.Filters, "read_only")
		l.Filters["system_managed"] = readOnly
	}
	return h.write(w, r, l, httpapi.FilteredFirst)
}

// listOfUser lists the groups of a user, whatever tenant they are of: it is he
// who must be visible.
func (h HTTP) listOfUser(w http.ResponseWriter, r *http.Request, c *httpapi.Caller) error {
	u, _, err := c.User(r.Context(), h.Store, r.PathValue("user_uuid"))
	if err != nil {
		return err
	}
	l, err := listingOfUser.Read(r)
	if err != nil {
		return err
	}
	l.Everywhere, l.User = true, u.UUID
	return h.write(w, r, l, httpapi.ItemsFirst)
}

func (h HTTP) write(w http.ResponseWriter, r *http.Request, l store.List, envelope []string) error {
	found, err := h.Store.ListGroups(r.Context(), l)
	if err != nil {
		return err
	}
	return httpapi.WritePage(w, found, envelope, spell)
}
