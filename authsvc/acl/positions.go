package acl

import (
	"math/bits"
	"slices"
	"strings"
)

// stackWords is the size of a position set kept on the stack: the 1024
// positions of a text of 1023 bytes.
const stackWords = 16

// editAliasBytes is never written to.
var editAliasBytes = []byte(editAlias)

// positions is a set of places in a text of n bytes, 0 to n, as a bitmap. It
// is not safe for concurrent use; its methods do not allocate.
type positions []uint64

// wordsFor returns the length of a set for a text of n bytes.
func wordsFor(n int) int { return n>>6 + 1 }

func (s positions) add(i int)      { s[i>>6] |= 1 << (i & 63) }
func (s positions) remove(i int)   { s[i>>6] &^= 1 << (i & 63) }
func (s positions) has(i int) bool { return s[i>>6]>>(i&63)&1 != 0 }

// next returns the first member from i on, or -1.
func (s positions) next(i int) int {
	w := i >> 6
	if w >= len(s) {
		return -1
	}
	if word := s[w] >> (i & 63); word != 0 {
		return i + bits.TrailingZeros64(word)
	}
	for w++; w < len(s); w++ {
		if s[w] != 0 {
			return w<<6 + bits.TrailingZeros64(s[w])
		}
	}
	return -1
}

// fill adds lo to hi, both included.
func (s positions) fill(lo, hi int) {
	first, last := lo>>6, hi>>6
	head, tail := ^uint64(0)<<(lo&63), ^uint64(0)>>(63-hi&63)
	if first == last {
		s[first] |= head & tail
		return
	}
	s[first] |= head
	for w := first + 1; w < last; w++ {
		s[w] = ^uint64(0)
	}
	s[last] |= tail
}

// shift moves every member over the literal and drops those where it does not
// stand. It reports whether any is left. The literal is not empty.
//
// Members are taken from the highest down, so that a place moved to is never
// mistaken for one to move from, and one bitmap is enough.
func (s positions) shift(text, literal string) bool {
	alive := false
	for w, v := range slices.Backward(s) {
		for left := v; left != 0; {
			bit := 63 - bits.LeadingZeros64(left)
			left &^= 1 << bit
			at := w<<6 + bit
			s.remove(at)
			if strings.HasPrefix(text[at:], literal) {
				s.add(at + len(literal))
				alive = true
			}
		}
	}
	return alive
}

// shiftEither is shift for a reserved word or what it stands for, which may be
// empty.
func (s positions) shiftEither(text, word string, id []byte) bool {
	alive := false
	for w, v := range slices.Backward(s) {
		for left := v; left != 0; {
			bit := 63 - bits.LeadingZeros64(left)
			left &^= 1 << bit
			at := w<<6 + bit
			s.remove(at)
			if strings.HasPrefix(text[at:], word) {
				s.add(at + len(word))
				alive = true
			}
			if end := at + len(id); end <= len(text) && text[at:end] == string(id) {
				s.add(end)
				alive = true
			}
		}
	}
	return alive
}

// spreadStar lets every member run on as far as "*" goes.
func (s positions) spreadStar(text string) {
	for at := s.next(0); at >= 0; {
		end := at + starRun(text[at:])
		s.fill(at, end)
		at = s.next(end + 1)
	}
}

// spreadHash lets every member run on as far as "#" goes.
func (s positions) spreadHash(text string) {
	for at := s.next(0); at >= 0; {
		end := len(text)
		if i := strings.IndexByte(text[at:], '\n'); i >= 0 {
			end = at + i
		}
		s.fill(at, end)
		at = s.next(end + 1)
	}
}

// starRun returns how many leading bytes of text "*" can match.
func starRun(text string) int {
	for i := range len(text) {
		if text[i] == '.' || text[i] == '#' {
			return i
		}
	}
	return len(text)
}
