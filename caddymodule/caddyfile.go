package caddymodule

import (
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
	backends := map[string]bool{}
	return block(d, "xivo_auth",
		option{name: "store", read: func(d *caddyfile.Dispenser) (err error) {
			_, a.StoreRaw, err = guest(d, "xivo_auth.stores.", "engine")
			return err
		}},
		option{name: "backend", many: true, read: func(d *caddyfile.Dispenser) error {
			name, raw, err := guest(d, "xivo_auth.backends.", "backend")
			if err != nil {
				return err
			}
			if backends[name] {
				return d.Errf("backend %s is given twice", name)
			}
			backends[name] = true
			a.BackendsRaw = append(a.BackendsRaw, raw)
			return nil
		}},
		option{name: "cache", read: a.Cache.unmarshal},
		option{name: "stale_if_error", read: duration(&a.StaleIfError)},
		option{name: "feed", read: a.Feed.unmarshal},
		option{name: "token_lifetime", read: duration(&a.TokenLifetime)},
		option{name: "default_user_policy", read: word(&a.DefaultUserPolicy)},
		option{name: "backend_policy", read: a.unmarshalBackendPolicy, many: true},
		option{name: "max_user_sessions", read: parsed(&a.MaxUserSessions, parseLimit)},
		option{name: "user_admin_status", read: flag(&a.UserAdminStatus)},
		option{name: "default_policy", read: a.unmarshalPolicy, many: true},
		option{name: "all_users_policy", read: onOff(&a.AllUsersPolicies), many: true},
		option{name: "tenant_default_group", read: a.unmarshalGroup, many: true},
		option{name: "config_secrets", read: flag(&a.ConfigSecrets)},
		option{name: "cleanup_interval", read: duration(&a.CleanupInterval)},
		option{name: "cleanup_batch", read: count(&a.CleanupBatch)},
		option{name: "bootstrap", read: a.unmarshalBootstrap},
		option{name: "xivo_uuid", read: word(&a.XiVOUUID)},
		option{name: "startup_check", read: choice(&a.StartupCheck, checkWarn, checkRequire)},
		option{name: "cors", read: a.CORS.unmarshal},
		option{name: "service", read: a.unmarshalService, many: true},
		option{name: "assertion", read: a.Assertion.unmarshal},
	)
}

func (a *App) unmarshalBackendPolicy(d *caddyfile.Dispenser) error {
	var backend, policy string
	if !d.AllArgs(&backend, &policy) {
		return d.ArgErr()
	}
	if _, twice := a.BackendPolicies[backend]; twice {
		return d.Errf("backend_policy for %s is given twice", backend)
	}
	put(&a.BackendPolicies, backend, policy)
	return nil
}

func (a *App) unmarshalBootstrap(d *caddyfile.Dispenser) error {
	args := d.RemainingArgs()
	if len(args) < 1 || len(args) > 2 {
		return d.ArgErr()
	}
	a.Bootstrap = &BootstrapConfig{User: args[0]}
	if len(args) == 2 {
		a.Bootstrap.Password = args[1]
	}
	return nil
}

// parseLimit parses a number of sessions, -1 for one without end.
func parseLimit(d *caddyfile.Dispenser, text string) (int, error) {
	if text == "unlimited" {
		return -1, nil
	}
	return parseCount(d, text)
}

func (c *CacheConfig) unmarshal(d *caddyfile.Dispenser) error {
	return block(d, "cache",
		option{name: "grants", read: count(&c.Grants)},
		option{name: "negative", read: func(d *caddyfile.Dispenser) (err error) {
			args := d.RemainingArgs()
			if len(args) < 1 || len(args) > 2 {
				return d.ArgErr()
			}
			if c.Negative, err = parseCount(d, args[0]); err == nil && len(args) == 2 {
				c.NegativeTTL, err = parseDuration(d, args[1])
			}
			return err
		}},
		option{name: "max_age", read: duration(&c.MaxAge)},
	)
}

func (c *FeedConfig) unmarshal(d *caddyfile.Dispenser) error {
	if done, err := off(d, &c.Off); done {
		return err
	}
	return block(d, "feed",
		option{name: "poll", read: duration(&c.Poll)},
		option{name: "retention", read: duration(&c.Retention)},
	)
}

func (c *CORSConfig) unmarshal(d *caddyfile.Dispenser) error {
	if done, err := off(d, &c.Disabled); done {
		return err
	}
	return block(d, "cors", option{name: "allow_headers", read: words(&c.AllowHeaders)})
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
	return block(d, "store",
		option{name: "max_conns", read: count(&s.MaxConns)},
		option{name: "timeout", read: duration(&s.Timeout)},
	)
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
	return block(d, "store",
		option{name: "max_conns", read: count(&p.MaxConns)},
		option{name: "conn_max_idle", read: duration(&p.ConnMaxIdle)},
		option{name: "timeout", read: duration(&p.Timeout)},
		option{name: "listen", read: word(&p.Listen)},
		option{name: "read_replica", read: word(&p.ReadReplica)},
	)
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
