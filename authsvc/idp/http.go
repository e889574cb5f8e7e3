package idp

import (
	"context"
	_ "embed" // the document
	"errors"
	"net/http"

	"github.com/wazo-edge/xivo-auth/authsvc/form"
	"github.com/wazo-edge/xivo-auth/authsvc/httpapi"
	"github.com/wazo-edge/xivo-auth/authsvc/store"
)

// Document describes the room's operations.
//
//go:embed api.yml
var Document []byte

// Store is what this room needs of a store.
type Store interface {
	store.Methods
	httpapi.Users
}

// HTTP is the resource on the wire.
type HTTP struct {
	Store Store
	// Methods tells the methods that there are now.
	Methods func() Methods
}

// Routes lists what the room serves.
func (h HTTP) Routes() []httpapi.Route {
	const user = "/0.1/idp/{idp_type}/users/{user_uuid}"
	return []httpapi.Route{
		{Method: http.MethodGet, Path: "/0.1/idp", ACL: "auth.idp.read", HandleAs: h.list},
		{Method: http.MethodPut, Path: user, ACL: "auth.idp.{idp_type}.users.{user_uuid}.create", HandleAs: h.add},
		{Method: http.MethodDelete, Path: user, ACL: "auth.idp.{idp_type}.users.{user_uuid}.delete", HandleAs: h.remove},
		{Method: http.MethodPut, Path: "/0.1/idp/{idp_type}/users", ACL: "auth.idp.{idp_type}.users.update", HandleAs: h.addMany},
	}
}

// list is of no tenant, and takes no parameters.
func (h HTTP) list(w http.ResponseWriter, _ *http.Request, _ *httpapi.Caller) error {
	m := h.Methods()
	page := store.Page[string]{Total: len(m), Filtered: len(m), Items: m}
	return httpapi.WritePage(w, page, httpapi.TotalFirst, func(name string) string { return name })
}

// method is that of the path, which is looked at before anything else.
func (h HTTP) method(r *http.Request) (string, error) {
	name := r.PathValue("idp_type")
	if !h.Methods().Has(name) {
		return "", httpapi.API(http.StatusNotFound, "unknown-idp-type", `No such IDP type: "`+name+`"`,
			httpapi.Details{{Key: "idp_type", Value: name}}, "idp")
	}
	return name, nil
}

func (h HTTP) add(w http.ResponseWriter, r *http.Request, c *httpapi.Caller) error {
	return h.change(w, r, c, func(ctx context.Context, user, method string) error {
		return h.Store.SetUserMethods(ctx, []string{user}, method)
	})
}

// remove leaves a user alone who uses another method by now.
func (h HTTP) remove(w http.ResponseWriter, r *http.Request, c *httpapi.Caller) error {
	return h.change(w, r, c, h.Store.ResetUserMethod)
}

func (h HTTP) change(w http.ResponseWriter, r *http.Request, c *httpapi.Caller, change func(ctx context.Context, user, method string) error) error {
	method, err := h.method(r)
	if err != nil {
		return err
	}
	u, _, err := c.User(r.Context(), h.Store, r.PathValue("user_uuid"))
	if err != nil {
		return err
	}
	if err := change(r.Context(), u.UUID, method); err != nil {
		return err
	}
	httpapi.NoContent(w)
	return nil
}

// maxMany is how many users a body may name: each is looked for.
const maxMany = 1000

var many = &form.Schema{Fields: []form.Field{
	{Name: "users", Required: true, Kind: form.ListOf{Max: maxMany, Of: form.Object{Schema: &form.Schema{Fields: []form.Field{
		{Name: "uuid", Kind: form.String{}, Required: true},
	}}}}},
}}

// addMany sets the method of users up to the first who does not exist.
func (h HTTP) addMany(w http.ResponseWriter, r *http.Request, c *httpapi.Caller) error {
	method, err := h.method(r)
	if err != nil {
		return err
	}
	if _, err := c.Tenant(r.Context()); err != nil {
		return err
	}
	v, err := httpapi.ReadBody(r, many, func(wrong *form.Errors) error {
		return httpapi.InvalidBody(wrong, "invalid-list-param", "users")
	})
	if err != nil {
		return err
	}
	var found []string
	var missing *httpapi.Error
	for _, item := range v.List("users") {
		u, _, err := c.User(r.Context(), h.Store, item.(form.Values).Text("uuid"))
		if errors.As(err, &missing) {
			break
		}
		if err != nil {
			return err
		}
		found = append(found, u.UUID)
	}
	if found != nil {
		if err := h.Store.SetUserMethods(r.Context(), found, method); err != nil {
			return err
		}
	}
	if missing != nil {
		return missing
	}
	httpapi.NoContent(w)
	return nil
}
