package form_test

import (
	"encoding/json"
	"math"
	"reflect"
	"regexp"
	"strings"
	"testing"

	"github.com/wazo-edge/xivo-auth/authsvc/form"
)

// email stands for a kind that a resource brings itself.
type email struct{}

func (email) Load(v any) (any, form.Entry) {
	if s, ok := v.(string); ok && strings.Contains(s, "@") {
		return s, nil
	}
	return nil, form.WrongType("email address", "email")
}

// One case per row of errors.md §3.2, in each of the three shapes.
func TestVocabulary(t *testing.T) {
	t.Parallel()
	str := form.String{}
	nested := form.Object{Schema: &form.Schema{Fields: []form.Field{{Name: "line_1", Kind: form.String{Max: 2}}}}}
	for _, tt := range []struct {
		name, body string
		field      form.Field
		repr       string // of the entry
		message    string
		details    string // of the first-error form
		whole      string // as details, unless given
	}{
		{"missing", `{}`, form.Field{Kind: str, Required: true},
			`{'message': 'Missing data for required field.', 'constraint_id': 'required', 'constraint': 'required'}`,
			`Missing data for required field.`,
			`{"message":"Missing data for required field.","constraint_id":"required","constraint":"required"}`, ""},
		{"null", `{"f": null}`, form.Field{Kind: str},
			`{'message': 'Field may not be null.', 'constraint_id': 'not_null', 'constraint': 'not_null'}`,
			`Field may not be null.`,
			`{"message":"Field may not be null.","constraint_id":"not_null","constraint":"not_null"}`, ""},
		{"string", `{"f": 1}`, form.Field{Kind: str},
			`{'message': 'Not a valid string.', 'constraint_id': 'type', 'constraint': 'string'}`,
			`Not a valid string.`, `{"message":"Not a valid string.","constraint_id":"type","constraint":"string"}`, ""},
		{"integer", `{"f": "x"}`, form.Field{Kind: form.Integer{}},
			`{'message': 'Not a valid integer.', 'constraint_id': 'type', 'constraint': 'integer'}`,
			`Not a valid integer.`, `{"message":"Not a valid integer.","constraint_id":"type","constraint":"integer"}`, ""},
		{"boolean", `{"f": "x"}`, form.Field{Kind: form.Boolean{}},
			`{'message': 'Not a valid boolean.', 'constraint_id': 'type', 'constraint': 'boolean'}`,
			`Not a valid boolean.`, `{"message":"Not a valid boolean.","constraint_id":"type","constraint":"boolean"}`, ""},
		{"list", `{"f": "x"}`, form.Field{Kind: form.ListOf{Of: str}},
			`{'message': 'Not a valid list.', 'constraint_id': 'type', 'constraint': 'list'}`,
			`Not a valid list.`, `{"message":"Not a valid list.","constraint_id":"type","constraint":"list"}`, ""},
		{"nested not object", `{"f": []}`, form.Field{Kind: nested},
			`{'message': 'Invalid type.', 'constraint_id': 'type', 'constraint': 'dict'}`,
			`Invalid type.`, `{"message":"Invalid type.","constraint_id":"type","constraint":"dict"}`, ""},
		{"uuid", `{"f": "x"}`, form.Field{Kind: form.UUID{}},
			`{'message': 'Not a valid UUID.', 'constraint_id': 'type', 'constraint': 'uuid'}`,
			`Not a valid UUID.`, `{"message":"Not a valid UUID.","constraint_id":"type","constraint":"uuid"}`, ""},
		{"e-mail", `{"f": "x"}`, form.Field{Kind: email{}},
			`{'message': 'Not a valid email address.', 'constraint_id': 'type', 'constraint': 'email'}`,
			`Not a valid email address.`, `{"message":"Not a valid email address.","constraint_id":"type","constraint":"email"}`, ""},
		{"length both", `{"f": ""}`, form.Field{Kind: form.String{Min: 1, Max: 1024}},
			`[{'constraint_id': 'length', 'constraint': {'min': 1, 'max': 1024}, 'message': 'Length must be between 1 and 1024.'}]`,
			`Length must be between 1 and 1024.`,
			`{"constraint_id":"length","constraint":{"min":1,"max":1024},"message":"Length must be between 1 and 1024."}`,
			`[{"constraint_id":"length","constraint":{"min":1,"max":1024},"message":"Length must be between 1 and 1024."}]`},
		{"length min", `{"f": ""}`, form.Field{Kind: form.String{Min: 1}},
			`[{'constraint_id': 'length', 'constraint': {'min': 1, 'max': None}, 'message': 'Shorter than minimum length 1.'}]`,
			`Shorter than minimum length 1.`,
			`{"constraint_id":"length","constraint":{"min":1,"max":null},"message":"Shorter than minimum length 1."}`,
			`[{"constraint_id":"length","constraint":{"min":1,"max":null},"message":"Shorter than minimum length 1."}]`},
		{"length max", `{"f": "abc"}`, form.Field{Kind: form.String{Max: 2}},
			`[{'constraint_id': 'length', 'constraint': {'min': None, 'max': 2}, 'message': 'Longer than maximum length 2.'}]`,
			`Longer than maximum length 2.`,
			`{"constraint_id":"length","constraint":{"min":null,"max":2},"message":"Longer than maximum length 2."}`,
			`[{"constraint_id":"length","constraint":{"min":null,"max":2},"message":"Longer than maximum length 2."}]`},
		{"range both", `{"f": 0.5}`, form.Field{Kind: form.Integer{Min: new(int64(1)), Max: new(int64(9))}},
			`[{'constraint_id': 'range', 'constraint': {'min': 1, 'max': 9}, ` +
				`'message': 'Must be greater than or equal to 1 and less than or equal to 9.'}]`,
			`Must be greater than or equal to 1 and less than or equal to 9.`,
			`{"constraint_id":"range","constraint":{"min":1,"max":9},"message":"Must be greater than or equal to 1 and less than or equal to 9."}`,
			`[{"constraint_id":"range","constraint":{"min":1,"max":9},"message":"Must be greater than or equal to 1 and less than or equal to 9."}]`},
		{"range min", `{"f": -1}`, form.Field{Kind: form.Integer{Min: new(int64(0))}},
			`[{'constraint_id': 'range', 'constraint': {'min': 0}, 'message': 'Must be greater than or equal to 0.'}]`,
			`Must be greater than or equal to 0.`,
			`{"constraint_id":"range","constraint":{"min":0},"message":"Must be greater than or equal to 0."}`,
			`[{"constraint_id":"range","constraint":{"min":0},"message":"Must be greater than or equal to 0."}]`},
		{"enum", `{"f": "c"}`, form.Field{Kind: form.String{OneOf: []string{"a", "b"}}},
			`[{'constraint_id': 'enum', 'constraint': {'choices': ['a', 'b']}, 'message': 'Must be one of: a, b.'}]`,
			`Must be one of: a, b.`,
			`{"constraint_id":"enum","constraint":{"choices":["a","b"]},"message":"Must be one of: a, b."}`,
			`[{"constraint_id":"enum","constraint":{"choices":["a","b"]},"message":"Must be one of: a, b."}]`},
		{"regex", `{"f": "a b"}`, form.Field{Kind: form.String{Pattern: regexp.MustCompile(`^\w+$`)}},
			`[{'constraint_id': 'regex', 'constraint': '^\\w+$', 'message': 'String does not match expected pattern.'}]`,
			`String does not match expected pattern.`,
			`{"constraint_id":"regex","constraint":"^\\w+$","message":"String does not match expected pattern."}`,
			`[{"constraint_id":"regex","constraint":"^\\w+$","message":"String does not match expected pattern."}]`},
		{"plain string", `{"f": 1e400}`, form.Field{Kind: form.Integer{}},
			`['Number too large.']`, `Number too large.`, `{"message":"Number too large."}`, `["Number too large."]`},
		{"nested", `{"f": {"line_1": "abc"}}`, form.Field{Kind: nested},
			`{'line_1': [{'constraint_id': 'length', 'constraint': {'min': None, 'max': 2}, 'message': 'Longer than maximum length 2.'}]}`,
			`Longer than maximum length 2.`,
			`{"line_1":{"constraint_id":"length","constraint":{"min":null,"max":2},"message":"Longer than maximum length 2."}}`,
			`{"line_1":[{"constraint_id":"length","constraint":{"min":null,"max":2},"message":"Longer than maximum length 2."}]}`},
		{"list index", `{"f": ["a", 1]}`, form.Field{Kind: form.ListOf{Of: str}},
			`{1: {'message': 'Not a valid string.', 'constraint_id': 'type', 'constraint': 'string'}}`,
			`Not a valid string.`, `{"1":{"message":"Not a valid string.","constraint_id":"type","constraint":"string"}}`, ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			tt.field.Name = "f"
			schema := &form.Schema{Fields: []form.Field{{Name: "e", Kind: form.Integer{}}, tt.field}}
			_, errs := schema.Load(read(t, tt.body))
			if errs == nil {
				t.Fatal("accepted")
			}
			if got, want := errs.PythonRepr(), `{'f': `+tt.repr+`}`; got != want {
				t.Errorf("repr:\n got %s\nwant %s", got, want)
			}
			message, details := errs.First()
			if message != tt.message {
				t.Errorf("message: got %q, want %q", message, tt.message)
			}
			if got, want := text(t, details), `{"f":`+tt.details+`}`; got != want {
				t.Errorf("details:\n got %s\nwant %s", got, want)
			}
			if tt.whole == "" {
				tt.whole = tt.details
			}
			if got, want := text(t, errs), `{"f":`+tt.whole+`}`; got != want {
				t.Errorf("whole:\n got %s\nwant %s", got, want)
			}
		})
	}
}

