package openapi

import (
	"slices"
	"strconv"
	"strings"

	"github.com/wazo-edge/xivo-auth/authsvc/routes"
)

// resolve tells which parameter of the path, by its place, each placeholder of
// a route's ACL stands for, by the rule of package routes: names that the path
// does not have stand in order for the parameters that the ACL does not name.
// lacking are those for which there is none.
func resolve(r routes.Route) (place map[string]int, lacking []string) {
	place = map[string]int{}
	path, acl := parameters(r.Template), placeholders(r.ACL)
	var free []int
	for i, name := range path {
		if slices.Contains(acl, name) {
			place[name] = i
		} else {
			free = append(free, i)
		}
	}
	for _, name := range acl {
		if _, known := place[name]; !known {
			lacking = append(lacking, name)
		}
	}
	if len(lacking) != len(free) {
		return place, lacking
	}
	for i, name := range lacking {
		place[name] = free[i]
	}
	return place, nil
}

// meaning is a route's ACL with places for names, so that two spellings of the
// same demand can be told from two demands.
func meaning(r routes.Route) string {
	place, _ := resolve(r)
	var b strings.Builder
	rest := r.ACL
	for {
		before, after, found := strings.Cut(rest, "{")
		b.WriteString(before)
		name, more, closed := strings.Cut(after, "}")
		if !found || !closed {
			return b.String()
		}
		if i, known := place[name]; known {
			name = strconv.Itoa(i)
		}
		b.WriteString("{" + name + "}")
		rest = more
	}
}
