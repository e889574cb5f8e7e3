package caddymodule

import (
	"github.com/caddyserver/caddy/v2"

	"github.com/wazo-edge/xivo-auth/authsvc"
	"github.com/wazo-edge/xivo-auth/authsvc/backends"
)

// BackendMaker is what modules in the namespace xivo_auth.backends implement.
type BackendMaker interface {
	// MakeBackend returns the backend, working on what the service has. It
	// must not touch the network.
	MakeBackend(*authsvc.Service) backends.Backend
}

// WazoUser lets people and services log in with the service's own accounts:
// username or confirmed e-mail address, and password.
type WazoUser struct{}

// CaddyModule implements [caddy.Module].
func (*WazoUser) CaddyModule() caddy.ModuleInfo {
	return caddy.ModuleInfo{ID: "xivo_auth.backends.wazo_user", New: func() caddy.Module { return new(WazoUser) }}
}

// MakeBackend implements [BackendMaker].
func (*WazoUser) MakeBackend(s *authsvc.Service) backends.Backend {
	return &backends.WazoUser{Users: s.Store, Checker: s.Checker}
}

var _ BackendMaker = (*WazoUser)(nil)
