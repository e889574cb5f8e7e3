package form

import (
	"encoding/json"
	"math"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"
)

// maxDigits is the length from which Python refuses to convert between text
// and integers (sys.int_info.default_max_str_digits); bases that are powers of
// two are not limited.
const maxDigits = 4300

// pyInt is Python's int(s). Differences left alone: digits that Unicode got
// after Python's tables were made (14.0 for Python 3.11).
func pyInt(s string) (int64, bool) {
	sign, digits, ok := pyDigits(s, 10)
	if !ok || len(digits) > maxDigits {
		return 0, false
	}
	n, _ := strconv.ParseInt(sign+digits, 10, 64) // saturates, see toInt
	return n, true
}

// pyUUID is str(uuid.UUID(s)). Python strips the decorations without looking
// where they stand and leaves the 32 characters that remain to int(…, 16),
// hence signs, spaces, 0x and underscores pass when they make up the length.
func pyUUID(s string) (string, bool) {
	s = strings.ReplaceAll(s, "urn:", "")
	s = strings.ReplaceAll(s, "uuid:", "")
	s = strings.Trim(s, "{}")
	s = strings.ReplaceAll(s, "-", "")
	if utf8.RuneCountInString(s) != 32 {
		return "", false
	}
	_, digits, ok := pyDigits(s, 16)
	if !ok {
		return "", false
	}
	h := strings.Repeat("0", 32-len(digits)) + digits
	return h[:8] + "-" + h[8:12] + "-" + h[12:16] + "-" + h[16:20] + "-" + h[20:], true
}

// pyDigits applies the syntax common to int(s, 10) and int(s, 16): spaces
// around, a sign, an optional 0x, single underscores between digits, decimal
// digits of any script. It returns ASCII lower-case digits.
func pyDigits(s string, base int) (sign, digits string, ok bool) {
	s = strings.TrimFunc(s, unicode.IsSpace)
	if s != "" && (s[0] == '+' || s[0] == '-') {
		sign, s = s[:1], s[1:]
	}
	if base == 16 && len(s) > 2 && s[0] == '0' && s[1]|0x20 == 'x' {
		s = strings.TrimPrefix(s[2:], "_")
	}
	out := make([]byte, 0, len(s))
	previous := '_' // refuses a leading underscore as well
	for _, r := range s {
		if r == '_' {
			if previous == '_' {
				return "", "", false
			}
		} else {
			d := digitValue(r)
			if d < 0 || d >= base {
				return "", "", false
			}
			out = append(out, "0123456789abcdef"[d])
		}
		previous = r
	}
	return sign, string(out), previous != '_'
}

func digitValue(r rune) int {
	switch {
	case '0' <= r && r <= '9':
		return int(r - '0')
	case 'a' <= r && r <= 'f':
		return int(r-'a') + 10
	case 'A' <= r && r <= 'F':
		return int(r-'A') + 10
	case r < utf8.RuneSelf:
		return -1
	}
	// Unicode lays decimal digits out in runs of ten starting with zero, and
	// every range of the table is made of whole runs (a test checks it).
	for _, span := range unicode.Nd.R16 {
		if rune(span.Lo) <= r && r <= rune(span.Hi) {
			return int(r-rune(span.Lo)) % 10
		}
	}
	for _, span := range unicode.Nd.R32 {
		if rune(span.Lo) <= r && r <= rune(span.Hi) {
			return int(r-rune(span.Lo)) % 10
		}
	}
	return -1
}

// isFloat tells which of Python's two number types a literal makes.
func isFloat(n json.Number) bool { return strings.ContainsAny(n.String(), ".eE") }

// toFloat is infinite for a literal too large, as in Python.
func toFloat(n json.Number) float64 {
	f, err := strconv.ParseFloat(n.String(), 64)
	if err != nil && !math.IsInf(f, 0) {
		return math.NaN() // no number at all: not made by ReadJSON
	}
	return f
}

// falsy is Python's "not v" for decoded JSON.
func falsy(v any) bool {
	switch v := v.(type) {
	case nil:
		return true
	case bool:
		return !v
	case string:
		return v == ""
	case json.Number:
		return toFloat(v) == 0
	case float64:
		return v == 0
	case []any:
		return len(v) == 0
	case map[string]any:
		return len(v) == 0
	}
	return false
}
