package httpapi

import (
	"net/http"
	"slices"
	"strings"
)

// CORS are the cross-origin rules: what the reference's rest_api.cors is by
// default (errors.md §1, config.md §2.1).
type CORS struct {
	// Disabled sends no cross-origin headers at all.
	Disabled bool
	// AllowHeaders are the request headers a preflight may ask for. Default
	// [DefaultAllowHeaders].
	AllowHeaders []string
}

// DefaultAllowHeaders are those of the reference. Read-only.
var DefaultAllowHeaders = []string{"Content-Type", "Authorization", "X-Auth-Token", "Wazo-Tenant", "Wazo-Session-Type"}

const corsMethods = "DELETE, GET, HEAD, OPTIONS, PATCH, POST, PUT"

// Wrap adds the rules to next. Any origin is allowed, as on the reference,
// and none with credentials: a browser sends nothing by itself that this API
// would take for a token, so another site gains nothing a script of its own
// could not do from anywhere.
func (c CORS) Wrap(next http.Handler) http.Handler {
	if c.Disabled {
		return next
	}
	allowed := c.AllowHeaders
	if len(allowed) == 0 {
		allowed = DefaultAllowHeaders
	}
	names := make([]string, len(allowed))
	for i, h := range allowed {
		names[i] = strings.ToLower(h)
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		h := w.Header()
		if origin := r.Header.Get("Origin"); origin != "" {
			h.Set("Access-Control-Allow-Origin", origin)
			h.Add("Vary", "Origin")
		} else {
			h.Set("Access-Control-Allow-Origin", "*")
		}
		if r.Method == http.MethodOptions && r.Header.Get("Access-Control-Request-Method") != "" {
			h.Set("Access-Control-Allow-Methods", corsMethods)
			if wanted := intersect(r.Header.Get("Access-Control-Request-Headers"), names); wanted != "" {
				h.Set("Access-Control-Allow-Headers", wanted)
			}
		}
		next.ServeHTTP(w, r)
	})
}

// intersect returns the names listed in wanted that are allowed: lower case,
// sorted.
func intersect(wanted string, allowed []string) string {
	var both []string
	for name := range strings.SplitSeq(wanted, ",") {
		name = strings.ToLower(strings.TrimSpace(name))
		if slices.Contains(allowed, name) && !slices.Contains(both, name) {
			both = append(both, name)
		}
	}
	slices.Sort(both)
	return strings.Join(both, ", ")
}
