package form

import (
	"encoding/json"
	"math"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"
)

// String accepts JSON strings only and produces a string.
type String struct {
	// Min and Max bound the length in code points, 0 being no bound.
	Min, Max int
	// OneOf lists the words allowed, nil allowing any.
	OneOf []string
	// Pattern, when not nil, has to match. Its String method gives the text
	// that clients are shown, so write it as the contract does.
	Pattern Pattern
}

// Pattern is a [*regexp.Regexp], or a stand-in for one of the historical
// expressions that Go's syntax cannot say.
type Pattern interface {
	MatchString(s string) bool
	String() string
}

// Load implements [Kind].
func (k String) Load(v any) (any, Entry) {
	s, ok := v.(string)
	if !ok {
		return nil, WrongType("string", "string")
	}
	var broken Messages
	length := utf8.RuneCountInString(s)
	if length < k.Min || k.Max > 0 && length > k.Max {
		broken = append(broken, lengthProblem(k.Min, k.Max))
	}
	if k.OneOf != nil && !slices.Contains(k.OneOf, s) {
		broken = append(broken, choiceProblem(k.OneOf))
	}
	// Python's $ also matches before a final newline, Go's does not.
	if k.Pattern != nil && !k.Pattern.MatchString(s) && !k.Pattern.MatchString(strings.TrimSuffix(s, "\n")) {
		broken = append(broken, patternProblem(k.Pattern.String()))
	}
	if broken != nil {
		return nil, broken
	}
	return s, nil
}

// Integer accepts what Python's int() takes from JSON: integers, floats
// (truncated towards zero) and numeric text, but no booleans. It produces an
// int64; a number that does not fit becomes the nearest that does, so that
// bounds refuse it and nothing wraps around.
type Integer struct {
	// Min and Max bound the value, nil being no bound.
	Min, Max *int64
}

// Load implements [Kind].
func (k Integer) Load(v any) (any, Entry) {
	n, wrong := toInt(v)
	if wrong != nil {
		return nil, wrong
	}
	if k.Min != nil && n < *k.Min || k.Max != nil && n > *k.Max {
		return nil, Messages{rangeProblem(k.Min, k.Max)}
	}
	return n, nil
}

func toInt(v any) (int64, Entry) {
	switch v := v.(type) {
	case string:
		if n, ok := pyInt(v); ok {
			return n, nil
		}
	case json.Number:
		if isFloat(v) {
			return truncate(toFloat(v))
		}
		// Out of range, ParseInt returns the nearest value: what we want.
		n, _ := strconv.ParseInt(v.String(), 10, 64)
		return n, nil
	case float64:
		return truncate(v)
	}
	return 0, WrongType("integer", "integer")
}

func truncate(f float64) (int64, Entry) {
	switch {
	case math.IsNaN(f):
		return 0, WrongType("integer", "integer")
	case math.IsInf(f, 0):
		return 0, Messages{"Number too large."}
	case f >= math.MaxInt64: // the constant rounds up to 2^63, which does not fit
		return math.MaxInt64, nil
	case f <= math.MinInt64:
		return math.MinInt64, nil
	}
	return int64(f), nil
}

// Boolean accepts true and false, the numbers 1 and 0, and a fixed set of
// words. It produces a bool.
type Boolean struct{}

// booleans has neither "oN" nor " true": the set is the historical one, not a
// comparison ignoring case.
var booleans = map[string]bool{
	"t": true, "T": true, "true": true, "True": true, "TRUE": true,
	"on": true, "On": true, "ON": true, "y": true, "Y": true,
	"yes": true, "Yes": true, "YES": true, "1": true,
	"f": false, "F": false, "false": false, "False": false, "FALSE": false,
	"off": false, "Off": false, "OFF": false, "n": false, "N": false,
	"no": false, "No": false, "NO": false, "0": false,
}

// Load implements [Kind].
func (Boolean) Load(v any) (any, Entry) {
	switch v := v.(type) {
	case bool:
		return v, nil
	case string:
		if b, ok := booleans[v]; ok {
			return b, nil
		}
	case json.Number:
		// 1.0 equals 1 in Python, hence counts as well.
		if f := toFloat(v); f == 0 || f == 1 {
			return f == 1, nil
		}
	}
	return nil, WrongType("boolean", "boolean")
}

// UUID accepts every spelling Python's uuid.UUID() takes and produces the
// dashed lower-case one.
type UUID struct{}

// Load implements [Kind].
func (UUID) Load(v any) (any, Entry) {
	if s, ok := v.(string); ok {
		if canonical, ok := pyUUID(s); ok {
			return canonical, nil
		}
	}
	return nil, WrongType("UUID", "uuid")
}

// ListOf accepts JSON arrays and produces a []any of what Of produces. Null
// elements are refused. What is wrong with elements is filed under their
// index.
type ListOf struct {
	Of Kind
	// Max bounds the number of elements, 0 being no bound.
	Max int
}

// maxWrong is of how many elements of a list a client is told that they are
// wrong.
const maxWrong = 20

// Load implements [Kind].
func (k ListOf) Load(v any) (any, Entry) {
	list, ok := v.([]any)
	if !ok {
		return nil, WrongType("list", "list")
	}
	values := make([]any, len(list))
	var wrong Dict
	element := Field{Kind: k.Of}
	for i, item := range list {
		value, entry := element.load(item, true)
		if entry != nil {
			// Told of so many only: an answer that spells out what is wrong
			// with each of half a million elements is many times as large as
			// the request that asked for it.
			if wrong = append(wrong, Item{i, entry}); len(wrong) == maxWrong {
				break
			}
		}
		values[i] = value
	}
	if wrong != nil {
		return nil, wrong
	}
	if k.Max > 0 && len(list) > k.Max {
		return nil, Messages{lengthProblem(0, k.Max)}
	}
	return values, nil
}

// Object accepts JSON objects and produces the [Values] of a nested schema.
// Unlike a whole body, a falsy value is no empty object here.
type Object struct {
	Schema *Schema
}

// Load implements [Kind].
func (k Object) Load(v any) (any, Entry) {
	object, ok := v.(map[string]any)
	if !ok {
		return nil, notObject
	}
	values, wrong := k.Schema.load(object)
	if wrong != nil {
		return nil, wrong.Dict
	}
	return values, nil
}
