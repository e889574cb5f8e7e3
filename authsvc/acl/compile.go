package acl

import (
	"slices"
	"strings"
)

// The words that stand for something else when a piece of an access consists
// of nothing but them (contract/acl.md §2.3). editAlias is what "edit" also
// grants; the inverse does not hold.
const (
	wordMe      = "me"
	wordSession = "my_session"
	wordEdit    = "edit"
	editAlias   = "update"
)

// reserved returns the token of a piece that is exactly a reserved word, and
// tokenLiteral for any other piece.
func reserved(piece string) tokenKind {
	switch piece {
	case wordMe:
		return tokenMe
	case wordSession:
		return tokenSession
	case wordEdit:
		return tokenEdit
	}
	return tokenLiteral
}

// builder collects accesses of one sign and lays them out as a [trie]. It is not
// safe for concurrent use.
type builder struct {
	drafts []draft
	// index finds the children and the programs of a draft. One map for the
	// whole trie, because most nodes have a single child and a map for each
	// would cost more than the trie; a map rather than sorted insertion,
	// because that would be quadratic on a list of ten thousand uuids.
	index map[childKey]int32
	// labels and programs count those of all drafts.
	labels, programs int
}

// draft is a node under construction. Indexes are into builder.drafts, and 0,
// the root, means none: nothing leads back to the root.
type draft struct {
	label    string
	programs []string
	kid      int32 // the literal child added last
	sibling  int32 // the literal child that its parent got before this one
	special  [edgeKinds]int32
	end      bool
	rest     bool
}

// childKey names what hangs on a draft: the label of a literal edge or the text
// of a program. Only the latter hold wildcards, so they cannot be confused.
type childKey struct {
	parent int32
	label  string
}

// build returns the trie of the n accesses of one sign.
func build(accesses []string, negative bool, n int) trie {
	if n == 0 {
		return trie{}
	}
	b := builder{
		drafts: append(make([]draft, 0, 2*n+1), draft{}),
		index:  make(map[childKey]int32, 2*n),
	}
	for _, access := range accesses {
		rest, negated := strings.CutPrefix(access, "!")
		if negated == negative {
			b.insert(rest)
		}
	}
	return b.finish()
}

// insert adds one access, its "!" already removed. It takes time proportional
// to the length of the access.
func (b *builder) insert(access string) {
	var at int32
	for more := true; more; {
		if access != "" && strings.TrimLeft(access, "#") == "" {
			b.drafts[at].rest = true
			return
		}
		var piece, tail string
		piece, tail, more = strings.Cut(access, ".")
		switch {
		case piece != "" && strings.TrimLeft(piece, "*") == "":
			at = b.follow(at, edgeStar)
		case strings.ContainsAny(piece, "*#"):
			b.hang(at, access)
			return
		default:
			switch reserved(piece) {
			case tokenMe:
				at = b.follow(at, edgeMe)
			case tokenSession:
				at = b.follow(at, edgeSession)
			case tokenEdit:
				at = b.follow(at, edgeEdit)
			default:
				at = b.child(at, piece)
			}
		}
		access = tail
	}
	b.drafts[at].end = true
}

// follow returns the node behind a special edge, made if need be.
func (b *builder) follow(at int32, kind int) int32 {
	if next := b.drafts[at].special[kind]; next != 0 {
		return next
	}
	next := b.add(draft{})
	b.drafts[at].special[kind] = next
	return next
}

// child returns the node behind a literal edge, made if need be.
func (b *builder) child(at int32, label string) int32 {
	key := childKey{parent: at, label: label}
	if next, ok := b.index[key]; ok {
		return next
	}
	next := b.add(draft{label: label, sibling: b.drafts[at].kid})
	b.index[key] = next
	b.drafts[at].kid = next
	b.labels++
	return next
}

// hang attaches a program to a node, once.
func (b *builder) hang(at int32, text string) {
	key := childKey{parent: at, label: text}
	if _, ok := b.index[key]; ok {
		return
	}
	b.index[key] = at
	b.programs++
	b.drafts[at].programs = append(b.drafts[at].programs, text)
}

func (b *builder) add(d draft) int32 {
	b.drafts = append(b.drafts, d)
	return int32(len(b.drafts) - 1)
}

// finish lays the drafts out breadth first, so that the literal children of a
// node are neighbours, sorted, and need no index of their own.
func (b *builder) finish() trie {
	t := trie{
		nodes:    make([]node, 1, len(b.drafts)),
		labels:   make([]string, 0, b.labels),
		programs: make([]program, 0, b.programs),
	}
	order := make([]int32, 1, len(b.drafts)) // order[i] is the draft of t.nodes[i]
	var kids []int32
	for i := 0; i < len(order); i++ {
		d := &b.drafts[order[i]]
		n := &t.nodes[i] // its array was made with room for all: append never moves it
		n.end, n.rest = d.end, d.rest

		kids = kids[:0]
		for kid := d.kid; kid != 0; kid = b.drafts[kid].sibling {
			kids = append(kids, kid)
		}
		slices.SortFunc(kids, func(x, y int32) int {
			return strings.Compare(b.drafts[x].label, b.drafts[y].label)
		})
		n.children, n.labelLo = int32(len(order)), int32(len(t.labels))
		for _, kid := range kids {
			t.labels = append(t.labels, b.drafts[kid].label)
			t.nodes, order = append(t.nodes, node{}), append(order, kid)
		}
		n.labelHi = int32(len(t.labels))

		for kind, next := range d.special {
			if next != 0 {
				n.special[kind] = int32(len(order))
				n.hasSpecial = true
				t.nodes, order = append(t.nodes, node{}), append(order, next)
			}
		}

		n.programLo = int32(len(t.programs))
		for _, text := range d.programs {
			t.programs = append(t.programs, compileProgram(text))
		}
		n.programHi = int32(len(t.programs))
	}
	return t
}
