// Package xivoauth is what somebody else's Caddy is built with: importing it
// plugs the modules in, under the path that is easiest to remember.
//
//	xcaddy build --with github.com/wazo-edge/xivo-auth
//
// It has no API; see the packages caddymodule and authsvc.
package xivoauth

import _ "github.com/wazo-edge/xivo-auth/caddymodule" // registers the modules
