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
//	GET  /xivo-auth/cache
//	POST /xivo-auth/cache/flush
//	POST /xivo-auth/revoke
//	GET  /xivo-auth/feed
//	GET  /xivo-auth/ready
//	GET  /xivo-auth/live
//
// Tokens are taken from bodies only: Caddy logs the URLs of its admin API.
type Admin struct {
	ctx    caddy.Context
	health health
}

// CaddyModule implements [caddy.Module].
func (*Admin) CaddyModule() caddy.ModuleInfo {
	return caddy.ModuleInfo{ID: "admin.api.xivo_auth", New: func() caddy.Module { return new(Admin) }}
}

// Provision implements [caddy.Provisioner]. Apps are not there yet. The metrics
// are registered here as well as by guards, for a node that serves the API
// alone.
func (a *Admin) Provision(ctx caddy.Context) error {
	a.ctx = ctx
	return registerMetrics(ctx.GetMetricsRegistry())
}

// Routes implements [caddy.AdminRouter].
func (a *Admin) Routes() []caddy.AdminRoute {
	route := func(path, method string, answer caddy.AdminHandlerFunc) caddy.AdminRoute {
		return caddy.AdminRoute{Pattern: "/xivo-auth/" + path, Handler: only(method, answer)}
	}
	return []caddy.AdminRoute{
		route("explain", http.MethodPost, a.explain),
		route("cache", http.MethodGet, a.cache),
		route("cache/flush", http.MethodPost, a.flush),
		route("revoke", http.MethodPost, a.revoke),
		route("feed", http.MethodGet, a.feed),
		route("ready", http.MethodGet, a.ready),
		route("live", http.MethodGet, a.live),
	}
}

// only answers other methods 405. HEAD goes with GET.
func only(method string, answer caddy.AdminHandlerFunc) caddy.AdminHandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) error {
		if r.Method == method || method == http.MethodGet && r.Method == http.MethodHead {
			return answer(w, r)
		}
		w.Header().Set("Allow", method)
		return caddy.APIError{HTTPStatus: http.StatusMethodNotAllowed, Err: errors.New("method not allowed: this is a " + method)}
	}
}

// app is the running one.
func (a *Admin) app() (*App, error) {
	loaded, err := a.ctx.AppIfConfigured("xivo_auth")
	if err != nil {
		return nil, caddy.APIError{HTTPStatus: http.StatusNotFound, Err: errors.New("xivo_auth is not configured")}
	}
	return loaded.(*App), nil
}

// inside runs f on the running service, which is not closed before f returns:
// f does not wait for the client.
func (a *Admin) inside(f func(*App, *shared) error) error {
	app, err := a.app()
	if err != nil {
		return err
	}
	return app.inside(func(sh *shared) error { return f(app, sh) })
}

// inside runs f on the app's service, unless the app was cleaned up: an admin
// request may hold one that a reload has replaced.
func (a *App) inside(f func(*shared) error) error {
	sh := a.shared.Load()
	if sh == nil || !sh.enter() {
		return caddy.APIError{HTTPStatus: http.StatusServiceUnavailable, Err: errors.New("the service is closed")}
	}
	defer sh.leave()
	return f(sh)
}

// answer writes v as JSON.
func answer(w http.ResponseWriter, status int, v any) error {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	return json.NewEncoder(w).Encode(v)
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
	return a.inside(func(_ *App, sh *shared) error {
		_, e := sh.Explain(r.Context(), policies, guard.Request{
			Method: q.Method, Target: q.URI, Tokens: optional(q.Token), Tenants: optional(q.Tenant),
		})
		return answer(w, http.StatusOK, e)
	})
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
