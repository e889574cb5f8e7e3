package caddymodule

import (
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"os"
	"slices"
	"strings"

	"github.com/wazo-edge/xivo-auth/authsvc/guard"
	"github.com/wazo-edge/xivo-auth/authsvc/routes"
	"github.com/wazo-edge/xivo-auth/authsvc/routes/openapi"
)

// Service is one of the services behind guards: what its operations require.
// Where several sources speak of one operation, routes win over the overlay,
// and the overlay wins over the OpenAPI document.
type Service struct {
	// OpenAPI is the file of its specification, Swagger 2.0 or OpenAPI 3,
	// whose descriptions state the required ACL. Relative to the working
	// directory. An operation whose ACL cannot be read is denied, with a
	// warning.
	OpenAPI string `json:"openapi,omitempty"`

	// Overlay is a CSV or YAML file of corrections to it: service, method,
	// path, acl. See xivo-auth routes lint.
	Overlay string `json:"overlay,omitempty"`

	// Prefix is the path below which clients reach the service, such as
	// /api/confd. What is not below it belongs to another service. Default:
	// none, the service's own paths.
	Prefix string `json:"prefix,omitempty"`

	// Unmatched tells what requests need whose path is in no route: "deny"
	// (the default), "token" or "public". A path that a route has for other
	// methods only, or with another slash at its end, is always denied.
	Unmatched string `json:"unmatched,omitempty"`

	// Routes are operations given here.
	Routes []ServiceRoute `json:"routes,omitempty"`
}

// ServiceRoute is one operation.
type ServiceRoute struct {
	// Method is in upper case; "*" is every method without a route of its
	// own. HEAD is answered by GET's.
	Method string `json:"method"`
	// Path is a template without the prefix: /1.1/users/{user_uuid}.
	Path string `json:"path"`
	// Needs is the required ACL, with the template's parameters in braces:
	// confd.users.{user_uuid}.read. Or one of the words token (any valid
	// token), public (nothing) and deny.
	Needs string `json:"needs"`
	// QueryToken says that the route reads the token from ?token=, too, and
	// prefers it there, as links that browsers follow need it.
	QueryToken bool `json:"query_token,omitempty"`
}

// policy reads the service's files and makes its route table. What cannot be
// used is an error where it was written for us, and a warning where it comes
// from the specification, which is somebody else's.
func (s *Service) policy(name string, log *slog.Logger) (*guard.Policy, error) {
	p := &guard.Policy{Service: name}
	var err error
	if p.Unmatched, err = unmatchedKind(s.Unmatched); err != nil {
		return nil, err
	}
	var rule routes.Rule
	if p.Prefix, rule = routes.ParsePrefix(s.Prefix); rule != "" {
		return nil, fmt.Errorf("prefix is %q, which no request has: %s", s.Prefix, rule)
	}
	list, err := s.read(name, p.Prefix, p.Unmatched, log)
	if err != nil {
		return nil, err
	}
	if len(list) == 0 {
		return nil, errors.New("the service has no routes: give it openapi, overlay or route")
	}
	var problems []routes.Problem
	p.Table, problems = routes.New(list)
	own := map[string]bool{}
	for _, r := range s.Routes {
		own[r.Method+" "+r.Path] = true
	}
	for _, problem := range problems {
		what := problem.Route.String()
		if own[what] || problem.Lost && p.Unmatched != routes.Deny {
			return nil, fmt.Errorf("%s: %w", what, problem.Err)
		}
		log.Warn("what a route needs cannot be told, so it is denied: correct it in an overlay",
			slog.String("service", name), slog.String("route", what), slog.Any("error", problem.Err))
	}
	var denied []string
	for _, r := range p.Table.Routes() {
		if r.Kind == routes.Deny && !own[r.String()] {
			denied = append(denied, r.String())
		}
	}
	log.Info("routes read", slog.String("service", name), slog.Int("routes", len(p.Table.Routes())),
		slog.Int("denied", len(denied)), slog.String("unmatched", p.Unmatched.String()))
	if len(denied) > 0 {
		log.Warn("these routes are denied, most likely because the specification does not say what they need: see xivo-auth routes lint",
			slog.String("service", name), slog.Any("routes", denied[:min(len(denied), maxNamed)]))
	}
	return p, nil
}

// maxNamed bounds how many routes one line of the log names.
const maxNamed = 20

