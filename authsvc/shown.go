package authsvc

import (
	"maps"

	"github.com/wazo-edge/xivo-auth/authsvc/backends"
	"github.com/wazo-edge/xivo-auth/authsvc/httpapi"
)

// Redacted stands for a secret that GET /config does not show.
const Redacted = "XXXXXXXX"

// shown is what GET /config shows of the settings in force, under the names
// that the historical configuration has for them (config.md §2).
func (s *Service) shown(set Settings, bs *backends.Set) map[string]any {
	enabled := map[string]bool{}
	for _, name := range bs.Names() {
		enabled[name] = true
	}
	providers := map[string]any{}
	for i, name := range set.Providers {
		providers[name] = map[string]any{"enabled": true, "priority": i + 1}
	}
	headers := set.CORS.AllowHeaders
	if len(headers) == 0 {
		headers = httpapi.DefaultAllowHeaders
	}
	policies := set.BackendPolicies
	if policies == nil {
		policies = map[string]string{}
	}
	doc := map[string]any{
		"db_uri":                       Redacted,
		"default_token_lifetime":       int64(set.TokenLifetime.Seconds()),
		"token_cleanup_interval":       max(0, set.CleanupInterval.Seconds()),
		"token_cleanup_batch_size":     set.CleanupBatch,
		"max_user_concurrent_sessions": set.MaxUserSessions,
		"backend_policies":             policies,
		"enabled_backend_plugins":      enabled,
		"enabled_metadata_plugins":     map[string]bool{"user_admin_status": set.AdminStatus},
		"idp_plugins":                  providers,
		"rest_api": map[string]any{
			"cors": map[string]any{"enabled": !set.CORS.Disabled, "allow_headers": headers},
		},
		"uuid": nil,
	}
	if s.cfg.XiVOUUID != "" {
		doc["uuid"] = s.cfg.XiVOUUID
	}
	if set.DefaultUserPolicy != "" {
		doc["default_user_policy"] = set.DefaultUserPolicy
	}
	maps.Copy(doc, set.Shown)
	return doc
}
