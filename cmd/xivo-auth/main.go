// Command xivo-auth is Caddy with the token service of the XiVO/Wazo stack
// built in: all of Caddy's subcommands, and those of the service beside them.
package main

import (
	_ "time/tzdata" // issued_at and expires_at are local times

	caddycmd "github.com/caddyserver/caddy/v2/cmd"
	_ "github.com/caddyserver/caddy/v2/modules/standard" // what Caddy comes with

	"github.com/wazo-edge/xivo-auth/caddymodule"
)

func main() {
	for _, c := range caddymodule.Commands() {
		caddycmd.RegisterCommand(c)
	}
	caddycmd.Main()
}
