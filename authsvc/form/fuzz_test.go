package form

import (
	"strconv"
	"strings"
	"testing"
	"unicode"
	"unicode/utf8"
)

// FuzzPythonRepr reads the text back the way Python would and expects the
// string that went in, written in printable characters only.
func FuzzPythonRepr(f *testing.F) {
	for _, seed := range []string{"", "a", "'", `"`, `'"`, `\`, "\n\t\r\x00\x7f", "\u00a0é\u200b😀\U000e0001"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, s string) {
		s = strings.ToValidUTF8(s, "\ufffd")
		repr := Dict{{s, s}}.PythonRepr()
		for _, r := range repr {
			if !unicode.IsPrint(r) {
				t.Fatalf("%q: %q is not printable", repr, r)
			}
		}
		rest, ok := strings.CutPrefix(repr, "{")
		key, rest := unquote(t, rest)
		rest, colon := strings.CutPrefix(rest, ": ")
		value, rest := unquote(t, rest)
		if !ok || !colon || rest != "}" || key != s || value != s {
			t.Errorf("%q became %s", s, repr)
		}
	})
}

// unquote is a slow reader of Python string literals.
func unquote(t *testing.T, literal string) (s, rest string) {
	t.Helper()
	if literal == "" || literal[0] != '\'' && literal[0] != '"' {
		t.Fatalf("no literal: %s", literal)
	}
	quote, literal := rune(literal[0]), literal[1:]
	var b strings.Builder
	for literal != "" {
		r, size := utf8.DecodeRuneInString(literal)
		literal = literal[size:]
		if r == quote {
			return b.String(), literal
		}
		if r == '\\' {
			c := literal[0]
			literal = literal[1:]
			r = rune(c)
			switch width := map[byte]int{'x': 2, 'u': 4, 'U': 8}[c]; {
			case width > 0:
				n, err := strconv.ParseUint(literal[:width], 16, 32)
				if err != nil {
					t.Fatal(err)
				}
				r, literal = rune(n), literal[width:]
			case c == 'n':
				r = '\n'
			case c == 'r':
				r = '\r'
			case c == 't':
				r = '\t'
			}
		}
		b.WriteRune(r)
	}
	t.Fatal("unterminated literal")
	return "", ""
}

// digitValue relies on this layout of the Unicode table.
func TestDigitTable(t *testing.T) {
	t.Parallel()
	for _, span := range unicode.Nd.R16 {
		if span.Stride != 1 || (span.Hi-span.Lo+1)%10 != 0 {
			t.Errorf("%+v is not made of runs of ten", span)
		}
	}
	for _, span := range unicode.Nd.R32 {
		if span.Stride != 1 || (span.Hi-span.Lo+1)%10 != 0 {
			t.Errorf("%+v is not made of runs of ten", span)
		}
	}
}
