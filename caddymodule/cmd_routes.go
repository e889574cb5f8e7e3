package caddymodule

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"text/tabwriter"

	caddycmd "github.com/caddyserver/caddy/v2/cmd"
	"github.com/spf13/cobra"

	"github.com/wazo-edge/xivo-auth/authsvc/routes"
	"github.com/wazo-edge/xivo-auth/authsvc/routes/openapi"
)

func routesCommand() caddycmd.Command {
	return caddycmd.Command{
		Name:  "routes",
		Usage: "import|match|lint --openapi <file>",
		Short: "Reads which access the routes of a service need",
		Long: `
Reads from a service's API description (Swagger 2.0 or OpenAPI 3, YAML or JSON)
which access each of its routes needs, as the guard does, without any database.

An overlay corrects it: a CSV file with the columns service, method, path, acl
and, if you like, token_in_query, or a YAML list of the same. acl is the access,
or token (any valid one), public, or deny. Paths are written as in the
description, its base path included.

	xivo-auth routes lint --openapi confd.yml
	xivo-auth routes import --openapi confd.yml --overlay fixes.csv > confd.csv
	xivo-auth routes match --openapi confd.yml --prefix /api/confd GET /api/confd/1.1/users/42
`,
		CobraFunc: func(cmd *cobra.Command) {
			var s routesSource
			flags := cmd.PersistentFlags()
			flags.StringVar(&s.openapi, "openapi", "", "file with the API description")
			flags.StringVar(&s.overlay, "overlay", "", "file with corrections, CSV or YAML")
			flags.StringVar(&s.service, "service", "", "whose rows of the overlay count (default: the description's file name without its extension)")
			flags.StringVar(&s.prefix, "prefix", "", "path below which clients reach the service, such as /api/confd")
			_ = cmd.MarkPersistentFlagRequired("openapi") // fails for unknown flags only
			cmd.AddCommand(routesImportCommand(&s), routesMatchCommand(&s), routesLintCommand(&s))
		},
	}
}

// routesSource says where routes come from.
type routesSource struct {
	openapi, overlay, service, prefix string
}

// serviceRoutes are what was read from there.
type serviceRoutes struct {
	name   string
	doc    *openapi.Document
	rows   []openapi.Row
	prefix routes.Prefix
}

// list are the routes as the guard has them: corrected, and without the prefix.
func (s *serviceRoutes) list() []routes.Route {
	list, _ := openapi.Apply(s.doc, s.rows)
	return openapi.WithoutPrefix(list, s.prefix)
}

func (s *serviceRoutes) lint() *openapi.Report {
	return openapi.Lint(s.name, s.doc, s.rows, s.prefix)
}

func (s *routesSource) load() (*serviceRoutes, error) {
	r := &serviceRoutes{name: s.service}
	if r.name == "" {
		r.name = strings.TrimSuffix(filepath.Base(s.openapi), filepath.Ext(s.openapi))
	}
	var rule routes.Rule
	if r.prefix, rule = routes.ParsePrefix(s.prefix); rule != "" {
		return nil, fmt.Errorf("--prefix: no request has a path below %q: %s", s.prefix, rule)
	}
	data, err := readRoutesFile(s.openapi)
	if err != nil {
		return nil, err
	}
	if r.doc, err = openapi.Import(data); err != nil {
		return nil, fmt.Errorf("reading %s: %w", s.openapi, err)
	}
	if s.overlay == "" {
		return r, nil
	}
	if data, err = readRoutesFile(s.overlay); err != nil {
		return nil, err
	}
	rows, err := openapi.ReadOverlay(s.overlay, data)
	if err != nil {
		return nil, fmt.Errorf("reading %s: %w", s.overlay, err)
	}
	r.rows = openapi.OfService(rows, r.name)
	if len(rows) > 0 && len(r.rows) == 0 {
		// Most likely a name is wrong, and the corrections would be missed.
		return nil, fmt.Errorf("%s has no row for the service %q: check --service", s.overlay, r.name)
	}
	return r, nil
}

// maxRoutesFile bounds what is read of a file, in bytes; what is longer than
// package openapi takes is its to refuse.
const maxRoutesFile = 8 << 20

func readRoutesFile(path string) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer func() { _ = f.Close() }()
	data, err := io.ReadAll(io.LimitReader(f, maxRoutesFile))
	if err != nil {
		return nil, fmt.Errorf("reading %s: %w", path, err)
	}
	return data, nil
}

func routesImportCommand(s *routesSource) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "import --openapi <file> [--overlay <file>] [--service <name>] [--prefix <path>] [--format csv|json]",
		Short: "Prints the routes as a table that can be edited and used as an overlay",
		Long: `
Prints a row for each route with what it needs, corrected by the overlay. What
the description does not say clearly is denied; how many routes that are is said
on standard error, and which ones by "routes lint". With --prefix, paths are
those below it.

	xivo-auth routes import --openapi confd.yml
	xivo-auth routes import --openapi provd.yml --overlay fixes.csv --prefix /api/provd --format json`,
		Args: cobra.NoArgs,
	}
	format := cmd.Flags().String("format", "csv", "csv or json")
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		var write func(io.Writer, string, []routes.Route) error
		switch *format {
		case "csv":
			write = openapi.WriteCSV
		case "json":
			write = openapi.WriteJSON
		default:
			return fmt.Errorf("unknown format %q: it is one of csv, json", *format)
		}
		cmd.SilenceUsage = true // from here on it is not the words that are wrong
		r, err := s.load()
		if err != nil {
			return err
		}
		if n := r.lint().Unsettled(); n > 0 {
			fmt.Fprintf(cmd.ErrOrStderr(), "not clear, and so denied: %d; see `xivo-auth routes lint`\n", n)
		}
		return write(cmd.OutOrStdout(), r.name, r.list())
	}
	return cmd
}

