// Package sessions is the session resource: one session for each login, listed
// and ended by those who may (contract: routes.yml, token.md §7).
package sessions

import (
	"net/http"

	"github.com/google/uuid"

	"github.com/wazo-edge/xivo-auth/authsvc/httpapi"
	"github.com/wazo-edge/xivo-auth/authsvc/store"
)

// Store is what this room needs of a store.
type Store interface {
	store.Sessions
	httpapi.Users
}

// HTTP is the resource on the wire.
type HTTP struct {
	Store Store
	// Revoke takes tokens out of the cache: when it returns, no later
	// request on this node is accepted with one of them.
	Revoke func(tokens ...uuid.UUID)
}

// Routes lists what the room serves.
func (h HTTP) Routes() []httpapi.Route {
	return []httpapi.Route{
		{Method: http.MethodGet, Path: "/0.1/sessions", ACL: "auth.sessions.read", HandleAs: h.list},
		{Method: http.MethodDelete, Path: "/0.1/sessions/{session_uuid}", ACL: "auth.sessions.{session_uuid}.delete", HandleAs: h.delete},
		{Method: http.MethodGet, Path: "/0.1/users/{user_uuid}/sessions", ACL: "auth.users.{user_uuid}.sessions.read", HandleAs: h.listOfUser},
		{Method: http.MethodDelete, Path: "/0.1/users/{user_uuid}/sessions/{session_uuid}", ACL: "auth.users.{user_uuid}.sessions.{session_uuid}.delete", HandleAs: h.deleteOfUser},
		{Method: http.MethodGet, Path: "/0.1/users/me/sessions", ACL: "auth.users.me.sessions.read", HandleAs: h.listOfSelf},
		{Method: http.MethodDelete, Path: "/0.1/users/me/sessions/{session_uuid}", ACL: "auth.users.me.sessions.{session_uuid}.delete", HandleAs: h.deleteOfSelf},
	}
}

// session is one on the wire.
type session struct {
	UUID       string  `json:"uuid"`
	Mobile     bool    `json:"mobile"`
	TenantUUID string  `json:"tenant_uuid"`
	UserUUID   *string `json:"user_uuid"` // null unless the token is a user's
}

// listing can be ordered by mobile only, and comes in no order by default.
var listing = httpapi.NewListing([]string{"mobile"}, false)

func (h HTTP) list(w http.ResponseWriter, r *http.Request, c *httpapi.Caller) error {
	tenant, err := c.Tenant(r.Context())
	if err != nil {
		return err
	}
	l, err := listing.Read(r)
	if err != nil {
		return err
	}
	l.Tenant = tenant
	return h.write(w, r, l, httpapi.FilteredFirst)
}

func (h HTTP) listOfUser(w http.ResponseWriter, r *http.Request, c *httpapi.Caller) error {
	return h.listOf(w, r, c, r.PathValue("user_uuid"))
}

func (h HTTP) listOfSelf(w http.ResponseWriter, r *http.Request, c *httpapi.Caller) error {
	self, err := c.Self()
	if err != nil {
		return err
	}
	return h.listOf(w, r, c, self)
}

func (h HTTP) listOf(w http.ResponseWriter, r *http.Request, c *httpapi.Caller, user string) error {
	_, tenant, err := c.User(r.Context(), h.Store, user)
	if err != nil {
		return err
	}
	l, err := listing.Read(r)
	if err != nil {
		return err
	}
	// All of the user's sessions: it is he who must be visible.
	l.Tenant, l.Recurse, l.User = tenant, true, user
	return h.write(w, r, l, httpapi.ItemsFirst)
}

// write reads a page and answers with it. A search is taken and ignored.
func (h HTTP) write(w http.ResponseWriter, r *http.Request, l store.List, envelope []string) error {
	l.Search = nil
	found, err := h.Store.ListSessions(r.Context(), l)
	if err != nil {
		return err
	}
	return httpapi.WritePage(w, found, envelope, func(s store.ListedSession) session {
		out := session{UUID: s.UUID, Mobile: s.Mobile, TenantUUID: s.TenantUUID}
		if store.NamesUser(s.AuthID) {
			out.UserUUID = &s.AuthID
		}
		return out
	})
}

func (h HTTP) delete(w http.ResponseWriter, r *http.Request, c *httpapi.Caller) error {
	tenant, err := c.Tenant(r.Context())
	if err != nil {
		return err
	}
	return h.end(w, r, tenant)
}

func (h HTTP) deleteOfUser(w http.ResponseWriter, r *http.Request, c *httpapi.Caller) error {
	return h.endOf(w, r, c, r.PathValue("user_uuid"))
}

func (h HTTP) deleteOfSelf(w http.ResponseWriter, r *http.Request, c *httpapi.Caller) error {
	self, err := c.Self()
	if err != nil {
		return err
	}
	return h.endOf(w, r, c, self)
}

// endOf is end for a session of this user; those of others are as ones that do
// not exist. The reference ends them, too: with an access such as
// auth.users.me.#, which users commonly have, anybody could log out everybody of
// his tenant whose session he knows, and a session is no secret: upstreams and
// logs are told of it.
func (h HTTP) endOf(w http.ResponseWriter, r *http.Request, c *httpapi.Caller, user string) error {
	_, tenant, err := c.User(r.Context(), h.Store, user)
	if err != nil {
		return err
	}
	none := int64(0)
	found, err := h.Store.ListSessions(r.Context(), store.List{
		Tenant: tenant, Recurse: true, User: user, Limit: &none,
		Filters: map[string]any{"uuid": r.PathValue("session_uuid")},
	})
	if err != nil {
		return err
	}
	if found.Filtered == 0 {
		httpapi.NoContent(w)
		return nil
	}
	return h.end(w, r, tenant)
}

// end deletes the session of the path. One that does not exist, or is out of
// the tenant's sight, is no error.
func (h HTTP) end(w http.ResponseWriter, r *http.Request, tenant string) error {
	ended, err := h.Store.DeleteSession(r.Context(), r.PathValue("session_uuid"), tenant)
	// Also beside an error: the rows may be gone and only the answer lost.
	h.Revoke(store.TokenUUIDs(ended)...)
	if err != nil {
		return err
	}
	httpapi.NoContent(w)
	return nil
}