func TestTokenSchema_Errors(t *testing.T) {
	t.Parallel()
	const notObject = `{'_schema': ['Invalid input type.']}`
	for body, want := range map[string]string{
		`null`: "", `[]`: "", `0`: "", `false`: "", `""`: "", `0.0`: "", `-0`: "", `0e9`: "", `1e-400`: "", `{}`: "", `{"unknown": null}`: "",
		`[1]`: notObject, `"x"`: notObject, `42`: notObject, `true`: notObject, `NaN`: notObject, `[[]]`: notObject,
		`{"expiration": true}`: `{'expiration': {'message': 'Not a valid integer.', 'constraint_id': 'type', 'constraint': 'integer'}}`,
		`{"expiration": 0}`: `{'expiration': [{'constraint_id': 'range', 'constraint': {'min': 1, 'max': 315360000}, ` +
			`'message': 'Must be greater than or equal to 1 and less than or equal to 315360000.'}]}`,
		`{"expiration": 1e400}`: `{'expiration': ['Number too large.']}`,
		`{"access_type": "x"}`: `{'access_type': [{'constraint_id': 'enum', 'constraint': {'choices': ['online', 'offline']}, ` +
			`'message': 'Must be one of: online, offline.'}]}`,
		`{"client_id": null}`: `{'client_id': {'message': 'Field may not be null.', 'constraint_id': 'not_null', 'constraint': 'not_null'}}`,
		`{"tenant_id": 1, "backend": 2, "refresh_token": "x"}`: `{'backend': {'message': 'Not a valid string.', 'constraint_id': 'type', ` +
			`'constraint': 'string'}, 'tenant_id': {'message': 'Not a valid string.', 'constraint_id': 'type', 'constraint': 'string'}}`,
		`{"refresh_token": "x"}`:                        `{'_schema': ['"client_id" must be specified when using a "refresh_token"']}`,
		`{"access_type": "offline"}`:                    `{'_schema': ['"client_id" must be specified when using "access_type" is "offline"']}`,
		`{"access_type": "offline", "client_id": "c"}`:  "",
		`{"refresh_token": "", "saml_session_id": "s"}`: "",
		`{"tenant_id": "", "domain_name": "d"}`:         "",
		`{"saml_session_id": "s", "refresh_token": "r", "client_id": "c", "tenant_id": "t", "domain_name": "d", "access_type": "offline"}`: `{'_schema': ['cannot use the "access_type" "offline" with a refresh token', ` +
			`'"tenant_id" and "domain_name" must be mutually exclusive', 'Cannot use a "saml_session_id" and a "refresh_token" at the same time']}`,
	} {
		_, errs := tokenSchema.Load(read(t, body))
		got := ""
		if errs != nil {
			got = errs.PythonRepr()
		}
		if got != want {
			t.Errorf("%s:\n got %s\nwant %s", body, got, want)
		}
	}
}

