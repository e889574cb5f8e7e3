package caddymodule

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"text/tabwriter"

	caddycmd "github.com/caddyserver/caddy/v2/cmd"
	"github.com/spf13/cobra"

	"github.com/wazo-edge/xivo-auth/authsvc/store"
	"github.com/wazo-edge/xivo-auth/authsvc/users"
)

func userCommand() caddycmd.Command {
	return caddycmd.Command{
		Name:  "user",
		Usage: "add|passwd|list [--dsn <dsn>]",
		Short: "Manages the accounts of the token service",
		Long: `
Manages the accounts people and services log in with, directly in the database.
Passwords are never arguments, which every user of the machine can see: they
come from --password-file (- is standard input), or are generated and printed.

	xivo-auth user add alice --policy wazo_default_master_user_policy
	printf %s "$SECRET" | xivo-auth user add confd --purpose internal --password-file -
	xivo-auth user passwd alice
	xivo-auth user list --json
`,
		CobraFunc: func(cmd *cobra.Command) {
			dsn := dsnFlag(cmd)
			cmd.AddCommand(userAddCommand(dsn), userPasswdCommand(dsn), userListCommand(dsn))
		},
	}
}

func userAddCommand(dsn *string) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "add <username>",
		Short: "Adds an account to the top tenant",
		Args:  cobra.ExactArgs(1),
	}
	file := passwordFlag(cmd)
	n := users.New{}
	flags := cmd.Flags()
	flags.StringVar(&n.Email, "email", "", "e-mail address, taken as confirmed")
	flags.StringVar(&n.FirstName, "firstname", "", "first name")
	flags.StringVar(&n.LastName, "lastname", "", "last name")
	flags.StringVar(&n.Purpose, "purpose", store.PurposeUser, "user, internal (a service) or external_api")
	flags.StringSliceVar(&n.Policies, "policy", nil, "slug of a policy of the top tenant to give it; may be repeated")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		n.Username = args[0]
		pass, generated, err := choosePassword(cmd, *file, "")
		if err != nil {
			return err
		}
		n.Password = pass
		return withUsers(cmd, *dsn, func(ctx context.Context, u *users.Service) error {
			created, err := u.Create(ctx, n)
			if err != nil {
				return err
			}
			fmt.Fprintf(cmd.OutOrStdout(), "created %s %s\n", created.Username, created.UUID)
			return tellPassword(cmd, pass, generated)
		})
	}
	return cmd
}

func userPasswdCommand(dsn *string) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "passwd <login>",
		Short: "Sets the password of an account and ends its sessions",
		Long: `
Sets the password of the account with this username or e-mail address, and
deletes its sessions with their tokens. A server that is running accepts tokens
it has in memory until it asks the database about them again (cache max_age).`,
		Args: cobra.ExactArgs(1),
	}
	file := passwordFlag(cmd)
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		pass, generated, err := choosePassword(cmd, *file, "")
		if err != nil {
			return err
		}
		return withUsers(cmd, *dsn, func(ctx context.Context, u *users.Service) error {
			ended, err := u.SetPassword(ctx, args[0], pass)
			if errors.Is(err, store.ErrNotFound) {
				return fmt.Errorf("there is no user %q", args[0])
			}
			if err != nil {
				return err
			}
			fmt.Fprintf(cmd.OutOrStdout(), "changed the password of %s; tokens ended: %d\n", args[0], ended)
			return tellPassword(cmd, pass, generated)
		})
	}
	return cmd
}

// listedUser is an account as `user list --json` prints it, one a line.
type listedUser struct {
	UUID       string `json:"uuid"`
	Username   string `json:"username"`
	Purpose    string `json:"purpose"`
	Enabled    bool   `json:"enabled"`
	TenantUUID string `json:"tenant_uuid"`
}

func userListCommand(dsn *string) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "list",
		Short: "Lists the accounts of all tenants",
		Args:  cobra.NoArgs,
	}
	asJSON := cmd.Flags().Bool("json", false, "print a JSON object a line")
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		return withUsers(cmd, *dsn, func(ctx context.Context, u *users.Service) error {
			list, err := u.List(ctx)
			if err != nil {
				return err
			}
			return printUsers(cmd.OutOrStdout(), list, *asJSON)
		})
	}
	return cmd
}

func printUsers(w io.Writer, list []store.User, asJSON bool) error {
	if asJSON {
		enc := json.NewEncoder(w)
		enc.SetEscapeHTML(false)
		for _, u := range list {
			if err := enc.Encode(listedUser{u.UUID, u.Username, u.Purpose, u.Enabled, u.TenantUUID}); err != nil {
				return err
			}
		}
		return nil
	}
	table := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(table, "USERNAME\tUUID\tPURPOSE\tENABLED\tTENANT")
	for _, u := range list {
		fmt.Fprintf(table, "%s\t%s\t%s\t%t\t%s\n", u.Username, u.UUID, u.Purpose, u.Enabled, u.TenantUUID)
	}
	return table.Flush()
}

func passwordFlag(cmd *cobra.Command) *string {
	return cmd.Flags().String("password-file", "", "file with the password, - for standard input (default: generate one)")
}

// maxPassword bounds what is read as a password, in bytes.
const maxPassword = 1 << 16

// choosePassword returns the password of the file, else otherwise, else a
// generated one. One line end at the end does not belong to it.
func choosePassword(cmd *cobra.Command, file, otherwise string) (pass string, generated bool, err error) {
	cmd.SilenceUsage = true // a file that cannot be read is no mistake in the words
	var in io.Reader
	switch {
	case file == "-":
		in = cmd.InOrStdin()
	case file != "":
		f, err := os.Open(file)
		if err != nil {
			return "", false, fmt.Errorf("reading the password: %w", err)
		}
		defer func() { _ = f.Close() }()
		in = f
	case otherwise != "":
		return otherwise, false, nil
	default:
		return users.RandomPassword(), true, nil
	}
	raw, err := io.ReadAll(io.LimitReader(in, maxPassword+1))
	if err != nil {
		return "", false, fmt.Errorf("reading the password: %w", err)
	}
	if len(raw) > maxPassword {
		return "", false, fmt.Errorf("the password is longer than %d bytes: is this the right file?", maxPassword)
	}
	pass = strings.TrimSuffix(strings.TrimSuffix(string(raw), "\n"), "\r")
	if pass == "" {
		return "", false, errors.New("the password is empty")
	}
	return pass, false, nil
}

// tellPassword prints a generated password, which is the only chance to.
func tellPassword(cmd *cobra.Command, pass string, generated bool) error {
	if !generated {
		return nil
	}
	_, err := fmt.Fprintf(cmd.OutOrStdout(), "password: %s\n", pass)
	return err
}
