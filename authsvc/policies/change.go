package policies

import (
	"context"
	"errors"
	"net/http"
	"slices"
	"strings"

	"github.com/wazo-edge/xivo-auth/authsvc/form"
	"github.com/wazo-edge/xivo-auth/authsvc/httpapi"
	"github.com/wazo-edge/xivo-auth/authsvc/slug"
	"github.com/wazo-edge/xivo-auth/authsvc/store"
)

// maxAccesses is how many accesses a policy may be given. While they are stored
// no policy or tenant can be created anywhere, each new one stays in the database
// for ever, and all are copied into every token of who has the policy.
const maxAccesses = 4096

// The fields of a body, in the order in which the first wrong one is told.
var (
	name        = form.Field{Name: "name", Kind: form.String{Min: 1, Max: 80}, Required: true}
	description = form.Field{Name: "description", Kind: form.String{}, Nullable: true}
	acl         = form.Field{Name: "acl", Kind: form.ListOf{Of: form.String{}, Max: maxAccesses}}
	templates   = form.Field{Name: "acl_templates", Kind: form.ListOf{Of: form.String{}, Max: maxAccesses}}

	newPolicy = form.Schema{Fields: []form.Field{
		name, {Name: "slug", Kind: slug.Policy.Kind(), Nullable: true}, description, acl,
		{Name: "shared", Kind: form.Boolean{}}, templates,
	}}
	newContent = form.Schema{Fields: []form.Field{name, description, acl, templates}}
)

// invalid is the 400 of a body, in the style of this resource.
func invalid(wrong *form.Errors) error {
	return httpapi.Reason(http.StatusBadRequest, "Invalid value supplied for field: "+wrong.Dict[0].Key.(string))
}

// badACL is the 400 of accesses that no policy may have.
func badACL() error { return invalid(&form.Errors{Dict: form.Dict{{Key: "acl"}}}) }

// fit refuses accesses that may not be storable. What the policy has already may
// be longer.
func fit(accesses, stored []string) error {
	for _, access := range accesses {
		if len(access) > store.MaxIndexed && !slices.Contains(stored, access) {
			return badACL()
		}
	}
	return nil
}

// content is what a client can change of a policy. templates tells that he has
// called the ACL by its name of 2017, which counts where the other is not said.
type content struct {
	name        string
	description *string
	acl         []string
	templates   bool
}

func contentOf(body form.Values) content {
	c := content{name: body.Text("name"), acl: body.Strings("acl"), templates: body.Has("acl_templates") && !body.Has("acl")}
	if text, ok := body.Get("description").(string); ok {
		c.description = &text
	}
	if c.templates {
		c.acl = body.Strings("acl_templates")
	}
	return c
}

// write answers with p to who has sent in.
func (in content) write(w http.ResponseWriter, tenant string, p store.Policy) error {
	out := spell(tenant)(p)
	if in.templates {
		out.Templates = &out.ACL
	}
	return httpapi.WriteValue(w, out)
}

func (h HTTP) create(w http.ResponseWriter, r *http.Request, c *httpapi.Caller) error {
	body, err := httpapi.ReadBody(r, &newPolicy, invalid)
	if err != nil {
		return err
	}
	tenant, err := c.Tenant(r.Context())
	if err != nil {
		return err
	}
	in := contentOf(body)
	if err := fit(in.acl, nil); err != nil {
		return err
	}
	if err := c.MayAdd(r.Context(), in.acl...); err != nil {
		return err
	}
	slugs := []string{body.Text("slug")}
	if body.Get("slug") == nil {
		slugs = slug.Policy.Candidates(in.name, h.Random)
	}
	created, err := h.Store.CreatePolicy(r.Context(), store.NewPolicy{
		TenantUUID: tenant, Name: in.name, Description: in.description, ACL: in.acl, Shared: body.Bool("shared"), Slugs: slugs,
	})
	if errors.Is(err, store.ErrNotFound) { // just deleted
		err = httpapi.UnknownTenant(tenant)
	}
	if err != nil {
		return orTaken(err, in.name)
	}
	return in.write(w, tenant, created)
}

// orTaken makes 409 of a conflict. It names the name even when it is the slug.
func orTaken(err error, name string) error {
	if !errors.Is(err, store.ErrConflict) {
		return err
	}
	return httpapi.Reason(http.StatusConflict, `Policy "`+name+`" already exists`)
}

