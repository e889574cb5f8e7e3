package transcript

import (
	"encoding/json"
	"errors"
	"regexp"
	"slices"
	"strings"
	"unicode/utf8"
)

// node is a JSON value that remembers the order of keys and the spelling of
// numbers and, in an expectation, may be a placeholder.
type node struct {
	kind  kind
	text  string   // of a string: decoded; of a literal or placeholder: as written
	keys  []string // of an object: decoded
	items []*node
}

type kind byte

const (
	object      kind = '{'
	array       kind = '['
	str         kind = '"'
	literal     kind = '#' // number, true, false, null
	placeholder kind = '<'
)

var bareWord = regexp.MustCompile(`^(?:(` + names + `|\$[A-Z][A-Z0-9_]*)|-?\d[\d.eE+-]*|true|false|null)$`)

var errNotJSON = errors.New("not JSON")

// parseActual reads a received body. Invalid UTF-8 is no JSON: decoding would
// hide it.
func parseActual(text string) (*node, error) {
	if !utf8.ValidString(text) || !json.Valid([]byte(text)) {
		return nil, errNotJSON
	}
	return parseTemplate(text)
}

// parseTemplate reads JSON with placeholders in the place of values.
func parseTemplate(text string) (*node, error) {
	p := &reader{text: text}
	n, err := p.value()
	if err == nil && p.peek() != 0 {
		err = errNotJSON
	}
	return n, err
}

type reader struct {
	text string
	pos  int
}

func (r *reader) peek() byte {
	for r.pos < len(r.text) && strings.IndexByte(" \t\r\n", r.text[r.pos]) >= 0 {
		r.pos++
	}
	if r.pos == len(r.text) {
		return 0
	}
	return r.text[r.pos]
}

func (r *reader) value() (*node, error) {
	switch c := r.peek(); c {
	case '{', '[':
		return r.collection(kind(c))
	case '"':
		text, err := r.str()
		return &node{kind: str, text: text}, err
	}
	start := r.pos
	for r.pos < len(r.text) && strings.IndexByte(" \t\r\n,:[]{}\"", r.text[r.pos]) < 0 {
		r.pos++
	}
	word := r.text[start:r.pos]
	switch parts := bareWord.FindStringSubmatch(word); {
	case parts == nil:
		return nil, errNotJSON
	case parts[1] != "":
		return &node{kind: placeholder, text: word}, nil
	}
	return &node{kind: literal, text: word}, nil
}

func (r *reader) collection(k kind) (*node, error) {
	n := &node{kind: k}
	end := byte(k) + 2 // '{' to '}', '[' to ']'
	r.pos++
	if r.peek() == end {
		r.pos++
		return n, nil
	}
	for {
		if k == object {
			if r.peek() != '"' {
				return nil, errNotJSON
			}
			key, err := r.str()
			if err != nil || r.peek() != ':' {
				return nil, errNotJSON
			}
			r.pos++
			n.keys = append(n.keys, key)
		}
		item, err := r.value()
		if err != nil {
			return nil, err
		}
		n.items = append(n.items, item)
		c := r.peek()
		r.pos++
		switch c {
		case ',':
		case end:
			return n, nil
		default:
			return nil, errNotJSON
		}
	}
}

func (r *reader) str() (text string, err error) {
	for end := r.pos + 1; end < len(r.text); end++ {
		switch r.text[end] {
		case '\\':
			end++
		case '"':
			err = json.Unmarshal([]byte(r.text[r.pos:end+1]), &text)
			r.pos = end + 1
			return text, err
		}
	}
	return "", errNotJSON
}

// equal compares two values as written.
func (n *node) equal(o *node) bool {
	return n.kind == o.kind && n.text == o.text && slices.Equal(n.keys, o.keys) &&
		slices.EqualFunc(n.items, o.items, (*node).equal)
}

// format writes JSON, breaking collections that do not fit into width into
// one line per element.
func (n *node) format(width int) []string {
	line := n.line()
	if utf8.RuneCountInString(line) <= width || len(n.items) == 0 {
		return []string{line}
	}
	out := []string{string(rune(n.kind))}
	for i, item := range n.items {
		lines := item.format(width - 2)
		if n.kind == object {
			lines[0] = quote(n.keys[i]) + ": " + lines[0]
		}
		if i < len(n.items)-1 {
			lines[len(lines)-1] += ","
		}
		for _, line := range lines {
			out = append(out, "  "+line)
		}
	}
	return append(out, string(rune(n.kind)+2))
}

func (n *node) line() string {
	switch n.kind {
	case str:
		return quote(n.text)
	case literal, placeholder:
		return n.text
	}
	parts := make([]string, len(n.items))
	for i, item := range n.items {
		parts[i] = item.line()
		if n.kind == object {
			parts[i] = quote(n.keys[i]) + ": " + parts[i]
		}
	}
	return string(rune(n.kind)) + strings.Join(parts, ", ") + string(rune(n.kind)+2)
}

// quote leaves <, > and & alone, which placeholders are made of.
func quote(s string) string {
	var b strings.Builder
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	_ = e.Encode(s) // strings always encode
	return strings.TrimSuffix(b.String(), "\n")
}
