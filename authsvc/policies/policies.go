// Package policies is the policy resource: what users and groups may do, who
// has which policy, and who may change that (contract: routes.yml, acl.md §4).
package policies

import (
	_ "embed" // the document
	"errors"
	"net/http"
	"strings"

	"github.com/wazo-edge/xivo-auth/authsvc/form"
	"github.com/wazo-edge/xivo-auth/authsvc/httpapi"
	"github.com/wazo-edge/xivo-auth/authsvc/slug"
	"github.com/wazo-edge/xivo-auth/authsvc/store"
)

// Document describes the room's operations, for [httpapi.Document].
//
//go:embed api.yml
var Document []byte

// Store is what this room needs of a store.
type Store interface {
	store.Policies
	httpapi.Users
	httpapi.Groups
}

// HTTP is the resource on the wire.
type HTTP struct {
	Store Store
	// Random makes slugs that clients leave to the service.
	Random slug.Random
}

// Routes lists what the room serves.
func (h HTTP) Routes() []httpapi.Route {
	routes := []httpapi.Route{
		{Method: http.MethodPost, Path: "/0.1/policies", ACL: "auth.policies.create", HandleAs: h.create},
		{Method: http.MethodGet, Path: "/0.1/policies", ACL: "auth.policies.read", HandleAs: h.list},

		{Method: http.MethodGet, Path: "/0.1/users/{user_uuid}/policies", ACL: "auth.users.{user_uuid}.policies.read", HandleAs: h.listOfUser},
		{Method: http.MethodGet, Path: "/0.1/groups/{group_uuid}/policies", ACL: "auth.groups.{group_uuid}.policies.read", HandleAs: h.listOfGroup},

		// What became /acl/{access}, for clients of 2017.
		{Method: http.MethodPut, Path: "/0.1/policies/{policy_uuid}/acl_templates/{template}", ACL: "auth.policies.{policy_uuid}.update", HandleAs: h.edit(byUUID, "template", add)},
		{Method: http.MethodDelete, Path: "/0.1/policies/{policy_uuid}/acl_templates/{template}", ACL: "auth.policies.{policy_uuid}.update", HandleAs: h.edit(byUUID, "template", remove)},
	}
	for _, by := range []key{byUUID, bySlug} {
		policy := "{" + string(by) + "}"
		path, access := "/0.1/policies/"+policy, "auth.policies."+policy
		routes = append(routes,
			httpapi.Route{Method: http.MethodGet, Path: path, ACL: access + ".read", HandleAs: h.get(by)},
			httpapi.Route{Method: http.MethodPut, Path: path, ACL: access + ".update", HandleAs: h.on(by, h.replace)},
			httpapi.Route{Method: http.MethodDelete, Path: path, ACL: access + ".delete", HandleAs: h.on(by, h.delete)},
			httpapi.Route{Method: http.MethodPut, Path: path + "/acl/{access}", ACL: access + ".update", HandleAs: h.edit(by, "access", add)},
			httpapi.Route{Method: http.MethodDelete, Path: path + "/acl/{access}", ACL: access + ".update", HandleAs: h.edit(by, "access", remove)},
		)
		for _, of := range []holder{users, groups} {
			path, access := of.path+"/policies/"+policy, of.access+".policies."+policy
			routes = append(routes,
				httpapi.Route{Method: http.MethodPut, Path: path, ACL: access + ".create", HandleAs: h.link(of, by, true)},
				httpapi.Route{Method: http.MethodDelete, Path: path, ACL: access + ".delete", HandleAs: h.link(of, by, false)},
			)
		}
	}
	return routes
}

// key is what a path names a policy by: its name there.
type key string

const (
	byUUID key = "policy_uuid"
	bySlug key = "policy_slug"
)

// find returns the policy of the path as it is seen from tenant.
func (h HTTP) find(r *http.Request, by key, tenant string) (p store.Policy, err error) {
	if by == byUUID {
		p, err = h.Store.PolicyByUUID(r.Context(), tenant, r.PathValue(string(by)))
	} else {
		p, err = h.Store.PolicyBySlug(r.Context(), tenant, r.PathValue(string(by)))
	}
	return p, orUnknown(r, by, err)
}

// orUnknown makes 404 of the error of a policy that is not there. Its text is
// that of Python's dictionaries.
func orUnknown(r *http.Request, by key, err error) error {
	if !errors.Is(err, store.ErrNotFound) {
		return err
	}
	asked := form.Dict{{Key: strings.TrimPrefix(string(by), "policy_"), Value: r.PathValue(string(by))}}
	return httpapi.Reason(http.StatusNotFound, "No such policy "+asked.PythonRepr())
}

// policy is one on the wire.
type policy struct {
	UUID        string   `json:"uuid"`
	TenantUUID  string   `json:"tenant_uuid"`
	Name        string   `json:"name"`
	Slug        string   `json:"slug"`
	Description *string  `json:"description"`
	ACL         []string `json:"acl"`
	ReadOnly    bool     `json:"read_only"`
	Shared      bool     `json:"shared"`

	// Templates is the ACL under its name of 2017, for who has called it so.
	Templates *[]string `json:"acl_templates,omitempty"`
}

// readOnly reports whether whoever sees p so cannot change it.
func readOnly(p store.Policy) bool { return p.ConfigManaged || p.Inherited }

// spell shows p to who is in tenant. What is not his own he sees as if it were
// his, but read-only and shared with nobody.
func spell(tenant string) func(store.Policy) policy {
	return func(p store.Policy) policy {
		if p.Inherited {
			p.TenantUUID, p.Shared = tenant, false
		}
		return policy{
			UUID: p.UUID, TenantUUID: p.TenantUUID, Name: p.Name, Slug: p.Slug, Description: p.Description,
			ACL: p.ACL, ReadOnly: readOnly(p), Shared: p.Shared,
		}
	}
}

func (h HTTP) get(by key) handler {
	return func(w http.ResponseWriter, r *http.Request, c *httpapi.Caller) error {
		tenant, err := c.Tenant(r.Context())
		if err != nil {
			return err
		}
		p, err := h.find(r, by, tenant)
		if err != nil {
			return err
		}
		return httpapi.WriteValue(w, spell(tenant)(p))
	}
}

type handler = func(http.ResponseWriter, *http.Request, *httpapi.Caller) error

// listing has an order that passes and is refused afterwards, as the
// reference's has.
var listing = httpapi.NewListing([]string{"name", "slug", "description", "uuid", "read_only"}, true,
	form.Text("uuid"), form.Text("name"), form.Text("slug"), form.Text("user_uuid"), form.Text("group_uuid"), form.Text("tenant_uuid"),
	form.Field{Name: "read_only", Kind: form.Boolean{}})

func (h HTTP) list(w http.ResponseWriter, r *http.Request, c *httpapi.Caller) error {
	l, err := listing.Read(r)
	if err != nil {
		return err
	}
	if l.Tenant, err = c.Tenant(r.Context()); err != nil {
		return err
	}
	if l.Order == "read_only" {
		return httpapi.Reason(http.StatusBadRequest, "Invalid sort column: "+l.Order)
	}
	found, err := h.Store.ListPolicies(r.Context(), l)
	if err != nil {
		return err
	}
	return httpapi.WritePage(w, found, httpapi.TotalOnly, spell(l.Tenant))
}
