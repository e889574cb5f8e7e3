package tenants

import (
	_ "embed" // the document
	"errors"
	"log/slog"
	"net/http"

	"github.com/google/uuid"

	"github.com/wazo-edge/xivo-auth/authsvc/form"
	"github.com/wazo-edge/xivo-auth/authsvc/httpapi"
	"github.com/wazo-edge/xivo-auth/authsvc/store"
)

// Document describes the room's operations.
//
//go:embed api.yml
var Document []byte

const resource = "tenants"

// HTTP is the resource on the wire (contract: routes.yml, /tenants).
type HTTP struct {
	Store store.Tenants
	// Tree is what this node believes of the tenants: it is read again after
	// each change.
	Tree interface{ Expire() }
	// Revoke takes tokens out of the cache: when it returns, no later
	// request on this node is accepted with one of them.
	Revoke func(tokens ...uuid.UUID)
	// ValidMethod reports whether name is an authentication method that there
	// is now.
	ValidMethod func(name string) bool
	// Defaults are what new tenants are given; nil for nothing.
	Defaults func() *store.Defaults
	// Random makes slugs that nobody chose; see [slug.Any].
	Random func(n int) string
	Log    *slog.Logger
}

// Routes lists what the room serves.
func (h HTTP) Routes() []httpapi.Route {
	return []httpapi.Route{
		{Method: http.MethodGet, Path: "/0.1/tenants", ACL: "auth.tenants.read", HandleAs: h.list},
		{Method: http.MethodPost, Path: "/0.1/tenants", ACL: "auth.tenants.create", HandleAs: h.create},
		{Method: http.MethodGet, Path: "/0.1/tenants/{tenant_uuid}", ACL: "auth.tenants.{tenant_uuid}.read", HandleAs: h.get},
		{Method: http.MethodPut, Path: "/0.1/tenants/{tenant_uuid}", ACL: "auth.tenants.{tenant_uuid}.update", HandleAs: h.update},
		{Method: http.MethodDelete, Path: "/0.1/tenants/{tenant_uuid}", ACL: "auth.tenants.{tenant_uuid}.delete", HandleAs: h.delete},
		{Method: http.MethodGet, Path: "/0.1/tenants/{tenant_uuid}/domains", ACL: "auth.tenants.{tenant_uuid}.domains.read", HandleAs: h.domains},
		{Method: http.MethodPut, Path: "/0.1/tenants/{tenant_uuid}/parent/{parent_tenant_uuid}", ACL: "auth.tenants.{tenant_uuid}.parent.{parent_tenant_uuid}.update", HandleAs: h.move},
	}
}

// maxUUIDs is how many tenants one list can be asked for by name.
const maxUUIDs = 25

var listing = httpapi.NewListing([]string{"name", "slug"}, true,
	form.Text("uuid"),
	form.Text("name"),
	form.Text("slug"),
	form.Field{Name: "uuids", Kind: form.ListOf{Of: form.String{}, Max: maxUUIDs}},
	form.Text("domain_name"),
)

func (h HTTP) list(w http.ResponseWriter, r *http.Request, c *httpapi.Caller) error {
	scope, err := c.Tenant(r.Context())
	if err != nil {
		return err
	}
	l, err := listing.Read(r)
	if err != nil {
		return err
	}
	l.Tenant, l.Recurse = scope, true // whatever the client says
	found, err := h.Store.ListTenants(r.Context(), l)
	if err != nil {
		return err
	}
	return httpapi.WritePage(w, found, httpapi.FilteredFirst, spell)
}

func (h HTTP) get(w http.ResponseWriter, r *http.Request, c *httpapi.Caller) error {
	scope, err := c.Tenant(r.Context())
	if err != nil {
		return err
	}
	id := r.PathValue("tenant_uuid")
	t, err := h.Store.TenantByUUID(r.Context(), id, scope)
	if errors.Is(err, store.ErrNotFound) {
		return httpapi.UnknownTenant(id)
	}
	if err != nil {
		return err
	}
	return httpapi.WriteValue(w, spell(t))
}

