package acl

import (
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"
)

func TestCompileKeepsTheList(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name     string
		accesses []string
		json     string
	}{
		{"nil", nil, `[]`},
		{"empty", []string{}, `[]`},
		{"empty access", []string{""}, `[""]`},
		{"order and duplicates", []string{"b", "!a", "b", "a.#"}, `["b","!a","b","a.#"]`},
		{"no HTML escaping", []string{"a<b>&c"}, `["a<b>&c"]`},
		{"quotes and control bytes", []string{"a\"b\\c\n"}, `["a\"b\\c\n"]`},
		{"beyond ASCII", []string{"été.☎"}, `["été.☎"]`},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			a := Compile(c.accesses)
			if !slices.Equal(a.Accesses(), c.accesses) {
				t.Errorf("Accesses() = %q, want %q", a.Accesses(), c.accesses)
			}
			if got := string(a.JSON()); got != c.json {
				t.Errorf("JSON() = %s, want %s", got, c.json)
			}
		})
	}
}

func TestCompileCopiesTheList(t *testing.T) {
	t.Parallel()
	list := []string{"a.b"}
	a := Compile(list)
	list[0] = "#"
	if a.Accesses()[0] != "a.b" || a.Match("c", Self{}) {
		t.Error("changing the slice given to Compile changed the ACL")
	}
}

func TestZeroValue(t *testing.T) {
	t.Parallel()
	var a ACL
	if a.Match("", Self{}) || a.Match("a", Self{}) || a.MayRemove("!a", Self{}) || !a.MayAdd("!a", Self{}) {
		t.Error("the zero value does not behave as the empty list")
	}
	if len(a.Accesses()) != 0 || string(a.JSON()) != "[]" || a.Size() <= 0 {
		t.Error("the zero value does not look like the empty list")
	}
}

func TestNilIDsAreEmpty(t *testing.T) {
	t.Parallel()
	a := Compile([]string{"a.me.my_session"})
	for required, want := range map[string]bool{"a..": true, "a.me.": true, "a.None.None": false} {
		if got := a.Match(required, Self{}); got != want {
			t.Errorf("Match(%q) = %t, want %t", required, got, want)
		}
	}
}

// TestNeeds: an id may be left out where the list does not need it, whatever
// text is asked about.
func TestNeeds(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		list        []string
		me, session bool
	}{
		{nil, false, false},
		{[]string{"confd.users.#", "calld.meetings.read", "my_sessions", "auth.name"}, false, false},
		{[]string{"confd.users.me.read"}, true, false},
		{[]string{"me"}, true, false},
		{[]string{"!me.#"}, true, false},
		{[]string{"a.my_session"}, false, true},
		{[]string{"a.me*.my_session.#"}, false, true},
		{[]string{"*.me", "!my_session"}, true, true},
	} {
		a := Compile(c.list)
		if me, session := a.Needs(); me != c.me || session != c.session {
			t.Errorf("%q needs %v %v, want %v %v", c.list, me, session, c.me, c.session)
		}
		full := Self{AuthID: []byte("alice"), SessionID: []byte("s1")}
		needed := full
		if !c.me {
			needed.AuthID = nil
		}
		if !c.session {
			needed.SessionID = nil
		}
		for _, text := range []string{"alice", "s1", "me", "confd.users.alice.read", "confd.users.me.read", "a.s1", "a.mex.s1.b", "x.alice", "calld.meetings.read"} {
			if got, want := a.Match(text, needed), a.Match(text, full); got != want {
				t.Errorf("%q: %q is %v without the ids it does not need, and %v with them", c.list, text, got, want)
			}
		}
	}
}

func TestSizeGrowsWithTheList(t *testing.T) {
	t.Parallel()
	last := 0
	for _, n := range []int{0, 1, 30, 300, 3000} {
		list := accessList(n)
		size, text := Compile(list).Size(), len(strings.Join(list, ""))
		if size <= last || size < 2*text {
			t.Errorf("%d accesses, %d bytes of text: size %d", n, text, size)
		}
		if n >= 300 && size > 40*text {
			t.Errorf("%d accesses, %d bytes of text: size %d is out of proportion", n, text, size)
		}
		last = size
	}
}

func TestEscape(t *testing.T) {
	t.Parallel()
	for value, want := range map[string]string{
		"": "", "a": "a", ".": "_", "a.b.c": "a_b_c", "a_b": "a_b", "*#/ é.": "*#/ é_",
	} {
		if got := Escape(value); got != want {
			t.Errorf("Escape(%q) = %q, want %q", value, got, want)
		}
	}
	if Compile([]string{"a.*"}).Match("a."+Escape("x.y"), Self{}) != true {
		t.Error("an escaped value still adds a segment")
	}
}

func TestConcurrentUse(t *testing.T) {
	t.Parallel()
	a := Compile(accessList(300))
	var wg sync.WaitGroup
	for g := range 8 {
		wg.Go(func() {
			self := Self{AuthID: []byte("user-" + strconv.Itoa(g)), SessionID: []byte("s")}
			for range 200 {
				if !a.Match("calld.users.user-"+strconv.Itoa(g)+".calls.create", self) {
					t.Error("refused its own user")
				}
				if a.Match("calld.users.user-x.calls.create", self) {
					t.Error("allowed another user")
				}
			}
		})
	}
	wg.Wait()
}

