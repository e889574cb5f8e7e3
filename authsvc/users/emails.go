package users

import (
	"errors"
	"net/http"

	"github.com/wazo-edge/xivo-auth/authsvc/form"
	"github.com/wazo-edge/xivo-auth/authsvc/httpapi"
	"github.com/wazo-edge/xivo-auth/authsvc/store"
)

// The addresses that a PUT stored, on the wire: in one order where they are
// new, in another where the user had them, in a third for administrators.
type (
	newAddress struct {
		Address   string `json:"address"`
		Main      bool   `json:"main"`
		Confirmed bool   `json:"confirmed"`
		UUID      string `json:"uuid"`
	}
	knownAddress struct {
		Address   string `json:"address"`
		Main      bool   `json:"main"`
		UUID      string `json:"uuid"`
		Confirmed bool   `json:"confirmed"`
	}
	adminAddress struct {
		Address   string `json:"address"`
		Confirmed *bool  `json:"confirmed"` // null where a new address was sent with null
		Main      bool   `json:"main"`
		UUID      string `json:"uuid"`
	}
)

// setEmails replaces a user's addresses: new ones are to be confirmed.
func (h HTTP) setEmails(w http.ResponseWriter, r *http.Request, c *httpapi.Caller) error {
	return h.replaceEmails(w, r, c, emailsForm, func(e form.Values) store.NewEmail {
		return store.NewEmail{Address: e.Text("address"), Main: e.Bool("main")}
	}, func(_ store.NewEmail, e store.StoredEmail) any {
		if e.Known {
			return knownAddress{e.Address, e.Main, e.UUID, e.Confirmed}
		}
		return newAddress{e.Address, e.Main, e.Confirmed, e.UUID}
	})
}

// adminSetEmails is setEmails for who may say which are confirmed.
func (h HTTP) adminSetEmails(w http.ResponseWriter, r *http.Request, c *httpapi.Caller) error {
	return h.replaceEmails(w, r, c, adminEmailsForm, func(e form.Values) store.NewEmail {
		n := store.NewEmail{Address: e.Text("address"), Main: e.Bool("main")}
		if e.Get("confirmed") != nil {
			confirmed := e.Bool("confirmed")
			n.Confirmed = &confirmed
		}
		return n
	}, func(n store.NewEmail, e store.StoredEmail) any {
		confirmed := n.Confirmed
		if e.Known {
			confirmed = &e.Confirmed
		}
		return adminAddress{e.Address, confirmed, e.Main, e.UUID}
	})
}

// replaceEmails reads addresses, stores them for the user of the path and
// answers with what they are now.
func (h HTTP) replaceEmails(w http.ResponseWriter, r *http.Request, c *httpapi.Caller, schema *form.Schema,
	read func(form.Values) store.NewEmail, spell func(store.NewEmail, store.StoredEmail) any,
) error {
	values, err := httpapi.ReadBody(r, schema, func(wrong *form.Errors) error {
		return httpapi.InvalidBody(wrong, "invalid-data", "emails")
	})
	if err != nil {
		return err
	}
	if err := h.hidden(r, c); err != nil {
		return err
	}
	uuid := r.PathValue("user_uuid")
	var emails []store.NewEmail
	for _, e := range values.List("emails") {
		emails = append(emails, read(e.(form.Values)))
	}
	stored, err := h.Service.Store.SetEmails(r.Context(), uuid, emails)
	if err != nil {
		err = answer(orUnknown(err, uuid))
		if errors.Is(err, store.ErrConflict) {
			// Two that differ in case only. The reference does not know which.
			err = httpapi.Conflict("email_address", `The email_address "None" is already used`, resource)
		}
		return err
	}
	out := make([]any, len(stored))
	for i, e := range stored {
		out[i] = spell(emails[i], e)
	}
	return httpapi.WriteValue(w, out)
}
