package form

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strconv"
	"strings"
	"unicode"
)

// Errors is what [Schema.Load] found wrong, field by field in declaration
// order. The historical service shows it in three shapes:
//
//   - [Dict.PythonRepr] is the text of the "reason" style;
//   - [Errors.First] gives message and details of the first-error form;
//   - as a JSON value ([Dict.MarshalJSON]) it is the whole-dict form.
type Errors struct{ Dict }

// First returns the message of the first failing field and the details that
// accompany it: that field alone, down to the check that failed.
func (e *Errors) First() (message string, details Dict) {
	message, found := first(e.Dict)
	return message, found.(Dict)
}

// first returns its argument reduced to the first failed check.
func first(v any) (message string, reduced any) {
	switch v := v.(type) {
	case Problem:
		return v.Message, v
	case Messages:
		return first(v[0])
	case Dict:
		message, reduced = first(v[0].Value)
		return message, Dict{{v[0].Key, reduced}}
	case string:
		return v, Dict{{"message", v}}
	}
	panic(fmt.Sprintf("form: %T is no entry", v))
}

// Dict is a map that keeps the order of its keys, which are strings or, for
// elements of a list, ints. Values are what [Dict.PythonRepr] lists.
type Dict []Item

// Item is one pair of a [Dict].
type Item struct {
	Key   any
	Value any
}

// MarshalJSON implements [json.Marshaler]. Keys of either type become strings.
func (d Dict) MarshalJSON() ([]byte, error) {
	var b bytes.Buffer
	b.WriteByte('{')
	for i, item := range d {
		if i > 0 {
			b.WriteByte(',')
		}
		key, err := json.Marshal(fmt.Sprint(item.Key))
		if err != nil {
			return nil, err
		}
		value, err := json.Marshal(item.Value)
		if err != nil {
			return nil, fmt.Errorf("key %s: %w", key, err)
		}
		b.Write(key)
		b.WriteByte(':')
		b.Write(value)
	}
	b.WriteByte('}')
	return b.Bytes(), nil
}

// MarshalJSON implements [json.Marshaler].
func (p Problem) MarshalJSON() ([]byte, error) { return p.dict().MarshalJSON() }

// PythonRepr returns the text Python's repr() gives for the dict. Values may
// be nil, bool, int, int64, [json.Number], string, []string, []any and the
// types of this package; anything else is shown as the string fmt makes of it.
func (d Dict) PythonRepr() string { return PythonRepr(d) }

// PythonRepr returns the text Python's repr() gives for v; see
// [Dict.PythonRepr].
func PythonRepr(v any) string {
	var b strings.Builder
	writeRepr(&b, v)
	return b.String()
}

func writeRepr(b *strings.Builder, v any) {
	switch v := v.(type) {
	case nil:
		b.WriteString("None")
	case bool:
		if v {
			b.WriteString("True")
		} else {
			b.WriteString("False")
		}
	case int:
		b.WriteString(strconv.Itoa(v))
	case int64:
		b.WriteString(strconv.FormatInt(v, 10))
	case json.Number:
		b.WriteString(v.String())
	case string:
		writeQuoted(b, v)
	case []string:
		writeList(b, v)
	case []any:
		writeList(b, v)
	case Messages:
		writeList(b, v)
	case Problem:
		writeRepr(b, v.dict())
	case Dict:
		b.WriteByte('{')
		for i, item := range v {
			if i > 0 {
				b.WriteString(", ")
			}
			writeRepr(b, item.Key)
			b.WriteString(": ")
			writeRepr(b, item.Value)
		}
		b.WriteByte('}')
	default:
		writeQuoted(b, fmt.Sprint(v))
	}
}

func writeList[T any](b *strings.Builder, list []T) {
	b.WriteByte('[')
	for i, item := range list {
		if i > 0 {
			b.WriteString(", ")
		}
		writeRepr(b, item)
	}
	b.WriteByte(']')
}

// writeQuoted follows Python: double quotes only for a text that has single
// ones and no double ones, and an escape for whatever str.isprintable refuses.
func writeQuoted(b *strings.Builder, s string) {
	quote := '\''
	if strings.Contains(s, "'") && !strings.Contains(s, `"`) {
		quote = '"'
	}
	b.WriteRune(quote)
	for _, r := range s {
		switch {
		case r == quote || r == '\\':
			b.WriteByte('\\')
			b.WriteRune(r)
		case r == '\n':
			b.WriteString(`\n`)
		case r == '\r':
			b.WriteString(`\r`)
		case r == '\t':
			b.WriteString(`\t`)
		case unicode.IsPrint(r):
			b.WriteRune(r)
		case r <= 0xff:
			fmt.Fprintf(b, `\x%02x`, r)
		case r <= 0xffff:
			fmt.Fprintf(b, `\u%04x`, r)
		default:
			fmt.Fprintf(b, `\U%08x`, r)
		}
	}
	b.WriteRune(quote)
}
