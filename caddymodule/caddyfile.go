package caddymodule

import (
	"slices"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig"
	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"
	"github.com/caddyserver/caddy/v2/caddyconfig/httpcaddyfile"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
)

func init() {
	httpcaddyfile.RegisterGlobalOption("xivo_auth", parseApp)
	httpcaddyfile.RegisterHandlerDirective("xivo_auth_api", parseAPI)
	httpcaddyfile.RegisterHandlerDirective("xivo_auth_guard", parseGuard)
	httpcaddyfile.RegisterHandlerDirective("xivo_auth_verify", parseVerify)
	// Where Caddy's own gates stand: after rewrites and before anything that
	// answers.
	httpcaddyfile.RegisterDirectiveOrder("xivo_auth_guard", httpcaddyfile.Before, "basic_auth")
	httpcaddyfile.RegisterDirectiveOrder("xivo_auth_api", httpcaddyfile.Before, "respond")
	httpcaddyfile.RegisterDirectiveOrder("xivo_auth_verify", httpcaddyfile.Before, "respond")
}

// parseApp parses the global option:
//
//	xivo_auth {
//		store <engine> ...
//		backend <name> ...
//		cache {
//			grants <count>
//			negative <count> [<ttl>]
//			max_age <duration>
//		}
//		stale_if_error <duration>
//		feed off
//		feed {
//			poll      <duration>
//			retention <duration>
//		}
//		token_lifetime <duration>
//		default_user_policy <name>
//		backend_policy <backend> <name>
//		max_user_sessions <count>|unlimited
//		user_admin_status
//		default_policy <slug> {
//			description <text>
//			shared
//			acl <access...>
//		}
//		all_users_policy <slug> [off]
//		tenant_default_group <slug> [<name>] {
//			policy <slug> [off]
//		}
//		config_secrets
//		cleanup_interval <duration>
//		cleanup_batch <count>
//		bootstrap <user> [<password>]
//		xivo_uuid <uuid>
//		startup_check warn|require
//		cors off
//		cors {
//			allow_headers <name...>
//		}
//		service <name> {
//			openapi   <file>
//			overlay   <file>
//			prefix    <path>
//			unmatched deny|token|public
//			route <method> <path> <acl>|token|public|deny [query_token]
//		}
//		assertion {
//			key      <file...>
//			issuer   <name>
//			lifetime <duration>
//		}
//	}
func parseApp(d *caddyfile.Dispenser, prev any) (any, error) {
	if prev != nil {
		d.Next() // so that the error names the line
		return nil, d.Err("xivo_auth is configured twice")
	}
	a := new(App)
	if err := a.UnmarshalCaddyfile(d); err != nil {
		return nil, err
	}
	return httpcaddyfile.App{Name: "xivo_auth", Value: caddyconfig.JSON(a, nil)}, nil
}

// UnmarshalCaddyfile implements [caddyfile.Unmarshaler]; the syntax is that of
// the global option xivo_auth.
func (a *App) UnmarshalCaddyfile(d *caddyfile.Dispenser) error {
	d.Next() // the option's name
	if d.NextArg() {
		return d.ArgErr()
	}
	seen := once{}
	for d.NextBlock(0) {
		option := d.Val()
		if !slices.Contains(repeatable, option) {
			if err := seen.mark(d, option); err != nil {
				return err
			}
		}
		if err := a.option(d, option, seen); err != nil {
			return err
		}
	}
	return nil
}

// repeatable are the options of which there may be several.
var repeatable = []string{"backend", "backend_policy", "service", "default_policy", "all_users_policy", "tenant_default_group"}

