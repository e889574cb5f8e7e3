package form_test

import (
	"fmt"
	"math"
	"reflect"
	"regexp"
	"strings"
	"testing"

	"github.com/wazo-edge/xivo-auth/authsvc/form"
)

// load runs one field of the given kind over a JSON value.
func load(t *testing.T, kind form.Kind, json string) (any, *form.Errors) {
	t.Helper()
	input, err := form.ReadJSON(strings.NewReader(`{"f": `+json+`}`), "")
	if err != nil {
		t.Fatalf("%s: %v", json, err)
	}
	schema := &form.Schema{Fields: []form.Field{{Name: "f", Kind: kind}}}
	v, wrong := schema.Load(input)
	if wrong != nil {
		return nil, wrong
	}
	return v.Get("f"), nil
}

// The text forms were checked against int() of Python 3.11.
func TestInteger(t *testing.T) {
	t.Parallel()
	const wrong = `{'f': {'message': 'Not a valid integer.', 'constraint_id': 'type', 'constraint': 'integer'}}`
	const large = `{'f': ['Number too large.']}`
	for _, tt := range []struct {
		json string
		want any
	}{
		{`5`, 5}, {`-5`, -5}, {`1.9`, 1}, {`-1.9`, -1}, {`0.5`, 0}, {`1e2`, 100}, {`0.99999999999999999999`, 1}, {`-0`, 0}, {`1e-400`, 0},
		{`1e400`, large}, {`-1e400`, large}, {`Infinity`, large}, {`-Infinity`, large}, {`NaN`, wrong},
		{`1e300`, math.MaxInt64}, {`-1e300`, math.MinInt64},
		{`9223372036854775807`, math.MaxInt64}, {`9223372036854775808`, math.MaxInt64},
		{`-9223372036854775809`, math.MinInt64}, {`9.3e18`, math.MaxInt64},
		{strings.Repeat("9", 4300), math.MaxInt64},
		{`true`, wrong}, {`false`, wrong}, {`[]`, wrong}, {`[5]`, wrong}, {`{}`, wrong},
		{`"5"`, 5}, {`" 5 "`, 5}, {`"+5"`, 5}, {`"-5"`, -5}, {`"007"`, 7}, {`"-0"`, 0}, {`"\t5\n"`, 5}, {`"\u000b5\u000c"`, 5},
		{`"1_0"`, 10}, {`"0_0"`, 0}, {`"1__0"`, wrong}, {`"_1"`, wrong}, {`"1_"`, wrong}, {`"+_1"`, wrong},
		{`"٣"`, 3}, {`"-٣"`, -3}, {`"٣_٣"`, 33}, {`"１２"`, 12}, {`"𝟗"`, 9}, {`"²"`, wrong}, {`"Ⅷ"`, wrong}, {`"三"`, wrong},
		{`"\u00a05"`, 5}, {`"\u00855"`, 5}, {`"\u20035"`, 5}, {`"\u001c5"`, wrong}, {`"5\u001f"`, wrong}, {`"\u001c٣"`, wrong},
		{`"\ufeff5"`, wrong}, {`"\u200b5"`, wrong}, {`"5\u0000"`, wrong},
		{`""`, wrong}, {`"  "`, wrong}, {`"1.5"`, wrong}, {`"1e3"`, wrong}, {`"0x10"`, wrong}, {`"- 5"`, wrong}, {`"--5"`, wrong},
		{`"ten"`, wrong}, {`"NaN"`, wrong}, {`"inf"`, wrong},
		{`"` + strings.Repeat("9", 4300) + `"`, math.MaxInt64},
		{`"-` + strings.Repeat("9", 4300) + `"`, math.MinInt64},
		{`"1` + strings.Repeat("_1", 4299) + `"`, math.MaxInt64},
		{`"` + strings.Repeat("9", 4301) + `"`, wrong},
		{`"` + strings.Repeat("0", 4301) + `"`, wrong},
	} {
		got, errs := load(t, form.Integer{}, tt.json)
		if errs != nil {
			got = errs.PythonRepr()
		}
		if fmt.Sprint(got) != fmt.Sprint(tt.want) {
			t.Errorf("%.40s: got %v, want %v", tt.json, got, tt.want)
		}
	}
}

