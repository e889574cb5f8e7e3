package caddymodule

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"

	"github.com/caddyserver/caddy/v2"

	"github.com/wazo-edge/xivo-auth/authsvc/guard"
)

// Admin adds the service's endpoints to Caddy's admin API:
//
//	POST /xivo-auth/explain
type Admin struct{ ctx caddy.Context }

// CaddyModule implements [caddy.Module].
func (*Admin) CaddyModule() caddy.ModuleInfo {
	return caddy.ModuleInfo{ID: "admin.api.xivo_auth", New: func() caddy.Module { return new(Admin) }}
}

// Provision implements [caddy.Provisioner]. Apps are not there yet.
func (a *Admin) Provision(ctx caddy.Context) error {
	a.ctx = ctx
	return nil
}

// Routes implements [caddy.AdminRouter].
func (a *Admin) Routes() []caddy.AdminRoute {
	return []caddy.AdminRoute{{Pattern: "/xivo-auth/explain", Handler: caddy.AdminHandlerFunc(a.explain)}}
}

// app is the running one.
func (a *Admin) app() (*App, error) {
	loaded, err := a.ctx.AppIfConfigured("xivo_auth")
	if err != nil {
		return nil, caddy.APIError{HTTPStatus: http.StatusNotFound, Err: errors.New("xivo_auth is not configured")}
	}
	return loaded.(*App), nil
}

// question is a request to be explained.
type question struct {
	Method  string `json:"method"`
	URI     string `json:"uri"` // as a client sends it: path and query
	Token   string `json:"token,omitempty"`
	Tenant  string `json:"tenant,omitempty"`
	Service string `json:"service,omitempty"` // default: the one its prefix tells
	Scope   string `json:"scope,omitempty"`   // of a guard without service
}

// maxQuestion bounds the body of one, in bytes.
const maxQuestion = 64 << 10

// explain tells what a guard would say to a request, and why. It is for the
// admin API alone: to strangers it would tell which accesses a token has.
func (a *Admin) explain(w http.ResponseWriter, r *http.Request) error {
	if r.Method != http.MethodPost {
		return caddy.APIError{HTTPStatus: http.StatusMethodNotAllowed, Err: errors.New("method not allowed: POST a question")}
	}
	app, err := a.app()
	if err != nil {
		return err
	}
	var q question
	dec := json.NewDecoder(http.MaxBytesReader(w, r.Body, maxQuestion))
	dec.DisallowUnknownFields()
	if err := dec.Decode(&q); err != nil {
		return caddy.APIError{HTTPStatus: http.StatusBadRequest, Err: fmt.Errorf("reading the question: %w", err)}
	}
	policies, err := app.policiesOf(q.Service, q.Scope)
	if err != nil {
		return caddy.APIError{HTTPStatus: http.StatusBadRequest, Err: err}
	}
	if !app.shared.enter() {
		return caddy.APIError{HTTPStatus: http.StatusServiceUnavailable, Err: errors.New("the service is closed")}
	}
	defer app.shared.leave()
	_, e := app.shared.Explain(r.Context(), policies, guard.Request{
		Method: q.Method, Target: q.URI, Tokens: optional(q.Token), Tenants: optional(q.Tenant),
	})
	w.Header().Set("Content-Type", "application/json")
	return json.NewEncoder(w).Encode(e)
}

func optional(value string) []string {
	if value == "" {
		return nil
	}
	return []string{value}
}

var (
	_ caddy.Provisioner = (*Admin)(nil)
	_ caddy.AdminRouter = (*Admin)(nil)
)
