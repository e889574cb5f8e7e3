package cache_test

import (
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/wazo-edge/xivo-auth/authsvc/acl"
	"github.com/wazo-edge/xivo-auth/authsvc/cache"
)

func newACLs(t testing.TB, size int) *cache.ACLs {
	t.Helper()
	a, err := cache.NewACLs(size)
	if err != nil {
		t.Fatal(err)
	}
	return a
}

func TestACLs_Compile(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name string
		a, b []string
		same bool
	}{
		{"equal", []string{"a", "b"}, []string{"a", "b"}, true},
		{"nil and empty", nil, []string{}, true},
		{"another order", []string{"a", "b"}, []string{"b", "a"}, false},
		{"twice the same access", []string{"a"}, []string{"a", "a"}, false},
		{"cut elsewhere", []string{"ab", "c"}, []string{"a", "bc"}, false},
		{"an empty access more", []string{"a"}, []string{"a", ""}, false},
		{"cut at a NUL, where the hash cannot tell", []string{"a\x00b"}, []string{"a", "b"}, false},
		{"another case", []string{"a"}, []string{"A"}, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			acls := newACLs(t, 0)
			a, freshA := acls.Compile(c.a)
			b, freshB := acls.Compile(c.b)
			if (a == b) != c.same || !freshA || freshB == c.same {
				t.Errorf("shared: %v, fresh: %v, %v; want shared: %v", a == b, freshA, freshB, c.same)
			}
			if !slices.Equal(a.Accesses(), c.a) || !slices.Equal(b.Accesses(), c.b) {
				t.Errorf("compiled %q and %q", a.Accesses(), b.Accesses())
			}
		})
	}
}

func TestACLs_Forget(t *testing.T) {
	t.Parallel()
	acls := newACLs(t, 1)
	first, _ := acls.Compile([]string{"a"})
	acls.Compile([]string{"b"})
	again, fresh := acls.Compile([]string{"a"})
	if again == first || !fresh || !slices.Equal(again.Accesses(), []string{"a"}) {
		t.Errorf("a forgotten list: fresh %v, %q", fresh, again.Accesses())
	}
}

// TestACLs_Concurrent: whoever compiles the same list at the same time gets the
// same ACL, and exactly one of them is told to answer for its size.
func TestACLs_Concurrent(t *testing.T) {
	t.Parallel()
	const goroutines, lists = 32, 50
	acls := newACLs(t, 0)
	var fresh [lists]atomic.Int64
	var got [goroutines][lists]*acl.ACL
	var wg sync.WaitGroup
	for g := range goroutines {
		wg.Go(func() {
			for i := range lists {
				a, isFresh := acls.Compile([]string{fmt.Sprintf("list.%d", i), "me"})
				got[g][i] = a
				if isFresh {
					fresh[i].Add(1)
				}
			}
		})
	}
	wg.Wait()
	for i := range lists {
		if n := fresh[i].Load(); n != 1 {
			t.Errorf("list %d was fresh %d times", i, n)
		}
		for g := range goroutines {
			if got[g][i] != got[0][i] {
				t.Fatalf("list %d: two ACLs", i)
			}
		}
	}
}