func TestBoolean(t *testing.T) {
	t.Parallel()
	for want, list := range map[string][]string{
		"true": {`true`, `1`, `1.0`, `1e0`, `"t"`, `"T"`, `"true"`, `"True"`, `"TRUE"`, `"on"`, `"On"`, `"ON"`, `"y"`, `"Y"`,
			`"yes"`, `"Yes"`, `"YES"`, `"1"`},
		"false": {`false`, `0`, `0.0`, `-0.0`, `"f"`, `"F"`, `"false"`, `"False"`, `"FALSE"`, `"off"`, `"Off"`, `"OFF"`, `"n"`,
			`"N"`, `"no"`, `"No"`, `"NO"`, `"0"`},
		"<nil>": {`2`, `-1`, `0.5`, `NaN`, `Infinity`, `1e400`, `"oN"`, `"tRUE"`, `" true"`, `""`, `"null"`, `"2"`, `[]`, `[1]`, `{}`},
	} {
		for _, json := range list {
			got, errs := load(t, form.Boolean{}, json)
			if fmt.Sprint(got) != want {
				t.Errorf("%s: got %v, want %v", json, got, want)
			}
			const repr = `{'f': {'message': 'Not a valid boolean.', 'constraint_id': 'type', 'constraint': 'boolean'}}`
			if errs != nil && errs.PythonRepr() != repr {
				t.Errorf("%s: %s", json, errs.PythonRepr())
			}
		}
	}
}

// Every row was checked against str(uuid.UUID(text)) of Python 3.11.
func TestUUID(t *testing.T) {
	t.Parallel()
	const h = "0123456789abcdef0123456789ABCDEF"
	const plain = "01234567-89ab-cdef-0123-456789abcdef"
	for text, want := range map[string]string{
		plain:                          plain,
		strings.ToUpper(plain):         plain,
		h:                              plain,
		"{" + h + "}":                  plain,
		"}}" + h + "{{":                plain,
		"urn:uuid:" + plain:            plain,
		"urn:uuid:{" + h + "}":         plain,
		"{urn:uuid:" + h + "}":         plain,
		"-----" + h:                    plain,
		"+" + h[1:]:                    plain,
		"1_" + h[2:]:                   plain,
		"0x" + h[2:]:                   "00" + plain[2:],
		"0X" + h[2:]:                   "00" + plain[2:],
		"+0x" + h[3:]:                  "0003" + plain[4:],
		"0x_" + h[3:]:                  "0003" + plain[4:],
		" " + h[2:] + " ":              "00" + plain[2:],
		h[:31] + "\n":                  "00123456-789a-bcde-f012-3456789abcde",
		"٣" + h[1:]:                    "3" + plain[1:],
		"URN:UUID:" + h:                "",
		"0x" + h:                       "",
		"0x+" + h[3:]:                  "",
		"0__" + h[3:]:                  "",
		"_" + h[1:]:                    "",
		h + " ":                        "",
		h[:31] + "g":                   "",
		h[:30] + "\u001c1":             "",
		"0x" + strings.Repeat(" ", 30): "",
		strings.Repeat("g", 32):        "",
		h[:31]:                         "",
		"":                             "",
		"not-a-uuid":                   "",
	} {
		schema := &form.Schema{Fields: []form.Field{{Name: "f", Kind: form.UUID{}}}}
		v, errs := schema.Load(map[string]any{"f": text})
		switch {
		case errs == nil && v.Text("f") != want:
			t.Errorf("%q: got %q, want %q", text, v.Text("f"), want)
		case errs != nil && want != "":
			t.Errorf("%q: refused, want %q", text, want)
		}
	}
	for _, json := range []string{`5`, `true`, `[]`, `{}`} {
		if _, errs := load(t, form.UUID{}, json); errs == nil {
			t.Errorf("%s accepted", json)
		}
	}
}

