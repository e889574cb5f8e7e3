package caddymodule

import "github.com/wazo-edge/xivo-auth/authsvc"

// shown is what GET /config shows beside the service's settings. Unless they are
// to be shown, secrets are redacted here, so that the service never has them.
func (a *App) shown(st Opener) map[string]any {
	doc := map[string]any{
		"default_policies":          orEmpty(a.DefaultPolicies),
		"all_users_policies":        orEmpty(a.AllUsersPolicies),
		"tenant_default_groups":     orEmpty(a.TenantDefaultGroups),
		"bootstrap_user_on_startup": a.Bootstrap != nil,
		"bootstrap_user_username":   nil,
		"bootstrap_user_password":   nil,
	}
	if b := a.soft.bootstrap; b != nil {
		doc["bootstrap_user_username"] = b.User
		switch {
		case b.Password == "":
		case a.ConfigSecrets:
			doc["bootstrap_user_password"] = b.Password
		default:
			doc["bootstrap_user_password"] = authsvc.Redacted
		}
	}
	if named, ok := st.(interface{ uri() string }); ok && a.ConfigSecrets {
		doc["db_uri"] = named.uri()
	}
	return doc
}

func (p *Postgres) uri() string { return p.dsn }

func (s *SQLite) uri() string { return "sqlite:" + s.Path }

// orEmpty makes no map an empty object instead of null.
func orEmpty[V any](m map[string]V) map[string]V {
	if m == nil {
		return map[string]V{}
	}
	return m
}
