package slug_test

import (
	"reflect"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"github.com/wazo-edge/xivo-auth/authsvc/slug"
)

func TestOf(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ name, group, tenant string }{
		{"", "", ""},
		{"sales", "sales", "sales"},
		{"Sales & Marketing", "SalesMarketing", "SalesMarke"},
		{"a-b_c.d/e", "a-b_cde", "ab_cde"},
		{"été\n", "t", "t"},
		{"١٢٣ ₂", "", ""}, // digits, but not those of ASCII
		{"\n$^", "", ""},
		{"a\xffb", "ab", "ab"},
		{strings.Repeat("ab", 50), strings.Repeat("ab", 40), "ababababab"},
		{strings.Repeat("é", 80) + "x", "x", "x"}, // cut after dropping
	} {
		if got := slug.Group.Of(c.name); got != c.group {
			t.Errorf("group %q: %q, want %q", c.name, got, c.group)
		}
		if got := slug.Tenant.Of(c.name); got != c.tenant {
			t.Errorf("tenant %q: %q, want %q", c.name, got, c.tenant)
		}
	}
}

func TestCandidates(t *testing.T) {
	t.Parallel()
	drawn := 0
	random := func(n int) string {
		drawn++
		return strconv.Itoa(drawn) + ":" + strconv.Itoa(n)
	}
	want := []string{"ab", "1:3", "2:3", "3:3", "4:3", "5:6", "6:10"}
	if got := slug.Policy.Candidates("a b", random); !reflect.DeepEqual(got, want) {
		t.Errorf("candidates %q, want %q", got, want)
	}
	drawn = 0
	if got := slug.Tenant.Nameless(random); !reflect.DeepEqual(got, want[1:]) {
		t.Errorf("nameless %q, want %q", got, want[1:])
	}
}

// What the service makes itself it also takes from clients.
func TestAny(t *testing.T) {
	t.Parallel()
	seen := map[string]bool{}
	for range 1000 {
		s := slug.Any(10)
		if !regexp.MustCompile(`^[a-z0-9]{10}$`).MatchString(s) || seen[s] {
			t.Fatalf("%q", s)
		}
		seen[s] = true
		if _, wrong := slug.Tenant.Kind().Load(s); wrong != nil {
			t.Fatalf("%q: %v", s, wrong)
		}
	}
}

func TestKind(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		slug          string
		group, tenant bool
	}{
		{"a", true, true},
		{"", false, false},
		{"A_9", true, true},
		{"a-b", true, false},
		{"a b", false, false},
		{"é", false, false},
		{"a\n", true, true}, // as the reference's pattern
		{"a\n\n", false, false},
		{strings.Repeat("a", 10), true, true},
		{strings.Repeat("a", 11), true, false},
		{strings.Repeat("a", 80), true, false},
		{strings.Repeat("a", 81), false, false},
	} {
		if _, wrong := slug.Group.Kind().Load(c.slug); (wrong == nil) != c.group {
			t.Errorf("group %q: %v", c.slug, wrong)
		}
		if _, wrong := slug.Tenant.Kind().Load(c.slug); (wrong == nil) != c.tenant {
			t.Errorf("tenant %q: %v", c.slug, wrong)
		}
	}
}
