package routes

import (
	"strings"
	"unicode"
	"unicode/utf8"
)

// Rule names why a path is refused. It is a closed set; "" refuses nothing.
type Rule string

// The rules of [Path.Parse]. Every one of them stands for requests that the
// guard and the upstream behind it could read in two ways.
const (
	OriginForm   Rule = "origin_form"   // does not begin with one slash: "http://x/y", "*", ""
	EmptySegment Rule = "empty_segment" // "//x" is an authority to some, "/a//b" is /a/b to others
	DotSegment   Rule = "dot_segment"   // "." or "..", encoded or not
	Reserved     Rule = "reserved"      // / \ NUL ; ? # inside a segment, however it was written
	Control      Rule = "control"       // a control character
	BadEscape    Rule = "bad_escape"    // a % that begins no escape
	NotUTF8      Rule = "not_utf8"      // bytes that are no text
	ForeignDigit Rule = "foreign_digit" // a number not written in ASCII, which Python's int() reads all the same
	TooLong      Rule = "too_long"      // more than 8 KiB or 32 segments
	LowerMethod  Rule = "lower_method"  // "get": methods are case-sensitive, but not to WSGI routers
	ConnectTo    Rule = "connect"       // CONNECT: what follows it is a tunnel to some, and the next request to others
)

const (
	maxPath     = 8 << 10
	maxSegments = 32
)

// Path is a request's path in canonical form: its segments, decoded once. It
// refers to the text it was parsed from. The zero value is the path of no
// request; it is meant to be parsed into on the stack.
type Path struct {
	segs [maxSegments]string
	n    int
}

// Split cuts a request target into its path and its query, which never takes
// part in routing (oauth2-proxy GHSA-7rh7-c77v-6434).
func Split(target string) (path, query string) {
	path, query, _ = strings.Cut(target, "?")
	return path, query
}

// Parse reads the path of a request target as the client sent it. It decodes
// what WSGI servers decode, once, and refuses whatever could be read in more
// than one way rather than to guess which (RFC 3986 §3.3, §6.2.2). It allocates
// only where a segment holds an escape, and is linear in the text.
func (p *Path) Parse(path string) Rule {
	p.n = 0
	if path == "" || path[0] != '/' {
		return OriginForm
	}
	if len(path) > maxPath {
		return TooLong
	}
	for rest := path[1:]; ; {
		end := strings.IndexByte(rest, '/')
		last := end < 0
		if last {
			end = len(rest)
		}
		if end == 0 && !last {
			return EmptySegment
		}
		if p.n == maxSegments {
			return TooLong
		}
		seg, rule := segment(rest[:end])
		if rule != "" {
			return rule
		}
		p.segs[p.n] = seg
		p.n++
		if last {
			return ""
		}
		rest = rest[end+1:]
	}
}

// segment decodes one segment and judges it.
func segment(s string) (string, Rule) {
	escaped, ascii := false, true
	for i := range len(s) {
		if plain[s[i]] {
			continue
		}
		switch c := s[i]; {
		case c == '%':
			escaped = true
		case c >= utf8.RuneSelf:
			ascii = false
		default:
			return "", forbidden(c)
		}
	}
	if escaped {
		var rule Rule
		if s, ascii, rule = unescape(s); rule != "" {
			return "", rule
		}
	}
	if s == "." || s == ".." {
		return "", DotSegment
	}
	if !ascii {
		return s, text(s)
	}
	return s, ""
}

// plain marks the characters that may stand in a segment as they are.
var plain = func() (t [256]bool) {
	for c := range byte(utf8.RuneSelf) {
		t[c] = forbidden(c) == "" && c != '%'
	}
	return t
}()

// forbidden is the rule that c breaks in a segment.
func forbidden(c byte) Rule {
	switch {
	case strings.IndexByte("/\\\x00;?#", c) >= 0:
		return Reserved
	case c < ' ' || c == 0x7f:
		return Control
	default:
		return ""
	}
}

func unescape(s string) (decoded string, ascii bool, rule Rule) {
	b := make([]byte, 0, len(s))
	ascii = true
	for i := 0; i < len(s); i++ {
		c := s[i]
		if c == '%' {
			if i+2 >= len(s) {
				return "", false, BadEscape
			}
			hi, lo := unhex(s[i+1]), unhex(s[i+2])
			if hi|lo > 0xf {
				return "", false, BadEscape
			}
			c, i = hi<<4|lo, i+2
			if rule := forbidden(c); rule != "" {
				return "", false, rule
			}
		}
		if c >= utf8.RuneSelf {
			ascii = false
		}
		b = append(b, c)
	}
	return string(b), ascii, ""
}

func unhex(c byte) byte {
	switch {
	case '0' <= c && c <= '9':
		return c - '0'
	case 'a' <= c && c <= 'f':
		return c - 'a' + 10
	case 'A' <= c && c <= 'F':
		return c - 'A' + 10
	default:
		return 0xff
	}
}

// text judges a segment that is not ASCII.
func text(s string) Rule {
	if !utf8.ValidString(s) {
		return NotUTF8
	}
	number := true
	for _, r := range s {
		if unicode.IsControl(r) {
			return Control
		}
		number = number && unicode.IsDigit(r)
	}
	if number {
		return ForeignDigit
	}
	return ""
}

// String spells the path in its canonical form, for people to read.
func (p *Path) String() string {
	if p.n == 0 {
		return ""
	}
	return "/" + strings.Join(p.segs[:p.n], "/")
}

// Under reports whether the path is prefix or below it, segment by segment:
// /api/confd-x is not below /api/confd (Caddy GHSA-gx7w-56w6-g48x). from is
// where the rest begins, to be given to [Table.Match].
func (p *Path) Under(prefix Prefix) (from int, ok bool) {
	if p.n < len(prefix) {
		return 0, false
	}
	for i, want := range prefix {
		if p.segs[i] != want {
			return 0, false
		}
	}
	return len(prefix), true
}

// Prefix is a path below which a service is reached.
type Prefix []string

// ParsePrefix reads a prefix such as "/api/confd"; "" and "/" are none.
func ParsePrefix(text string) (Prefix, Rule) {
	text = strings.TrimSuffix(text, "/")
	if text == "" {
		return nil, ""
	}
	var p Path
	if rule := p.Parse(text); rule != "" {
		return nil, rule
	}
	return append(Prefix(nil), p.segs[:p.n]...), ""
}

// String spells the prefix as it was given.
func (p Prefix) String() string {
	if len(p) == 0 {
		return ""
	}
	return "/" + strings.Join(p, "/")
}

// Method judges a request's method. WSGI routers match it in upper case, so
// "get" would be routed like GET and must not be taken for something else.
//
// CONNECT is none that a route could have. It asks for a tunnel (RFC 9110
// §9.3.6), so its body has no length to go by: sent on raw, it is the next
// request to an upstream that does not tunnel, one that nobody judged.
func Method(method string) Rule {
	if method == "CONNECT" {
		return ConnectTo
	}
	for i := range len(method) {
		if c := method[i]; 'a' <= c && c <= 'z' {
			return LowerMethod
		}
	}
	return ""
}
