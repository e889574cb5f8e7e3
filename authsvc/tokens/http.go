package tokens

import (
	"net/http"
	"strconv"
	"time"

	"github.com/mozillazg/go-unidecode"

	"github.com/wazo-edge/xivo-auth/authsvc/client"
	"github.com/wazo-edge/xivo-auth/authsvc/grant"
	"github.com/wazo-edge/xivo-auth/authsvc/httpapi"
)

// HTTP is the token resource on the wire.
type HTTP struct {
	Service *Service
	// ClientAddr is the address a request is recorded as coming from.
	ClientAddr func(*http.Request) string
}

// Routes lists what the room serves.
func (h HTTP) Routes() []httpapi.Route {
	const one = "/0.1/token/{token_uuid}"
	return []httpapi.Route{
		{Method: http.MethodPost, Path: "/0.1/token", Handle: h.create},
		{Method: http.MethodGet, Path: one, Handle: h.get},
		{Method: http.MethodHead, Path: one, Handle: h.head},
		{Method: http.MethodDelete, Path: one, Handle: h.delete},
		{Method: http.MethodPost, Path: one + "/scopes/check", Handle: h.checkScopes},
		{Method: http.MethodGet, Path: "/0.1/tokens", ACL: "auth.tokens.read", HandleAs: h.listRefresh},
		{Method: http.MethodGet, Path: "/0.1/users/{user_uuid}/tokens", ACL: "auth.users.{user_uuid}.tokens.read", HandleAs: h.listRefreshOfUser},
		{Method: http.MethodGet, Path: "/0.1/users/me/tokens", ACL: "auth.users.me.tokens.read", HandleAs: h.listRefreshOfSelf},
		{Method: http.MethodDelete, Path: "/0.1/users/{user_uuid}/tokens/{client_id}", ACL: "auth.users.{user_uuid}.tokens.{client_id}.delete", HandleAs: h.deleteRefreshOfUser},
		{Method: http.MethodDelete, Path: "/0.1/users/me/tokens/{client_id}", ACL: "auth.users.me.tokens.{client_id}.delete", HandleAs: h.deleteRefreshOfSelf},
	}
}

// create is POST /token.
func (h HTTP) create(w http.ResponseWriter, r *http.Request) error {
	r.Body = http.MaxBytesReader(w, r.Body, maxLogin)
	l, err := readLogin(r, h.ClientAddr(r))
	if err != nil {
		return err
	}
	t, err := h.Service.issue(client.With(r.Context(), l.remoteAddr), l)
	if err != nil {
		return err
	}
	w.Header().Set("Wazo-Sessions-Revoked", strconv.Itoa(t.revoked))
	h.write(w, func(b []byte, loc *time.Location) []byte {
		return t.grant.AppendIssuedJSON(b, loc, t.at, t.refreshToken)
	})
	return nil
}

// get is GET /token/{token_uuid}.
func (h HTTP) get(w http.ResponseWriter, r *http.Request) error {
	g, err := h.checked(r)
	if err != nil {
		return err
	}
	h.write(w, g.AppendJSON)
	return nil
}

// head is HEAD /token/{token_uuid}: the question every service of the stack
// asks for every request.
func (h HTTP) head(w http.ResponseWriter, r *http.Request) error {
	if _, err := h.checked(r); err != nil {
		return err
	}
	httpapi.NoContent(w)
	return nil
}

// checked looks the token of the path up and checks scope, then tenant, where
// the query asks for it. An empty scope is checked, an empty tenant is not.
func (h HTTP) checked(r *http.Request) (*grant.Grant, error) {
	token, ok := httpapi.PathUUID(r, "token_uuid")
	if !ok {
		return nil, errNoSuchToken
	}
	g, err := h.Service.lookup(r.Context(), token)
	if err != nil {
		return nil, err
	}
	if r.URL.RawQuery == "" {
		return g, nil
	}
	if scope, asked := httpapi.Query(r.URL.RawQuery, "scope"); asked && !g.Allows(scope) {
		return nil, httpapi.Reason(http.StatusForbidden, "Unauthorized for "+unidecode.Unidecode(scope))
	}
	if tenant, _ := httpapi.Query(r.URL.RawQuery, "tenant"); tenant != "" {
		return g, h.Service.checkTenant(r.Context(), g, tenant)
	}
	return g, nil
}

// delete is DELETE /token/{token_uuid}: success whether or not there was one.
func (h HTTP) delete(w http.ResponseWriter, r *http.Request) error {
	token, ok := httpapi.PathUUID(r, "token_uuid")
	if !ok {
		return errNoSuchToken
	}
	if err := h.Service.revoke(r.Context(), token); err != nil {
		return err
	}
	httpapi.WriteJSON(w, http.StatusOK, []byte(`{"data": {"message": "success"}}`+"\n"))
	return nil
}

// write answers with token data in its envelope.
func (h HTTP) write(w http.ResponseWriter, data func([]byte, *time.Location) []byte) {
	b := append(make([]byte, 0, 2048), `{"data":`...)
	b = data(b, h.Service.Location)
	httpapi.WriteJSON(w, http.StatusOK, append(b, '}', '\n'))
}
