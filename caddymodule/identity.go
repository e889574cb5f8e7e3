package caddymodule

import (
	"net/http"
	"strings"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"

	"github.com/wazo-edge/xivo-auth/authsvc/grant"
	"github.com/wazo-edge/xivo-auth/authsvc/guard"
)

// The headers that tell an upstream who a request is from. Every X-Auth-* other
// than the token itself is ours.
const (
	headerUser      = "X-Auth-User-Uuid"
	headerTenant    = "X-Auth-Tenant-Uuid"
	headerSession   = "X-Auth-Session-Uuid"
	headerID        = "X-Auth-Id"
	headerPurpose   = "X-Auth-Purpose"
	headerDegraded  = "X-Auth-Degraded"
	headerAssertion = "X-Auth-Assertion"
	headerReason    = "X-Auth-Reason" // to the client
	headerToken     = "X-Auth-Token"
	headerActing    = "Wazo-Tenant" // the tenant a client asks to act in
)

// stripIdentity removes every header a client could pass off as ours. Spelling
// does not matter: the upstreams are WSGI servers, which read X_Auth_User_Uuid,
// and some X.Auth.User.Uuid, as X-Auth-User-Uuid (Caddy GHSA-f59h-q822-g45g,
// oauth2-proxy CVE-2025-64484). Aliases of X-Auth-Token and Wazo-Tenant go, too:
// the guard would judge one token and tenant, and the upstream use others.
//
// Trailers go altogether. They arrive after the body, when the guard is done,
// and net/http takes in whatever arrives once a single harmless one has been
// announced; taking names out of the announcement does not help.
//
// Names are also taken out of Connection: a client that lists one there has
// the reverse proxy drop the header that we set (Traefik #8319). An Upgrade that
// is no WebSocket's goes from both, see [upgradesToWebSocket].
func stripIdentity(r *http.Request) {
	for name := range r.Header {
		if isIdentity(name) {
			delete(r.Header, name)
		}
	}
	r.Trailer = nil
	upgrades := upgradesToWebSocket(r)
	if !upgrades {
		delete(r.Header, "Upgrade")
	}
	if conn := r.Header["Connection"]; len(conn) > 0 {
		r.Header["Connection"] = withoutManaged(conn, upgrades)
	}
}

// upgradesToWebSocket reports whether r asks for a WebSocket over HTTP/1.1 and
// nothing else. An upstream that answers 101 to any other protocol reads what
// the client writes, with nobody in between: behind "Upgrade: h2c", requests
// for every path and in every name (h2c smuggling). A list of protocols lets
// the upstream choose, so it is none. A WebSocket begins with GET (RFC 6455
// §4.1), which keeps preflights out.
func upgradesToWebSocket(r *http.Request) bool {
	protocols := r.Header["Upgrade"]
	return len(protocols) == 1 && isWebSocket(protocols[0]) && r.Method == http.MethodGet
}

// isIdentity reports whether name is that of an X-Auth- header or of Wazo-Tenant
// in any spelling, other than X-Auth-Token and Wazo-Tenant themselves; or
// X-Script-Name, by which a client would move the upstream's mount point, and
// so have another route served than the guard judged. Who needs that sets it
// behind the guard.
func isIdentity(name string) bool {
	const acting, mount = "wazo-tenant", "x-script-name"
	return hasPrefixFold(name, "x-auth-") && name != headerToken ||
		len(name) == len(acting) && hasPrefixFold(name, acting) && name != headerActing ||
		len(name) == len(mount) && hasPrefixFold(name, mount)
}

// hasPrefixFold reports whether name begins with prefix, which is in lower
// case, when `_` and `.` are read as `-` and case does not matter.
func hasPrefixFold(name, prefix string) bool {
	if len(name) < len(prefix) {
		return false
	}
	for i := range len(prefix) {
		c := name[i]
		switch {
		case c == '_' || c == '.':
			c = '-'
		case 'A' <= c && c <= 'Z':
			c += 'a' - 'A'
		}
		if c != prefix[i] {
			return false
		}
	}
	return true
}

