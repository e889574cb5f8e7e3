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
	return g, g.unmarshalBlock(h.Dispenser, func(d *caddyfile.Dispenser, option string) (known bool, err error) {
		switch option {
		case "path":
			err = choice(d, &g.Path, pathClient, pathRewritten)
		case "status_style":
			err = choice(d, &g.StatusStyle, styleStack, styleStrict)
		case "drop_token":
			err = flag(d, &g.DropToken)
		case "no_identity":
			err = flag(d, &g.NoIdentity)
		case "untied":
			err = flag(d, &g.Untied)
		default:
			return false, nil
		}
		return true, err
	}, "path, status_style, drop_token, no_identity, untied")
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
	return v, v.unmarshalBlock(h.Dispenser, func(d *caddyfile.Dispenser, option string) (known bool, err error) {
		if option != "request" {
			return false, nil
		}
		args := d.RemainingArgs()
		if len(args) == 0 || len(args) > 2 {
			return true, d.ArgErr()
		}
		if _, ok := forwardings[args[0]]; !ok {
			return true, d.Errf("request is one of forwarded, original, own, not %q", args[0])
		}
		v.Request = args[0]
		if len(args) == 2 {
			if v.Request != requestOwn {
				return true, d.Errf("a path prefix goes with request own only")
			}
			v.PathPrefix = args[1]
		}
		return true, nil
	}, "request")
}

// unmarshalBlock parses what gates have in common; own parses the rest, whose
// names are listed in others.
func (g *Gate) unmarshalBlock(d *caddyfile.Dispenser, own func(*caddyfile.Dispenser, string) (bool, error), others string) error {
	d.Next() // the directive's name
	directive := d.Val()
	if d.NextArg() {
		g.Service = d.Val()
	}
	if d.NextArg() {
		return d.Errf("unexpected %q: %s takes the name of one service, and a block", d.Val(), directive)
	}
	seen := once{}
	for d.NextBlock(0) {
		option := d.Val()
		if err := seen.mark(d, option); err != nil {
			return err
		}
		var err error
		switch option {
		case "scope":
			if g.Service != "" {
				return d.Err("a guard has a service, whose routes say what is needed, or a scope; not both")
			}
			if !d.AllArgs(&g.Scope) || g.Scope == "" {
				return d.Err("scope takes one access, such as confd.users.read")
			}
		case "cookie":
			err = word(d, &g.Cookie)
		case "shadow":
			err = flag(d, &g.Shadow)
		case "reason_header":
			err = flag(d, &g.ReasonHeader)
		case "assertion":
			g.Assertion = true
			if d.NextArg() {
				g.AssertionAudience = d.Val()
			}
			if d.NextArg() {
				err = d.ArgErr()
			}
		default:
			var known bool
			if known, err = own(d, option); !known {
				return d.Errf("unknown option %q of %s: it is one of scope, cookie, shadow, reason_header, assertion, %s", option, directive, others)
			}
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// unmarshalService parses service of the global option xivo_auth.
func (a *App) unmarshalService(d *caddyfile.Dispenser) (err error) {
	var name string
	if err := word(d, &name); err != nil {
		return err
	}
	if a.Services[name] != nil {
		return d.Errf("service %s is given twice", name)
	}
	s := new(Service)
	seen := once{}
	for nesting := d.Nesting(); d.NextBlock(nesting) && err == nil; {
		option := d.Val()
		if option != "route" {
			if err := seen.mark(d, option); err != nil {
				return err
			}
		}
		switch option {
		case "openapi":
			err = word(d, &s.OpenAPI)
		case "overlay":
			err = word(d, &s.Overlay)
		case "prefix":
			err = word(d, &s.Prefix)
		case "unmatched":
			err = choice(d, &s.Unmatched, "deny", "token", "public")
		case "route":
			args := d.RemainingArgs()
			r := ServiceRoute{QueryToken: len(args) == 4}
			if len(args) < 3 || len(args) > 4 || r.QueryToken && args[3] != "query_token" {
				return d.Err("route takes a method, a path, what it needs (an access, token, public or deny), and query_token where the token may stand in the query")
			}
			r.Method, r.Path, r.Needs = args[0], args[1], args[2]
			s.Routes = append(s.Routes, r)
		default:
			err = d.Errf("unknown option %q of service: it is one of openapi, overlay, prefix, unmatched, route", option)
		}
	}
	if a.Services == nil {
		a.Services = map[string]*Service{}
	}
	a.Services[name] = s
	return err
}

func (c *AssertionConfig) unmarshal(d *caddyfile.Dispenser) (err error) {
	if d.NextArg() {
		return d.ArgErr()
	}
	seen := once{}
	for nesting := d.Nesting(); d.NextBlock(nesting) && err == nil; {
		option := d.Val()
		if err := seen.mark(d, option); err != nil {
			return err
		}
		switch option {
		case "key":
			if c.Keys = d.RemainingArgs(); len(c.Keys) == 0 {
				err = d.ArgErr()
			}
		case "issuer":
			err = word(d, &c.Issuer)
		case "lifetime":
			err = duration(d, &c.Lifetime)
		default:
			err = d.Errf("unknown option %q of assertion: it is one of key, issuer, lifetime", option)
		}
	}
	return err
}
