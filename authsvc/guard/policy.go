package guard

import (
	"cmp"
	"net/url"
	"slices"
	"strings"

	"github.com/wazo-edge/xivo-auth/authsvc/routes"
)

// Policy is what a guard demands of requests. Immutable once in use.
type Policy struct {
	// Service is its name, "" for a guard of no particular one.
	Service string
	// Prefix is the path below which clients reach the service.
	Prefix routes.Prefix
	// Table tells what each request needs. nil: all need Scope.
	Table *routes.Table
	// Unmatched is what requests need that no route of the table matches:
	// [routes.Deny], [routes.Token] or [routes.Public].
	Unmatched routes.Kind
	// Scope is the access every request needs where there is no table; ""
	// when a valid token is enough.
	Scope string
}

// Policies are those of several services, told apart by their prefixes. Use
// [NewPolicies].
type Policies []*Policy

// NewPolicies orders them so that the longest prefix wins.
func NewPolicies(list ...*Policy) Policies {
	ps := Policies(slices.Clone(list))
	slices.SortStableFunc(ps, func(a, b *Policy) int { return cmp.Compare(len(b.Prefix), len(a.Prefix)) })
	return ps
}

// of returns the policy of the service a path belongs to, and where the path
// inside the service begins.
func (ps Policies) of(path *routes.Path) (p *Policy, from int) {
	for _, p := range ps {
		if from, ok := path.Under(p.Prefix); ok {
			return p, from
		}
	}
	return nil, 0
}

// demand is what one request needs.
type demand struct {
	kind   routes.Kind
	reason Reason // why it is denied, or passes without a token
	match  routes.Match
	scope  string // in place of a match
}

// demands finds out what a request needs, without looking at its token.
func (p *Policy) demands(method string, path *routes.Path, from int) (d demand) {
	if p.Table == nil {
		d.kind, d.scope = routes.Access, p.Scope
		if p.Scope == "" {
			d.kind = routes.Token
		}
		return d
	}
	var ok bool
	if d.match, ok = p.Table.Match(method, path, from); ok {
		d.kind = d.match.Route.Kind
	} else if !p.Table.Known(path, from) {
		d.kind = p.Unmatched
	}
	switch {
	case d.kind == routes.Public:
		d.reason = PublicRoute
	case d.kind == routes.Deny && ok:
		d.reason = DeniedRoute
	case d.kind == routes.Deny:
		d.reason = NoRoute
	}
	return d
}

// queryTokens returns the values of the parameter token, read as the stack's
// services read a query: pairs are separated by & alone. An empty value counts:
// of several, werkzeug takes the first, and looks at the header if that is
// empty, so whoever sends one and another wants two tokens looked at.
func queryTokens(query string) (values []string) {
	for pair := range strings.SplitSeq(query, "&") {
		name, value, _ := strings.Cut(pair, "=")
		if name, err := url.QueryUnescape(name); err != nil || name != "token" {
			continue
		}
		if v, err := url.QueryUnescape(value); err == nil {
			value = v
		}
		values = append(values, value)
	}
	return values
}

// WithoutToken returns the query without any parameter named token.
func WithoutToken(query string) string {
	kept := make([]string, 0, 8)
	for pair := range strings.SplitSeq(query, "&") {
		name, _, _ := strings.Cut(pair, "=")
		if name, err := url.QueryUnescape(name); err == nil && name == "token" {
			continue
		}
		kept = append(kept, pair)
	}
	return strings.Join(kept, "&")
}