// withoutManaged drops the names of headers the guard reads or sets from the
// values of a Connection header, and upgrade, unless there is an upgrade.
func withoutManaged(values []string, upgrades bool) []string {
	kept := make([]string, 0, len(values))
	for _, v := range values {
		for option := range strings.SplitSeq(v, ",") {
			option = strings.TrimSpace(option)
			canonical := http.CanonicalHeaderKey(option)
			if option != "" && canonical != headerToken && canonical != headerActing && !isIdentity(option) &&
				(upgrades || canonical != "Upgrade") {
				kept = append(kept, option)
			}
		}
	}
	return kept
}

// identity is who an allowed request is from. It is allocated once for all that
// is told about it.
type identity struct {
	authID, session, tenant, purpose string
	user, degraded                   bool

	// values are the same once more: handlers behind the guard may rewrite
	// headers in place, which must not change what is logged.
	values [4]string
}

func identityOf(d *guard.Decision) *identity {
	id := &identity{purpose: d.Grant.Purpose(), user: d.Grant.IsUser(), degraded: d.State == grant.Degraded}
	id.authID, id.session, id.tenant = d.Grant.Identity()
	if d.Tenant != "" {
		id.tenant = d.Tenant
	}
	return id
}

// effectiveTenant is the one a request acts in.
func effectiveTenant(d *guard.Decision) string {
	if d.Tenant != "" {
		return d.Tenant
	}
	return d.Grant.Tenant()
}

// setHeaders tells the upstream. What is not known has no header.
func (id *identity) setHeaders(h http.Header) {
	id.values = [...]string{id.authID, id.session, id.tenant, id.purpose}
	values := &id.values
	h[headerID] = values[0:1:1]
	h[headerSession] = values[1:2:2]
	if id.tenant != "" {
		h[headerTenant] = values[2:3:3]
	}
	if id.purpose != "" {
		h[headerPurpose] = values[3:4:4]
	}
	if id.user {
		h[headerUser] = values[0:1:1]
	}
	if id.degraded {
		h[headerDegraded] = []string{"1"}
	}
}

// setPlaceholders answers {http.auth.user.*} when they are asked for: filling
// them in for every request would cost more than the decision.
func (id *identity) setPlaceholders(r *http.Request) {
	if repl, ok := r.Context().Value(caddy.ReplacerCtxKey).(*caddy.Replacer); ok {
		repl.Map(id.placeholder)
	}
}

// placeholder implements [caddy.ReplacerFunc].
func (id *identity) placeholder(key string) (any, bool) {
	name, ours := strings.CutPrefix(key, "http.auth.user.")
	if !ours {
		return nil, false
	}
	switch name {
	case "id":
		return id.authID, true
	case "tenant":
		return id.tenant, true
	case "session":
		return id.session, true
	case "purpose":
		return id.purpose, true
	}
	return nil, false
}

// setLogFields adds tenant and session to the access log, which takes user_id
// from the placeholder. Both are one field until somebody writes them.
func (id *identity) setLogFields(r *http.Request) {
	if extra, ok := r.Context().Value(caddyhttp.ExtraLogFieldsCtxKey).(*caddyhttp.ExtraLogFields); ok {
		extra.Add(zap.Inline(id))
	}
}

// MarshalLogObject implements [zapcore.ObjectMarshaler].
func (id *identity) MarshalLogObject(to zapcore.ObjectEncoder) error {
	to.AddString("tenant_uuid", id.tenant)
	to.AddString("session_uuid", id.session)
	return nil
}

// withoutCookie takes one cookie out of the requests' Cookie headers.
func withoutCookie(h http.Header, name string) {
	var kept []string
	for _, line := range h["Cookie"] {
		for pair := range strings.SplitSeq(line, ";") {
			pair = strings.TrimSpace(pair)
			if key, _, _ := strings.Cut(pair, "="); pair != "" && strings.TrimSpace(key) != name {
				kept = append(kept, pair)
			}
		}
	}
	if len(kept) == 0 {
		delete(h, "Cookie")
		return
	}
	h["Cookie"] = []string{strings.Join(kept, "; ")}
}
