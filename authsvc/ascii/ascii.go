// Package ascii spells JSON in ASCII, as the historical service does
// (errors.md §1): clients that compare or store text get the same text.
package ascii

import (
	"encoding/json"
	"strconv"
	"unicode/utf8"
)

// Marshal is [json.Marshal] but for its spelling: all that is not printable
// ASCII is escaped, and < > & are not.
func Marshal(v any) ([]byte, error) {
	text, err := json.Marshal(v)
	if err != nil {
		return nil, err
	}
	return respell(text), nil
}

// respell changes what json.Marshal spells in its own way. All of that stands in
// strings, and a backslash begins an escape there.
func respell(text []byte) []byte {
	plain := func(i int) bool {
		return text[i] < 0x7f && (text[i] != '\\' || text[i+1] != 'u')
	}
	i := 0
	for i < len(text) && plain(i) {
		i += step(text, i)
	}
	if i == len(text) {
		return text // as nearly always
	}
	dst := append(make([]byte, 0, len(text)+len(text)/4), text[:i]...)
	for i < len(text) {
		n := step(text, i)
		switch c := text[i]; {
		case c >= utf8.RuneSelf:
			var r rune
			r, n = utf8.DecodeRune(text[i:])
			dst = appendEscaped(dst, r)
		case c == 0x7f:
			dst = appendEscaped(dst, rune(c))
		case c == '\\' && text[i+1] == 'u' && escapedForHTML(text[i+2:i+6]):
			h, _ := strconv.ParseUint(string(text[i+2:i+6]), 16, 8)
			dst, n = append(dst, byte(h)), 6
		default:
			dst = append(dst, text[i:i+n]...)
		}
		i += n
	}
	return dst
}

// step is how many bytes belong together at i: two where an escape begins, so
// that what it escapes is not taken for the beginning of one.
func step(text []byte, i int) int {
	if text[i] == '\\' {
		return 2
	}
	return 1
}

func escapedForHTML(hex []byte) bool {
	switch string(hex) {
	case "003c", "003e", "0026":
		return true
	}
	return false
}

// AppendString appends s as a JSON string with non-ASCII escaped, as the
// reference writes it. Plain printable ASCII, which is nearly everything this
// service says, is copied as it is.
func AppendString(dst []byte, s string) []byte {
	dst = append(dst, '"')
	for i := 0; i < len(s); {
		c := s[i]
		switch {
		case c >= utf8.RuneSelf:
			r, n := utf8.DecodeRuneInString(s[i:])
			dst = appendEscaped(dst, r)
			i += n
			continue
		case c == '"' || c == '\\':
			dst = append(dst, '\\', c)
		case c == '\b':
			dst = append(dst, '\\', 'b')
		case c == '\f':
			dst = append(dst, '\\', 'f')
		case c == '\n':
			dst = append(dst, '\\', 'n')
		case c == '\r':
			dst = append(dst, '\\', 'r')
		case c == '\t':
			dst = append(dst, '\\', 't')
		case c < ' ' || c == 0x7f:
			dst = appendEscaped(dst, rune(c))
		default:
			dst = append(dst, c)
		}
		i++
	}
	return append(dst, '"')
}

func appendEscaped(dst []byte, r rune) []byte {
	if r > 0xffff {
		r -= 0x10000
		dst = appendEscaped(dst, 0xd800+r>>10)
		return appendEscaped(dst, 0xdc00+r&0x3ff)
	}
	dst = append(dst, '\\', 'u')
	for shift := 12; shift >= 0; shift -= 4 {
		dst = strconv.AppendInt(dst, int64(r>>shift&0xf), 16)
	}
	return dst
}
