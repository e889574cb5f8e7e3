package acl

import (
	"bytes"
	"encoding/json"
	"strings"
	"unsafe"
)

// Self is what the reserved words of an access stand for: AuthID for "me" and
// SessionID for "my_session" (contract/acl.md §2.3).
//
// Both are taken literally, whatever they hold; nil is the empty text. They are
// byte slices so that a caller that keeps binary uuids can render them into
// arrays on its stack: no method of [ACL] retains, modifies or lets them escape.
// A Self may be shared between goroutines that only read it.
type Self struct {
	AuthID    []byte
	SessionID []byte
}

// ACL is a compiled access list. It is made by [Compile]; the zero value is the
// empty list, which refuses everything.
//
// An ACL is immutable and safe for concurrent use. It holds nothing that
// belongs to one caller, so a single ACL serves every token that carries the
// same list.
type ACL struct {
	positive trie
	negative trie
	accesses []string
	json     []byte

	me, session bool // whether "me" and "my_session" stand in the list at all
}

// Compile prepares a list of accesses for matching (contract/acl.md §2). Every
// list is valid: a text without special characters is a literal, and the empty
// list refuses everything. Order and duplicates are kept for [ACL.Accesses] and
// [ACL.JSON] and mean nothing to the verdicts.
//
// The list is copied and may be reused by the caller. Compile takes time and
// memory proportional to the total length of the accesses, apart from the
// sorting of the segments that share a parent.
func Compile(accesses []string) *ACL {
	a := &ACL{accesses: pack(accesses)}
	a.json = encode(a.accesses)

	negatives := 0
	for _, access := range a.accesses {
		access, negative := strings.CutPrefix(access, "!")
		if negative {
			negatives++
		}
		for piece := range strings.SplitSeq(access, ".") {
			a.me = a.me || piece == wordMe
			a.session = a.session || piece == wordSession
		}
	}
	a.positive = build(a.accesses, false, len(a.accesses)-negatives)
	a.negative = build(a.accesses, true, negatives)
	return a
}

// Accesses returns the source list, in its order and with its duplicates. The
// slice belongs to the ACL: callers must not modify it.
func (a *ACL) Accesses() []string { return a.accesses }

// JSON returns the source list as a JSON array, encoded once by [Compile] and
// without HTML escaping. The bytes belong to the ACL: callers must not modify
// them.
func (a *ACL) JSON() []byte {
	if a.json == nil {
		return []byte("[]")
	}
	return a.json
}

// Needs reports which ids of [Self] matter to this list: where "me" or
// "my_session" is no piece of any access, the id need not be spelled.
func (a *ACL) Needs() (authID, sessionID bool) { return a.me, a.session }

// Size returns about how many bytes the ACL keeps resident: tries, programs,
// source list and JSON. It is what a cache should charge for it. It takes time
// proportional to the number of accesses.
func (a *ACL) Size() int {
	size := int(unsafe.Sizeof(*a)) + a.positive.size() + a.negative.size() + cap(a.json)
	for _, access := range a.accesses {
		size += int(unsafe.Sizeof(access)) + len(access)
	}
	return size
}

// Match reports whether the list allows the required access: no negative
// matches it and some positive does (contract/acl.md §3). Reserved words and
// wildcards are only interpreted in the list, never in required.
//
// A caller for which nothing is required (the null of the contract) has nothing
// to ask: the empty string is a real access that most lists refuse.
//
// Match is safe for concurrent use. It visits each node of the tries at most
// once and runs in O(len(list) × len(required)) at worst, in practice in the
// time of a few short string comparisons. What would take more than some
// milliseconds is refused instead, see maxWork. It does not allocate, except for
// one bitmap when a text of 1 KiB or more meets a pattern with several
// wildcards, and when an id begins with its own reserved word and a dot ("me.x").
func (a *ACL) Match(required string, self Self) bool {
	if self.ambiguous() {
		return a.matchLinear(required, self)
	}
	q := query{self: self}.over(required)
	line, tolerated := strings.CutSuffix(required, "\n") // §2.4
	if !tolerated {
		return !a.negative.match(&q) && !q.spent() && a.positive.match(&q)
	}
	negative, positive := a.negative.match(&q), a.positive.match(&q)
	q = q.over(line)
	if negative || a.negative.match(&q) || q.spent() {
		return false
	}
	return positive || a.positive.match(&q)
}

// MayAdd reports whether the holder of the list may put access into a policy
// (contract/acl.md §4). Adding a restriction, an access that begins with "!",
// is always allowed; anything else has to be covered by [ACL.Match], which
// takes the wildcards inside access for plain characters.
//
// Concurrency and cost are those of [ACL.Match].
func (a *ACL) MayAdd(access string, self Self) bool {
	return strings.HasPrefix(access, "!") || a.Match(access, self)
}

// MayRemove reports whether the holder of the list may take access out of a
// policy (contract/acl.md §4). Lifting the restriction "!x" gives x back to
// somebody, so it requires x.
//
// Concurrency and cost are those of [ACL.Match].
func (a *ACL) MayRemove(access string, self Self) bool {
	return a.Match(strings.TrimPrefix(access, "!"), self)
}

// Escape prepares a value taken from a path for its place in a required access:
// every '.' becomes '_', so that a client id or a slug cannot add segments.
// Wildcards are left as they are (contract/acl.md §5).
//
// Escape is safe for concurrent use, linear in its input, and returns value
// itself when there is nothing to replace.
func Escape(value string) string { return strings.ReplaceAll(value, ".", "_") }

// pack copies the accesses next to each other into one string. The segments of
// the tries are slices of it: they are close in memory, and the list cannot pin
// the database row or the request body its accesses were cut from.
func pack(accesses []string) []string {
	all := strings.Join(accesses, "")
	packed := make([]string, len(accesses))
	for i, access := range accesses {
		packed[i], all = all[:len(access)], all[len(access):]
	}
	return packed
}

// encode returns the list as a JSON array without the escapes meant for HTML.
func encode(accesses []string) []byte {
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(accesses); err != nil {
		panic("acl: encoding a list of strings: " + err.Error()) // unreachable
	}
	return bytes.Clone(bytes.TrimSuffix(b.Bytes(), []byte("\n")))
}