func TestErrors_FirstOfSchema(t *testing.T) {
	t.Parallel()
	_, errs := tokenSchema.Load([]any{true})
	message, details := errs.First()
	if message != "Invalid input type." || text(t, details) != `{"_schema":{"message":"Invalid input type."}}` {
		t.Errorf("got %q, %s", message, text(t, details))
	}
	if whole := text(t, errs); whole != `{"_schema":["Invalid input type."]}` {
		t.Errorf("whole: %s", whole)
	}
}

func TestValues(t *testing.T) {
	t.Parallel()
	inner := &form.Schema{Fields: []form.Field{{Name: "city", Kind: form.String{}}}}
	schema := &form.Schema{Fields: []form.Field{
		{Name: "name", Kind: form.String{}, Default: "nobody"},
		{Name: "slug", Kind: form.String{}, Nullable: true},
		{Name: "limit", Kind: form.Integer{}},
		{Name: "on", Kind: form.Boolean{}, Default: true},
		{Name: "acl", Kind: form.ListOf{Of: form.String{}}},
		{Name: "address", Kind: form.Object{Schema: inner}},
	}}

	v, errs := schema.Load(read(t, `{"slug": null, "limit": "7", "on": "off", "acl": [], "address": {"city": "Québec"}}`))
	if errs != nil {
		t.Fatal(errs.PythonRepr())
	}
	got := []any{
		v.Has("name"), v.Text("name"), v.Has("slug"), v.Text("slug"), v.Get("slug"), v.Int("limit"), v.Bool("on"),
		v.Strings("acl"), v.Object("address").Text("city"),
	}
	want := []any{false, "nobody", true, "", nil, int64(7), false, []string{}, "Québec"}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("got %#v, want %#v", got, want)
	}

	v, _ = schema.Load(nil)
	if v.Has("acl") || v.Strings("acl") != nil || !v.Bool("on") || v.Int("limit") != 0 || v.Has("address") {
		t.Errorf("empty: %+v", v)
	}
	for name, wrong := range map[string]func(){
		"unknown field": func() { v.Text("colour") },
		"wrong type":    func() { v.Int("name") },
	} {
		func() {
			defer func() {
				if recover() == nil {
					t.Errorf("%s: no panic", name)
				}
			}()
			wrong()
		}()
	}
}

