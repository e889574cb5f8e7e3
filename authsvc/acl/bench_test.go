package acl

import (
	"encoding/hex"
	"fmt"
	"strings"
	"testing"
)

// accessList returns n accesses as the services of the stack write them, about
// one in twenty negative. The last one is always "zzz.last.read".
func accessList(n int) []string {
	shapes := []string{
		"confd.%s.read", "confd.%s.*.read", "calld.%s.me.#", "dird.%s.*.lookup.read",
		"auth.%s.*.edit", "webhookd.%s.create", "confd.%s.*.members.users.update",
		"call-logd.%s.me.cdr.read", "chatd.%s.me.presences.read", "provd.%s.#",
		"confd.users.*.%s.*.delete", "agentd.%s.by-id.*.login", "amid.action.%s.create",
		"events.%s.#", "websocketd.%s", "auth.%s.me.sessions.my_session.delete",
		"plugind.%s.*.install", "confd.%s.#.read", "calld.%s.b*r", "!confd.%s.*.secrets.read",
	}
	nouns := []string{
		"users", "lines", "voicemails", "extensions", "directories", "groups", "trunks", "queues",
		"agents", "devices", "contexts", "endpoints", "registrars", "schedules", "switchboards",
	}
	list := make([]string, 0, n)
	for i := 0; len(list) < n-1; i++ {
		noun := nouns[i/len(shapes)%len(nouns)]
		if round := i / len(shapes) / len(nouns); round > 0 {
			noun = fmt.Sprintf("%s-%d", noun, round)
		}
		list = append(list, fmt.Sprintf(shapes[i%len(shapes)], noun))
	}
	if n > 0 {
		list = append(list, "zzz.last.read")
	}
	return list
}

var (
	benchUser    = [16]byte{0x6f, 0x1a, 0x2c, 0x3e, 0x0b, 0x77, 0x4c, 0x7e, 0x9a, 0x55, 0x3d, 0x4f, 0x5e, 0x6a, 0x7b, 0x8c}
	benchSession = [16]byte{0xc0, 0xff, 0xee, 0x00, 0x12, 0x34, 0x4a, 0xbc, 0x8d, 0xef, 0x01, 0x23, 0x45, 0x67, 0x89, 0xab}
	benchUserID  = "6f1a2c3e-0b77-4c7e-9a55-3d4f5e6a7b8c"
)

// render writes a binary uuid as text, as a guard does into its stack.
func render(dst *[36]byte, id *[16]byte) []byte {
	hex.Encode(dst[0:8], id[0:4])
	hex.Encode(dst[9:13], id[4:6])
	hex.Encode(dst[14:18], id[6:8])
	hex.Encode(dst[19:23], id[8:10])
	hex.Encode(dst[24:36], id[10:16])
	dst[8], dst[13], dst[18], dst[23] = '-', '-', '-', '-'
	return dst[:]
}

var questions = []struct {
	name     string
	required string
	want     bool // for 30 accesses and more
}{
	{"hit", "calld.users." + benchUserID + ".calls.create", true},
	{"star", "confd.users.0c3f7f1a-2fbd-4b3f-9a0e-5d0c5d0c7f1a.read", true},
	{"miss", "confd.users.0c3f7f1a-2fbd-4b3f-9a0e-5d0c5d0c7f1a.fallbacks.update", false},
	{"last", "zzz.last.read", true},
}

func BenchmarkACLMatch(b *testing.B) {
	var user, session [36]byte
	self := Self{AuthID: render(&user, &benchUser), SessionID: render(&session, &benchSession)}
	for _, n := range []int{1, 30, 300, 3000} {
		a := Compile(accessList(n))
		for _, q := range questions {
			b.Run(fmt.Sprintf("%d/%s", n, q.name), func(b *testing.B) {
				b.ReportAllocs()
				for b.Loop() {
					if a.Match(q.required, self) != q.want && n > 1 {
						b.Fatal("wrong verdict")
					}
				}
			})
		}
	}
}

// BenchmarkACLMatch300 is the figure that the documents quote: a user's own
// access among 300, ids rendered on the way.
func BenchmarkACLMatch300(b *testing.B) {
	a := Compile(accessList(300))
	b.ReportAllocs()
	for b.Loop() {
		var user, session [36]byte
		self := Self{AuthID: render(&user, &benchUser), SessionID: render(&session, &benchSession)}
		if !a.Match(questions[0].required, self) {
			b.Fatal("refused")
		}
	}
}

func BenchmarkCompile300(b *testing.B) {
	list := accessList(300)
	b.ReportAllocs()
	for b.Loop() {
		Compile(list)
	}
	b.ReportMetric(float64(Compile(list).Size()), "resident-B")
}

// hostile is a list of n accesses that are nothing but wildcards, as long as one
// may be, none of which matches a text that is all "a".
func hostile(n int) []string {
	list := make([]string, n)
	for i := range list {
		list[i] = fmt.Sprint(strings.Repeat("#a", 1200), "#c", i, "#")
	}
	return list
}

// BenchmarkHostileList is the worst that a list can do: it is given up.
func BenchmarkHostileList(b *testing.B) {
	a := Compile(hostile(4096))
	for _, n := range []int{8, 64, 1 << 10, 8 << 10} {
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			required := strings.Repeat("a", n)
			for b.Loop() {
				if a.Match(required, Self{}) {
					b.Fatal("allowed")
				}
			}
		})
	}
}

// BenchmarkHostile is the worst that one access of this length can do.
func BenchmarkHostile(b *testing.B) {
	a := Compile([]string{"#a*a*a*b*"})
	text := make([]byte, 8<<10)
	for i := range text {
		text[i] = 'a'
	}
	required := string(text)
	b.ReportAllocs()
	for b.Loop() {
		if a.Match(required, Self{}) {
			b.Fatal("allowed")
		}
	}
}
