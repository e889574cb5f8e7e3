package users

import (
	_ "embed" // the document
	"errors"
	"net/http"
	"slices"

	"github.com/wazo-edge/xivo-auth/authsvc/client"
	"github.com/wazo-edge/xivo-auth/authsvc/form"
	"github.com/wazo-edge/xivo-auth/authsvc/httpapi"
	"github.com/wazo-edge/xivo-auth/authsvc/idp"
	"github.com/wazo-edge/xivo-auth/authsvc/password"
	"github.com/wazo-edge/xivo-auth/authsvc/store"
)

// Document describes the room's operations.
//
//go:embed api.yml
var Document []byte

// HTTP is the resource on the wire.
type HTTP struct {
	Service *Service
	Groups  httpapi.Groups
	// Methods tells the authentication methods that there are now.
	Methods func() idp.Methods
	// Throttle slows down who guesses passwords; nil slows nobody down.
	Throttle httpapi.Throttle
	// ClientAddr is the address a request comes from.
	ClientAddr func(*http.Request) string
}

// Routes lists what the room serves.
func (h HTTP) Routes() []httpapi.Route {
	const one = "/0.1/users/{user_uuid}"
	return []httpapi.Route{
		{Method: http.MethodGet, Path: "/0.1/users", ACL: "auth.users.read", HandleAs: h.list},
		{Method: http.MethodPost, Path: "/0.1/users", ACL: "auth.users.create", HandleAs: h.create},
		{Method: http.MethodGet, Path: one, ACL: "auth.users.{user_uuid}.read", HandleAs: h.get},
		{Method: http.MethodPut, Path: one, ACL: "auth.users.{user_uuid}.update", HandleAs: h.update},
		{Method: http.MethodDelete, Path: one, ACL: "auth.users.{user_uuid}.delete", HandleAs: h.delete},
		{Method: http.MethodPut, Path: one + "/password", ACL: "auth.users.{user_uuid}.password.update", HandleAs: h.changePassword},
		{Method: http.MethodPut, Path: one + "/emails", ACL: "auth.users.{user_uuid}.emails.update", HandleAs: h.setEmails},
		{Method: http.MethodPut, Path: "/0.1/admin/users/{user_uuid}/emails", ACL: "auth.admin.users.{user_uuid}.emails.update", HandleAs: h.adminSetEmails},
		{Method: http.MethodGet, Path: "/0.1/groups/{group_uuid}/users", ACL: "auth.groups.{group_uuid}.users.read", HandleAs: h.listOfGroup},
	}
}

// user is one on the wire.
type user struct {
	Username  *string `json:"username"`
	UUID      string  `json:"uuid"`
	Enabled   bool    `json:"enabled"`
	Emails    []email `json:"emails"`
	FirstName *string `json:"firstname"`
	LastName  *string `json:"lastname"`
	Purpose   string  `json:"purpose"`
	Tenant    string  `json:"tenant_uuid"`
	Method    string  `json:"authentication_method"`
}

type email struct {
	UUID      string `json:"uuid"`
	Address   string `json:"address"`
	Main      bool   `json:"main"`
	Confirmed bool   `json:"confirmed"`
}

func spell(a store.Account) user {
	emails := make([]email, len(a.Emails))
	for i, e := range a.Emails {
		emails[i] = email(e)
	}
	return user{
		Username: orNull(a.Username), UUID: a.UUID, Enabled: a.Enabled, Emails: emails, FirstName: a.FirstName, LastName: a.LastName,
		Purpose: a.Purpose, Tenant: a.TenantUUID, Method: a.Method,
	}
}

func orNull(s string) *string {
	if s == "" {
		return nil
	}
	return &s
}

var (
	filters = []form.Field{
		form.Text("uuid"), form.Text("username"), form.Text("firstname"), form.Text("lastname"), form.Text("purpose"), form.Text("email_address"),
	}
	listing = httpapi.NewListing([]string{"username", "firstname", "lastname"}, true, append(slices.Clip(filters),
		form.Text("group_uuid"), form.Text("policy_uuid"), form.Text("policy_slug"), form.Text("has_policy_uuid"), form.Text("has_policy_slug"))...)
	groupListing = httpapi.NewListing([]string{"username"}, true, filters...)
)

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

// listOfGroup lists the members of a group whose tenant the caller sees. The
// reference lets the holder of the access list those of any tenant; here, a
// group out of sight has none, as one that does not exist.
func (h HTTP) listOfGroup(w http.ResponseWriter, r *http.Request, c *httpapi.Caller) error {
	l, err := groupListing.Read(r)
	if err != nil {
		return err
	}
	l.Everywhere, l.Group = true, r.PathValue("group_uuid")
	g, err := h.Groups.GroupByUUID(r.Context(), l.Group)
	known := false
	if err == nil {
		known, err = c.Knows(r.Context(), g.TenantUUID)
	}
	if err != nil && !errors.Is(err, store.ErrNotFound) {
		return err
	}
	if !known {
		return httpapi.WritePage(w, store.Page[store.Account]{}, httpapi.ItemsFirst, spell)
	}
	return h.write(w, r, l, httpapi.ItemsFirst)
}

