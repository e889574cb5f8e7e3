package routes_test

import (
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/wazo-edge/xivo-auth/authsvc/routes"
)

// paths are what clients send, what becomes of it, and the rule that refuses
// it.
var paths = []struct {
	sent, canonical string
	rule            routes.Rule
}{
	{"/", "/", ""},
	{"/1.1/users", "/1.1/users", ""},
	{"/1.1/users/", "/1.1/users/", ""},
	{"/1.1/users/J%C3%BCrgen", "/1.1/users/Jürgen", ""},
	{"/1.1/users/Jürgen", "/1.1/users/Jürgen", ""},
	{"/%75sers", "/users", ""},
	{"/a%20b", "/a b", ""},
	{"/a+b:c@d,e=f&g!*'()$~-_.", "/a+b:c@d,e=f&g!*'()$~-_.", ""},
	{"/...", "/...", ""},
	{"/.hidden", "/.hidden", ""},
	{"/a%252Fb", "/a%2Fb", ""}, // decoded once; the upstream does not decode again either
	{"/{id}", "/{id}", ""},
	{"/٣a", "/٣a", ""}, // no number

	{"", "", routes.OriginForm},
	{"users", "", routes.OriginForm},
	{"*", "", routes.OriginForm},
	{"http://host/users", "", routes.OriginForm},
	{"http:/users", "", routes.OriginForm},
	{"host:443", "", routes.OriginForm},
	{"//users", "", routes.EmptySegment},
	{"//host/users", "", routes.EmptySegment},
	{"/a//b", "", routes.EmptySegment},
	{"/a//", "", routes.EmptySegment},
	{"/.", "", routes.DotSegment},
	{"/..", "", routes.DotSegment},
	{"/a/../b", "", routes.DotSegment},
	{"/a/./b", "", routes.DotSegment},
	{"/a/%2e%2e/b", "", routes.DotSegment},
	{"/a/.%2E/b", "", routes.DotSegment},
	{"/a/%2e", "", routes.DotSegment},
	{"/a%2Fb", "", routes.Reserved},
	{"/a%2fb", "", routes.Reserved},
	{"/a%5Cb", "", routes.Reserved},
	{`/a\b`, "", routes.Reserved},
	{"/a%00", "", routes.Reserved},
	{"/a%3Bb", "", routes.Reserved},
	{"/a;b=c", "", routes.Reserved},
	{"/..;/a", "", routes.Reserved},
	{"/a%3Fb", "", routes.Reserved},
	{"/a%23", "", routes.Reserved},
	{"/a#b", "", routes.Reserved},
	{"/a%0a", "", routes.Control},
	{"/a%0D%0Ab", "", routes.Control},
	{"/a\tb", "", routes.Control},
	{"/a%7f", "", routes.Control},
	{"/a%C2%85", "", routes.Control}, // NEL
	{"/a%", "", routes.BadEscape},
	{"/a%2", "", routes.BadEscape},
	{"/a%zz", "", routes.BadEscape},
	{"/a%u0041", "", routes.BadEscape},
	{"/%ff", "", routes.NotUTF8},
	{"/a%C3", "", routes.NotUTF8},
	{"/%C0%AE%C0%AE/a", "", routes.NotUTF8}, // an overlong ".."
	{"/%D9%A3", "", routes.ForeignDigit},
	{"/1%D9%A3", "", routes.ForeignDigit},
	{"/１２", "", routes.ForeignDigit},
	{"/" + strings.Repeat("a/", 40), "", routes.TooLong},
	{"/" + strings.Repeat("a", 9000), "", routes.TooLong},
}

func TestPath_Parse(t *testing.T) {
	t.Parallel()
	for _, c := range paths {
		var p routes.Path
		rule := p.Parse(c.sent)
		if rule != c.rule {
			t.Errorf("%.60q is refused by %q, want %q", c.sent, rule, c.rule)
		} else if rule == "" && p.String() != c.canonical {
			t.Errorf("%q is %q, want %q", c.sent, p.String(), c.canonical)
		}
	}
}

func TestPath_Under(t *testing.T) {
	t.Parallel()
	prefix, rule := routes.ParsePrefix("/api/confd/")
	if rule != "" || prefix.String() != "/api/confd" {
		t.Fatalf("%q %q", prefix, rule)
	}
	for path, want := range map[string]bool{
		"/api/confd": true, "/api/confd/": true, "/api/confd/1.1": true, "/api/%63onfd/1.1": true,
		"/api/confd-x": false, "/api/confdx/1.1": false, "/api": false, "/API/confd/1.1": false, "/x/api/confd": false,
	} {
		var p routes.Path
		if rule := p.Parse(path); rule != "" {
			t.Fatal(path, rule)
		}
		if _, got := p.Under(prefix); got != want {
			t.Errorf("%s below %s: %v, want %v", path, prefix, got, want)
		}
	}
	for _, none := range []string{"", "/"} {
		if p, rule := routes.ParsePrefix(none); len(p) != 0 || rule != "" {
			t.Errorf("prefix %q is %v, %q", none, p, rule)
		}
	}
	if _, rule := routes.ParsePrefix("api"); rule != routes.OriginForm {
		t.Errorf("a prefix without slash: %q", rule)
	}
}

func TestSplit(t *testing.T) {
	t.Parallel()
	path, query := routes.Split("/a?b?c=/d")
	if path != "/a" || query != "b?c=/d" {
		t.Errorf("%q %q", path, query)
	}
}

// FuzzPath: what is accepted has one spelling only, and parsing that again
// changes nothing.
func FuzzPath(f *testing.F) {
	for _, c := range paths {
		f.Add(c.sent)
	}
	f.Fuzz(func(t *testing.T, sent string) {
		var p routes.Path
		if p.Parse(sent) != "" {
			return
		}
		canonical := p.String()
		if !utf8.ValidString(canonical) || strings.ContainsAny(canonical, "\\;?#\x00\n\r\t") || strings.Contains(canonical, "//") {
			t.Fatalf("%q is accepted as %q", sent, canonical)
		}
		for seg := range strings.SplitSeq(canonical, "/") {
			if seg == "." || seg == ".." {
				t.Fatalf("%q is accepted as %q", sent, canonical)
			}
		}
		var again routes.Path
		if rule := again.Parse(strings.ReplaceAll(canonical, "%", "%25")); rule != "" || again.String() != canonical {
			t.Fatalf("%q is %q, which is %q (%s)", sent, canonical, again.String(), rule)
		}
	})
}
