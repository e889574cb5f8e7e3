// Package slug says what the slugs of groups, policies and tenants look like,
// and makes those that clients leave to the service (contract: schema.md §3.4).
package slug

import (
	"math/rand/v2"
	"regexp"
	"strings"

	"github.com/wazo-edge/xivo-auth/authsvc/form"
)

// Format is what the slugs of a resource look like: ASCII letters, digits and a
// few marks, up to a length. Safe for concurrent use.
type Format struct {
	max     int
	pattern *regexp.Regexp
}

// The formats, as the columns and the historical API have them.
var (
	Group  = Format{80, regexp.MustCompile(`^[a-zA-Z0-9_-]+$`)}
	Policy = Group
	Tenant = Format{10, regexp.MustCompile(`^[a-zA-Z0-9_]+$`)}
)

// Kind is the field of a form in which clients choose a slug themselves.
func (f Format) Kind() form.Kind { return form.String{Min: 1, Max: f.max, Pattern: f.pattern} }

// Of is the slug of a name: what of it a slug can have, cut to length. Nothing
// may be left: "" is a slug, too.
func (f Format) Of(name string) string {
	kept := strings.Map(func(r rune) rune {
		if f.pattern.MatchString(string(r)) {
			return r
		}
		return -1
	}, name)
	return kept[:min(len(kept), f.max)]
}

// Random returns n random characters of a-z and 0-9.
type Random func(n int) string

// Any is the [Random] to use outside tests. Slugs are no secrets.
func Any(n int) string {
	const letters = "abcdefghijklmnopqrstuvwxyz0123456789"
	b := make([]byte, n)
	for i := range b {
		b[i] = letters[rand.IntN(len(letters))]
	}
	return string(b)
}

// Candidates are the slugs to try for something called name, in this order:
// that of its name, then random ones. The store takes the first that is free.
func (f Format) Candidates(name string, random Random) []string {
	return append([]string{f.Of(name)}, f.Nameless(random)...)
}

// Nameless are the candidates for something without a name. Three characters
// are what clients know; longer ones follow so that one is free, however many
// there are already.
func (Format) Nameless(random Random) []string {
	return []string{random(3), random(3), random(3), random(3), random(6), random(10)}
}