// hidden is the 404 of a user whose tenant the caller does not see, or who does
// not exist, which must look alike; nil for all others. The reference asks for
// nobody's tenant where passwords and addresses change: who may change those of
// the users of one tenant could take the login of any user of any other,
// administrators of the top tenant included, or have the mail that resets a
// password sent to himself.
func (h HTTP) hidden(r *http.Request, c *httpapi.Caller) error {
	uuid := r.PathValue("user_uuid")
	u, err := h.Service.Store.UserByUUID(r.Context(), uuid)
	if err != nil {
		return orUnknown(err, uuid)
	}
	return c.KnowsUser(r.Context(), u)
}

func (h HTTP) write(w http.ResponseWriter, r *http.Request, l store.List, envelope []string) error {
	page, err := h.Service.Store.ListAccounts(r.Context(), l)
	if err != nil {
		return err
	}
	return httpapi.WritePage(w, page, envelope, spell)
}

func (h HTTP) get(w http.ResponseWriter, r *http.Request, c *httpapi.Caller) error {
	u, _, err := c.User(r.Context(), h.Service.Store, r.PathValue("user_uuid"))
	if err != nil {
		return err
	}
	return h.writeUser(w, r, u)
}

func (h HTTP) writeUser(w http.ResponseWriter, r *http.Request, u store.User) error {
	emails, err := h.Service.Store.Emails(r.Context(), u.UUID)
	if err != nil {
		return err
	}
	return httpapi.WriteValue(w, spell(store.Account{User: u, Emails: emails}))
}

// created is a new user on the wire, where everything comes in another order.
type created struct {
	UUID      string         `json:"uuid"`
	Username  *string        `json:"username"`
	FirstName *string        `json:"firstname"`
	LastName  *string        `json:"lastname"`
	Purpose   string         `json:"purpose"`
	Emails    []createdEmail `json:"emails"`
	Enabled   bool           `json:"enabled"`
	Tenant    string         `json:"tenant_uuid"`
	Method    string         `json:"authentication_method"`
}

type createdEmail struct {
	UUID      string `json:"uuid"`
	Address   string `json:"address"`
	Confirmed bool   `json:"confirmed"`
	Main      bool   `json:"main"`
}

func (h HTTP) create(w http.ResponseWriter, r *http.Request, c *httpapi.Caller) error {
	tenant, err := c.Tenant(r.Context())
	if err != nil {
		return err
	}
	if tenant == "" {
		// A token of no tenant. The store would take that for the top one.
		return httpapi.UnknownTenant("None")
	}
	values, err := h.readUser(r, &newForm)
	if err != nil {
		return err
	}
	n := store.NewUser{User: userOf(values), Email: values.Text("email_address")}
	n.UUID, n.TenantUUID = values.Text("uuid"), tenant
	u, err := h.Service.create(client.With(r.Context(), h.ClientAddr(r)), n, values.Text("password"))
	if errors.Is(err, store.ErrNotFound) {
		err = httpapi.UnknownTenant(tenant)
	}
	if err != nil {
		return answer(err)
	}
	emails, err := h.Service.Store.Emails(r.Context(), u.UUID)
	if err != nil {
		return err
	}
	out := created{
		UUID: u.UUID, Username: orNull(u.Username), FirstName: u.FirstName, LastName: u.LastName, Purpose: u.Purpose,
		Emails: []createdEmail{}, Enabled: u.Enabled, Tenant: u.TenantUUID, Method: u.Method,
	}
	for _, e := range emails {
		out.Emails = append(out.Emails, createdEmail{e.UUID, e.Address, e.Confirmed, e.Main})
	}
	return httpapi.WriteValue(w, out)
}

// update replaces a user: what the body does not name goes back to its default.
// The body is looked at before the user.
func (h HTTP) update(w http.ResponseWriter, r *http.Request, c *httpapi.Caller) error {
	if _, err := c.Tenant(r.Context()); err != nil {
		return err
	}
	values, err := h.readUser(r, &userForm)
	if err != nil {
		return err
	}
	was, _, err := c.User(r.Context(), h.Service.Store, r.PathValue("user_uuid"))
	if err != nil {
		return err
	}
	u := userOf(values)
	u.UUID, u.TenantUUID = was.UUID, was.TenantUUID
	if err := h.Service.Update(r.Context(), u); err != nil {
		return answer(orUnknown(err, u.UUID))
	}
	return h.writeUser(w, r, u)
}

func (h HTTP) delete(w http.ResponseWriter, r *http.Request, c *httpapi.Caller) error {
	u, _, err := c.User(r.Context(), h.Service.Store, r.PathValue("user_uuid"))
	if err != nil {
		return err
	}
	if _, err := h.Service.Delete(r.Context(), u.UUID); err != nil {
		return orUnknown(err, u.UUID)
	}
	httpapi.NoContent(w)
	return nil
}

// orUnknown is err, or the 404 of a user who is not there (any more).
func orUnknown(err error, uuid string) error {
	if errors.Is(err, store.ErrNotFound) {
		return httpapi.UnknownUser(uuid)
	}
	return err
}

// answer is err, or the 409 or 503 it stands for.
func answer(err error) error {
	taken, ok := errors.AsType[*store.ConflictError](err)
	switch {
	case errors.Is(err, password.ErrBusy):
		return httpapi.Busy(err)
	case !ok:
		return err
	case taken.Field == "uuid":
		return httpapi.Conflict(taken.Field, `The uuid "`+taken.Value+`" is already used`, resource)
	}
	return httpapi.Conflict(taken.Field, `The login "`+taken.Value+`" is already used`, resource)
}