// on finds the policy to change, and has do change it. By slug it is looked for
// at once, by uuid when it is used: its uuid is that of the path.
func (h HTTP) on(by key, do func(w http.ResponseWriter, r *http.Request, c *httpapi.Caller, tenant, uuid string) error) handler {
	return func(w http.ResponseWriter, r *http.Request, c *httpapi.Caller) error {
		tenant, err := c.Tenant(r.Context())
		if err != nil {
			return err
		}
		uuid := r.PathValue(string(by))
		if by == bySlug {
			p, err := h.find(r, by, tenant)
			if err != nil {
				return err
			}
			uuid = p.UUID
		}
		return orUnknown(r, by, do(w, r, c, tenant, uuid))
	}
}

func (h HTTP) replace(w http.ResponseWriter, r *http.Request, c *httpapi.Caller, tenant, uuid string) error {
	body, err := httpapi.ReadBody(r, &newContent, invalid)
	if err != nil {
		return err
	}
	in := contentOf(body)
	// All of them, also those that the policy has already: whoever writes a
	// list of accesses vouches for it.
	if err := c.MayAdd(r.Context(), in.acl...); err != nil {
		return err
	}
	kept := make(map[string]bool, len(in.acl))
	for _, access := range in.acl {
		kept[access] = true
	}
	ctx := r.Context()
	changed, err := h.Store.UpdatePolicy(ctx, tenant, uuid, func(p *store.Policy) error {
		if err := fit(in.acl, p.ACL); err != nil {
			return err
		}
		dropped := slices.DeleteFunc(p.ACL, func(access string) bool { return kept[access] })
		if err := c.MayRemove(ctx, dropped...); err != nil {
			return err
		}
		p.Name, p.Description, p.ACL = in.name, in.description, in.acl
		return mayChange(*p)
	})
	if err != nil {
		return orTaken(err, in.name)
	}
	return in.write(w, tenant, changed)
}

// mayChange refuses to change what is not the tenant's own. The reference lets
// the accesses of such a policy be changed one by one (routes.yml calls it a
// bug): whoever may edit the policies of one tenant could give what he holds, or
// with a negative access deny anything, to everybody in all other tenants.
func mayChange(p store.Policy) error {
	if readOnly(p) {
		return httpapi.Reason(http.StatusForbidden, `Forbidden policy deletion: "`+p.UUID+`"`)
	}
	return nil
}

func (h HTTP) delete(w http.ResponseWriter, r *http.Request, c *httpapi.Caller, tenant, uuid string) error {
	ctx := r.Context()
	err := h.Store.DeletePolicy(ctx, tenant, uuid, func(p store.Policy) error {
		if err := c.MayRemove(ctx, p.ACL...); err != nil {
			return err
		}
		return mayChange(p)
	})
	if err != nil {
		return err
	}
	httpapi.NoContent(w)
	return nil
}

// change is one access that comes to a policy or goes.
type change struct {
	may func(c *httpapi.Caller, ctx context.Context, access ...string) error
	do  func(p *store.Policy, access string) error
}

var (
	add = change{(*httpapi.Caller).MayAdd, func(p *store.Policy, access string) error {
		if slices.Contains(p.ACL, access) {
			return httpapi.Reason(http.StatusConflict, "Policy already associated to "+access)
		}
		if len(p.ACL) >= maxAccesses || len(access) > store.MaxIndexed {
			return badACL()
		}
		p.ACL = append(p.ACL, access)
		return nil
	}}
	remove = change{(*httpapi.Caller).MayRemove, func(p *store.Policy, access string) error {
		p.ACL = slices.DeleteFunc(p.ACL, func(a string) bool { return a == access })
		return nil
	}}
)

// edit changes the access that the parameter of the path is.
func (h HTTP) edit(by key, parameter string, change change) handler {
	return h.on(by, func(w http.ResponseWriter, r *http.Request, c *httpapi.Caller, tenant, uuid string) error {
		// An encoded slash is no slash, as for the reference's server.
		access := strings.ToValidUTF8(strings.ReplaceAll(r.PathValue(parameter), "/", "%2F"), "\uFFFD")
		if err := change.may(c, r.Context(), access); err != nil {
			return err
		}
		_, err := h.Store.UpdatePolicy(r.Context(), tenant, uuid, func(p *store.Policy) error {
			if err := mayChange(*p); err != nil {
				return err
			}
			return change.do(p, access)
		})
		if err != nil {
			return err
		}
		httpapi.NoContent(w)
		return nil
	})
}