func (a *App) option(d *caddyfile.Dispenser, option string, seen once) (err error) {
	switch option {
	case "store":
		_, a.StoreRaw, err = guest(d, "xivo_auth.stores.", "engine")
	case "backend":
		name, raw, err := guest(d, "xivo_auth.backends.", "backend")
		if err != nil {
			return err
		}
		a.BackendsRaw = append(a.BackendsRaw, raw)
		return seen.mark(d, "backend "+name)
	case "cache":
		err = a.Cache.unmarshal(d)
	case "stale_if_error":
		err = duration(d, &a.StaleIfError)
	case "feed":
		err = a.Feed.unmarshal(d)
	case "token_lifetime":
		err = duration(d, &a.TokenLifetime)
	case "default_user_policy":
		err = word(d, &a.DefaultUserPolicy)
	case "backend_policy":
		var backend, policy string
		if !d.Args(&backend, &policy) || d.NextArg() {
			return d.ArgErr()
		}
		if a.BackendPolicies == nil {
			a.BackendPolicies = map[string]string{}
		}
		if _, twice := a.BackendPolicies[backend]; twice {
			return d.Errf("backend_policy for %s is given twice", backend)
		}
		a.BackendPolicies[backend] = policy
	case "max_user_sessions":
		var text string
		if err = word(d, &text); err == nil && text == "unlimited" {
			a.MaxUserSessions = -1
		} else if err == nil {
			a.MaxUserSessions, err = parseCount(d, text)
		}
	case "default_policy", "all_users_policy", "tenant_default_group":
		err = a.Defaults.option(d, option)
	case "user_admin_status":
		err = flag(d, &a.UserAdminStatus)
	case "config_secrets":
		err = flag(d, &a.ConfigSecrets)
	case "cleanup_interval":
		err = duration(d, &a.CleanupInterval)
	case "cleanup_batch":
		err = count(d, &a.CleanupBatch)
	case "bootstrap":
		args := d.RemainingArgs()
		if len(args) < 1 || len(args) > 2 {
			return d.ArgErr()
		}
		a.Bootstrap = &BootstrapConfig{User: args[0]}
		if len(args) == 2 {
			a.Bootstrap.Password = args[1]
		}
	case "xivo_uuid":
		err = word(d, &a.XiVOUUID)
	case "startup_check":
		if err = word(d, &a.StartupCheck); err == nil && a.StartupCheck != checkWarn && a.StartupCheck != checkRequire {
			err = d.Errf("startup_check is %s or %s, not %q", checkWarn, checkRequire, a.StartupCheck)
		}
	case "cors":
		err = a.CORS.unmarshal(d)
	case "service":
		err = a.unmarshalService(d)
	case "assertion":
		err = a.Assertion.unmarshal(d)
	default:
		err = d.Errf("unknown option %q of xivo_auth: it is one of store, backend, cache, stale_if_error, feed, token_lifetime, "+
			"default_user_policy, backend_policy, max_user_sessions, user_admin_status, default_policy, all_users_policy, tenant_default_group, config_secrets, cleanup_interval, cleanup_batch, bootstrap, xivo_uuid, startup_check, cors, service, assertion", option)
	}
	return err
}

func (c *CacheConfig) unmarshal(d *caddyfile.Dispenser) (err error) {
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
		case "grants":
			err = count(d, &c.Grants)
		case "negative":
			args := d.RemainingArgs()
			if len(args) < 1 || len(args) > 2 {
				return d.ArgErr()
			}
			if c.Negative, err = parseCount(d, args[0]); err == nil && len(args) == 2 {
				c.NegativeTTL, err = parseDuration(d, args[1])
			}
		case "max_age":
			err = duration(d, &c.MaxAge)
		default:
			err = d.Errf("unknown option %q of cache: it is one of grants, negative, max_age", option)
		}
	}
	return err
}

func (c *FeedConfig) unmarshal(d *caddyfile.Dispenser) (err error) {
	if d.NextArg() {
		if d.Val() != "off" || d.NextArg() {
			return d.Err("feed takes off, or a block")
		}
		c.Off = true
		return nil
	}
	seen := once{}
	for nesting := d.Nesting(); d.NextBlock(nesting) && err == nil; {
		option := d.Val()
		if err := seen.mark(d, option); err != nil {
			return err
		}
		switch option {
		case "poll":
			err = duration(d, &c.Poll)
		case "retention":
			err = duration(d, &c.Retention)
		default:
			err = d.Errf("unknown option %q of feed: it is one of poll, retention", option)
		}
	}
	return err
}

