package caddymodule

import (
	"errors"
	"net/http"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp/caddyauth"

	"github.com/wazo-edge/xivo-auth/authsvc/guard"
)

// Provider authenticates requests for Caddy's own authentication handler, for
// those whose configuration is made of that. It decides as the guard does and
// removes and sets the same headers, and so must be the handler's only
// provider: a configuration with another one beside it is not loaded. Two
// handlers, one behind the other, want both.
//
// The guard says more and should be preferred: whatever a provider finds, even
// a store that is down, that handler answers 401 with its own body; a public
// route and a preflight are 401, too, since they have no user; and connections
// are not ended with their token.
type Provider struct{ Gate }

// CaddyModule implements [caddy.Module].
func (*Provider) CaddyModule() caddy.ModuleInfo {
	return caddy.ModuleInfo{ID: "http.authentication.providers.xivo_token", New: func() caddy.Module { return new(Provider) }}
}

// Provision implements [caddy.Provisioner].
func (p *Provider) Provision(ctx caddy.Context) error {
	if p.Shadow || p.ReasonHeader {
		return errors.New("shadow and reason_header are of xivo_auth_guard: here the authentication handler answers")
	}
	if err := alone(ctx.Modules()); err != nil {
		return err
	}
	return p.provision(ctx, "provider")
}

// alone refuses other providers beside ours. The handler asks them in the order
// of a map until one knows the user, and we remove the client's identity headers
// only when we are asked: with a login for http_basic, anybody could be
// whomever he names in X-Auth-User-Uuid, every other time.
func alone(modules []caddy.Module) error {
	if len(modules) > 1 {
		// The last is the provider itself. The map is still full: Caddy empties
		// it when all of it is loaded.
		if host, ok := modules[len(modules)-2].(*caddyauth.Authentication); ok && len(host.ProvidersRaw) == 1 {
			return nil
		}
	}
	return errors.New("xivo_token must be the only provider of an authentication handler: " +
		"whoever another one lets in could send X-Auth-User-Uuid and the like to the upstream; give the other a handler of its own")
}

// Authenticate implements [caddyauth.Authenticator]. The user's metadata are
// tenant, session and purpose.
func (p *Provider) Authenticate(_ http.ResponseWriter, r *http.Request) (caddyauth.User, bool, error) {
	stripIdentity(r)
	method, target := clientRequest(r)
	d := p.decide(r, p.request(r, method, target), r.Header)
	if d.Verdict != guard.Allow {
		return caddyauth.User{}, false, d.Err
	}
	id := identityOf(&d)
	id.setHeaders(r.Header)
	return caddyauth.User{ID: id.authID, Metadata: map[string]string{
		"tenant": id.tenant, "session": id.session, "purpose": id.purpose,
	}}, true, nil
}

var (
	_ caddy.Provisioner       = (*Provider)(nil)
	_ caddyauth.Authenticator = (*Provider)(nil)
)
