package caddymodule

import (
	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"
	"github.com/caddyserver/caddy/v2/caddyconfig/httpcaddyfile"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
)

// parseGuard parses the directive:
//
//	xivo_auth_guard [<matcher>] [<service>] {
//		scope             <access>
//		cookie            <name>
//		shadow
//		reason_header
//		assertion         [<audience>]
//		path              client|rewritten
//		status_style      stack|strict
//		drop_token
//		no_identity
//		untied
//	}
//
// Without a service, the path decides which one a request is for; without any
// service or scope, every valid token passes.
func parseGuard(h httpcaddyfile.Helper) (caddyhttp.MiddlewareHandler, error) {
	g := new(Guard)
	return g, g.unmarshalBlock(h.Dispenser,
		option{name: "path", read: choice(&g.Path, pathClient, pathRewritten)},
		option{name: "status_style", read: choice(&g.StatusStyle, styleStack, styleStrict)},
		option{name: "drop_token", read: flag(&g.DropToken)},
		option{name: "no_identity", read: flag(&g.NoIdentity)},
		option{name: "untied", read: flag(&g.Untied)},
	)
}

// parseVerify parses the directive:
//
//	xivo_auth_verify [<matcher>] [<service>] {
//		scope             <access>
//		cookie            <name>
//		shadow
//		reason_header
//		assertion         [<audience>]
//		request           forwarded|original
//		request           own [<path_prefix>]
//	}
func parseVerify(h httpcaddyfile.Helper) (caddyhttp.MiddlewareHandler, error) {
	v := new(Verify)
	return v, v.unmarshalBlock(h.Dispenser, option{name: "request", read: v.unmarshalRequest})
}

func (v *Verify) unmarshalRequest(d *caddyfile.Dispenser) error {
	args := d.RemainingArgs()
	if len(args) == 0 || len(args) > 2 {
		return d.ArgErr()
	}
	if _, ok := forwardings[args[0]]; !ok {
		return d.Errf("request is one of forwarded, original, own, not %q", args[0])
	}
	v.Request = args[0]
	if len(args) == 2 {
		if v.Request != requestOwn {
			return d.Errf("a path prefix goes with request own only")
		}
		v.PathPrefix = args[1]
	}
	return nil
}

// unmarshalBlock parses what gates have in common, and own.
func (g *Gate) unmarshalBlock(d *caddyfile.Dispenser, own ...option) error {
	d.Next() // the directive's name
	directive := d.Val()
	if d.NextArg() {
		g.Service = d.Val()
	}
	if d.NextArg() {
		return d.Errf("unexpected %q: %s takes the name of one service, and a block", d.Val(), directive)
	}
	return block(d, directive, append([]option{
		{name: "scope", read: func(d *caddyfile.Dispenser) error {
			if g.Service != "" {
				return d.Err("a guard has a service, whose routes say what is needed, or a scope; not both")
			}
			if !d.AllArgs(&g.Scope) || g.Scope == "" {
				return d.Err("scope takes one access, such as confd.users.read")
			}
			return nil
		}},
		{name: "cookie", read: word(&g.Cookie)},
		{name: "shadow", read: flag(&g.Shadow)},
		{name: "reason_header", read: flag(&g.ReasonHeader)},
		{name: "assertion", read: func(d *caddyfile.Dispenser) error {
			g.Assertion = true
			if d.NextArg() {
				g.AssertionAudience = d.Val()
			}
			if d.NextArg() {
				return d.ArgErr()
			}
			return nil
		}},
	}, own...)...)
}

// unmarshalService parses service of the global option xivo_auth.
func (a *App) unmarshalService(d *caddyfile.Dispenser) error {
	var name string
	if err := word(&name)(d); err != nil {
		return err
	}
	if a.Services[name] != nil {
		return d.Errf("service %s is given twice", name)
	}
	s := new(Service)
	put(&a.Services, name, s)
	return block(d, "service",
		option{name: "openapi", read: word(&s.OpenAPI)},
		option{name: "overlay", read: word(&s.Overlay)},
		option{name: "prefix", read: word(&s.Prefix)},
		option{name: "unmatched", read: choice(&s.Unmatched, "deny", "token", "public")},
		option{name: "route", many: true, read: func(d *caddyfile.Dispenser) error {
			args := d.RemainingArgs()
			r := ServiceRoute{QueryToken: len(args) == 4}
			if len(args) < 3 || len(args) > 4 || r.QueryToken && args[3] != "query_token" {
				return d.Err("route takes a method, a path, what it needs (an access, token, public or deny), and query_token where the token may stand in the query")
			}
			r.Method, r.Path, r.Needs = args[0], args[1], args[2]
			s.Routes = append(s.Routes, r)
			return nil
		}},
	)
}

func (c *AssertionConfig) unmarshal(d *caddyfile.Dispenser) error {
	return block(d, "assertion",
		option{name: "key", read: words(&c.Keys)},
		option{name: "issuer", read: word(&c.Issuer)},
		option{name: "lifetime", read: duration(&c.Lifetime)},
	)
}