func (c *CORSConfig) unmarshal(d *caddyfile.Dispenser) error {
	if d.NextArg() {
		if d.Val() != "off" || d.NextArg() {
			return d.Err("cors takes off, or a block")
		}
		c.Disabled = true
		return nil
	}
	seen := once{}
	for nesting := d.Nesting(); d.NextBlock(nesting); {
		if err := seen.mark(d, d.Val()); err != nil {
			return err
		}
		if d.Val() != "allow_headers" {
			return d.Errf("unknown option %q of cors: it is allow_headers", d.Val())
		}
		if c.AllowHeaders = d.RemainingArgs(); len(c.AllowHeaders) == 0 {
			return d.ArgErr()
		}
	}
	return nil
}

// UnmarshalCaddyfile implements [caddyfile.Unmarshaler]:
//
//	store sqlite [<path>] {
//		max_conns <count>
//		timeout   <duration>
//	}
func (s *SQLite) UnmarshalCaddyfile(d *caddyfile.Dispenser) error {
	d.Next() // the engine's name
	if d.NextArg() {
		s.Path = d.Val()
	}
	return storeBlock(d, &s.MaxConns, &s.Timeout, nil)
}

// UnmarshalCaddyfile implements [caddyfile.Unmarshaler]:
//
//	store postgres <dsn> {
//		max_conns     <count>
//		conn_max_idle <duration>
//		timeout       <duration>
//		listen        <dsn>
//		read_replica  <dsn>
//	}
func (p *Postgres) UnmarshalCaddyfile(d *caddyfile.Dispenser) error {
	d.Next() // the engine's name
	if !d.NextArg() {
		return d.Err("store postgres needs a dsn, such as {env.XIVO_AUTH_DSN}")
	}
	p.DSN = d.Val()
	return storeBlock(d, &p.MaxConns, &p.Timeout, p)
}

// storeBlock parses what both stores can be told, and what a Postgres can where
// that is not nil.
func storeBlock(d *caddyfile.Dispenser, conns *int, timeout *caddy.Duration, pg *Postgres) (err error) {
	if d.NextArg() {
		return d.ArgErr()
	}
	seen := once{}
	for nesting := d.Nesting(); d.NextBlock(nesting) && err == nil; {
		option := d.Val()
		if err := seen.mark(d, option); err != nil {
			return err
		}
		switch {
		case option == "max_conns":
			err = count(d, conns)
		case option == "timeout":
			err = duration(d, timeout)
		case option == "conn_max_idle" && pg != nil:
			err = duration(d, &pg.ConnMaxIdle)
		case option == "listen" && pg != nil:
			err = word(d, &pg.Listen)
		case option == "read_replica" && pg != nil:
			err = word(d, &pg.ReadReplica)
		case pg != nil:
			err = d.Errf("unknown option %q of store: it is one of max_conns, conn_max_idle, timeout, listen, read_replica", option)
		default:
			err = d.Errf("unknown option %q of store: it is one of max_conns, timeout", option)
		}
	}
	return err
}

// UnmarshalCaddyfile implements [caddyfile.Unmarshaler]:
//
//	backend wazo_user
func (*WazoUser) UnmarshalCaddyfile(d *caddyfile.Dispenser) error {
	d.Next() // the backend's name
	if d.NextArg() || d.NextBlock(d.Nesting()) {
		return d.Err("wazo_user takes no options")
	}
	return nil
}

// parseAPI parses the directive, which takes nothing:
//
//	xivo_auth_api [<matcher>]
func parseAPI(h httpcaddyfile.Helper) (caddyhttp.MiddlewareHandler, error) {
	h.Next() // the directive's name
	if h.NextArg() || h.NextBlock(0) {
		return nil, h.Err("xivo_auth_api takes no options")
	}
	return new(API), nil
}

var (
	_ caddyfile.Unmarshaler = (*App)(nil)
	_ caddyfile.Unmarshaler = (*SQLite)(nil)
	_ caddyfile.Unmarshaler = (*Postgres)(nil)
	_ caddyfile.Unmarshaler = (*WazoUser)(nil)
)
