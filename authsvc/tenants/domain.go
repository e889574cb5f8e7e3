package tenants

import (
	"regexp"
	"strings"
)

// domainText is what domain names look like, as clients are told when one does
// not. Go's expressions do not look around, hence [domainPattern].
const domainText = `^(?=.{1,253}\.?$)(?:(?!(-|_)|[^.]+_)[A-Za-z0-9-_]{1,}(?<!-)(?:\.|$)){2,63}$`

// maxDomain is the length of a name without the dot of the root.
const maxDomain = 253

// domainLabels are the labels alone: what domainText allows in one, and then
// takes back by looking around, is a letter or digit at both ends and hyphens
// between; an underscore nowhere.
var domainLabels = regexp.MustCompile(`^[A-Za-z0-9](?:[A-Za-z0-9-]*[A-Za-z0-9])?(?:\.[A-Za-z0-9](?:[A-Za-z0-9-]*[A-Za-z0-9])?){1,62}$`)

// domainPattern is domainText as a [form.Pattern].
type domainPattern struct{}

// MatchString reports whether s is 2 to 63 labels, perhaps with a dot after the
// last. O(n).
func (domainPattern) MatchString(s string) bool {
	name := strings.TrimSuffix(s, ".")
	return len(name) <= maxDomain && domainLabels.MatchString(name)
}

func (domainPattern) String() string { return domainText }