func routesLintCommand(s *routesSource) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "lint --openapi <file> [--overlay <file>] [--service <name>] [--prefix <path>] [--format text|json]",
		Short: "Tells what is unclear about the routes, and what the overlay changes",
		Long: `
Tells what could not be read, which routes contradict each other, which need a
value that the path does not have, where the overlay differs from what is
documented, which paths overlap, and what is public. It fails when something is
denied only because it is not clear; a row in an overlay settles that.

	xivo-auth routes lint --openapi confd.yml
	xivo-auth routes lint --openapi confd.yml --overlay fixes.csv --format json`,
		Args: cobra.NoArgs,
	}
	format := cmd.Flags().String("format", "text", "text or json")
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		if *format != "text" && *format != "json" {
			return fmt.Errorf("unknown format %q: it is one of text, json", *format)
		}
		cmd.SilenceUsage = true
		r, err := s.load()
		if err != nil {
			return err
		}
		report := r.lint()
		write := report.WriteText
		if *format == "json" {
			write = report.WriteJSON
		}
		if err := write(cmd.OutOrStdout()); err != nil {
			return err
		}
		if n := report.Unsettled(); n > 0 {
			return fmt.Errorf("to be settled: %d", n)
		}
		return nil
	}
	return cmd
}

func routesMatchCommand(s *routesSource) *cobra.Command {
	return &cobra.Command{
		Use:   "match --openapi <file> [--overlay <file>] [--service <name>] [--prefix <path>] <METHOD> <path>",
		Short: "Tells which route a request is taken for, and the access it needs",
		Long: `
Tells, of a request as a client sends it, the route it is taken for, its path as
everything is decided on, what the route demands, and the access with the values
of the path. It fails when the request would be refused, matches no route, or
matches one that denies.

	xivo-auth routes match --openapi confd.yml GET /1.1/users/42/lines
	xivo-auth routes match --openapi confd.yml --prefix /api/confd GET /api/confd/1.1/users/42/lines`,
		Args: cobra.ExactArgs(2),
		RunE: func(cmd *cobra.Command, args []string) error {
			cmd.SilenceUsage = true
			r, err := s.load()
			if err != nil {
				return err
			}
			return r.match(cmd.OutOrStdout(), args[0], args[1])
		},
	}
}

// match tells what the guard makes of a request.
func (s *serviceRoutes) match(w io.Writer, method, target string) error {
	if rule := routes.Method(method); rule != "" {
		return fmt.Errorf("the method is refused: %s", rule)
	}
	path, _ := routes.Split(target)
	var p routes.Path
	if rule := p.Parse(path); rule != "" {
		return fmt.Errorf("the path is refused: %s", rule)
	}
	from, below := p.Under(s.prefix)
	if !below {
		return fmt.Errorf("the path %s is not below %s", p.String(), s.prefix)
	}
	table, problems := routes.New(s.list())
	m, ok := table.Match(method, &p, from)
	if !ok {
		if table.Known(&p, from) {
			return errors.New("denied: no route has this method, or the slash at the end is one too many or too few")
		}
		return errors.New("no route matches: what holds is the guard's word for unmatched requests")
	}
	out := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintf(out, "route\t%s\npath\t%s\ndemand\t%s\n", m.Route, p.String(), m.Route.Demand())
	if m.Route.Kind == routes.Access {
		access, sure := m.AppendAccess(nil, &p)
		fmt.Fprintf(out, "access\t%s\n", access)
		if !sure {
			fmt.Fprintf(out, "and\t%s\n", m.AppendAsSent(nil, &p))
		}
	}
	if m.Route.QueryToken {
		fmt.Fprintln(out, "token\taccepted in the query, where it wins over the header")
	}
	if err := out.Flush(); err != nil {
		return err
	}
	if m.Route.Kind != routes.Deny {
		return nil
	}
	return s.whyDenied(m.Route, problems)
}

// whyDenied tells a route that somebody denied from one that is not clear.
func (s *serviceRoutes) whyDenied(r *routes.Route, problems []routes.Problem) error {
	for _, p := range problems {
		if p.Route.String() == r.String() {
			return fmt.Errorf("denied: %w", p.Err)
		}
	}
	unsettled := s.lint().Problems
	for _, op := range s.doc.Operations {
		here := openapi.WithoutPrefix([]routes.Route{op.Route}, s.prefix)
		if here[0].String() == r.String() && op.Problem != nil && slices.Contains(unsettled, *op.Problem) {
			return fmt.Errorf("denied: %s", op.Problem)
		}
	}
	return errors.New("denied")
}
