package form_test

import (
	"strings"
	"testing"
	"unicode"
	"unicode/utf8"

	"github.com/wazo-edge/xivo-auth/authsvc/form"
)

// The verdicts are those of marshmallow 3.18 on Python 3.11.
func TestEmail(t *testing.T) {
	t.Parallel()
	for _, address := range []string{
		"a@example.org",
		"A.B-c_d+e@EXAMPLE.ORG",
		"\u00e9@example.org",
		"\u65e5\u672c@example.org",
		"\u00b2@example.org",
		"a@localhost",
		"a@b.co",
		"a@b.c1",
		"a@b.--",
		"a@b.c-",
		"a@[127.0.0.1]",
		"a@[001.02.3.4]",
		"a@[\u0661.1.1.1]",
		"\"a@b\"@example.org",
		"\"\"@example.org",
		"\"a\\\"b\"@example.org",
		"\"a\\ b\"@example.org",
		"\"\x01\x08\x0b\x1f\x7f\"@example.org",
		"\"\\\x09\"@example.org",
		"a@ex\u00e4mple.org",
		"a@\u4f8b\u3048.jp",
		"a@\u4f8b\u3048\u3002jp",
		"a@xn--exmple-cua.org",
		"a@stra\u00dfe.de",
		"a@\u00e4\u200d.org",
		"a@\u05d0\u05d1.org",
		"a@\u00e4-.org",
		"a@-\u00e4.org",
		"a@xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx.org",
		"a@aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa.\u00e4",
		"xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx@example.org",
		"a@\u212a.org",
		"a@\u017f.org",
		"a@\u0130.org",
		"a@\u0131.org",
		"a@\u0131aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa.org",
		"a@\U0001f600.org",
		"a@b.\U0001f600",
		"a'`{|}~^/?=!#$%&*b@c.de",
		"_@c.de",
		"\uff41@b.co",
		"a@\uff42.co",
		"a@b\uff0eco",
		"a@a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.org",
		"\u2177@b.co",
		"\u0663@b.co",
		"_a_@b.co",
		"a@xn--a.org",
		"a@fa\u00df.de",
		"a@\u03c2.gr",
		"a@\u00bd.org",
		"a@b.\u00c4\u00d6",
		strings.Repeat("x", form.MaxEmail-6) + "@b.org",
	} {
		if v, wrong := (form.Email{}).Load(address); wrong != nil || v != address {
			t.Errorf("%q: %v, %v", address, v, wrong)
		}
	}
	for _, text := range []string{
		"e\u0301@example.org",
		"a@LOCALHOST",
		"a@b",
		"a@b.c",
		"a@1.2",
		"a@-b.co",
		"a@b-.co",
		"a@b..co",
		"a@.b.co",
		"a@b.co.",
		"a@[256.0.0.1]",
		"a@[127.0.0]",
		"a@[127.0.0.1",
		"a@[::1]",
		"@example.org",
		"a@",
		"a",
		"",
		"@",
		"a@@example.org",
		"a b@example.org",
		" a@example.org",
		"a@example.org ",
		"a@example.org\x0a",
		"a\x0a@example.org",
		".a@example.org",
		"a.@example.org",
		"a..b@example.org",
		"\"a b\"@example.org",
		"\"a\"b\"@example.org",
		"\"a\x09b\"@example.org",
		"\"a\x0ab\"@example.org",
		"\"\u00e9\"@example.org",
		"\"\\\"@example.org",
		"a@ex_ample.org",
		"a@exa mple.org",
		"a@ex\u00e4mple",
		"a@ex \u00e4mple.org",
		"a@m\u00fcnchen..org",
		"a@\u00ad.org",
		"a@\u05d0a.org",
		"a@xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx.org",
		"a@\u00e4\u00e4\u00e4\u00e4\u00e4\u00e4\u00e4\u00e4\u00e4\u00e4\u00e4\u00e4\u00e4\u00e4\u00e4\u00e4\u00e4\u00e4\u00e4\u00e4\u00e4\u00e4\u00e4\u00e4\u00e4\u00e4\u00e4\u00e4\u00e4\u00e4\u00e4\u00e4\u00e4\u00e4\u00e4\u00e4\u00e4\u00e4\u00e4\u00e4\u00e4\u00e4\u00e4\u00e4\u00e4\u00e4\u00e4\u00e4\u00e4\u00e4\u00e4\u00e4\u00e4\u00e4\u00e4\u00e4\u00e4\u00e4\u00e4\u00e4.org",
		"a\x00@example.org",
		"a@b\x00.org",
		"a@b.co/m",
		"a(c)@b.co",
		"<a@b.co>",
		"a,b@c.de",
		"a@b,co",
		"a@b_c.de",
		"a\\@b.co",
		"a\u200b@b.co",
		"a@\u3002b.co",
		"a@xn--.org",
		"a@\u037a.org",
		strings.Repeat("x", form.MaxEmail-5) + "@b.org", // not so there
	} {
		if v, wrong := (form.Email{}).Load(text); wrong == nil {
			t.Errorf("%q: %v", text, v)
		}
	}
}

