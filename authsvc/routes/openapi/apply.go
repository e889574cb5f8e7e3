package openapi

import (
	"slices"

	"github.com/wazo-edge/xivo-auth/authsvc/routes"
)

// Effect is what an overlay does to a route. It is a closed set.
type Effect string

// The effects.
const (
	Added    Effect = "added"    // the description does not know the route
	Stated   Effect = "stated"   // the description did not say what the route needs
	Weaker   Effect = "weaker"   // the route is open to more than was documented
	Stronger Effect = "stronger" // the route is open to fewer
	Other    Effect = "other"    // another access, or a token in the query; neither can be said
)

// Change is where an overlay holds against the description.
type Change struct {
	Line       int    `json:"line"` // of the overlay
	Route      string `json:"route"`
	Documented string `json:"documented,omitempty"` // a demand, or why there is none
	Holds      string `json:"holds"`
	Effect     Effect `json:"effect"`
}

// Apply lays rows over a description. A row takes the place of the operations
// with its method and the shape of its path, whatever they call the parameters,
// and keeps their types; other rows are routes of their own. Rows that say what
// is documented already, in whatever names, are no changes. Rows that contradict each other both
// stay, for [routes.New] to deny what they match.
//
// The rows are those of the description's service ([OfService]), with paths as
// the description has them, base path included. Linear.
func Apply(doc *Document, rows []Row) ([]routes.Route, []Change) {
	type slot struct {
		ops   []*Operation
		types []routes.Type
		rows  []routes.Route
	}
	slots := map[string]*slot{}
	types := map[string][]routes.Type{} // by shape, for methods that are not documented
	for i := range doc.Operations {
		op := &doc.Operations[i]
		s := slots[key(op.Route)]
		if s == nil {
			s = new(slot)
			slots[key(op.Route)] = s
		}
		s.ops = append(s.ops, op)
		s.types = agree(s.types, op.Route)
		form := shape(op.Route.Template)
		types[form] = agree(types[form], op.Route)
	}
	var changes []Change
	var added []routes.Route
	for _, row := range rows {
		r := row.Route
		s := slots[key(r)]
		if s == nil {
			s = new(slot)
			slots[key(r)] = s
		}
		known := types[shape(r.Template)]
		if len(s.ops) > 0 {
			r.Template, known = names(r, s.ops[0].Route.Template), s.types
		}
		r.Types = typed(r.Template, known)
		if again := slices.ContainsFunc(s.rows, func(o routes.Route) bool { return same(o, r) && o.Template == r.Template }); again {
			continue
		}
		s.rows = append(s.rows, r)
		switch {
		case len(s.ops) == 0:
			added = append(added, r)
			changes = append(changes, Change{row.Line, r.String(), "", holds(r), Added})
		case len(s.rows) == 1:
			if c, is := change(s.ops[0], r); is {
				c.Line = row.Line
				changes = append(changes, c)
			}
		}
	}
	list := make([]routes.Route, 0, len(doc.Operations)+len(added))
	for _, op := range doc.Operations {
		s := slots[key(op.Route)]
		switch {
		case len(s.rows) == 0:
			list = append(list, op.Route)
		case s.ops != nil: // the first of them; the others are replaced with it
			list = append(list, s.rows...)
			s.ops = nil
		}
	}
	return append(list, added...), changes
}

// key is what a row and an operation must have in common.
func key(r routes.Route) string { return r.Method + " " + shape(r.Template) }

// names chooses between two spellings of one path: the row's, unless only the
// description's has what the row's ACL names.
func names(r routes.Route, documented string) string {
	has := func(template string) bool {
		known := parameters(template)
		for _, name := range placeholders(r.ACL) {
			if !slices.Contains(known, name) {
				return false
			}
		}
		return true
	}
	if !has(r.Template) && has(documented) {
		return documented
	}
	return r.Template
}

// agree merges the types of a route's parameters, by position, into those of
// others with its shape; what they disagree on is not known.
func agree(known []routes.Type, r routes.Route) []routes.Type {
	for i, name := range parameters(r.Template) {
		t := r.Types[name]
		if i == len(known) {
			known = append(known, t)
		} else if known[i] != t {
			known[i] = routes.Unknown
		}
	}
	return known
}

// typed gives the parameters of a template their types by position; those of
// paths the description does not have go by their names.
func typed(template string, known []routes.Type) (types map[string]routes.Type) {
	for i, name := range parameters(template) {
		t := routes.Unknown
		switch {
		case i < len(known):
			t = known[i]
		case known == nil && i < maxTypes:
			t = typeOf(name, declared{})
		}
		if t == routes.Unknown {
			continue
		}
		if types == nil {
			types = map[string]routes.Type{}
		}
		types[name] = t
	}
	return types
}

func same(a, b routes.Route) bool {
	return a.Kind == b.Kind && a.ACL == b.ACL && a.QueryToken == b.QueryToken
}

// change tells what a row makes of an operation.
func change(op *Operation, r routes.Route) (Change, bool) {
	c := Change{Route: r.String(), Documented: holds(op.Route), Holds: holds(r), Effect: Other}
	switch documented := op.Route; {
	case op.Problem != nil:
		c.Documented, c.Effect = sentences[op.Problem.Reason], Stated
	case documented.Kind == r.Kind && documented.QueryToken == r.QueryToken && meaning(documented) == meaning(r):
		return c, false
	case r.Kind > documented.Kind: // the kinds are in the order of how much they let pass
		c.Effect = Weaker
	case r.Kind < documented.Kind:
		c.Effect = Stronger
	}
	return c, true
}

// holds is a route's demand, for people.
func holds(r routes.Route) string {
	if r.QueryToken {
		return r.Demand() + ", token in the query"
	}
	return r.Demand()
}
