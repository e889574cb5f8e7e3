package users

import (
	"net/http"
	"slices"

	"github.com/wazo-edge/xivo-auth/authsvc/form"
	"github.com/wazo-edge/xivo-auth/authsvc/httpapi"
	"github.com/wazo-edge/xivo-auth/authsvc/store"
)

// resource is what the errors of this room name, those of addresses apart.
const resource = "users"

// maxEmails is how many addresses a user may have: while they are written, no
// user of any tenant can be created or renamed.
const maxEmails = 100

var (
	userForm = form.Schema{Fields: []form.Field{
		{Name: "username", Kind: form.String{Min: 1, Max: maxName}, Nullable: true},
		{Name: "firstname", Kind: form.String{}, Nullable: true},
		{Name: "lastname", Kind: form.String{}, Nullable: true},
		{Name: "purpose", Kind: form.String{OneOf: []string{store.PurposeUser, store.PurposeInternal, store.PurposeExternalAPI}}, Default: store.PurposeUser},
		{Name: "authentication_method", Kind: form.String{}},
		{Name: "enabled", Kind: form.Boolean{}, Default: true},
	}}

	newForm = form.Schema{Fields: append(slices.Clip(userForm.Fields),
		form.Field{Name: "uuid", Kind: form.UUID{}},
		form.Field{Name: "password", Kind: form.String{Min: 1}, Nullable: true},
		form.Field{Name: "email_address", Kind: form.Email{}, Nullable: true},
	)}

	passwordForm = form.Schema{Fields: []form.Field{
		{Name: "old_password", Kind: form.String{Min: 1}, Required: true},
		{Name: "new_password", Kind: form.String{Min: 1}, Required: true},
	}}

	emailsForm = emailsOf(
		form.Field{Name: "address", Kind: form.Email{}, Required: true},
		form.Field{Name: "main", Kind: form.Boolean{}, Default: false},
	)

	adminEmailsForm = emailsOf(
		form.Field{Name: "address", Kind: form.Email{}, Required: true},
		form.Field{Name: "confirmed", Kind: form.Boolean{}, Nullable: true},
		form.Field{Name: "main", Kind: form.Boolean{}, Default: false},
	)
)

// emailsOf is the form of a list of addresses with these fields.
func emailsOf(fields ...form.Field) *form.Schema {
	address := &form.Schema{Fields: fields}
	return &form.Schema{
		Fields: []form.Field{{Name: "emails", Kind: form.ListOf{Of: form.Object{Schema: address}, Max: maxEmails}, Required: true}},
		Rules: []form.Rule{
			func(v form.Values) string {
				mains := 0
				for _, e := range v.List("emails") {
					if e.(form.Values).Bool("main") {
						mains++
					}
				}
				if mains != 1 && len(v.List("emails")) > 0 {
					return "Exactly one address must be the main one"
				}
				return ""
			},
			func(v form.Values) string {
				seen := map[string]bool{}
				for _, e := range v.List("emails") {
					address := e.(form.Values).Text("address")
					if seen[address] {
						return "An address must not be given twice"
					}
					seen[address] = true
				}
				return ""
			},
		},
	}
}

// readUser reads a body with the fields of userForm. A method that there is not
// is an error of its own, after all others.
func (h HTTP) readUser(r *http.Request, schema *form.Schema) (form.Values, error) {
	values, err := httpapi.ReadBody(r, schema, invalid)
	if err != nil {
		return values, err
	}
	if values.Has("authentication_method") {
		if method := values.Text("authentication_method"); !h.Methods().Has(method) {
			return values, httpapi.API(http.StatusBadRequest, "invalid-data", "Invalid authentication method "+method,
				httpapi.Details{{Key: "authentication_method", Value: method}}, resource)
		}
	}
	return values, nil
}

func invalid(wrong *form.Errors) error { return httpapi.InvalidData(wrong, resource) }

// userOf is what a body with the fields of userForm says of a user.
func userOf(v form.Values) store.User {
	u := store.User{
		Username: v.Text("username"), FirstName: nullable(v, "firstname"), LastName: nullable(v, "lastname"),
		Enabled: v.Bool("enabled"), Purpose: v.Text("purpose"), Method: v.Text("authentication_method"),
	}
	if !v.Has("authentication_method") {
		u.Method = store.MethodDefault
		if u.Purpose != store.PurposeUser {
			// Services have no directory to be in.
			u.Method = store.MethodNative
		}
	}
	return u
}

func nullable(v form.Values, name string) *string {
	if v.Get(name) == nil {
		return nil
	}
	s := v.Text(name)
	return &s
}
