package tokens

import (
	"encoding/base64"
	"errors"
	"strings"
	"testing"
	"unicode/utf8"
)

// TestDecodeBase64 holds the decoder against what CPython 3.11's
// base64.b64decode answers to the same bytes.
func TestDecodeBase64(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		in, want string
		fails    bool
	}{
		{in: "", want: ""},
		{in: "YWJj", want: "abc"},
		{in: "a", fails: true},
		{in: "ab", fails: true},
		{in: "ab=", fails: true},
		{in: "ab==", want: "i"},
		{in: "abc", fails: true},
		{in: "abc=", want: "i\xb7"},
		{in: "YQ==YQ==", want: "a"},
		{in: "YQ=a=", want: "a\x06"},
		{in: "=YQ==", want: "a"},
		{in: "YWI=YQ==", want: "ab"},
		{in: "Y=Q==", want: "a"},
		{in: "YQ===", want: "a"},
		{in: "====", want: ""},
		{in: "YWJj=YQ==", want: "abca"},
		{in: "Y===", fails: true},
		{in: "YWJjZA", fails: true},
		{in: "YWJjZA==", want: "abcd"},
		{in: " Y W\tJ\nj!", want: "abc"},
		{in: "YW-_Jj", want: "abc"}, // the URL alphabet is not in the alphabet
		{in: "+/+/", want: "\xfb\xff\xbf"},
		{in: "Y\xff\x00Q==", want: "a"},
		{in: "YR==", want: "a"}, // bits left over do not matter
	} {
		t.Run(c.in, func(t *testing.T) {
			t.Parallel()
			got, err := decodeBase64(c.in)
			if (err != nil) != c.fails || err == nil && string(got) != c.want {
				t.Errorf("decodeBase64(%q) = %q, %v; want %q, failing: %v", c.in, got, err, c.want, c.fails)
			}
		})
	}
}

func TestParseBasic(t *testing.T) {
	t.Parallel()
	basic := func(s string) string { return "Basic " + base64.StdEncoding.EncodeToString([]byte(s)) }
	for _, c := range []struct {
		name, header, login, password string
		fails                         bool
	}{
		{"no header", "", "", "", false},
		{"ordinary", basic("alice:secret"), "alice", "secret", false},
		{"colons in the password", basic("alice:a:b:"), "alice", "a:b:", false},
		{"UTF-8", basic("élise:pâté"), "élise", "pâté", false},
		{"ISO-8859-1", basic("\xe9lise:p\xe2t\xe9"), "élise", "pâté", false},
		{"ISO-8859-1 that happens to be UTF-8", basic("a:\xc3\xa9"), "a", "é", false},
		{"every high byte", basic("a:\x80\x9f\xff"), "a", "\u0080\u009fÿ", false},
		{"NUL", basic("a\x00b:c\x00"), "a\x00b", "c\x00", false},
		{"empty password", basic("alice:"), "", "", false},
		{"empty login", basic(":secret"), "", "", false},
		{"both empty", basic(":"), "", "", false},
		{"no colon", basic("alice"), "", "", false},
		{"empty payload", "Basic ", "", "", false},
		{"no payload", "Basic", "", "", false},
		{"lower case", "b" + basic("alice:secret")[1:], "", "", false},
		{"upper case", strings.Replace(basic("alice:secret"), "Basic", "BASIC", 1), "", "", false},
		{"tab for the space", strings.Replace(basic("alice:secret"), " ", "\t", 1), "", "", false},
		{"two spaces", strings.Replace(basic("alice:secret"), " ", "  ", 1), "alice", "secret", false},
		{"leading space", " " + basic("alice:secret"), "", "", false},
		{"bearer", "Bearer YWxpY2U6c2VjcmV0", "", "", false},
		{"no padding", "Basic YWxpY2U6c2VjcmV0cw", "", "", true},
		{"no base64", "Basic a", "", "", true},
		{"only noise is an empty payload", "Basic !!!", "", "", false},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			login, password, err := parseBasic(c.header)
			if login != c.login || password != c.password || (err != nil) != c.fails {
				t.Errorf("parseBasic(%q) = %q, %q, %v; want %q, %q, failing: %v", c.header, login, password, err, c.login, c.password, c.fails)
			}
			if err != nil && !errors.Is(err, errBasic) {
				t.Errorf("not the answer to a bad header: %v", err)
			}
		})
	}
}

func FuzzBasic(f *testing.F) {
	for _, s := range []string{"", "Basic ", "Basic YTpi", "Basic Og==", "Basic a", "Basic YQ=a=", "Basic 6TrpCg==", "bearer x", "Basic \xff====="} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, header string) {
		login, password, err := parseBasic(header)
		if (login == "") != (password == "") {
			t.Errorf("%q: half of the credentials: %q, %q", header, login, password)
		}
		if strings.Contains(login, ":") || !utf8.ValidString(login) || !utf8.ValidString(password) {
			t.Errorf("%q: login %q, password %q", header, login, password)
		}
		if (err != nil || login != "") && !strings.HasPrefix(header, "Basic ") {
			t.Errorf("%q was read as Basic: %q, %v", header, login, err)
		}
		payload, _ := strings.CutPrefix(header, "Basic ")
		if raw, stdErr := base64.StdEncoding.DecodeString(payload); stdErr == nil && !strings.ContainsAny(payload, "\r\n") {
			if got, err := decodeBase64(payload); err != nil || string(got) != string(raw) {
				t.Errorf("%q is proper base64 of %q and was read as %q, %v", payload, raw, got, err)
			}
		}
	})
}