// That a value is no text is found elsewhere than that a text is no address,
// which shows in the form of the answer.
func TestEmail_Wrong(t *testing.T) {
	t.Parallel()
	const entry = `{'message': 'Not a valid email address.', 'constraint_id': 'type', 'constraint': 'email'}`
	for json, want := range map[string]string{
		`"x"`: `{'f': [` + entry + `]}`, `5`: `{'f': ` + entry + `}`, `[]`: `{'f': ` + entry + `}`,
		`null`: `{'f': {'message': 'Field may not be null.', 'constraint_id': 'not_null', 'constraint': 'not_null'}}`,
	} {
		if _, wrong := load(t, form.Email{}, json); wrong == nil || wrong.PythonRepr() != want {
			t.Errorf("%s: %v, want %s", json, wrong, want)
		}
	}
}

// FuzzEmail reads what is taken again, slowly.
func FuzzEmail(f *testing.F) {
	for _, seed := range []string{"a@b.co", `"a\"@b"@localhost`, "é@[1.2.3.4]", "a.b@ä.org", "a@b.c\n", "\x00@b.co", "a@\u3002.co"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, s string) {
		if _, wrong := (form.Email{}).Load(s); wrong != nil {
			return
		}
		at := strings.LastIndexByte(s, '@')
		if len(s) > form.MaxEmail || at < 1 || !utf8.ValidString(s) || strings.ContainsRune(s, 0) {
			t.Fatalf("%q is taken", s)
		}
		local, domain := s[:at], s[at+1:]
		if quoted, ok := strings.CutPrefix(local, `"`); ok {
			quoted, closed := strings.CutSuffix(quoted, `"`)
			for i := 0; i < len(quoted); i++ {
				if quoted[i] == '\\' {
					i++
				} else if c := quoted[i]; c == '"' || c == ' ' || c == '\t' || c == '\n' || c == '\r' || c > unicode.MaxASCII {
					t.Errorf("%q is taken", s)
				}
			}
			if !closed {
				t.Errorf("%q is taken", s)
			}
		} else {
			for atom := range strings.SplitSeq(local, ".") {
				for _, r := range atom {
					if !unicode.In(r, unicode.L, unicode.N) && !strings.ContainsRune("-!#$%&'*+/=?^`{}|~_", r) {
						t.Errorf("%q is taken", s)
					}
				}
				if atom == "" {
					t.Errorf("%q is taken", s)
				}
			}
		}
		if domain == "" || strings.ContainsAny(domain, " \t\r\n/:@\"<>()") || domain != "localhost" && len(domain) < 4 {
			t.Errorf("%q is taken", s)
		}
	})
}
