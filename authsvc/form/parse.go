package form

import (
	"bytes"
	"encoding/json"
	"fmt"
	"math"
)

// maxDepth bounds nesting. Python gives up a little earlier, depending on how
// deep its own stack is, and answers 500; nothing real comes close.
const maxDepth = 1000

// parse decodes JSON text. encoding/json cannot be told to accept NaN, which
// clients of the historical service could send, hence a parser of our own; it
// leaves only the unescaping of strings to encoding/json.
func parse(text []byte) (any, error) {
	p := parser{text: text}
	v, err := p.value(0)
	if err != nil {
		return nil, err
	}
	if p.peek(); p.pos < len(p.text) {
		return nil, p.fail("trailing data")
	}
	return v, nil
}

type parser struct {
	text   []byte
	pos    int
	values int // so far
}

// peek skips white space and returns the next byte, 0 at the end. A zero byte
// in the text itself is no JSON either, so the two need no telling apart.
func (p *parser) peek() byte {
	for ; p.pos < len(p.text); p.pos++ {
		switch c := p.text[p.pos]; c {
		case ' ', '\t', '\n', '\r':
		default:
			return c
		}
	}
	return 0
}

func (p *parser) value(depth int) (any, error) {
	if depth > maxDepth {
		return nil, p.fail("nested too deeply")
	}
	if p.values++; p.values > MaxValues {
		return nil, fmt.Errorf("%w: more than %d values", ErrTooLarge, MaxValues)
	}
	switch c := p.peek(); c {
	case '{':
		return p.object(depth)
	case '[':
		return p.array(depth)
	case '"':
		return p.string()
	default:
		for _, w := range words {
			if bytes.HasPrefix(p.text[p.pos:], []byte(w.text)) {
				p.pos += len(w.text)
				return w.value, nil
			}
		}
		return p.number()
	}
}

// words need no check of what follows: nothing a word may be glued to is valid.
var words = []struct {
	text  string
	value any
}{
	{"null", nil}, {"true", true}, {"false", false},
	{"NaN", math.NaN()}, {"Infinity", math.Inf(1)}, {"-Infinity", math.Inf(-1)},
}

func (p *parser) object(depth int) (any, error) {
	object := map[string]any{}
	p.pos++
	if p.peek() == '}' {
		p.pos++
		return object, nil
	}
	for {
		if p.peek() != '"' {
			return nil, p.fail("key expected")
		}
		key, err := p.string()
		if err != nil {
			return nil, err
		}
		if p.peek() != ':' {
			return nil, p.fail("colon expected")
		}
		p.pos++
		if object[key], err = p.value(depth + 1); err != nil {
			return nil, err
		}
		if more, err := p.next('}'); !more {
			return object, err
		}
	}
}

func (p *parser) array(depth int) (any, error) {
	array := []any{}
	p.pos++
	if p.peek() == ']' {
		p.pos++
		return array, nil
	}
	for {
		v, err := p.value(depth + 1)
		if err != nil {
			return nil, err
		}
		array = append(array, v)
		if more, err := p.next(']'); !more {
			return array, err
		}
	}
}

// next consumes what stands between two elements; more is false at the end of
// the collection and on error.
func (p *parser) next(end byte) (more bool, err error) {
	c := p.peek()
	if c != ',' && c != end {
		return false, p.fail("comma or end of collection expected")
	}
	p.pos++
	return c == ',', nil
}

func (p *parser) string() (string, error) {
	start := p.pos
	escaped := false
	for p.pos++; p.pos < len(p.text); p.pos++ {
		switch c := p.text[p.pos]; {
		case c == '\\':
			escaped = true
			p.pos++
		case c < ' ':
			return "", p.fail("control character in a string")
		case c == '"':
			p.pos++
			literal := p.text[start:p.pos]
			if !escaped {
				return string(literal[1 : len(literal)-1]), nil
			}
			var s string
			if err := json.Unmarshal(literal, &s); err != nil {
				return "", p.fail("invalid escape")
			}
			return s, nil
		}
	}
	return "", p.fail("unterminated string")
}

func (p *parser) number() (any, error) {
	start := p.pos
	p.accept('-')
	whole := p.pos
	if !p.accept('0') && !p.digits() {
		return nil, p.fail("value expected")
	}
	whole = p.pos - whole
	float := false
	if p.accept('.') {
		float = true
		if !p.digits() {
			return nil, p.fail("digits expected")
		}
	}
	if p.accept('e') || p.accept('E') {
		float = true
		if !p.accept('+') {
			p.accept('-')
		}
		if !p.digits() {
			return nil, p.fail("digits expected")
		}
	}
	if !float && whole > maxDigits {
		return nil, p.fail("integer too long")
	}
	return json.Number(p.text[start:p.pos]), nil
}

func (p *parser) accept(c byte) bool {
	if p.pos < len(p.text) && p.text[p.pos] == c {
		p.pos++
		return true
	}
	return false
}

func (p *parser) digits() bool {
	start := p.pos
	for p.pos < len(p.text) && '0' <= p.text[p.pos] && p.text[p.pos] <= '9' {
		p.pos++
	}
	return p.pos > start
}

func (p *parser) fail(what string) error {
	return fmt.Errorf("%w: %s at byte %d", ErrSyntax, what, min(p.pos, len(p.text)))
}