// TestManyChildren looks up every child of a wide node, so that the ends of the
// binary search are exercised.
func TestManyChildren(t *testing.T) {
	t.Parallel()
	var list []string
	for i := range 1000 {
		list = append(list, "confd.users."+strconv.Itoa(i*2)+".read")
	}
	a := Compile(list)
	for i := range 2001 {
		want := i%2 == 0 && i < 2000
		if got := a.Match("confd.users."+strconv.Itoa(i)+".read", Self{}); got != want {
			t.Fatalf("child %d: got %t, want %t", i, got, want)
		}
	}
}

// TestHostileTexts holds lists and texts made to blow up a backtracking matcher
// against a deadline that is generous for linear work, and out of reach for
// anything exponential or of the fourth power.
func TestHostileTexts(t *testing.T) {
	t.Parallel()
	const n = 8 << 10
	as, dots := strings.Repeat("a", n), strings.Repeat(".", n)
	for _, c := range []struct {
		name     string
		access   string
		required string
		self     Self
		want     bool
	}{
		{"hash and stars", "#a*a*a*b*", as, Self{}, false},
		{"hash and stars, matching", "#a*a*a*#", as, Self{}, true},
		{"hashes", strings.Repeat("#a", 20) + "#b#", as, Self{}, false},
		{"alternating", strings.Repeat("*#", 50) + "b#", as, Self{}, false},
		{"stars over dots", strings.Repeat("*.", n) + "x", dots, Self{}, false},
		{"stars over dots, matching", strings.Repeat("*.", n) + "*", dots, Self{}, true},
		{"hashes over dots", strings.Repeat("#.", 20) + "#x#", dots, Self{}, false},
		{"id is the word", strings.Repeat("me.", 60) + "x", strings.Repeat("me.", 60) + "y",
			Self{AuthID: []byte("me")}, false},
		{"id is the word twice", strings.Repeat("me.", 60) + "x", strings.Repeat("me.", 90) + "y",
			Self{AuthID: []byte("me.me")}, false},
		{"session is the word twice", strings.Repeat("my_session.", 60) + "x",
			strings.Repeat("my_session.", 90) + "y", Self{SessionID: []byte("my_session.my_session")}, false},
		{"empty id between hashes", strings.Repeat("#.me.", 20) + "x", dots, Self{}, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			a := Compile([]string{c.access, "!" + c.access + "!"})
			start := time.Now()
			if got := a.Match(c.required, c.self); got != c.want {
				t.Errorf("got %t, want %t", got, c.want)
			}
			if took := time.Since(start); took > 2*time.Second {
				t.Errorf("took %s", took)
			}
		})
	}
}

// TestPositionBoundaries crosses the sizes at which a position set gains a word
// and leaves the stack.
func TestPositionBoundaries(t *testing.T) {
	t.Parallel()
	a := Compile([]string{"#b*c#d*"})
	for _, n := range []int{0, 1, 60, 61, 62, 63, 64, 65, 126, 127, 128, 129, 1019, 1020, 1021, 1022, 1023, 1024, 1025, 4096} {
		pad := strings.Repeat("x", n)
		for _, c := range []struct {
			required string
			want     bool
		}{
			{pad + "bcd", true},
			{"b" + pad + "cd", true},
			{"bc" + pad + ".d", true},
			{"bcd" + pad, true},
			{"bcd" + pad + "\n", true},
			{pad + "cbd", false},
			{"b." + pad + "cd", false},
			{"bcd" + pad + "#", false},
			{"bc\n" + pad + "d", false},
		} {
			if got := a.Match(c.required, Self{}); got != c.want {
				t.Errorf("n=%d: Match(%.12q…) = %t, want %t", n, c.required, got, c.want)
			}
		}
	}
}

// TestLongTextsShareOneBitmap runs two programs over one long text: what the
// first one reached must not help the second one over a dot.
func TestLongTextsShareOneBitmap(t *testing.T) {
	t.Parallel()
	required := strings.Repeat("a", 1100) + ".b.me.b#"
	if Compile([]string{"#.*", "a*.me.b#"}).Match(required, Self{}) {
		t.Error("the positions of one program leaked into the next")
	}
	if !Compile([]string{"#.*", "a*.b.me.b#"}).Match(required, Self{}) {
		t.Error("the second program was not run as it should")
	}
}

// TestMatch_GivesUp: what a list costs is bounded, and a question that was not
// answered to its end is refused, whichever part of the list it was.
func TestMatch_GivesUp(t *testing.T) {
	t.Parallel()
	ordinary := Self{AuthID: []byte("u"), SessionID: []byte("s")}
	ambiguous := Self{AuthID: []byte("me.me")}
	bad := hostile(120)
	not := make([]string, len(bad))
	for i, access := range bad {
		not[i] = "!" + access
	}
	short, long := strings.Repeat("a", 8), strings.Repeat("a", 1024)
	for _, c := range []struct {
		name     string
		list     []string
		required string
		want     bool
	}{
		{"in time", append(bad[:10:10], "*"), short, true},
		{"negatives in time", append(not[:10:10], "*"), short, true},
		{"after too many, none of which is too much", append(bad[:120:120], "*a*a*"), short, false},
		{"after too much", append(bad[:120:120], "*a*a*"), long, false},
		{"negatives that are too much", append(not[:120:120], "#"), long, false},
		{"negatives that are too much, with a line feed", append(not[:120:120], "#"), long + "\n", false},
	} {
		a := Compile(c.list)
		for name, self := range map[string]Self{"tries": ordinary, "linear": ambiguous} {
			if got := a.Match(c.required, self); got != c.want {
				t.Errorf("%s, %s: %t, want %t", c.name, name, got, c.want)
			}
		}
	}
}
