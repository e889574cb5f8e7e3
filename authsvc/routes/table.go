package routes

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
)

// Table finds the route of a request. Immutable; safe for concurrent use. Use
// [New].
type Table struct {
	root   node
	leaves []*leaf // in the order of their templates and methods
}

// node is what the paths that share their first segments have in common.
type node struct {
	literal map[string]*node
	param   *node
	leaves  []*leaf // of paths that end here, one for each method
}

// Problem is a route that a table could not take as it was given. Requests to
// it are denied.
type Problem struct {
	Route Route
	Err   error
	// Lost says that the table does not even know which requests those are,
	// so that what holds for unmatched ones holds for them.
	Lost bool
}

// New makes a table. Routes it cannot make sense of, and those of which two
// with different demands match the same requests, deny what they match and are
// reported.
func New(list []Route) (*Table, []Problem) {
	t := new(Table)
	var problems []Problem
	for _, r := range list {
		segs, l, err := compile(r)
		if err != nil {
			problem := Problem{Route: r, Err: err}
			// The path may still be readable: then it denies.
			r.Kind, r.ACL = Deny, ""
			segs, l, err = compile(r)
			problem.Lost = err != nil
			problems = append(problems, problem)
			if problem.Lost {
				continue
			}
		}
		if err := t.add(segs, l); err != nil {
			problems = append(problems, Problem{Route: r, Err: err})
		}
	}
	slices.SortFunc(t.leaves, func(a, b *leaf) int {
		return cmp.Or(cmp.Compare(a.route.Template, b.route.Template), cmp.Compare(a.route.Method, b.route.Method))
	})
	return t, problems
}

func (t *Table) add(segs []string, l *leaf) error {
	n := &t.root
	for _, s := range segs {
		next := &n.param
		if _, is := parameter(s); !is {
			if n.literal == nil {
				n.literal = map[string]*node{}
			}
			child := n.literal[s]
			next = &child
			if child == nil {
				child = new(node)
				n.literal[s] = child
			}
		} else if *next == nil {
			*next = new(node)
		}
		n = *next
	}
	for _, other := range n.leaves {
		if other.route.Method != l.route.Method {
			continue
		}
		if other.route.Kind == l.route.Kind && other.route.QueryToken == l.route.QueryToken && slices.Equal(other.parts, l.parts) {
			return nil // the same in other names
		}
		// Which of the two holds cannot be told.
		err := fmt.Errorf("matches the same requests as %s and demands %s instead of %s", &other.route, l.route.Demand(), other.route.Demand())
		other.route.Kind, other.parts = Deny, nil
		return err
	}
	n.leaves = append(n.leaves, l)
	t.leaves = append(t.leaves, l)
	return nil
}

// Routes lists the routes by template and method.
func (t *Table) Routes() []Route {
	list := make([]Route, len(t.leaves))
	for i, l := range t.leaves {
		list[i] = l.route
	}
	return list
}

// Mapped tells, for each route whose ACL spells parameters otherwise than its
// path does, which was taken for which.
func (t *Table) Mapped() map[string][]string {
	all := map[string][]string{}
	for _, l := range t.leaves {
		if len(l.mapped) > 0 {
			all[l.route.String()] = l.mapped
		}
	}
	return all
}

// Match is a route found for a path. It does not refer to the path, which may
// then live on its caller's stack; whoever asks for the access gives it again.
type Match struct {
	Route *Route
	leaf  *leaf
	from  int
}

// Match finds the route of a request: a literal segment wins over a parameter,
// case-sensitively, and where it leads nowhere the parameter is tried, as
// werkzeug's router does. HEAD is answered by the route of GET unless it has
// its own. The time does not depend on the number of routes; a path of n
// segments may visit 2ⁿ nodes at worst, where that many routes begin with
// every mix of the same literals and parameters. It does not allocate.
func (t *Table) Match(method string, p *Path, from int) (m Match, ok bool) {
	l := t.root.find(method, p.rest(from))
	if l == nil {
		return Match{}, false
	}
	return Match{Route: &l.route, leaf: l, from: from}, true
}

// Known reports whether any route has this path, whatever the method and a
// slash at its end. What is known is never left to what holds for unmatched
// requests: there, the upstream's router may be less strict than this table.
func (t *Table) Known(p *Path, from int) bool {
	segs := p.rest(from)
	if t.root.find("", segs) != nil {
		return true
	}
	if n := len(segs); n > 1 && segs[n-1] == "" {
		return t.root.find("", segs[:n-1]) != nil
	}
	var slashed [maxSegments + 1]string
	n := copy(slashed[:], segs)
	return t.root.find("", slashed[:n+1]) != nil
}

