package acl

import (
	"strings"
	"testing"
)

// TestMatchDoesNotAllocate is not parallel: AllocsPerRun counts the whole process.
func TestMatchDoesNotAllocate(t *testing.T) {
	a := Compile(append(accessList(300), "#.me.x*y", "#.edit.my_session.#", "!a.*.#b*#"))
	for _, c := range []struct {
		name     string
		required string
		budget   float64
	}{
		{"own id", "calld.users." + benchUserID + ".calls.create", 0},
		{"star", "confd.users.x.read", 0},
		{"miss", "confd.users.x.y.z.update", 0},
		{"program", "some.where." + benchUserID + ".xzy", 0},
		{"refused by a program", "a.b.c#bb.d", 0},
		{"line feeds", "confd.users.x\ny.read\n", 0},
		{"longest text on the stack", strings.Repeat("a", 1023), 0},
		{"longer text", strings.Repeat("a", 1022) + ".b\n", 1},
	} {
		t.Run(c.name, func(t *testing.T) {
			// The ids live on the stack of the caller: should Match let self
			// escape, rendering them would allocate and show here.
			got := testing.AllocsPerRun(100, func() {
				var user, session [36]byte
				self := Self{AuthID: render(&user, &benchUser), SessionID: render(&session, &benchSession)}
				a.Match(c.required, self)
				a.MayAdd(c.required, self)
				a.MayRemove(c.required, self)
			})
			if got > 3*c.budget {
				t.Errorf("%v allocations for three questions, want at most %v", got, 3*c.budget)
			}
		})
	}
}

// escaped keeps the compiler from leaving the call out.
var escaped string

func TestEscapeDoesNotAllocateForNothing(t *testing.T) {
	value := strings.Repeat("x", 100)
	if got := testing.AllocsPerRun(100, func() { escaped = Escape(value) }); got != 0 {
		t.Errorf("%v allocations", got)
	}
}