// Every row was checked against repr() of Python 3.11.
func TestPythonRepr(t *testing.T) {
	t.Parallel()
	for in, want := range map[string]string{
		`a`:                              `'a'`,
		`it's`:                           `"it's"`,
		`say "x"`:                        `'say "x"'`,
		`it's "x"`:                       `'it\'s "x"'`,
		`a\b`:                            `'a\\b'`,
		`'`:                              `"'"`,
		`"`:                              `'"'`,
		`\'`:                             `"\\'"`,
		"\n\t\r\x00\x1b\x7f":             `'\n\t\r\x00\x1b\x7f'`,
		"\u0080\u00a0\u00adÿ":            `'\x80\xa0\xadÿ'`,
		"é日本😀":                           `'é日本😀'`,
		"\u200b\u2028\ufeff\ue000\u0378": `'\u200b\u2028\ufeff\ue000\u0378'`,
		"\ufffd":                         "'\ufffd'",
		"\u3000 ":                        `'\u3000 '`,
		"\U000e0001\U0001fffe":           `'\U000e0001\U0001fffe'`,
	} {
		if got := (form.Dict{{"slug", in}}).PythonRepr(); got != `{'slug': `+want+`}` {
			t.Errorf("%q: got %s, want %s", in, got, want)
		}
	}
	tree := form.Dict{
		{"scopes", form.Dict{{0, form.Dict{{"message", "x"}, {"n", nil}, {"t", true}}}}},
		{"a", []any{1, int64(-2), "b", json.Number("1.5"), false}},
		{"e", []string{}}, {"d", form.Dict{}}, {"o", math.Pi},
	}
	want := `{'scopes': {0: {'message': 'x', 'n': None, 't': True}}, 'a': [1, -2, 'b', 1.5, False], 'e': [], 'd': {}, 'o': '3.141592653589793'}`
	if got := tree.PythonRepr(); got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
}

func read(t *testing.T, body string) any {
	t.Helper()
	v, err := form.ReadJSON(strings.NewReader(body), "application/json")
	if err != nil {
		t.Fatalf("%s: %v", body, err)
	}
	return v
}

func text(t *testing.T, v any) string {
	t.Helper()
	b, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}
