package openapi

import (
	"fmt"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/wazo-edge/xivo-auth/authsvc/routes"
)

const maxProse = 64 << 10 // bytes of one text

// said is what prose says about an operation: its kind with its ACL, or why
// that cannot be told.
type said struct {
	kind   routes.Kind
	acl    string
	reason Reason
	detail string
}

// readProse reads which access texts state. All of them are looked at: a
// summary that contradicts the description is not to be passed over. The time
// is linear in the texts.
func readProse(texts ...string) said {
	var found []said
	for _, text := range texts {
		if len(text) > maxProse {
			return said{reason: Unreadable, detail: fmt.Sprintf("the text is longer than %d bytes", maxProse)}
		}
		for from := 0; ; {
			start, end, several := phrase(text, from)
			if end < 0 {
				break
			}
			from = end
			list, is := statement(text[end:], several)
			for i := range list {
				if list[i].reason != "" {
					list[i].detail = fmt.Sprintf("%q", shorten(firstLine(text[start:min(len(text), start+maxACL)])))
				}
			}
			if is {
				found = append(found, list...)
			}
		}
	}
	if i := slices.IndexFunc(found, func(s said) bool { return s.reason != "" }); i >= 0 {
		return found[i]
	}
	if len(found) == 0 {
		return said{reason: NoACL}
	}
	for _, other := range found[1:] {
		if other != found[0] {
			return said{reason: TwoACLs, detail: found[0].String() + " and " + other.String()}
		}
	}
	return found[0]
}

func (s said) String() string {
	if s.kind == routes.Public {
		return "none"
	}
	return s.acl
}

// phrase finds the words that introduce what an operation needs: "Required
// ACL", "required_acl" and the like. end is -1 where there are none.
func phrase(text string, from int) (start, end int, several bool) {
	for i := from; i+len("required") <= len(text); i++ {
		if c := text[i]; c != 'r' && c != 'R' || !strings.EqualFold(text[i:i+len("required")], "required") {
			continue
		}
		if r, _ := utf8.DecodeLastRuneInString(text[:i]); unicode.IsLetter(r) || unicode.IsDigit(r) {
			continue // unrequired
		}
		rest := text[i+len("required"):]
		word := strings.TrimLeft(rest[:min(len(rest), len("    acl"))], " \t\r\n\u00a0_-")
		if len(word) < len("acl") || !strings.EqualFold(word[:len("acl")], "acl") {
			continue
		}
		end = len(text) - len(rest) + strings.Index(rest, word) + len("acl")
		if end < len(text) && (text[end] == 's' || text[end] == 'S') {
			return i, end + 1, true
		}
		return i, end, false
	}
	return 0, -1, false
}

// statement reads what follows the phrase: one ACL as a rule. Prose that only
// mentions the required ACL, with nothing to mark it off, states none. several
// says that the phrase spoke of ACLs.
func statement(rest string, several bool) (list []said, is bool) {
	rest, marked := decoration(rest)
	if !marked && !strings.HasPrefix(rest, "`") {
		return nil, false
	}
	first, rest := readACL(rest)
	list = append(list, first)
	for first.reason == "" && first.kind == routes.Access {
		next, more := another(rest, several)
		if !more {
			break
		}
		var s said
		if s, rest = readACL(next); s.reason != "" || s.kind != routes.Access {
			break // "and `POST /calls`": prose
		}
		list = append(list, s)
	}
	return list, true
}

// decoration skips what stands between the phrase and the ACL: the end of its
// bold type, the colon on either side of that, quotes, tags, line ends. marked
// says that there was more than spaces and quotes.
func decoration(s string) (rest string, marked bool) {
	if len(s) > 1 && (s[0] == '_' || s[0] == '-') && isWord(s[1]) {
		return s, false // required_acl_x is another word
	}
	if s != "" && isWord(s[0]) {
		return s, false
	}
	for {
		trimmed := strings.TrimLeft(s, " \t\r\n\u00a0'\"“”‘’«»")
		rest := strings.TrimLeft(trimmed, "*_:=>-–—")
		marked = marked || rest != trimmed
		if after, is := strings.CutPrefix(rest, "<"); is {
			if end := strings.IndexByte(after[:min(len(after), 8)], '>'); end >= 0 {
				rest, marked = after[end+1:], true
			}
		}
		// "The required ACL is `x`."
		if after, is := strings.CutPrefix(rest, "is "); is && strings.HasPrefix(strings.TrimLeft(after, " "), "`") {
			rest = after
		}
		if rest == s {
			return rest, marked
		}
		s = rest
	}
}