// rest are the segments from the given one on; none of them is the root.
func (p *Path) rest(from int) []string {
	if from == p.n {
		return root
	}
	return p.segs[from:p.n]
}

var root = []string{""}

// find returns the leaf that answers method at segs; any, if method is "".
func (n *node) find(method string, segs []string) *leaf {
	if len(segs) == 0 {
		return n.answer(method)
	}
	if next := n.literal[segs[0]]; next != nil {
		if l := next.find(method, segs[1:]); l != nil {
			return l
		}
	}
	if n.param != nil && segs[0] != "" {
		return n.param.find(method, segs[1:])
	}
	return nil
}

// answer returns the leaf for a method of the paths that end here: its own, for
// HEAD that of GET, else that of every method. The order is decided here and
// not over the whole table, so that a HEAD is never taken for another path's or
// for what holds for all methods while its GET needs more.
func (n *node) answer(method string) (best *leaf) {
	rank := 0
	for _, l := range n.leaves {
		r := 0
		switch m := l.route.Method; {
		case method == "" || m == method:
			return l
		case method == "HEAD" && m == "GET":
			r = 2
		case m == "*":
			r = 1
		}
		if r > rank {
			best, rank = l, r
		}
	}
	return best
}

// AppendAccess appends the access the request needs, with every value in the
// form in which the upstream's router hands it on: uuids in lower case,
// integers without leading zeros. So "!confd.users.<uuid>.read" holds for the
// uuid in upper case, too.
//
// sure is false when the value's type is not known and another form than the
// one sent was written: the upstream may take either, and what is to pass must
// be allowed for both, the other being that of [Match.AppendAsSent].
func (m Match) AppendAccess(dst []byte, path *Path) (access []byte, sure bool) {
	sure = true
	for _, p := range m.leaf.parts {
		if p.seg < 0 {
			dst = append(dst, p.text...)
			continue
		}
		value := path.segs[m.from+p.seg]
		switch {
		case p.typ != UUID && isNumber(value):
			for len(value) > 1 && value[0] == '0' {
				value = value[1:]
				sure = sure && p.typ == Integer
			}
			dst = append(dst, value...)
		case p.typ != Integer && isUUID(value):
			for i := range len(value) {
				c := value[i]
				if 'A' <= c && c <= 'F' {
					c += 'a' - 'A'
					sure = sure && p.typ == UUID
				}
				dst = append(dst, c)
			}
		default:
			dst = appendEscaped(dst, value)
		}
	}
	return dst, sure
}

// AppendAsSent is AppendAccess with every value as the client sent it.
func (m Match) AppendAsSent(dst []byte, path *Path) []byte {
	for _, p := range m.leaf.parts {
		if p.seg < 0 {
			dst = append(dst, p.text...)
		} else {
			dst = appendEscaped(dst, path.segs[m.from+p.seg])
		}
	}
	return dst
}

// appendEscaped writes every '.' as '_', so that a value cannot add segments.
func appendEscaped(dst []byte, value string) []byte {
	for i := range len(value) {
		c := value[i]
		if c == '.' {
			c = '_'
		}
		dst = append(dst, c)
	}
	return dst
}

func isNumber(s string) bool {
	for i := range len(s) {
		if s[i] < '0' || s[i] > '9' {
			return false
		}
	}
	return s != ""
}

func isUUID(s string) bool {
	if len(s) != 36 {
		return false
	}
	for i := range len(s) {
		if i == 8 || i == 13 || i == 18 || i == 23 {
			if s[i] != '-' {
				return false
			}
		} else if unhex(s[i]) > 0xf {
			return false
		}
	}
	return true
}

// Overlap reports whether some request matches both templates, which differ.
func Overlap(a, b string) bool {
	as, bs := strings.Split(a, "/"), strings.Split(b, "/")
	if len(as) != len(bs) {
		return false
	}
	differ := false
	for i := range as {
		_, pa := parameter(as[i])
		_, pb := parameter(bs[i])
		if as[i] != bs[i] && (!pa && !pb || as[i] == "" || bs[i] == "") {
			return false
		}
		differ = differ || pa != pb
	}
	return differ
}
