package acl

import "strings"

// ambiguous reports whether an id begins with its own reserved word and a dot.
//
// With such an id ("me.me") the piece "me" can end in two places of the same
// text, and a list holding "me.me.me.…" would send the trie down twice as many
// paths with every piece. No backend issues such ids, but a mapped directory
// attribute is not ours to trust.
func (s Self) ambiguous() bool {
	return startsPiece(s.AuthID, wordMe) || startsPiece(s.SessionID, wordSession)
}

func startsPiece(id []byte, word string) bool {
	return len(id) > len(word) && id[len(word)] == '.' && string(id[:len(word)]) == word
}

// matchLinear is [ACL.Match] without the tries: it runs each access as a
// program, whose position sets take any id in their stride. It allocates and
// takes time proportional to the whole list.
func (a *ACL) matchLinear(required string, self Self) bool {
	allowed := false
	q := query{self: self}.over(required)
	for _, access := range a.accesses {
		rest, negated := strings.CutPrefix(access, "!")
		if allowed && !negated {
			continue
		}
		matches := q.matchOne(rest)
		if q.spent() {
			return false
		}
		if !matches {
			continue
		}
		if negated {
			return false
		}
		allowed = true
	}
	return allowed
}

// matchOne matches one access, its "!" already removed.
func (q *query) matchOne(access string) bool {
	if !q.spend(len(access)) {
		return false
	}
	p := compileProgram(access)
	if p.match(q, q.text) {
		return true
	}
	line, ok := strings.CutSuffix(q.text, "\n")
	return ok && p.match(q, line)
}
