package caddymodule

import (
	"errors"
	"fmt"
	"net/http"
	"strings"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"

	"github.com/wazo-edge/xivo-auth/authsvc/guard"
	"github.com/wazo-edge/xivo-auth/authsvc/routes"
)

// Verify answers another proxy whether a request may pass: the forward-auth
// endpoint of nginx' auth_request, Traefik's ForwardAuth, Envoy's ext_authz
// over HTTP and Caddy's forward_auth. It gives the guard's verdict on the
// request that the proxy describes: 200 with the identity headers, 401 without
// a good token, 403 for everything else that may not pass, 503 when the store
// is down and the token is not in memory.
//
// Every answer has every identity header, an empty one where there is no identity (a
// public route, a preflight), so that a proxy that copies them overwrites
// whatever the client sent (Caddy GHSA-7r4p-vjf4-gxv4).
//
// What a proxy says of a request is believed only from trusted_proxies, of
// which Caddy has none by default.
type Verify struct {
	Gate

	// Request tells where the request to judge is described: "forwarded" (the
	// default) by X-Forwarded-Method and X-Forwarded-Uri, as Caddy and
	// Traefik do; "original" by X-Original-Method and X-Original-URI, as
	// nginx is configured to do; "own" by method and path of the subrequest
	// itself, as Envoy does.
	Request string `json:"request,omitempty"`

	// PathPrefix is what the proxy puts before the path of the subrequest,
	// such as Envoy's path_prefix; for "own" only.
	PathPrefix string `json:"path_prefix,omitempty"`

	source *forwarding
	prefix string
}

// forwarding are the headers of one convention.
type forwarding struct{ method, uri string }

const requestOwn = "own"

var forwardings = map[string]*forwarding{
	"forwarded": {"X-Forwarded-Method", "X-Forwarded-Uri"},
	"original":  {"X-Original-Method", "X-Original-Uri"},
	requestOwn:  nil,
}

// CaddyModule implements [caddy.Module].
func (*Verify) CaddyModule() caddy.ModuleInfo {
	return caddy.ModuleInfo{ID: "http.handlers.xivo_auth_verify", New: func() caddy.Module { return new(Verify) }}
}

// Provision implements [caddy.Provisioner].
func (v *Verify) Provision(ctx caddy.Context) error {
	if v.Request == "" {
		v.Request = "forwarded"
	}
	var ok bool
	if v.source, ok = forwardings[v.Request]; !ok {
		return fmt.Errorf("request is %q: it is one of forwarded, original, own", v.Request)
	}
	if v.PathPrefix != "" && v.Request != requestOwn {
		return errors.New("path_prefix goes with request own only")
	}
	prefix, rule := routes.ParsePrefix(v.PathPrefix)
	if rule != "" {
		return fmt.Errorf("path_prefix is %q, which no request has: %s", v.PathPrefix, rule)
	}
	v.prefix = prefix.String()
	return v.provision(ctx, "verify")
}

// ServeHTTP implements [caddyhttp.MiddlewareHandler].
func (v *Verify) ServeHTTP(w http.ResponseWriter, r *http.Request, _ caddyhttp.Handler) error {
	h := w.Header()
	for _, name := range []string{headerUser, headerTenant, headerSession, headerID, headerPurpose, headerDegraded, headerAssertion} {
		h[name] = []string{""}
	}
	h["Cache-Control"] = []string{"no-store"} // the next request may have another answer
	method, target, reason := v.described(r)
	var d guard.Decision
	if reason != "" {
		d = v.reject(r.Context(), reason)
	} else {
		d = v.decide(r, v.request(r, method, target), h)
	}
	if !d.Verdict.Passes() {
		if !v.Shadow {
			v.refuse(w, &d, verifyStatus)
			return nil
		}
		v.logShadow(r.Context(), &d, method)
	}
	if d.Verdict == guard.Allow {
		id := identityOf(&d)
		id.setHeaders(h)
	}
	h["Content-Length"] = []string{"0"}
	w.WriteHeader(http.StatusOK)
	return nil
}

// described finds out which request the proxy asks about. Only the headers of
// the one convention are read, and each once: whoever can have two conventions
// or two spellings read picks the one that suits him (Traefik
// GHSA-6384-m2mw-rf54, Envoy CVE-2023-27487).
func (v *Verify) described(r *http.Request) (method, target string, reason guard.Reason) {
	for name := range r.Header {
		if aliasesForwarded(name) {
			return "", "", guard.AliasedForwarded
		}
	}
	if v.source == nil {
		_, target = clientRequest(r)
		rest, below := strings.CutPrefix(target, v.prefix)
		if !below || v.prefix != "" && rest != "" && rest[0] != '/' && rest[0] != '?' {
			return "", "", guard.BadForwarding
		}
		if rest == "" || rest[0] == '?' {
			rest = "/" + rest
		}
		return r.Method, rest, ""
	}
	// Whoever is not a proxy describes what he likes (oauth2-proxy
	// GHSA-7x63-xv5r-3p2x, Oathkeeper GHSA-vhr5-ggp3-qq85).
	if trusted, _ := caddyhttp.GetVar(r.Context(), caddyhttp.TrustedProxyVarKey).(bool); !trusted {
		return "", "", guard.UntrustedProxy
	}
	methods, uris := r.Header[v.source.method], r.Header[v.source.uri]
	if len(methods) != 1 || len(uris) != 1 || methods[0] == "" || uris[0] == "" {
		return "", "", guard.BadForwarding
	}
	return methods[0], uris[0], ""
}

// aliasesForwarded reports whether name is a spelling of X-Forwarded-* or
// X-Original-* other than with dashes, which some servers read as the same; or
// such a spelling of a header that is ours to set: a proxy that copies ours
// overwrites the real name only, and passes the alias on to an upstream that
// may prefer it (Traefik GHSA-5m6w-wvh7-57vm).
func aliasesForwarded(name string) bool {
	return strings.ContainsAny(name, "_.") && (hasPrefixFold(name, "x-forwarded-") || hasPrefixFold(name, "x-original-") || isIdentity(name))
}

var (
	_ caddyhttp.MiddlewareHandler = (*Verify)(nil)
	_ caddy.Provisioner           = (*Verify)(nil)
)
