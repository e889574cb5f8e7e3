// Package groups is the group resource: users of one tenant who are given
// policies together (contract: routes.yml).
//
// A change of members shows in tokens that are issued from then on: what a
// token may access is settled when it is issued.
package groups

import (
	_ "embed" // the document
	"errors"
	"net/http"

	"github.com/wazo-edge/xivo-auth/authsvc/form"
	"github.com/wazo-edge/xivo-auth/authsvc/httpapi"
	"github.com/wazo-edge/xivo-auth/authsvc/slug"
	"github.com/wazo-edge/xivo-auth/authsvc/store"
)

// Document describes the room's operations.
//
//go:embed api.yml
var Document []byte

// Store is what this room needs of a store.
type Store interface {
	store.Groups
	httpapi.Users
}

// HTTP is the resource on the wire.
type HTTP struct {
	Store Store
	// Random makes the slugs that names leave no choice for.
	Random slug.Random
}

// Routes lists what the room serves.
func (h HTTP) Routes() []httpapi.Route {
	const (
		one    = "/0.1/groups/{group_uuid}"
		member = one + "/users/{user_uuid}"
	)
	return []httpapi.Route{
		{Method: http.MethodGet, Path: "/0.1/groups", ACL: "auth.groups.read", HandleAs: h.list},
		{Method: http.MethodPost, Path: "/0.1/groups", ACL: "auth.groups.create", HandleAs: h.create},
		{Method: http.MethodGet, Path: one, ACL: "auth.groups.{group_uuid}.read", HandleAs: h.get},
		{Method: http.MethodPut, Path: one, ACL: "auth.groups.{group_uuid}.update", HandleAs: h.update},
		{Method: http.MethodDelete, Path: one, ACL: "auth.groups.{group_uuid}.delete", HandleAs: h.delete},
		{Method: http.MethodPut, Path: member, ACL: "auth.groups.{group_uuid}.users.{user_uuid}.create", HandleAs: h.addMember},
		{Method: http.MethodDelete, Path: member, ACL: "auth.groups.{group_uuid}.users.{user_uuid}.delete", HandleAs: h.removeMember},
		{Method: http.MethodGet, Path: "/0.1/users/{user_uuid}/groups", ACL: "auth.users.{user_uuid}.groups.read", HandleAs: h.listOfUser},
	}
}

// listed is a group as it is read.
type listed struct {
	UUID          string `json:"uuid"`
	Name          string `json:"name"`
	Slug          string `json:"slug"`
	TenantUUID    string `json:"tenant_uuid"`
	SystemManaged bool   `json:"system_managed"`
	ReadOnly      bool   `json:"read_only"` // the same
}

func spell(g store.Group) listed {
	return listed{g.UUID, g.Name, g.Slug, g.TenantUUID, g.SystemManaged, g.SystemManaged}
}

// written is a group as the answers to POST and PUT have it.
type written struct {
	UUID          string `json:"uuid"`
	TenantUUID    string `json:"tenant_uuid"`
	Name          string `json:"name"`
	Slug          string `json:"slug"`
	ReadOnly      bool   `json:"read_only"`
	SystemManaged bool   `json:"system_managed"`
}

func writeGroup(w http.ResponseWriter, g store.Group) error {
	return httpapi.WriteValue(w, written{g.UUID, g.TenantUUID, g.Name, g.Slug, g.SystemManaged, g.SystemManaged})
}

var (
	name     = form.Field{Name: "name", Kind: form.String{Min: 1, Max: 128}, Required: true}
	newGroup = &form.Schema{Fields: []form.Field{name, {Name: "slug", Kind: slug.Group.Kind(), Nullable: true}}}
	rename   = &form.Schema{Fields: []form.Field{name}}
)

func invalid(wrong *form.Errors) error { return httpapi.InvalidData(wrong, "groups") }

func (h HTTP) create(w http.ResponseWriter, r *http.Request, c *httpapi.Caller) error {
	v, err := httpapi.ReadBody(r, newGroup, invalid)
	if err != nil {
		return err
	}
	g := store.Group{Name: v.Text("name")}
	if g.TenantUUID, err = c.Tenant(r.Context()); err != nil {
		return err
	}
	slugs := []string{v.Text("slug")}
	if v.Get("slug") == nil {
		slugs = slug.Group.Candidates(g.Name, h.Random)
	}
	created, err := h.Store.CreateGroup(r.Context(), g, slugs)
	switch {
	case errors.Is(err, store.ErrConflict):
		return exists(g.Name)
	case errors.Is(err, store.ErrNotFound):
		return httpapi.UnknownTenant(g.TenantUUID)
	case err != nil:
		return err
	}
	return writeGroup(w, created)
}

// exists is the conflict of a name, and of a slug, which it does not tell.
func exists(name string) error {
	return httpapi.Reason(http.StatusConflict, `Group "`+name+`" already exists`)
}

func (h HTTP) get(w http.ResponseWriter, r *http.Request, c *httpapi.Caller) error {
	g, _, err := c.Group(r.Context(), h.Store, r.PathValue("group_uuid"))
	if err != nil {
		return err
	}
	return httpapi.WriteValue(w, spell(g))
}

func (h HTTP) update(w http.ResponseWriter, r *http.Request, c *httpapi.Caller) error {
	g, _, err := c.Group(r.Context(), h.Store, r.PathValue("group_uuid"))
	if err != nil {
		return err
	}
	v, err := httpapi.ReadBody(r, rename, invalid)
	if err != nil {
		return err
	}
	if err := changeable(g); err != nil {
		return err
	}
	renamed, err := h.Store.RenameGroup(r.Context(), g.UUID, v.Text("name"))
	switch {
	case errors.Is(err, store.ErrConflict):
		return exists(v.Text("name"))
	case errors.Is(err, store.ErrNotFound):
		return httpapi.UnknownGroup(g.UUID)
	case err != nil:
		return err
	}
	return writeGroup(w, renamed)
}

// changeable refuses to change a group that the system manages.
func changeable(g store.Group) error {
	if !g.SystemManaged {
		return nil
	}
	return httpapi.API(http.StatusForbidden, "forbidden-group", `Forbidden group modification: "`+g.UUID+`"`,
		httpapi.Details{{Key: "uuid", Value: g.UUID}}, "groups")
}

func (h HTTP) delete(w http.ResponseWriter, r *http.Request, c *httpapi.Caller) error {
	g, _, err := c.Group(r.Context(), h.Store, r.PathValue("group_uuid"))
	if err != nil {
		return err
	}
	if err := changeable(g); err != nil {
		return err
	}
	if err := h.Store.DeleteGroup(r.Context(), g.UUID); err != nil {
		if errors.Is(err, store.ErrNotFound) {
			err = httpapi.UnknownGroup(g.UUID)
		}
		return err
	}
	httpapi.NoContent(w)
	return nil
}