// read puts the sources together.
func (s *Service) read(name string, prefix routes.Prefix, unmatched routes.Kind, log *slog.Logger) ([]routes.Route, error) {
	doc := new(openapi.Document)
	if s.OpenAPI != "" {
		raw, err := os.ReadFile(s.OpenAPI)
		if err != nil {
			return nil, fmt.Errorf("reading the specification: %w", err)
		}
		if doc, err = openapi.Import(raw); err != nil {
			return nil, fmt.Errorf("reading %s: %w", s.OpenAPI, err)
		}
	}
	var rows []openapi.Row
	if s.Overlay != "" {
		raw, err := os.ReadFile(s.Overlay)
		if err != nil {
			return nil, fmt.Errorf("reading the overlay: %w", err)
		}
		if rows, err = openapi.ReadOverlay(s.Overlay, raw); err != nil {
			return nil, fmt.Errorf("reading %s: %w", s.Overlay, err)
		}
		rows = openapi.OfService(rows, name)
	}
	for _, problem := range doc.Problems {
		// A path nobody could read is an unmatched one, which must not be
		// open for that.
		if unmatched != routes.Deny {
			return nil, fmt.Errorf("reading %s: %s", s.OpenAPI, problem)
		}
		log.Warn("part of a specification cannot be used", slog.String("service", name), slog.String("problem", problem.String()))
	}
	list, _ := openapi.Apply(doc, rows)
	list = openapi.WithoutPrefix(list, prefix)
	// Routes given here take the place of what the files say, as rows of an
	// overlay do.
	doc, rows = new(openapi.Document), nil
	for _, r := range list {
		doc.Operations = append(doc.Operations, openapi.Operation{Route: r})
	}
	for _, r := range s.Routes {
		row, err := r.route()
		if err != nil {
			return nil, err
		}
		rows = append(rows, openapi.Row{Route: row})
	}
	list, _ = openapi.Apply(doc, rows)
	return list, nil
}

func (r *ServiceRoute) route() (out routes.Route, err error) {
	if r.Method == "" || r.Path == "" || r.Needs == "" {
		return out, errors.New("a route is a method, a path and what it needs")
	}
	out = routes.Route{Method: r.Method, Template: r.Path, QueryToken: r.QueryToken}
	var word bool
	if out.Kind, word = routes.ParseKind(r.Needs); !word {
		out.Kind, out.ACL = routes.Access, r.Needs
	}
	return out, nil
}

// loadServices makes the policies of all services.
func (a *App) loadServices(log *slog.Logger) error {
	a.policies = map[string]*guard.Policy{}
	seen := map[string]string{}
	for _, name := range slices.Sorted(maps.Keys(a.Services)) {
		if name == "" || strings.ContainsAny(name, " /{}\"") {
			return fmt.Errorf("%q is no name of a service", name)
		}
		p, err := a.Services[name].policy(name, log)
		if err != nil {
			return fmt.Errorf("service %s: %w", name, err)
		}
		if other, twice := seen[p.Prefix.String()]; twice && len(p.Prefix) > 0 {
			return fmt.Errorf("services %s and %s have the same prefix %s", other, name, p.Prefix)
		}
		seen[p.Prefix.String()] = name
		a.policies[name] = p
	}
	return nil
}

// policiesOf returns what a gate decides by.
func (a *App) policiesOf(service, scope string) (guard.Policies, error) {
	switch {
	case service != "" && scope != "":
		return nil, errors.New("a guard has a service, whose routes say what is needed, or a scope; not both")
	case service != "":
		p, ok := a.policies[service]
		if !ok {
			return nil, fmt.Errorf("there is no service %s in xivo_auth, which has %s", service, known(a.policies))
		}
		return guard.NewPolicies(p), nil
	case scope != "" || len(a.policies) == 0:
		return guard.NewPolicies(&guard.Policy{Scope: scope}), nil
	}
	all := make([]*guard.Policy, 0, len(a.policies))
	for _, name := range slices.Sorted(maps.Keys(a.policies)) {
		p := a.policies[name]
		if len(p.Prefix) == 0 {
			// It would take every path that no other service has.
			return nil, fmt.Errorf("service %s has no prefix, so its requests cannot be told from others': name the service", name)
		}
		all = append(all, p)
	}
	return guard.NewPolicies(all...), nil
}

func known(policies map[string]*guard.Policy) string {
	if len(policies) == 0 {
		return "none"
	}
	return strings.Join(slices.Sorted(maps.Keys(policies)), ", ")
}
