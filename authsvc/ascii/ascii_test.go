package ascii_test

import (
	"encoding/json"
	"testing"
	"unicode/utf8"

	"github.com/wazo-edge/xivo-auth/authsvc/ascii"
)

func TestAppendString(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ name, in, want string }{
		{"empty", "", `""`},
		{"printable ASCII, HTML included", ` !#[]^~<>&'/`, `" !#[]^~<>&'/"`},
		{"quote and backslash", `"\`, `"\"\\"`},
		{"short escapes", "\b\f\n\r\t", `"\b\f\n\r\t"`},
		{"other control characters", "\x00\x1f\x7f", `"\u0000\u001f\u007f"`},
		{"two bytes", "é", `"\u00e9"`},
		{"three bytes, lower-case hex", "\u20ac\uabcd", `"\u20ac\uabcd"`},
		{"line separators", "\u2028\u2029", `"\u2028\u2029"`},
		{"surrogate pair", "\U0001f600", `"\ud83d\ude00"`},
		{"first and last of the pairs", "\U00010000\U0010ffff", `"\ud800\udc00\udbff\udfff"`},
		{"what looks like an escape", `\u003c\\u003e<`, `"\\u003c\\\\u003e<"`},
		{"bad UTF-8", "a\xffb\xc3", `"a\ufffdb\ufffd"`},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			if got := string(ascii.AppendString([]byte("k="), c.in)); got != "k="+c.want {
				t.Errorf("got %s, want k=%s", got, c.want)
			}
			if got, err := ascii.Marshal(c.in); err != nil || string(got) != c.want {
				t.Errorf("Marshal gives %s, %v, want %s", got, err, c.want)
			}
		})
	}
}

func FuzzAppendString(f *testing.F) {
	for _, s := range []string{"", "plain", "\"\\\b\f\n\r\t\x00\x7f", "é€\U0001f600", "\xff\xed\xa0\x80", "\u2028"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		b := ascii.AppendString(nil, s)
		var back, want string
		if err := json.Unmarshal(b, &back); err != nil {
			t.Fatalf("%q gives %s: %v", s, b, err)
		}
		std, err := json.Marshal(s)
		if err != nil {
			t.Fatal(err)
		}
		if err := json.Unmarshal(std, &want); err != nil {
			t.Fatal(err)
		}
		if back != want {
			t.Errorf("%q comes back as %q, from encoding/json as %q", s, back, want)
		}
		for _, c := range b {
			if c < ' ' || c >= 0x7f {
				t.Fatalf("%q: byte %#x in %s", s, c, b)
			}
		}
		if utf8.ValidString(s) && back != s {
			t.Errorf("%q comes back as %q", s, back)
		}
		if other, err := ascii.Marshal(map[string]any{"k" + s: []string{s}}); err != nil ||
			string(other) != "{"+string(ascii.AppendString(nil, "k"+s))+":["+string(b)+"]}" {
			t.Errorf("Marshal gives %s, %v", other, err)
		}
	})
}
