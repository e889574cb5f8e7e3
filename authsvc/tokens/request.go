package tokens

import (
	"net/http"
	"strings"

	"github.com/wazo-edge/xivo-auth/authsvc/backends"
	"github.com/wazo-edge/xivo-auth/authsvc/form"
	"github.com/wazo-edge/xivo-auth/authsvc/httpapi"
	"github.com/wazo-edge/xivo-auth/authsvc/store"
)

// maxExpiration is ten years of 365 days, in seconds.
const maxExpiration = 315_360_000

// maxText bounds the free identifiers of a login.
const maxText = 1024

// maxLogin is how many bytes the body of a login may have. Its texts are short,
// and anybody may send one: there is no token to show before it is read.
const maxLogin = 16 << 10

// loginForm is the body of POST /token (token.md §2).
var loginForm = form.Schema{
	Fields: []form.Field{
		{Name: "backend", Kind: form.String{}, Default: backends.Default},
		{Name: "expiration", Kind: form.Integer{Min: new(int64(1)), Max: new(int64(maxExpiration))}},
		{Name: "access_type", Kind: form.String{OneOf: []string{"online", "offline"}}},
		{Name: "client_id", Kind: form.String{Min: 1, Max: maxText}},
		{Name: "saml_session_id", Kind: form.String{Min: 1, Max: maxText}},
		{Name: "refresh_token", Kind: form.String{}},
		{Name: "tenant_id", Kind: form.String{}},
		{Name: "domain_name", Kind: form.String{}},
	},
	Rules: []form.Rule{
		func(v form.Values) string {
			switch {
			case v.Text("access_type") != "offline":
			case v.Text("refresh_token") != "":
				return `cannot use the "access_type" "offline" with a refresh token`
			case !v.Has("client_id"):
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
			if len(v.Text("client_id")) > store.MaxIndexed {
				return `"client_id" is too long`
			}
			return ""
		},
		func(v form.Values) string {
			if v.Has("saml_session_id") && v.Text("refresh_token") != "" {
				return `Cannot use a "saml_session_id" and a "refresh_token" at the same time`
			}
			return ""
		},
	},
}

// errBeyond2038 answers an expiration that the column cannot hold, in the
// words of the range check it belongs to.
var errBeyond2038 = httpapi.Reason(http.StatusBadRequest,
	`{'expiration': [{'constraint_id': 'range', 'constraint': {'max': '2038-01-19'}, 'message': 'Must end before 2038-01-19.'}]}`)

// login is one POST /token, read and checked.
type login struct {
	backend    string
	expiration int64 // seconds; 0 asks for the default
	attempt    backends.Attempt
	tenantID   *string // the key was there, maybe empty
	domain     bool    // domain_name was there, maybe empty
	saml       bool    // saml_session_id was there
	refresh    bool    // refresh_token and client_id were there
	offline    bool
	mobile     bool

	refreshToken, clientID string
	userAgent              string
	remoteAddr             string
}

// readLogin reads the request in the order of the reference: body, schema,
// Authorization, session type (token.md §1).
func readLogin(r *http.Request, remoteAddr string) (login, error) {
	values, err := readForm(r, &loginForm)
	if err != nil {
		return login{}, err
	}
	l := login{
		backend:    values.Text("backend"),
		expiration: values.Int("expiration"),
		domain:     values.Has("domain_name"),
		saml:       values.Has("saml_session_id"),
		refresh:    values.Has("refresh_token") && values.Has("client_id"),
		offline:    values.Text("access_type") == "offline",

		refreshToken: values.Text("refresh_token"),
		clientID:     values.Text("client_id"),

		mobile:     strings.EqualFold(r.Header.Get("Wazo-Session-Type"), "mobile"),
		userAgent:  strings.ToValidUTF8(r.UserAgent(), "\uFFFD"),
		remoteAddr: remoteAddr,
	}
	if values.Has("tenant_id") {
		id := values.Text("tenant_id")
		l.tenantID = &id
	}
	l.attempt.Login, l.attempt.Password, err = parseBasic(r.Header.Get("Authorization"))
	return l, err
}

// readForm reads the body and loads it with schema; what is wrong with it is
// told in the reason style, as everything under /token is.
func readForm(r *http.Request, schema *form.Schema) (form.Values, error) {
	return httpapi.ReadBody(r, schema, func(wrong *form.Errors) error {
		return httpapi.Reason(http.StatusBadRequest, wrong.PythonRepr())
	})
}
