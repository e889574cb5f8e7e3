package openapi

import (
	"fmt"
	"strings"

	"github.com/wazo-edge/xivo-auth/authsvc/routes"
)

const maxACL = 1 << 10 // bytes of a required access

// checkACL judges a required access: segments of letters, digits, '_', '-' and
// placeholders. Wildcards are for the accesses that are granted.
func checkACL(acl string) error {
	if len(acl) > maxACL {
		return fmt.Errorf("the access is longer than %d bytes", maxACL)
	}
	if _, word := routes.ParseKind(acl); word {
		return fmt.Errorf("the access is called %q, a word with another meaning", acl)
	}
	if first, _, _ := strings.Cut(acl, "."); strings.EqualFold(first, "none") {
		return fmt.Errorf("the access %q begins with none", shorten(acl))
	}
	for seg := range strings.SplitSeq(acl, ".") {
		if seg == "" {
			return fmt.Errorf("the access %q has an empty segment", shorten(acl))
		}
		depth, named := 0, false
		for i := range len(seg) {
			switch c := seg[i]; {
			case c == '{' && depth == 0:
				depth, named = 1, false
			case c == '}' && depth == 1 && named:
				depth = 0
			case c == '{', c == '}':
				return fmt.Errorf("the access %q has unpaired braces", shorten(acl))
			case !isACL(c):
				return fmt.Errorf("the access %q has the character %q", shorten(acl), c)
			default:
				named = true
			}
		}
		if depth != 0 {
			return fmt.Errorf("the access %q has unpaired braces", shorten(acl))
		}
	}
	return nil
}

// isACL reports whether c may stand in a required access.
func isACL(c byte) bool { return isWord(c) || strings.IndexByte("_-.{}", c) >= 0 }

func isWord(c byte) bool {
	return 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || '0' <= c && c <= '9'
}

// abbreviation tells "e.g." and "i.e." from an access.
func abbreviation(acl string) bool {
	return strings.EqualFold(acl, "e.g") || strings.EqualFold(acl, "i.e")
}
