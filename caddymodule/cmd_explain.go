package caddymodule

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"strconv"
	"strings"
	"text/tabwriter"

	caddycmd "github.com/caddyserver/caddy/v2/cmd"
	"github.com/spf13/cobra"

	"github.com/wazo-edge/xivo-auth/authsvc/guard"
)

func explainCommand() caddycmd.Command {
	return caddycmd.Command{
		Name:  "explain",
		Usage: "[--token <token>] [--tenant <uuid>] [--service <name>] METHOD PATH",
		Short: "Tells what a guard says to a request, and why",
		Long: `
Asks the running server what its guards would say to a request: the path as
they read it, the route it matches, the access that route requires, the access
of the token that allows or denies it, the verdict about the tenant, and where
the token was found. The path is the one a client sends, with its query.

	xivo-auth explain --token $TOKEN GET /api/confd/1.1/users
	xivo-auth explain --token - --tenant $TENANT --service confd DELETE /api/confd/1.1/users/42 <token.txt
	xivo-auth explain --scope reports.read --token $TOKEN GET /

Arguments can be read by every user of the machine: --token - reads the token
from standard input. The exit status is 1 when the request would be refused.
`,
		CobraFunc: func(cmd *cobra.Command) {
			var q question
			flags := cmd.Flags()
			flags.StringVar(&q.Token, "token", "", "token of the request; - reads it from standard input")
			flags.StringVar(&q.Tenant, "tenant", "", "its Wazo-Tenant header")
			flags.StringVar(&q.Service, "service", "", "service whose guard is asked (default: the one the path's prefix tells)")
			flags.StringVar(&q.Scope, "scope", "", "scope of a guard without service")
			address := flags.String("address", "", "admin address of the server (default: that of --config, else XIVO_AUTH_ADMIN, else localhost:2019)")
			config := flags.String("config", "", "configuration file of the server, to find its admin address")
			adapter := flags.String("adapter", "", "adapter of the configuration file")
			format := flags.String("format", "text", "text or json")
			cmd.Args = cobra.ExactArgs(2)
			cmd.RunE = func(cmd *cobra.Command, args []string) error {
				if *format != "text" && *format != "json" {
					return fmt.Errorf("--format is text or json, not %q", *format)
				}
				cmd.SilenceUsage = true
				q.Method, q.URI = args[0], args[1]
				if q.Token == "-" {
					raw, err := io.ReadAll(io.LimitReader(cmd.InOrStdin(), maxQuestion))
					if err != nil {
						return fmt.Errorf("reading the token: %w", err)
					}
					q.Token = strings.TrimSpace(string(raw))
				}
				if *address == "" && *config == "" {
					*address = os.Getenv("XIVO_AUTH_ADMIN")
				}
				addr, err := caddycmd.DetermineAdminAPIAddress(*address, nil, *config, *adapter)
				if err != nil {
					return fmt.Errorf("finding the admin address: %w", err)
				}
				raw, err := askAdmin(addr, q)
				if err != nil {
					return err
				}
				var e guard.Explanation
				if err := json.Unmarshal(raw, &e); err != nil {
					return fmt.Errorf("reading the answer: %w", err)
				}
				if *format == "json" {
					_, err = cmd.OutOrStdout().Write(raw)
				} else {
					err = printExplanation(cmd.OutOrStdout(), &e)
				}
				if err == nil && e.Verdict != guard.Allow.String() && e.Verdict != guard.Anonymous.String() {
					cmd.SilenceErrors = true
					return errors.New("refused: " + string(e.Reason))
				}
				return err
			}
		},
	}
}

// askAdmin puts a question to the admin API.
func askAdmin(addr string, q question) ([]byte, error) {
	body, err := json.Marshal(q)
	if err != nil {
		return nil, fmt.Errorf("spelling the question: %w", err)
	}
	header := http.Header{"Content-Type": {"application/json"}}
	resp, err := caddycmd.AdminAPIRequest(addr, http.MethodPost, "/xivo-auth/explain", header, bytes.NewReader(body))
	if err != nil {
		return nil, fmt.Errorf("asking the server at %s: %w", addr, err)
	}
	defer func() { _ = resp.Body.Close() }()
	raw, err := io.ReadAll(io.LimitReader(resp.Body, 1<<20))
	if err != nil {
		return nil, fmt.Errorf("reading the answer: %w", err)
	}
	return raw, nil
}

// printExplanation writes one for people: only what there is to say.
func printExplanation(w io.Writer, e *guard.Explanation) error {
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	line := func(name, value string) {
		if value != "" {
			_, _ = fmt.Fprintf(t, "%s\t%s\n", name, value)
		}
	}
	line("verdict", e.Verdict)
	line("reason", string(e.Reason))
	line("service", e.Service)
	line("path", e.Path)
	line("refused by rule", string(e.Rule))
	line("route", e.Template)
	line("needs", e.Demand)
	line("required access", e.Required)
	line("and as sent", e.AsSent)
	if e.Identity != nil && e.Required != "" {
		decided := e.DecidedBy
		if decided == "" {
			decided = "no access of the token speaks of it"
		}
		line("decided by", decided)
	}
	line("token found", e.CacheState)
	if id := e.Identity; id != nil {
		line("auth id", id.AuthID)
		line("session", id.SessionUUID)
		line("expires", id.ExpiresAt.Format("2006-01-02T15:04:05Z07:00"))
		line("accesses", strconv.Itoa(id.Accesses))
	}
	if tn := e.Tenant; tn != nil {
		line("own tenant", tn.Own)
		line("tenant named", tn.Named)
		verdict := "allowed"
		if !tn.Allowed {
			verdict = "refused"
		}
		line("tenant", verdict)
	}
	line("error", e.Error)
	return t.Flush()
}