// readACL reads an ACL or "none" at the beginning of s, with or without either
// of its backticks.
func readACL(s string) (said, string) {
	unreadable := said{reason: Unreadable}
	body := strings.TrimLeft(s, "`")
	ticks := len(s) - len(body)
	n := strings.IndexFunc(body, func(r rune) bool { return r >= utf8.RuneSelf || !isACL(byte(r)) })
	if n < 0 {
		n = len(body)
	}
	acl, rest := body[:n], body[n:]
	closed := strings.HasPrefix(rest, "`")
	if word := strings.TrimSuffix(acl, "."); strings.EqualFold(word, "none") {
		if word == acl && conditional(rest) {
			return unreadable, rest
		}
		return said{kind: routes.Public}, rest
	}
	switch {
	case ticks > 0 && !closed:
		// Its closing backtick is missing, unless there is one to the line's
		// last: then a space is within the ACL.
		if rest != "" && !strings.ContainsRune(" \t\r\n", rune(rest[0])) && !punctuated(rest) ||
			strings.Count(firstLine(rest[:min(len(rest), maxACL)]), "`")%2 == 1 {
			return unreadable, rest
		}
		acl = strings.TrimSuffix(acl, ".")
	case ticks == 0:
		if !closed && !ends(rest) {
			return unreadable, rest
		}
		if !closed {
			acl = strings.TrimSuffix(acl, ".") // of the sentence
		}
	}
	if (ticks == 0 || !closed) && !strings.Contains(acl, ".") || ticks == 0 && abbreviation(acl) {
		return unreadable, rest // a word of the prose, as far as one can tell
	}
	if checkACL(acl) != nil {
		return unreadable, rest
	}
	return said{kind: routes.Access, acl: acl}, strings.TrimLeft(rest, "`")
}

// conditional tells "none of these" and "none for guests" from "none".
func conditional(rest string) bool {
	rest = strings.TrimLeft(rest, "`'\"*_ ")
	word := rest
	if end := strings.IndexFunc(rest, func(r rune) bool { return !unicode.IsLetter(r) }); end >= 0 {
		word = rest[:end]
	}
	return slices.Contains([]string{"of", "but", "except", "other", "unless", "if", "when", "for", "in", "only", "or", "and"}, strings.ToLower(word))
}

// ends reports whether an ACL without backticks may end before s.
func ends(s string) bool {
	return s == "" || strings.ContainsRune(" \t\r\n", rune(s[0])) || strings.HasPrefix(s, "**") || s[0] == '<' || punctuated(s)
}

func punctuated(s string) bool {
	r, _ := utf8.DecodeRuneInString(s)
	return strings.ContainsRune(",;:)!?'\"“”‘’«»\u00a0/|", r)
}

// another skips what joins two ACLs, of which the second is then read.
func another(rest string, several bool) (next string, joined bool) {
	s := strings.TrimLeft(rest, "`*'\" \t")
	if several {
		if line := strings.TrimLeft(s, " \t\r\n"); line != s && (strings.HasPrefix(line, "- ") || strings.HasPrefix(line, "* ")) {
			return strings.TrimLeft(line[2:], " *'\""), true
		}
	}
	for {
		before := s
		s = strings.TrimLeft(s, ",;/|&+ \t\r\n*")
		for _, word := range []string{"or", "and"} {
			if after, is := strings.CutPrefix(s, word); is && after != "" && !isWord(after[0]) {
				s = after
			}
		}
		if s == before {
			break
		}
		joined = joined || strings.Trim(before[:len(before)-len(s)], " \t\r\n*") != ""
	}
	// Without a dot it is prose: "`a.read`, `GET` only".
	token := strings.TrimLeft(s, "`'\"")
	if end := strings.IndexFunc(token, func(r rune) bool { return r >= utf8.RuneSelf || !isACL(byte(r)) }); end >= 0 {
		token = token[:end]
	}
	return s, joined && strings.Contains(strings.TrimSuffix(token, "."), ".")
}

func firstLine(s string) string {
	line, _, _ := strings.Cut(s, "\n")
	return line
}
