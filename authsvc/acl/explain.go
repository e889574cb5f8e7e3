package acl

import "strings"

// Decisive returns the access of the list that decides about required: the
// first negative that matches it, else the first positive; "" when none does,
// which refuses. It is for people who ask why: it takes the time of compiling
// every access on its own, and allocates.
func (a *ACL) Decisive(required string, self Self) string {
	allowed := ""
	for _, access := range a.accesses {
		text, negative := strings.CutPrefix(access, "!")
		if !negative && allowed != "" || !Compile([]string{text}).Match(required, self) {
			continue
		}
		if negative {
			return access
		}
		allowed = access
	}
	return allowed
}
