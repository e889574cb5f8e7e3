package routes

import (
	"errors"
	"fmt"
	"strings"
)

// Kind is what a route demands. It is a closed set.
type Kind uint8

// The kinds. The zero value lets nothing pass: a route somebody forgot to
// describe must not be open.
const (
	Deny   Kind = iota
	Access      // a valid token with the access the route's ACL spells
	Token       // any valid token
	Public      // nothing
)

var kinds = [...]string{"deny", "acl", "token", "public"}

// String is the kind's word in configurations and tables.
func (k Kind) String() string { return kinds[k] }

// ParseKind reads deny, token or public, the kinds that need no ACL.
func ParseKind(word string) (Kind, bool) {
	switch word {
	case "deny":
		return Deny, true
	case "token":
		return Token, true
	case "public":
		return Public, true
	}
	return Deny, false
}

// Type is how the upstream's router reads a parameter of a path.
type Type uint8

// The types.
const (
	Unknown Type = iota
	Integer      // leading zeros do not count
	UUID         // case does not count
)

// Route says what requests of one method to one template need. Templates are
// the service's own paths, without the prefix it is reached below; a parameter
// is one whole segment in braces.
type Route struct {
	Method   string // upper case; "*" is every method that no other route names
	Template string // "/1.1/users/{user_id}/lines"
	Kind     Kind
	// ACL is the required access of kind [Access]: "confd.users.{user_id}.read".
	// The values of parameters take the place of their names, every "." in
	// them read as "_" (contract: acl.md §5).
	ACL string
	// QueryToken says that the route accepts ?token=, which wins over the
	// header there.
	QueryToken bool
	// Types are those of parameters that are known, by name.
	Types map[string]Type
}

// String names the route.
func (r *Route) String() string { return r.Method + " " + r.Template }

// Demand is what the route needs in one word: its ACL, or token, public, deny.
func (r *Route) Demand() string {
	if r.Kind == Access {
		return r.ACL
	}
	return r.Kind.String()
}

// leaf is a compiled route.
type leaf struct {
	route Route
	parts []part
	// mapped tells which names of the ACL stand for parameters with other
	// names, for lint.
	mapped []string
}

// part is a piece of an ACL: text, or the value of the segment seg, counted
// from where the template begins.
type part struct {
	text string
	seg  int // -1: text
	typ  Type
}

// compile reads a template and its ACL.
func compile(r Route) (segs []string, l *leaf, err error) {
	if r.Method == "" || Method(r.Method) != "" {
		return nil, nil, fmt.Errorf("%q is no method of a route: it is in upper case and not CONNECT, or *", r.Method)
	}
	if !strings.HasPrefix(r.Template, "/") {
		return nil, nil, fmt.Errorf("the path %q does not begin with a slash", r.Template)
	}
	segs = strings.Split(r.Template[1:], "/")
	if len(segs) > maxSegments {
		return nil, nil, fmt.Errorf("the path has more than %d segments", maxSegments)
	}
	at := map[string]int{}
	var order []string
	for i, s := range segs {
		name, is := parameter(s)
		switch {
		case is && name == "", !is && strings.ContainsAny(s, "{}"):
			return nil, nil, fmt.Errorf("%q: a parameter is one whole segment in braces", s)
		case is:
			if _, twice := at[name]; twice {
				return nil, nil, fmt.Errorf("the parameter {%s} occurs twice", name)
			}
			at[name] = i
			order = append(order, name)
		case s == "" && i < len(segs)-1:
			return nil, nil, fmt.Errorf("the path %q has an empty segment", r.Template)
		case s != "":
			var rule Rule
			if segs[i], rule = segment(s); rule != "" { // decoded, as requests' are
				return nil, nil, fmt.Errorf("no request has the path segment %q: %s", s, rule)
			}
		}
	}
	l = &leaf{route: r}
	if r.Kind == Access {
		if r.ACL == "" {
			return nil, nil, errors.New("the required access is empty")
		}
		if err := l.compileACL(at, order); err != nil {
			return nil, nil, err
		}
	}
	return segs, l, nil
}

// parameter returns the name of a segment in braces.
func parameter(s string) (name string, is bool) {
	if len(s) >= 2 && s[0] == '{' && s[len(s)-1] == '}' {
		name = s[1 : len(s)-1]
		return name, !strings.ContainsAny(name, "{}")
	}
	return "", false
}

// compileACL cuts the ACL at its parameters. Names that do not occur in the
// path stand, in order, for the parameters that the ACL does not name: the
// specifications of the stack spell some of them differently in the two places.
// Where their numbers differ, nothing can be told.
func (l *leaf) compileACL(at map[string]int, order []string) error {
	var names []string
	for rest := l.route.ACL; ; {
		before, after, found := strings.Cut(rest, "{")
		if strings.Contains(before, "}") {
			return fmt.Errorf("the required access %q has a } without {", l.route.ACL)
		}
		if before != "" {
			l.parts = append(l.parts, part{text: before, seg: -1})
		}
		if !found {
			break
		}
		name, more, closed := strings.Cut(after, "}")
		if !closed || name == "" || strings.Contains(name, "{") {
			return fmt.Errorf("the required access %q has a { without }", l.route.ACL)
		}
		names = append(names, name)
		l.parts = append(l.parts, part{text: name, seg: 0})
		rest = more
	}
	var foreign, free []string
	named := map[string]bool{}
	for _, name := range names {
		if _, known := at[name]; !known && !named[name] {
			foreign = append(foreign, name)
		}
		named[name] = true
	}
	for _, name := range order {
		if !named[name] {
			free = append(free, name)
		}
	}
	alias := map[string]string{}
	if len(foreign) > 0 && len(foreign) != len(free) {
		return fmt.Errorf("the required access %q needs {%s}, which the path does not have", l.route.ACL, strings.Join(foreign, "}, {"))
	}
	for i, name := range foreign {
		alias[name] = free[i]
		l.mapped = append(l.mapped, "{"+name+"} is {"+free[i]+"}")
	}
	for i, p := range l.parts {
		if p.seg < 0 {
			continue
		}
		name := p.text
		if other, is := alias[name]; is {
			name = other
		}
		l.parts[i] = part{seg: at[name], typ: l.route.Types[name]}
	}
	return nil
}
