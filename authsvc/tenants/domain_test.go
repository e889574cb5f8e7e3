package tenants

import (
	"strings"
	"testing"

	"github.com/wazo-edge/xivo-auth/authsvc/form"
)

// domains are what Python's re.search says of domainText, asked with each.
var domains = []struct {
	name string
	ok   bool
}{
	{"example.org", true}, {"a.b", true}, {"A.B", true}, {"1.2", true}, {"wazo.io.", true}, {"a-b.c--d", true},
	{"a.b\n", true}, {"a.b.\n", true}, // $ is before a last line feed, too
	{"xn--bcher-kva.example", true}, {strings.Repeat("a", 250) + ".bc", true}, {strings.Repeat("a", 250) + ".bc.", true},
	{strings.Repeat("a.", 62) + "a", true}, {strings.Repeat("a.", 63), true}, {strings.Repeat("a.", 62) + "a\n", true},
	{"", false}, {"a", false}, {"a.", false}, {".", false}, {"..", false}, {".a.b", false}, {"a..b", false}, {"a.b..", false},
	{"-a.b", false}, {"a-.b", false}, {"a.-b", false}, {"a.b-", false}, {"a.b-.", false}, {"_a.b", false}, {"a_b.c", false}, {"a.b_", false}, {"a.b_c", false}, {"_", false},
	{"a b.c", false}, {"a.b c", false}, {" a.b", false}, {"a.b ", false}, {"é.org", false}, {"a.b/c", false}, {"*.org", false}, {"a.b:1", false},
	{"a\n.b", false}, {"a.\nb", false}, {"\na.b", false}, {"a.b\n\n", false}, {"a.b\r\n", false}, {"a.b\x00", false},
	{strings.Repeat("a", 251) + ".bc", false}, {strings.Repeat("a", 251) + ".bc.", false}, {strings.Repeat("a", 250) + ".bc..", false},
	{strings.Repeat("a.", 63) + "a", false}, {strings.Repeat("a.", 64), false},
	{"١.٢", false}, {"a.b" + string(rune(0x2028)), false},
}

// accepted is what a form says of a domain.
func accepted(name string) bool {
	_, wrong := form.String{Pattern: domainPattern{}}.Load(name)
	return wrong == nil
}

func TestDomain(t *testing.T) {
	t.Parallel()
	for _, c := range domains {
		if got := accepted(c.name); got != c.ok {
			t.Errorf("%q: %v, Python says %v", c.name, got, c.ok)
		}
		if got := backtrack(c.name); got != c.ok {
			t.Errorf("%q: the reference of this test says %v, Python %v", c.name, got, c.ok)
		}
	}
}

// FuzzDomain holds the pattern against the expression, gone through step by
// step.
func FuzzDomain(f *testing.F) {
	for _, c := range domains {
		f.Add(c.name)
	}
	f.Fuzz(func(t *testing.T, name string) {
		if got, want := accepted(name), backtrack(name); got != want {
			t.Errorf("%q: %v, the expression says %v", name, got, want)
		}
	})
}

// backtrack matches domainText as an engine that can look around does, trying
// every way there is.
func backtrack(s string) bool {
	r := []rune(s)
	// end is $: the end, or before a line feed there.
	end := func(i int) bool { return i == len(r) || i == len(r)-1 && r[i] == '\n' }

	// (?=.{1,253}\.?$)
	ahead := false
	for n := 1; n <= 253 && n <= len(r) && r[n-1] != '\n'; n++ {
		ahead = ahead || end(n) || n < len(r) && r[n] == '.' && end(n+1)
	}
	if !ahead {
		return false
	}
	class := func(c rune) bool {
		return c >= 'A' && c <= 'Z' || c >= 'a' && c <= 'z' || c >= '0' && c <= '9' || c == '-' || c == '_'
	}
	// What comes after so many rounds of the group: {2,63}$. A round that was
	// tried from a place with as many before it is not tried again.
	type place struct{ at, rounds int }
	tried := map[place]bool{}
	var rounds func(i, n int) bool
	rounds = func(i, n int) bool {
		if tried[place{i, n}] {
			return false
		}
		tried[place{i, n}] = true
		if n >= 2 && end(i) {
			return true
		}
		if n == 63 {
			return false
		}
		// (?!(-|_)|[^.]+_)
		if i < len(r) && (r[i] == '-' || r[i] == '_') {
			return false
		}
		for j := i; j < len(r) && r[j] != '.'; j++ {
			if j+1 < len(r) && r[j+1] == '_' {
				return false
			}
		}
		// [A-Za-z0-9-_]{1,}(?<!-)(?:\.|$), of any length
		for j := i; j < len(r) && class(r[j]); j++ {
			if r[j] == '-' {
				continue
			}
			if j+1 < len(r) && r[j+1] == '.' && rounds(j+2, n+1) || end(j+1) && rounds(j+1, n+1) {
				return true
			}
		}
		return false
	}
	return rounds(0, 0)
}