func TestString(t *testing.T) {
	t.Parallel()
	slug := regexp.MustCompile(`^[a-z]+$`)
	for _, tt := range []struct {
		kind form.String
		json string
		ok   bool
	}{
		{form.String{}, `""`, true},
		{form.String{}, `5`, false},
		{form.String{}, `true`, false},
		{form.String{}, `NaN`, false},
		{form.String{Min: 1}, `""`, false},
		{form.String{Min: 2, Max: 3}, `"é"`, false}, // two bytes, one code point
		{form.String{Min: 2, Max: 3}, `"日本語"`, true},
		{form.String{Min: 2, Max: 3}, `"😀😀😀"`, true},
		{form.String{Max: 3}, `"\ud800\ud800\ud800"`, true},
		{form.String{Max: 3}, `"abcd"`, false},
		{form.String{OneOf: []string{"a", "b"}}, `"b"`, true},
		{form.String{OneOf: []string{"a", "b"}}, `"B"`, false},
		{form.String{OneOf: []string{}}, `""`, false},
		{form.String{Pattern: slug}, `"abc"`, true},
		{form.String{Pattern: slug}, `"abc\n"`, true},
		{form.String{Pattern: slug}, `"abc\n\n"`, false},
		{form.String{Pattern: slug}, `"ab1"`, false},
	} {
		if _, errs := load(t, tt.kind, tt.json); (errs == nil) != tt.ok {
			t.Errorf("%+v, %s: %v", tt.kind, tt.json, errs)
		}
	}
}

func TestListOf(t *testing.T) {
	t.Parallel()
	strs := form.ListOf{Of: form.String{Min: 1}}
	got, errs := load(t, strs, `["b", "a", "b"]`)
	if errs != nil || !reflect.DeepEqual(got, []any{"b", "a", "b"}) {
		t.Errorf("got %v, %v", got, errs)
	}
	for json, want := range map[string]string{
		`{}`:  `{'f': {'message': 'Not a valid list.', 'constraint_id': 'type', 'constraint': 'list'}}`,
		`"a"`: `{'f': {'message': 'Not a valid list.', 'constraint_id': 'type', 'constraint': 'list'}}`,
		`["a", 1, null]`: `{'f': {1: {'message': 'Not a valid string.', 'constraint_id': 'type', 'constraint': 'string'}, ` +
			`2: {'message': 'Field may not be null.', 'constraint_id': 'not_null', 'constraint': 'not_null'}}}`,
		`[""]`: `{'f': {0: [{'constraint_id': 'length', 'constraint': {'min': 1, 'max': None}, 'message': 'Shorter than minimum length 1.'}]}}`,
	} {
		if _, errs := load(t, strs, json); errs == nil || errs.PythonRepr() != want {
			t.Errorf("%s: got %v, want %s", json, errs, want)
		}
	}
}

func TestListOf_Max(t *testing.T) {
	t.Parallel()
	two := form.ListOf{Of: form.String{}, Max: 2}
	if got, errs := load(t, two, `["a", "a"]`); errs != nil || !reflect.DeepEqual(got, []any{"a", "a"}) {
		t.Errorf("got %v, %v", got, errs)
	}
	for json, want := range map[string]string{
		`["a", "b", "c"]`: `{'f': [{'constraint_id': 'length', 'constraint': {'min': None, 'max': 2}, 'message': 'Longer than maximum length 2.'}]}`,
		`["a", "b", 1]`:   `{'f': {2: {'message': 'Not a valid string.', 'constraint_id': 'type', 'constraint': 'string'}}}`,
	} {
		if _, errs := load(t, two, json); errs == nil || errs.PythonRepr() != want {
			t.Errorf("%s: got %v, want %s", json, errs, want)
		}
	}
}

// A list of half a million wrong elements must not be answered with half a
// million explanations.
func TestListOf_TellsOfSoManyOnly(t *testing.T) {
	t.Parallel()
	list := make([]any, 100_000)
	_, wrong := form.ListOf{Of: form.String{}}.Load(list)
	if d, ok := wrong.(form.Dict); !ok || len(d) != 20 {
		t.Errorf("told of %d elements, want 20", len(d))
	}
}
