package acl

import (
	"bytes"
	"io"
	"strings"
	"testing"
	"unicode/utf8"
)

// FuzzMatch holds the package against [reference]. Accesses are joined by ';'.
// Texts that are not UTF-8 are passed over: they cannot reach the package, and
// regular expressions cannot be made of them.
func FuzzMatch(f *testing.F) {
	for _, v := range readVectors(f, "testdata/vectors.json") {
		if v.Required != nil {
			self := v.self()
			f.Add(strings.Join(v.ACL, ";"), *v.Required, string(self.AuthID), string(self.SessionID))
		}
	}
	f.Add("#.me.*b*.edit.#", "a.me.me.x\ny.abb.update.\n", "me.me", "s")
	f.Add("me.edit.my_session.*;!me.edit.me.#", "u.x.update.my_session.z\n", "u.x", "")
	f.Add("*#*\n*#;#*#*.me", "a\n#.b\n.c\n\n", "\n", "#")
	f.Add("me.me.me;!me.me;my_session.#my_session", "my_session.my_session.my_session", "me.me", "my_session.my_session")
	f.Add("#aXX*me.me*#.edit.edit", "aaXXme.aX..edit.update", "aX.", ".")
	f.Add(strings.Repeat("#a*", 9), strings.Repeat("ab", 70), "a", "b")
	f.Add(".me.;..;!.edit.", ".update..", "", "")
	f.Fuzz(func(t *testing.T, joined, required, authID, sessionID string) {
		if !utf8.ValidString(joined + "\x00" + required + "\x00" + authID + "\x00" + sessionID) {
			return
		}
		if len(joined) > 1<<12 || len(authID)+len(sessionID) > 1<<8 {
			return // regexp refuses or takes ages
		}
		if 4*(len(joined)+1)*(len(required)+1) > maxWork {
			return // may be given up
		}
		accesses := strings.Split(joined, ";")
		a := Compile(accesses)
		self := Self{AuthID: []byte(authID), SessionID: []byte(sessionID)}
		slow := reference{accesses, authID, sessionID}
		for name, got := range map[string][2]bool{
			"Match":       {a.Match(required, self), slow.match(required)},
			"MayAdd":      {a.MayAdd(required, self), slow.mayAdd(required)},
			"MayRemove":   {a.MayRemove(required, self), slow.mayRemove(required)},
			"matchLinear": {a.matchLinear(required, self), slow.match(required)},
		} {
			if got[0] != got[1] {
				t.Errorf("%s(%q), list %q, me %q, my_session %q: got %t, the reference %t",
					name, required, accesses, authID, sessionID, got[0], got[1])
			}
		}
	})
}

// FuzzMatchLines holds that no input makes MatchLines panic, and that an input
// read to its end was answered once for every line that is not blank.
func FuzzMatchLines(f *testing.F) {
	f.Add([]byte(`{"acl":["a.*","!a.me"],"auth_id":"x","session_id":null,"required":"a.b"}` + "\n"))
	f.Add([]byte("\n" + `{"acl":[],"method":"may_add","required":"!a"}` + "\r\n{"))
	f.Add([]byte(`{"acl":[null]}`))
	f.Add([]byte("null\n[]\n0\n\"\"\n"))
	f.Add([]byte(`{"acl":["#\u0000*\ud800"],"required":"\udfff` + "\xff\"}"))
	f.Fuzz(func(t *testing.T, in []byte) {
		var out bytes.Buffer
		err := MatchLines(io.MultiReader(bytes.NewReader(in)), &out)
		want, got := 0, strings.Fields(out.String())
		for line := range bytes.Lines(in) {
			if len(bytes.Trim(line, " \t\r\n")) > 0 {
				want++
			}
		}
		if err == nil && len(got) != want || len(got) > want {
			t.Errorf("%d verdicts for %d lines, error %v", len(got), want, err)
		}
		for _, v := range got {
			if v != "allow" && v != "deny" {
				t.Errorf("verdict %q", v)
			}
		}
	})
}
