package acl

import (
	"strings"
	"unsafe"
)

// The edges of a node that are not literal: "*", "me", "my_session" and "edit".
const (
	edgeStar = iota
	edgeMe
	edgeSession
	edgeEdit
	edgeKinds
)

// trie holds the accesses of one sign, keyed by their dot separated pieces. The
// root is nodes[0]; an empty trie has no nodes and matches nothing. It is
// immutable once built and safe for concurrent use.
//
// Nodes, labels and programs lie in three arrays and refer to each other by
// index: half the size of pointers, three objects for the garbage collector
// however long the list, and nearly all of it out of its sight.
type trie struct {
	nodes    []node
	labels   []string // labels of the literal edges, sorted for each node
	programs []program
}

// node is a place in the text just after the dot of a segment, or its start.
type node struct {
	labelLo, labelHi     int32 // literal edges: labels[labelLo:labelHi]
	children             int32 // the first lead to nodes[children], and so on
	programLo, programHi int32
	special              [edgeKinds]int32 // 0 is none: no edge leads to the root
	hasSpecial           bool
	end                  bool // an access ends here: nothing may follow
	rest                 bool // a trailing "#": anything without a line feed may follow
}

// query is one text on its way through the tries. It belongs to one call.
type query struct {
	text string
	self Self
	// restFrom is the first place with no line feed after it: a trailing "#"
	// matches from there on. Known once, it spares every "#" a scan.
	restFrom int
	// hashes tells whether the text holds a '#' at all, which "*" refuses.
	hashes bool
	// bitmap is what programs share for texts too long for their stack.
	bitmap positions
	// work is how many steps were taken so far.
	work int
}

// maxWork bounds the steps of one query. A list may hold thousands of accesses
// that are nothing but wildcards, and a required access be as long as an URL:
// whoever may write a policy for himself could have each of his requests cost
// seconds of a core, though no single access ever costs much. A thousand
// accesses of five wildcards each do not get there with a text of two hundred
// bytes; real lists need a few hundred steps.
const maxWork = 1 << 21

// spend counts n steps and reports whether they may still be taken. Nothing
// matches any more once they may not.
func (q *query) spend(n int) bool {
	q.work += n
	return !q.spent()
}

// spent reports whether matching was given up, so that what did not match may
// well do: the answer is to be a refusal.
func (q *query) spent() bool { return q.work > maxWork }

// over is the query pointed at text. It goes by value: through a pointer the
// text would escape, and callers build it on their stack.
func (q query) over(text string) query {
	q.text, q.restFrom, q.hashes = text, 0, strings.IndexByte(text, '#') >= 0
	if strings.IndexByte(text, '\n') >= 0 { // IndexByte is vectorised, LastIndexByte is not
		q.restFrom = strings.LastIndexByte(text, '\n') + 1
	}
	return q
}

// match reports whether some access of the trie matches the text of q.
func (t *trie) match(q *query) bool {
	return len(t.nodes) > 0 && t.walk(q, 0, 0)
}

// walk reports whether the text from pos on, the start of a segment, leads from
// node at to an end. Special edges recurse and the literal edge loops.
//
// From one node and position each edge leads to at most one position (ids that
// would break this never come here, see [Self.ambiguous]), and one path leads
// to each node, so a walk visits each node at most once: a text of 8 KiB that
// is all dots cannot multiply the work by more than the size of the list.
func (t *trie) walk(q *query, at int32, pos int) bool {
	for {
		n := &t.nodes[at]
		if n.rest && pos >= q.restFrom {
			return true
		}
		for i := n.programLo; i < n.programHi; i++ {
			if t.programs[i].match(q, q.text[pos:]) {
				return true
			}
		}
		end := strings.IndexByte(q.text[pos:], '.')
		if end < 0 {
			end = len(q.text)
		} else {
			end += pos
		}
		if !q.spend(1 + (end-pos)>>5) {
			return false
		}
		if n.hasSpecial && t.walkSpecial(q, n, pos, end) {
			return true
		}
		next := t.child(n, q.text[pos:end])
		if next == 0 {
			return false
		}
		if end == len(q.text) {
			return t.nodes[next].end
		}
		at, pos = next, end+1
	}
}

// walkSpecial follows the edges of n that are not literal; text[pos:end] is the
// segment.
func (t *trie) walkSpecial(q *query, n *node, pos, end int) bool {
	segment := q.text[pos:end]
	if next := n.special[edgeStar]; next != 0 &&
		(!q.hashes || strings.IndexByte(segment, '#') < 0) && t.enter(q, next, end) {
		return true
	}
	if next := n.special[edgeEdit]; next != 0 &&
		(segment == wordEdit || segment == editAlias) && t.enter(q, next, end) {
		return true
	}
	if next := n.special[edgeMe]; next != 0 {
		if end := after(q.text, pos, end, wordMe, q.self.AuthID); end >= 0 && t.enter(q, next, end) {
			return true
		}
	}
	if next := n.special[edgeSession]; next != 0 {
		if end := after(q.text, pos, end, wordSession, q.self.SessionID); end >= 0 && t.enter(q, next, end) {
			return true
		}
	}
	return false
}

// enter goes on behind an edge that matched the text up to end.
func (t *trie) enter(q *query, next int32, end int) bool {
	if end == len(q.text) {
		return t.nodes[next].end
	}
	return t.walk(q, next, end+1)
}

// child returns the node behind the literal edge of n for a segment, or 0.
func (t *trie) child(n *node, segment string) int32 {
	lo, hi := n.labelLo, n.labelHi
	for lo < hi {
		mid := int32(uint32(lo+hi) >> 1)
		if t.labels[mid] < segment {
			lo = mid + 1
		} else {
			hi = mid
		}
	}
	if lo < n.labelHi && t.labels[lo] == segment {
		return n.children + lo - n.labelLo
	}
	return 0
}

// after returns where the reserved word or the id that stands at text[pos:]
// ends, or -1. text[pos:end] is the segment. The id is compared with the text
// and not with the segment, because it may hold dots itself; it has to be
// followed by a dot or by the end.
func after(text string, pos, end int, word string, id []byte) int {
	if text[pos:end] == word {
		return end
	}
	end = pos + len(id)
	if end > len(text) || end < len(text) && text[end] != '.' || text[pos:end] != string(id) {
		return -1
	}
	return end
}

// size returns the resident bytes of the trie, labels excluded: they are slices
// of the accesses.
func (t *trie) size() int {
	size := cap(t.nodes)*int(unsafe.Sizeof(node{})) +
		cap(t.labels)*int(unsafe.Sizeof("")) +
		cap(t.programs)*int(unsafe.Sizeof(program{}))
	for i := range t.programs {
		size += cap(t.programs[i].tokens) * int(unsafe.Sizeof(token{}))
	}
	return size
}
