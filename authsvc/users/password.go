package users

import (
	"errors"
	"net/http"

	"github.com/wazo-edge/xivo-auth/authsvc/client"
	"github.com/wazo-edge/xivo-auth/authsvc/httpapi"
	"github.com/wazo-edge/xivo-auth/authsvc/store"
)

// changePassword replaces the password of a user for who knows the old one.
// Guesses of it are slowed down as those of logins are: a
// stolen token must not be a way to find out the password it came from.
func (h HTTP) changePassword(w http.ResponseWriter, r *http.Request, c *httpapi.Caller) error {
	values, err := httpapi.ReadBody(r, &passwordForm, invalid)
	if err != nil {
		return err
	}
	if err := h.hidden(r, c); err != nil {
		return err
	}
	uuid, addr := r.PathValue("user_uuid"), h.ClientAddr(r)
	if err := httpapi.SlowDown(h.Throttle, uuid, addr); err != nil {
		return err
	}
	switch err := h.Service.ChangePassword(client.With(r.Context(), addr), uuid, values.Text("old_password"), values.Text("new_password")); {
	case errors.Is(err, store.ErrNotFound):
		return httpapi.UnknownUser(uuid)
	case errors.Is(err, ErrRefused):
		httpapi.Failed(h.Throttle, uuid, addr)
		return httpapi.AuthenticationFailed()
	case errors.Is(err, ErrExternal):
		return httpapi.API(http.StatusMethodNotAllowed, "password-managed-externally",
			`Unable to update externally managed password for user : "`+uuid+`"`, httpapi.Details{{Key: "uuid", Value: uuid}}, resource)
	case err != nil:
		return answer(err)
	}
	httpapi.NoContent(w)
	return nil
}
