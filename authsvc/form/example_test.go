package form_test

import (
	"fmt"
	"strings"

	"github.com/wazo-edge/xivo-auth/authsvc/form"
)

// tokenSchema is the body of POST /token (contract: token.md §2).
var tokenSchema = &form.Schema{
	Fields: []form.Field{
		{Name: "backend", Kind: form.String{}, Default: "wazo_user"},
		{Name: "expiration", Kind: form.Integer{Min: new(int64(1)), Max: new(int64(315360000))}},
		{Name: "access_type", Kind: form.String{OneOf: []string{"online", "offline"}}},
		{Name: "client_id", Kind: form.String{Min: 1, Max: 1024}},
		{Name: "saml_session_id", Kind: form.String{Min: 1, Max: 1024}},
		{Name: "refresh_token", Kind: form.String{}},
		{Name: "tenant_id", Kind: form.String{}},
		{Name: "domain_name", Kind: form.String{}},
	},
	Rules: []form.Rule{
		func(v form.Values) string {
			if v.Text("access_type") == "offline" && v.Text("refresh_token") != "" {
				return `cannot use the "access_type" "offline" with a refresh token`
			}
			return ""
		},
		func(v form.Values) string {
			if v.Text("access_type") == "offline" && v.Text("refresh_token") == "" && !v.Has("client_id") {
				return `"client_id" must be specified when using "access_type" is "offline"`
			}
			return ""
		},
		func(v form.Values) string {
			if v.Text("tenant_id") != "" && v.Text("domain_name") != "" {
				return `"tenant_id" and "domain_name" must be mutually exclusive`
			}
			return ""
		},
		func(v form.Values) string {
			if v.Text("refresh_token") != "" && !v.Has("client_id") {
				return `"client_id" must be specified when using a "refresh_token"`
			}
			return ""
		},
		func(v form.Values) string {
			if v.Text("saml_session_id") != "" && v.Text("refresh_token") != "" {
				return `Cannot use a "saml_session_id" and a "refresh_token" at the same time`
			}
			return ""
		},
	},
}

func Example() {
	for _, body := range []string{
		`{"expiration": " 600 ", "client_id": "phone", "refresh_token": ""}`,
		`{"expiration": 0.5, "client_id": null}`,
		`{"refresh_token": "bd1f…"}`,
		`[1]`,
		`{"expiration": 60`,
	} {
		input, err := form.ReadJSON(strings.NewReader(body), "application/json")
		if err != nil { // errors.Is(err, form.ErrTooLarge) is 413, the rest 400
			fmt.Println("error:", err)
			continue
		}
		v, wrong := tokenSchema.Load(input)
		if wrong != nil {
			fmt.Println(wrong.PythonRepr())
			continue
		}
		fmt.Println(v.Text("backend"), v.Int("expiration"), v.Has("refresh_token"), v.Has("tenant_id"))
	}
	// Output:
	// wazo_user 600 true false
	// {'expiration': [{'constraint_id': 'range', 'constraint': {'min': 1, 'max': 315360000}, 'message': 'Must be greater than or equal to 1 and less than or equal to 315360000.'}], 'client_id': {'message': 'Field may not be null.', 'constraint_id': 'not_null', 'constraint': 'not_null'}}
	// {'_schema': ['"client_id" must be specified when using a "refresh_token"']}
	// {'_schema': ['Invalid input type.']}
	// error: body is not JSON: comma or end of collection expected at byte 17
}