// domains is of the tenant in the path, whoever asks and whatever Wazo-Tenant
// says, as on the reference: domains are public names, by which people who have
// no account yet are led to where they log in.
func (h HTTP) domains(w http.ResponseWriter, r *http.Request, _ *httpapi.Caller) error {
	id := r.PathValue("tenant_uuid")
	found, err := h.Store.TenantDomains(r.Context(), id)
	if errors.Is(err, store.ErrNotFound) {
		return httpapi.UnknownTenant(id)
	}
	if err != nil {
		return err
	}
	type domain struct {
		Name string `json:"name"`
		UUID string `json:"uuid"`
	}
	page := store.Page[store.Domain]{Total: len(found), Items: found}
	return httpapi.WritePage(w, page, []string{"total", "items"}, func(d store.Domain) domain { return domain{d.Name, d.UUID} })
}

func (h HTTP) create(w http.ResponseWriter, r *http.Request, c *httpapi.Caller) error {
	scope, err := c.Tenant(r.Context())
	if err != nil {
		return err
	}
	values, err := h.read(r, &createForm)
	if err != nil {
		return err
	}
	n := store.NewTenant{TenantProfile: profile(values), Slugs: candidates(values, h.Random)}
	if d := h.Defaults(); d != nil {
		n.Defaults = *d
	}
	n.UUID, n.Parent = values.Text("uuid"), scope
	t, missing, err := h.Store.CreateTenant(r.Context(), n)
	h.changed(err)
	if err != nil {
		return refused(err, values, scope)
	}
	if len(missing) > 0 {
		h.Log.WarnContext(r.Context(), "a tenant was created without policies that all tenants are to have: the top tenant has none of these slugs",
			slog.String("tenant", t.UUID), slog.Any("slugs", missing))
	}
	return httpapi.WriteValue(w, spell(t))
}

func (h HTTP) update(w http.ResponseWriter, r *http.Request, c *httpapi.Caller) error {
	scope, err := c.Tenant(r.Context())
	if err != nil {
		return err
	}
	values, err := h.read(r, &updateForm)
	if err != nil {
		return err
	}
	n := profile(values)
	n.UUID = r.PathValue("tenant_uuid")
	t, err := h.Store.UpdateTenant(r.Context(), n, scope)
	if err != nil {
		return refused(err, values, n.UUID)
	}
	return httpapi.WriteValue(w, spell(t))
}

func (h HTTP) delete(w http.ResponseWriter, r *http.Request, c *httpapi.Caller) error {
	scope, err := c.Tenant(r.Context())
	if err != nil {
		return err
	}
	id := r.PathValue("tenant_uuid")
	if id == scope {
		return httpapi.API(http.StatusForbidden, "deleting-own-tenant-forbidden",
			`Deleting its own tenant is forbidden: "`+id+`"`, httpapi.Details{{Key: "tenant_uuid", Value: id}}, resource)
	}
	ended, err := h.Store.DeleteTenant(r.Context(), id, scope)
	// Also beside an error: the rows may be gone and only the answer lost.
	h.Revoke(store.TokenUUIDs(ended)...)
	h.changed(err)
	switch {
	case errors.Is(err, store.ErrNotFound):
		return httpapi.UnknownTenant(id)
	case errors.Is(err, store.ErrHasChildren):
		return httpapi.Shifted(http.StatusBadRequest, `Unauthorized delete of tenant : "`+id+`" ; since it has at least one child`,
			httpapi.Details{{Key: "uuid", Value: id}}, resource)
	case err != nil:
		return err
	}
	httpapi.NoContent(w)
	return nil
}

func (h HTTP) move(w http.ResponseWriter, r *http.Request, c *httpapi.Caller) error {
	scope, err := c.Tenant(r.Context())
	if err != nil {
		return err
	}
	id, parent := r.PathValue("tenant_uuid"), r.PathValue("parent_tenant_uuid")
	err = h.Store.MoveTenant(r.Context(), id, parent, scope)
	h.changed(err)
	if err != nil {
		if end, ok := errors.AsType[*store.ReferenceError](err); ok {
			return httpapi.UnknownTenant(end.Value)
		}
		if errors.Is(err, store.ErrDescendant) {
			return httpapi.API(http.StatusConflict, "conflict", `Parent (`+parent+`) is a descendent of tenant: "`+id+`"`,
				httpapi.Details{{Key: "uuid", Value: id}, {Key: "parent_uuid", Value: parent}}, resource)
		}
		return err
	}
	httpapi.NoContent(w)
	return nil
}

// changed has the tree read again when it is, or may be, another now: what is
// asked next must find it so. When only the answer was lost nobody knows.
func (h HTTP) changed(err error) {
	if err == nil || errors.Is(err, store.ErrUnavailable) {
		h.Tree.Expire()
	}
}
