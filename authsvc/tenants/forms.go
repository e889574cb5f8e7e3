package tenants

import (
	"errors"
	"net/http"
	"slices"

	"github.com/wazo-edge/xivo-auth/authsvc/form"
	"github.com/wazo-edge/xivo-auth/authsvc/httpapi"
	"github.com/wazo-edge/xivo-auth/authsvc/slug"
	"github.com/wazo-edge/xivo-auth/authsvc/store"
)

// maxDomains is how many domain names a tenant may have: while they are stored, no
// tenant can be created or changed.
const maxDomains = 1000

// createForm is the body of POST.
var createForm = form.Schema{Fields: slices.Insert(slices.Clone(updateForm.Fields), 2,
	form.Field{Name: "slug", Kind: slug.Tenant.Kind(), Nullable: true})}

// updateForm is the body of PUT. The uuid is looked at and then not used.
var updateForm = form.Schema{Fields: []form.Field{
	{Name: "uuid", Kind: form.UUID{}, Nullable: true},
	text("name", 128),
	{Name: "contact", Kind: form.UUID{}, Nullable: true},
	text("phone", 32),
	{Name: "default_authentication_method", Kind: form.String{}, Default: store.MethodNative},
	{Name: "domain_names", Kind: form.ListOf{Of: form.String{Pattern: domainPattern{}}, Max: maxDomains}},
	{Name: "address", Kind: form.Object{Schema: &addressForm}},
}}

var addressForm = form.Schema{Fields: []form.Field{
	text("line_1", 256), text("line_2", 256), text("city", 128), text("state", 128), text("country", 128), text("zip_code", 16),
}}

// text is a field that is null or up to so many characters.
func text(name string, length int) form.Field {
	return form.Field{Name: name, Kind: form.String{Min: 1, Max: length}, Nullable: true}
}

// read reads a body.
func (h HTTP) read(r *http.Request, schema *form.Schema) (form.Values, error) {
	values, err := httpapi.ReadBody(r, schema, func(wrong *form.Errors) error { return httpapi.InvalidData(wrong, resource) })
	if err != nil {
		return values, err
	}
	if method := values.Text("default_authentication_method"); !h.ValidMethod(method) {
		return values, httpapi.API(http.StatusBadRequest, "invalid-data", "Invalid default authentication method "+method,
			httpapi.Details{{Key: "default_authentication_method", Value: method}}, resource)
	}
	return values, nil
}

// profile is what a body says of a tenant.
func profile(values form.Values) store.TenantProfile {
	t := store.TenantProfile{
		Name: values.Text("name"), Phone: values.Text("phone"), Contact: values.Text("contact"),
		Method: values.Text("default_authentication_method"), Domains: values.Strings("domain_names"),
	}
	if values.Has("address") {
		a := values.Object("address")
		t.Address = store.Address{
			Line1: a.Text("line_1"), Line2: a.Text("line_2"), City: a.Text("city"),
			State: a.Text("state"), Country: a.Text("country"), ZipCode: a.Text("zip_code"),
		}
	}
	return t
}

// candidates are the slugs that the new tenant may have.
func candidates(values form.Values, random slug.Random) []string {
	switch {
	case values.Get("slug") != nil:
		return []string{values.Text("slug")}
	case values.Get("name") != nil:
		return slug.Tenant.Candidates(values.Text("name"), random)
	}
	return slug.Tenant.Nameless(random)
}

// refused is the answer to a tenant that the store does not take. id is the
// tenant that is looked for: the one to change, or the parent of a new one.
func refused(err error, values form.Values, id string) error {
	if missing, ok := errors.AsType[*store.ReferenceError](err); ok {
		return httpapi.UnknownUser(missing.Value)
	}
	if errors.Is(err, store.ErrNotFound) {
		return httpapi.UnknownTenant(id)
	}
	taken, ok := errors.AsType[*store.ConflictError](err)
	if !ok {
		return err
	}
	switch taken.Field {
	case "domain_names":
		// Another key than elsewhere, and the list as it was sent.
		message := `Domain name : "` + form.PythonRepr(values.Strings("domain_names")) + `" is already in use, no duplicates allowed`
		return conflict(http.StatusConflict, "domain_names", "constraint-id", "message", message)
	case "parent_uuid":
		return conflict(http.StatusForbidden, "parent_uuid", "constraint_id", "msg", "A master tenant already exist")
	case "uuid":
		return httpapi.API(http.StatusConflict, "tenant-identity-conflict", "Tenant Conflict detected", httpapi.Details{
			{Key: "uuid", Value: form.Dict{{Key: "constraint_id", Value: "unique"}, {Key: "message", Value: `A tenant with identity uuid="` + taken.Value + `" already exists`}}},
		}, resource)
	}
	return httpapi.Conflict(taken.Field, `The `+taken.Field+` "`+taken.Value+`" is already used`, resource)
}

// conflict is [httpapi.Conflict] where the reference words it in its own way.
func conflict(status int, field, id, text, message string) error {
	return httpapi.API(status, "conflict", "Conflict detected", httpapi.Details{
		{Key: field, Value: form.Dict{{Key: id, Value: "unique"}, {Key: text, Value: message}}},
	}, resource)
}

// tenant is one on the wire.
type tenant struct {
	UUID    string   `json:"uuid"`
	Parent  string   `json:"parent_uuid"`
	Name    *string  `json:"name"`
	Slug    string   `json:"slug"`
	Contact *string  `json:"contact"`
	Phone   *string  `json:"phone"`
	Method  string   `json:"default_authentication_method"`
	Domains []string `json:"domain_names"`
	Address address  `json:"address"`
}

type address struct {
	Line1   *string `json:"line_1"`
	Line2   *string `json:"line_2"`
	City    *string `json:"city"`
	State   *string `json:"state"`
	Country *string `json:"country"`
	ZipCode *string `json:"zip_code"`
}

func spell(t store.TenantProfile) tenant {
	a := t.Address
	return tenant{
		UUID: t.UUID, Parent: t.Parent, Name: null(t.Name), Slug: t.Slug, Contact: null(t.Contact), Phone: null(t.Phone),
		Method: t.Method, Domains: t.Domains,
		Address: address{null(a.Line1), null(a.Line2), null(a.City), null(a.State), null(a.Country), null(a.ZipCode)},
	}
}

// null is JSON's for an empty text.
func null(text string) *string {
	if text == "" {
		return nil
	}
	return &text
}
