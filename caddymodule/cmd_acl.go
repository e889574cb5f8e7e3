package caddymodule

import (
	caddycmd "github.com/caddyserver/caddy/v2/cmd"
	"github.com/spf13/cobra"

	"github.com/wazo-edge/xivo-auth/authsvc/acl"
)

func aclCommand() caddycmd.Command {
	return caddycmd.Command{
		Name:  "acl",
		Usage: "match",
		Short: "Evaluates access lists",
		Long: `
Evaluates access lists as the service does, without any database.

	echo '{"acl":["confd.users.#"],"required":"confd.users.read"}' | xivo-auth acl match
`,
		CobraFunc: func(cmd *cobra.Command) {
			cmd.AddCommand(&cobra.Command{
				Use:   "match",
				Short: "Reads questions on standard input and prints allow or deny for each",
				Long: `
Reads JSON objects, one a line, and prints allow or deny for each, in order:

	acl         the list of accesses
	required    the access asked for; null or absent is always allowed
	auth_id     what "me" stands for
	session_id  what "my_session" stands for
	method      matches (the default), may_add or may_remove`,
				Args: cobra.NoArgs,
				RunE: func(cmd *cobra.Command, _ []string) error {
					cmd.SilenceUsage = true
					return acl.MatchLines(cmd.InOrStdin(), cmd.OutOrStdout())
				},
			})
		},
	}
}
