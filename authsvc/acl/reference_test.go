package acl

import (
	"regexp"
	"strings"
)

// reference is a slow matcher that translates each access to a regular
// expression, as contract/acl.md §6 describes. It shares no code with the
// package, so that the two can only agree by being right.
type reference struct {
	accesses        []string
	authID, session string
}

func (r reference) match(required string) bool {
	for _, access := range r.accesses {
		if strings.HasPrefix(access, "!") && r.pattern(access[1:]).MatchString(required) {
			return false
		}
	}
	for _, access := range r.accesses {
		if !strings.HasPrefix(access, "!") && r.pattern(access).MatchString(required) {
			return true
		}
	}
	return false
}

func (r reference) mayAdd(access string) bool {
	if strings.HasPrefix(access, "!") {
		return true
	}
	return r.match(access)
}

func (r reference) mayRemove(access string) bool {
	return r.match(strings.TrimPrefix(access, "!"))
}

// wildcards works on quoted text, in one pass: its results hold a '#' too. A
// backslash of the access is a pair by then and goes first, lest its second
// half be taken for the one in front of a star.
var wildcards = strings.NewReplacer(`\\`, `\\`, `\*`, `[^.#]*`, `#`, `[^\n]*`)

func (r reference) pattern(access string) *regexp.Regexp {
	pieces := strings.Split(access, ".")
	for i, piece := range pieces {
		switch piece {
		case "me":
			pieces[i] = "(?:me|" + regexp.QuoteMeta(r.authID) + ")"
		case "my_session":
			pieces[i] = "(?:my_session|" + regexp.QuoteMeta(r.session) + ")"
		case "edit":
			pieces[i] = "(?:edit|update)"
		default:
			pieces[i] = wildcards.Replace(regexp.QuoteMeta(piece))
		}
	}
	return regexp.MustCompile(`\A(?:` + strings.Join(pieces, `\.`) + `)\n?\z`)
}
