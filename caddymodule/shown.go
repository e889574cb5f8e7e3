package caddymodule

import "github.com/wazo-edge/xivo-auth/authsvc"

// shown is what GET /config shows beside the service's settings. Secrets are
// redacted here, so that the service never has them.
func (a *App) shown() map[string]any {
	doc := map[string]any{
		"default_policies":          orEmpty(a.DefaultPolicies),
		"all_users_policies":        orEmpty(a.AllUsersPolicies),
		"tenant_default_groups":     orEmpty(a.TenantDefaultGroups),
		"bootstrap_user_on_startup": a.Bootstrap != nil,
		"bootstrap_user_username":   nil,
		"bootstrap_user_password":   nil,
	}
	if b := a.Bootstrap; b != nil {
		doc["bootstrap_user_username"] = b.User
		if b.Password != "" {
			doc["bootstrap_user_password"] = authsvc.Redacted
		}
	}
	return doc
}

// orEmpty makes no map an empty object instead of null.
func orEmpty[V any](m map[string]V) map[string]V {
	if m == nil {
		return map[string]V{}
	}
	return m
}
