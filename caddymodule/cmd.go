package caddymodule

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"
	"time"

	caddycmd "github.com/caddyserver/caddy/v2/cmd"
	"github.com/spf13/cobra"

	"github.com/wazo-edge/xivo-auth/authsvc/password"
	"github.com/wazo-edge/xivo-auth/authsvc/store"
	"github.com/wazo-edge/xivo-auth/authsvc/store/postgres"
	"github.com/wazo-edge/xivo-auth/authsvc/store/sqlite"
	"github.com/wazo-edge/xivo-auth/authsvc/users"
)

// In somebody else's Caddy all commands are below one word, so that none of
// them is in the way: caddy xivo-auth user list.
func init() {
	caddycmd.RegisterCommand(caddycmd.Command{
		Name:  "xivo-auth",
		Short: "Manages the XiVO/Wazo token service",
		CobraFunc: func(cmd *cobra.Command) {
			for _, c := range Commands() {
				sub := &cobra.Command{Use: strings.TrimSpace(c.Name + " " + c.Usage), Short: c.Short, Long: strings.TrimSpace(c.Long)}
				c.CobraFunc(sub)
				cmd.AddCommand(sub)
			}
		},
	})
}

// Commands are the subcommands of the service. The xivo-auth binary has them
// at the top.
func Commands() []caddycmd.Command {
	return []caddycmd.Command{migrateCommand(), bootstrapCommand(), userCommand(), aclCommand(), routesCommand(), explainCommand(), doctorCommand()}
}

// commandTimeout bounds one command's work on the database.
const commandTimeout = time.Minute

// dsnFlag adds the flag that says which database a command works on.
func dsnFlag(cmd *cobra.Command) *string {
	return cmd.PersistentFlags().String("dsn", "",
		"database: a Postgres DSN, or sqlite:<path> (default: the environment's XIVO_AUTH_DSN, else SQLite in Caddy's data directory)")
}

// openDSN opens the database that a command works on.
func openDSN(dsn string) (store.Store, error) {
	o := store.Options{MaxConns: 2, Timeout: commandTimeout}
	dsn, path := whichDSN(dsn)
	if path != nil {
		return sqlite.Open(*path, o)
	}
	return postgres.Open(dsn, o)
}

// whichDSN tells which database a command works on: the path of an SQLite file,
// or without one a Postgres.
func whichDSN(flag string) (dsn string, path *string) {
	if dsn = flag; dsn == "" {
		dsn = os.Getenv("XIVO_AUTH_DSN")
	}
	if dsn == "" {
		file := defaultSQLitePath()
		return dsn, &file
	}
	if file, isFile := strings.CutPrefix(dsn, "sqlite:"); isFile {
		return dsn, &file
	}
	return dsn, nil
}

// withUsers runs fn on the accounts of the database. An empty one is told
// apart from a mistyped name by what to do about it.
func withUsers(cmd *cobra.Command, dsn string, fn func(context.Context, *users.Service) error) error {
	cmd.SilenceUsage = true // from here on it is not the words that are wrong
	st, err := openDSN(dsn)
	if err != nil {
		return err
	}
	defer func() { _ = st.Close() }()
	ctx, cancel := context.WithTimeout(cmd.Context(), commandTimeout)
	defer cancel()
	state, err := st.State(ctx)
	if err != nil {
		return err
	}
	if state == store.SchemaEmpty {
		return errors.New("the database is empty: run `xivo-auth migrate` first, or check --dsn")
	}
	return fn(ctx, &users.Service{Store: st, Checker: password.NewChecker(0)})
}

