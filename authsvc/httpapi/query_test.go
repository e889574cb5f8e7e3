package httpapi_test

import (
	"net/url"
	"testing"
	"unicode/utf8"

	"github.com/wazo-edge/xivo-auth/authsvc/httpapi"
)

func TestQuery(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		raw, want string
		ok        bool
	}{
		{"", "", false},
		{"other=x", "", false},
		{"scope", "", true},
		{"scope=", "", true},
		{"scope=a.b", "a.b", true},
		{"scope=a=b", "a=b", true},
		{"a=1&scope=x&b=2", "x", true},
		{"scope=first&scope=second", "first", true},
		{"scope&scope=second", "", true},
		{"&&scope=x&", "x", true},
		{"SCOPE=x", "", false},
		{"scopes=x", "", false},
		{"xscope=x", "", false},
		{"%73cope=x", "x", true},
		{"s%63op%65=%78", "x", true},
		{"+scope=x", "", false},
		{"scope=a+b", "a b", true},
		{"scope=a%2Bb", "a+b", true},
		{"scope=%zz", "%zz", true},
		{"scope=%", "%", true},
		{"scope=%4", "%4", true},
		{"scope=%41%zz%42+", "A%zzB ", true},
		{"scope=%%41", "%A", true},
		{"scope=a;b", "a;b", true},
		{"a=1;scope=x", "", false},
		{"scope=%26x&y", "&x", true},
		{"scope=%00", "\x00", true},
		{"scope=caf%C3%A9", "café", true},
		{"scope=caf%E9", "caf\ufffd", true},
		{"scope=\xff", "\ufffd", true},
		{"scope=%zz%FF", "%zz\ufffd", true},
	} {
		t.Run(c.raw, func(t *testing.T) {
			t.Parallel()
			if got, ok := httpapi.Query(c.raw, "scope"); got != c.want || ok != c.ok {
				t.Errorf("Query(%q) = %q, %v; want %q, %v", c.raw, got, ok, c.want, c.ok)
			}
		})
	}
}

// FuzzQuery: what net/url can read is read alike, and nothing is ever left out.
func FuzzQuery(f *testing.F) {
	for _, s := range []string{"", "scope=x", "%73cope=%zz", "scope", "a;scope=x", "scope=+%2B&scope=y", "\xff&scope=%ff"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, raw string) {
		got, ok := httpapi.Query(raw, "scope")
		if !utf8.ValidString(got) || !ok && got != "" {
			t.Errorf("Query(%q) = %q, %v", raw, got, ok)
		}
		values, err := url.ParseQuery(raw)
		if err == nil && utf8.ValidString(values.Get("scope")) && (values.Has("scope") != ok || values.Get("scope") != got) {
			t.Errorf("Query(%q) = %q, %v; net/url reads %q", raw, got, ok, values["scope"])
		}
		if values.Has("scope") && !ok {
			t.Errorf("Query(%q) left out %q", raw, values["scope"])
		}
	})
}
