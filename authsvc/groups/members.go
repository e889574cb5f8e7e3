package groups

import (
	"errors"
	"net/http"

	"github.com/wazo-edge/xivo-auth/authsvc/httpapi"
	"github.com/wazo-edge/xivo-auth/authsvc/store"
)

// addMember looks for the user first and for his tenant last, as the
// historical service does.
func (h HTTP) addMember(w http.ResponseWriter, r *http.Request, c *httpapi.Caller) error {
	if _, err := c.Tenant(r.Context()); err != nil {
		return err
	}
	u, err := h.user(r)
	if err != nil {
		return err
	}
	// Whom the caller could not see in any tenant does not exist for him:
	// the mismatch below tells the tenant of whoever is asked about.
	if err := c.KnowsUser(r.Context(), u); err != nil {
		return err
	}
	g, _, err := c.Group(r.Context(), h.Store, r.PathValue("group_uuid"))
	if err != nil {
		return err
	}
	if u.TenantUUID != g.TenantUUID {
		return httpapi.API(http.StatusBadRequest, "missmatching-tenant", "Ressources are not in the same tenant",
			httpapi.Details{{Key: "user_tenant_uuid", Value: u.TenantUUID}, {Key: "group_tenant_uuid", Value: g.TenantUUID}}, "groups")
	}
	if err := changeable(g); err != nil {
		return err
	}
	if err := h.Store.AddGroupMember(r.Context(), g.UUID, u.UUID); err != nil {
		if errors.Is(err, store.ErrNotFound) { // one of them, a moment ago
			err = httpapi.UnknownUser(u.UUID)
		}
		return err
	}
	httpapi.NoContent(w)
	return nil
}

// removeMember takes out whoever is a member: one who moved to another tenant
// must be removable. Others whom the caller could not see do not exist for him.
func (h HTTP) removeMember(w http.ResponseWriter, r *http.Request, c *httpapi.Caller) error {
	g, _, err := c.Group(r.Context(), h.Store, r.PathValue("group_uuid"))
	if err != nil {
		return err
	}
	if err := changeable(g); err != nil {
		return err
	}
	u, err := h.user(r)
	if err != nil {
		return err
	}
	was, err := h.Store.RemoveGroupMember(r.Context(), g.UUID, u.UUID)
	if err != nil {
		return err
	}
	if !was {
		if err := c.KnowsUser(r.Context(), u); err != nil {
			return err
		}
	}
	httpapi.NoContent(w)
	return nil
}

// user is the user of the path, in whatever tenant.
func (h HTTP) user(r *http.Request) (store.User, error) {
	id := r.PathValue("user_uuid")
	u, err := h.Store.UserByUUID(r.Context(), id)
	if errors.Is(err, store.ErrNotFound) {
		err = httpapi.UnknownUser(id)
	}
	return u, err
}