func migrateCommand() caddycmd.Command {
	return caddycmd.Command{
		Name:  "migrate",
		Usage: "[--no-feed] [--no-indexes] [--remove-feed] [--remove-indexes] [--dsn <dsn>]",
		Short: "Creates the service's tables in an empty database, the revocation feed's and indexes",
		Long: `
Creates the tables of the service, exactly as the Python service creates them,
in a database that does not have them yet. A database that has them is left as
it is; one at another revision is refused.

Then it installs the log of the revocation feed beside them: tables, functions
and triggers named xivo_edge_, by which nodes hear of what is revoked elsewhere.
The server does that by itself when its role may; run this as the owner of the
tables when it may not. --no-feed leaves it out.

At last it makes the indexes that the historical tables lack, named xivo_edge_,
too, without keeping others from writing. --no-indexes leaves them out; then
logins and lists of a large stack are slow.

--remove-feed and --remove-indexes take them away again and do nothing else.
Turn the feed off on every node before (feed off), or they go without news.

	xivo-auth migrate
	xivo-auth migrate --dsn 'postgres://asterisk:secret@localhost/asterisk?sslmode=disable'
	xivo-auth migrate --remove-feed
`,
		CobraFunc: func(cmd *cobra.Command) {
			dsn := dsnFlag(cmd)
			noFeed := cmd.Flags().Bool("no-feed", false, "do not install the log of the revocation feed")
			removeFeed := cmd.Flags().Bool("remove-feed", false, "remove the log of the revocation feed, and do nothing else")
			noIndexes := cmd.Flags().Bool("no-indexes", false, "do not make indexes")
			removeIndexes := cmd.Flags().Bool("remove-indexes", false, "remove the indexes, and do nothing else")
			for _, no := range []string{"no-feed", "no-indexes"} {
				for _, remove := range []string{"remove-feed", "remove-indexes"} {
					cmd.MarkFlagsMutuallyExclusive(no, remove)
				}
			}
			cmd.Args = cobra.NoArgs
			cmd.RunE = func(cmd *cobra.Command, _ []string) error {
				cmd.SilenceUsage = true
				st, err := openDSN(*dsn)
				if err != nil {
					return err
				}
				defer func() { _ = st.Close() }()
				ctx, cancel := context.WithTimeout(cmd.Context(), commandTimeout)
				defer cancel()
				if *removeFeed {
					if err := st.RemoveLog(ctx); err != nil {
						return err
					}
					fmt.Fprintln(cmd.OutOrStdout(), "the revocation feed is removed")
				}
				if *removeIndexes {
					if err := st.RemoveIndexes(ctx); err != nil {
						return err
					}
					fmt.Fprintln(cmd.OutOrStdout(), "the indexes are removed")
				}
				if *removeFeed || *removeIndexes {
					return nil
				}
				created, err := st.Migrate(ctx)
				switch {
				case err != nil:
					return err
				case created:
					fmt.Fprintln(cmd.OutOrStdout(), "created the schema")
				default:
					fmt.Fprintln(cmd.OutOrStdout(), "the schema is up to date")
				}
				if !*noFeed {
					if err := st.InstallLog(ctx); err != nil {
						return fmt.Errorf("%w (--no-feed does without)", err)
					}
					fmt.Fprintln(cmd.OutOrStdout(), "the revocation feed is installed")
				}
				if !*noIndexes {
					if _, err := st.InstallIndexes(ctx); err != nil {
						return fmt.Errorf("%w (--no-indexes does without)", err)
					}
					fmt.Fprintln(cmd.OutOrStdout(), "the indexes are there")
				}
				return nil
			}
		},
	}
}

func bootstrapCommand() caddycmd.Command {
	return caddycmd.Command{
		Name:  "bootstrap",
		Usage: "[<user>] [--password-file <file>] [--dsn <dsn>]",
		Short: "Makes sure an administrator exists",
		Long: `
Creates an administrator: an account of purpose internal with the policy
` + users.MasterPolicy + `, in the top tenant. Nothing happens when he
exists with this password; when he exists with another one, the command fails.

The password is that of --password-file (- is standard input), else of the
environment's XIVO_AUTH_BOOTSTRAP_PASSWORD, else it is generated and printed.

	xivo-auth bootstrap
	printf %s 'correct horse' | xivo-auth bootstrap wazo-auth-cli --password-file -
`,
		CobraFunc: func(cmd *cobra.Command) {
			dsn := dsnFlag(cmd)
			file := passwordFlag(cmd)
			cmd.Args = cobra.MaximumNArgs(1)
			cmd.RunE = func(cmd *cobra.Command, args []string) error {
				login := os.Getenv("XIVO_AUTH_BOOTSTRAP_USER")
				if len(args) == 1 {
					login = args[0]
				}
				if login == "" {
					login = "admin"
				}
				pass, generated, err := choosePassword(cmd, *file, os.Getenv("XIVO_AUTH_BOOTSTRAP_PASSWORD"))
				if err != nil {
					return err
				}
				return withUsers(cmd, *dsn, func(ctx context.Context, u *users.Service) error {
					done, err := u.Bootstrap(ctx, login, pass)
					if err != nil {
						return err
					}
					if done == users.AlreadyThere {
						fmt.Fprintf(cmd.OutOrStdout(), "%s exists\n", login)
						return nil
					}
					fmt.Fprintf(cmd.OutOrStdout(), "created %s\n", login)
					return tellPassword(cmd, pass, generated)
				})
			}
		},
	}
}
