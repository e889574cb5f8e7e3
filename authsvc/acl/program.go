package acl

import (
	"slices"
	"strings"
)

// tokenKind is what a token of a program stands for.
type tokenKind uint8

const (
	tokenLiteral tokenKind = iota
	tokenStar
	tokenHash
	tokenMe
	tokenSession
	tokenEdit
)

type token struct {
	text string // of a literal, never empty
	kind tokenKind
}

// program matches a pattern that may have wildcards anywhere. It is immutable
// and safe for concurrent use.
//
// The literals at both ends are kept apart: comparing them refuses almost every
// text at once, and often leaves a single wildcard.
type program struct {
	prefix, suffix string
	tokens         []token
}

// compileProgram translates an access or its tail, in linear time. Literals are
// slices of text.
func compileProgram(text string) program {
	var tokens []token
	literal := 0 // where the literal not yet emitted begins
	flush := func(end int) {
		if literal < end {
			tokens = append(tokens, token{kind: tokenLiteral, text: text[literal:end]})
		}
	}
	for start := 0; ; { // start of a piece
		end := len(text)
		if i := strings.IndexByte(text[start:], '.'); i >= 0 {
			end = start + i
		}
		if kind := reserved(text[start:end]); kind != tokenLiteral {
			flush(start)
			tokens, literal = append(tokens, token{kind: kind}), end
		} else {
			for i := start; i < end; i++ {
				kind := tokenStar
				switch text[i] {
				case '#':
					kind = tokenHash
				case '*':
				default:
					continue
				}
				flush(i)
				literal = i + 1
				// A wildcard right after itself adds nothing but work.
				if n := len(tokens); n == 0 || tokens[n-1].kind != kind {
					tokens = append(tokens, token{kind: kind})
				}
			}
		}
		if end == len(text) {
			break
		}
		start = end + 1
	}
	flush(len(text))

	var p program
	if len(tokens) > 0 && tokens[0].kind == tokenLiteral {
		p.prefix, tokens = tokens[0].text, tokens[1:]
	}
	if n := len(tokens); n > 0 && tokens[n-1].kind == tokenLiteral {
		p.suffix, tokens = tokens[n-1].text, tokens[:n-1]
	}
	p.tokens = slices.Clone(tokens) // to the length needed
	return p
}

// match reports whether the program matches the whole of text.
func (p *program) match(q *query, text string) bool {
	if len(text) < len(p.prefix)+len(p.suffix) ||
		!strings.HasPrefix(text, p.prefix) || !strings.HasSuffix(text, p.suffix) {
		return false
	}
	text = text[len(p.prefix) : len(text)-len(p.suffix)]
	switch {
	case len(p.tokens) == 0:
		return text == ""
	case len(p.tokens) == 1 && p.tokens[0].kind == tokenHash:
		return q.spend(1+len(text)>>5) && strings.IndexByte(text, '\n') < 0
	case len(p.tokens) == 1 && p.tokens[0].kind == tokenStar:
		return q.spend(1+len(text)) && starRun(text) == len(text)
	}
	return !q.spent() && q.spend(p.cost(len(text))) && p.run(q, text)
}

// cost is about how many steps [program.run] takes over a text of n bytes.
func (p *program) cost(n int) int {
	each := 0
	for i := range p.tokens {
		each += 1 + len(p.tokens[i].text)>>5
	}
	return each * (n + 1)
}

// run carries the set of positions that the tokens so far can reach from left
// to right; the text matches if its end is among them.
//
// There is no backtracking. An access such as "#a*a*a*b*c" against 8 KiB of "a"
// is what makes a backtracking matcher try every way to share the text between
// the wildcards, O(n^4) here and worse with each star; anybody who may write a
// policy, or choose a scope, could stop the service with one request. Here each
// token goes over the positions once: O(tokens × len(text)), times the length
// of a literal where long literals nearly match everywhere.
//
// Texts below 1 KiB use the stack. Longer ones share one allocation for the
// whole query.
func (p *program) run(q *query, text string) bool {
	var small [stackWords]uint64
	var set positions
	if words := wordsFor(len(text)); words <= stackWords {
		set = small[:words]
	} else {
		if words > len(q.bitmap) {
			q.bitmap = make(positions, wordsFor(len(q.text)))
		}
		set = q.bitmap[:words]
		clear(set)
	}
	set.add(0)
	for i := range p.tokens {
		alive := true
		switch t := &p.tokens[i]; t.kind {
		case tokenLiteral:
			alive = set.shift(text, t.text)
		case tokenStar:
			set.spreadStar(text)
		case tokenHash:
			set.spreadHash(text)
		case tokenMe:
			alive = set.shiftEither(text, wordMe, q.self.AuthID)
		case tokenSession:
			alive = set.shiftEither(text, wordSession, q.self.SessionID)
		case tokenEdit:
			alive = set.shiftEither(text, wordEdit, editAliasBytes)
		}
		if !alive {
			return false
		}
	}
	return set.has(len(text))
}
