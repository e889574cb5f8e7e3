package openapi

import (
	"maps"
	"slices"
	"strings"

	"github.com/wazo-edge/xivo-auth/authsvc/routes"
)

// Report is what people should know about a table of routes before they trust
// it. Lists are never nil, so that they are lists in JSON, too.
type Report struct {
	Service    string `json:"service"`
	Operations int    `json:"operations"` // of the description
	// Routes count what holds with the overlay, by kind.
	Routes int `json:"routes"`
	ACLs   int `json:"acl"`
	Tokens int `json:"token"`
	Denied int `json:"deny"`

	// Problems are what could not be read and the overlay does not settle.
	Problems []Problem `json:"problems"`
	// Missing are routes that deny because their ACL needs what is not in the
	// path.
	Missing []Missing `json:"missing_values"`
	// Conflicts are routes that a table does not take as they are.
	Conflicts []Conflict `json:"conflicts"`

	Mapped       []Mapping `json:"mapped_parameters"`
	Changes      []Change  `json:"changes"`
	Undocumented []Change  `json:"undocumented"`
	Overlaps     []Overlap `json:"overlaps"`
	Public       []string  `json:"public"`
}

// Missing is a route whose ACL the edge cannot fill in.
type Missing struct {
	Route string   `json:"route"`
	ACL   string   `json:"acl"`
	Names []string `json:"names"` // placeholders that the path does not have
	// Suggestion is a row for an overlay, if the service itself checks what the
	// edge cannot.
	Suggestion string `json:"suggestion"`
}

// Conflict is a route that [routes.New] reported.
type Conflict struct {
	Route string `json:"route"`
	Error string `json:"error"`
	// Lost says that not even the requests are known: they are unmatched.
	Lost bool `json:"lost"`
}

// Mapping tells which names of an ACL were taken for which of its path.
type Mapping struct {
	Route string   `json:"route"`
	Names []string `json:"names"`
}

// Overlap is two paths that some requests have in common.
type Overlap struct {
	Method string `json:"method"`
	Wins   string `json:"wins"`
	Over   string `json:"over"`
	// Crossing says that each of them has a literal where the other has a
	// parameter; then the leftmost literal wins.
	Crossing bool `json:"crossing"`
}

// Lint reports on a description with its overlay; prefix is what is taken off
// the paths ([WithoutPrefix]). Quadratic in the number of routes with one
// method and length.
func Lint(service string, doc *Document, rows []Row, prefix routes.Prefix) *Report {
	whole, changes := Apply(doc, rows)
	list := WithoutPrefix(whole, prefix)
	table, problems := routes.New(list)
	documented := map[string]routes.Route{} // as an overlay has to name it
	for i := range list {
		documented[list[i].String()] = whole[i]
	}
	r := &Report{
		Service: service, Operations: len(doc.Operations), Routes: len(list),
		Problems: append([]Problem{}, doc.Problems...), Missing: []Missing{}, Conflicts: []Conflict{},
		Mapped: []Mapping{}, Changes: []Change{}, Undocumented: []Change{}, Overlaps: overlaps(list), Public: []string{},
	}
	settled := map[string]bool{}
	for _, row := range rows {
		settled[key(row.Route)] = true
	}
	for _, op := range doc.Operations {
		if op.Problem != nil && !settled[key(op.Route)] {
			r.Problems = append(r.Problems, *op.Problem)
		}
	}
	slices.SortStableFunc(r.Problems, func(a, b Problem) int { return a.Line - b.Line })
	for _, c := range changes {
		if c.Effect == Added {
			r.Undocumented = append(r.Undocumented, c)
		} else {
			r.Changes = append(r.Changes, c)
		}
	}
	for _, p := range problems {
		if _, lacking := resolve(p.Route); p.Route.Kind == routes.Access && len(lacking) > 0 && !p.Lost {
			r.Missing = append(r.Missing, Missing{p.Route.String(), p.Route.ACL, lacking, suggestion(service, documented[p.Route.String()])})
		} else {
			r.Conflicts = append(r.Conflicts, Conflict{p.Route.String(), p.Err.Error(), p.Lost})
		}
	}
	mapped := table.Mapped()
	for _, route := range slices.Sorted(maps.Keys(mapped)) {
		r.Mapped = append(r.Mapped, Mapping{route, mapped[route]})
	}
	for _, route := range table.Routes() {
		switch route.Kind {
		case routes.Access:
			r.ACLs++
		case routes.Token:
			r.Tokens++
		case routes.Public:
			r.Public = append(r.Public, route.String())
		case routes.Deny:
			r.Denied++
		}
	}
	return r
}

// Unsettled counts what could not be read or made sense of: requests are denied
// for it which nobody decided to deny. A lint passes at 0.
func (r *Report) Unsettled() int { return len(r.Problems) + len(r.Missing) + len(r.Conflicts) }

// suggestion is a row of an overlay, in the columns of [WriteCSV].
func suggestion(service string, r routes.Route) string {
	return strings.Join([]string{service, r.Method, r.Template, routes.Token.String(), ""}, ",")
}

// overlaps finds the pairs of paths that a request could be taken for. A
// trailing slash is no parameter's value.
func overlaps(list []routes.Route) []Overlap {
	type like struct {
		method string
		length int
	}
	found := []Overlap{}
	groups := map[like][]string{}
	for _, r := range list {
		k := like{r.Method, strings.Count(r.Template, "/")}
		for _, other := range groups[k] {
			if strings.HasSuffix(r.Template, "/") == strings.HasSuffix(other, "/") && routes.Overlap(r.Template, other) {
				found = append(found, overlap(r.Method, other, r.Template))
			}
		}
		groups[k] = append(groups[k], r.Template)
	}
	return found
}

// overlap tells which of two paths wins: at the first difference, the literal.
func overlap(method, a, b string) Overlap {
	o := Overlap{Method: method}
	as, bs := strings.Split(a, "/"), strings.Split(b, "/")
	for i := range as {
		_, pa := parameter(as[i])
		_, pb := parameter(bs[i])
		wins, over := a, b
		switch {
		case pa == pb:
			continue
		case pa:
			wins, over = b, a
		}
		if o.Wins == "" {
			o.Wins, o.Over = wins, over
		}
		o.Crossing = o.Crossing || o.Wins != wins
	}
	return o
}
