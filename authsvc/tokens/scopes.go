package tokens

import (
	"context"
	"net/http"
	"slices"

	"github.com/wazo-edge/xivo-auth/authsvc/ascii"
	"github.com/wazo-edge/xivo-auth/authsvc/form"
	"github.com/wazo-edge/xivo-auth/authsvc/httpapi"
)

// maxScopes bounds what one request can have looked up in an access list, which
// may be long itself.
const maxScopes = 4096

// scopesForm is the body of scopes/check (token.md §10). The reference fails
// with a 500 when scopes is missing; here it is required.
var scopesForm = form.Schema{Fields: []form.Field{
	{Name: "scopes", Kind: form.ListOf{Of: form.String{}, Max: maxScopes}, Required: true},
	{Name: "tenant_uuid", Kind: form.String{}, Nullable: true},
}}

// checkScopes is POST /token/{token_uuid}/scopes/check: which of many scopes a
// token covers. The tenant is looked at last.
func (h HTTP) checkScopes(w http.ResponseWriter, r *http.Request) error {
	token, ok := httpapi.PathUUID(r, "token_uuid")
	if !ok {
		return errNoSuchToken
	}
	values, err := readForm(r, &scopesForm)
	if err != nil {
		return err
	}
	g, err := h.Service.lookup(r.Context(), token)
	if err != nil {
		return err
	}
	if tenant := values.Text("tenant_uuid"); tenant != "" {
		if err := h.Service.checkTenant(r.Context(), g, tenant); err != nil {
			return err
		}
	}
	ctx, cancel := context.WithTimeout(r.Context(), httpapi.MatchTime)
	defer cancel()
	b := []byte(`{"scopes":{`)
	scopes := slices.Compact(slices.Sorted(slices.Values(values.Strings("scopes"))))
	for i, scope := range scopes {
		if err := ctx.Err(); err != nil {
			return err
		}
		if i > 0 {
			b = append(b, ',')
		}
		b = append(ascii.AppendString(b, scope), ':')
		if g.Allows(scope) {
			b = append(b, "true"...)
		} else {
			b = append(b, "false"...)
		}
	}
	httpapi.WriteJSON(w, http.StatusOK, append(b, "}}\n"...))
	return nil
}
