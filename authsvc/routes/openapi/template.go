package openapi

import (
	"strings"

	"github.com/wazo-edge/xivo-auth/authsvc/routes"
)

// maxTypes bounds how many parameters of a path are typed; a table refuses
// paths with more segments.
const maxTypes = 32

// typeOf is how the upstream's router reads a parameter. Where the file is
// silent or contradicts itself the type stays unknown, which never lets more
// pass: the guard then asks for both readings of a value. user_id, a string, is
// such a case: it may be a number or a uuid.
func typeOf(name string, d declared) routes.Type {
	named := strings.HasSuffix(strings.ToLower(name), "uuid")
	switch {
	case d.typ == "integer" && !named: // a uuid declared a number is a slip of the file
		return routes.Integer
	case d.typ == "string" && strings.EqualFold(d.format, "uuid"), named && (d.typ == "" || d.typ == "string"):
		return routes.UUID
	}
	return routes.Unknown
}

// parameters lists the names of a template's parameters in order.
func parameters(template string) (names []string) {
	for seg := range strings.SplitSeq(template, "/") {
		if name, is := parameter(seg); is {
			names = append(names, name)
		}
	}
	return names
}

func parameter(seg string) (name string, is bool) {
	if len(seg) < 3 || seg[0] != '{' || seg[len(seg)-1] != '}' {
		return "", false
	}
	name = seg[1 : len(seg)-1]
	return name, !strings.ContainsAny(name, "{}")
}

// shape is a template without the names of its parameters: what requests can
// tell of it.
func shape(template string) string {
	segs := strings.Split(template, "/")
	for i, s := range segs {
		if _, is := parameter(s); is {
			segs[i] = "{}"
		}
	}
	return strings.Join(segs, "/")
}

// placeholders lists the names in an ACL, each once.
func placeholders(acl string) (names []string) {
	seen := map[string]bool{}
	for {
		_, after, found := strings.Cut(acl, "{")
		name, rest, closed := strings.Cut(after, "}")
		if !found || !closed {
			return names
		}
		if !seen[name] {
			seen[name] = true
			names = append(names, name)
		}
		acl = rest
	}
}

// WithoutPrefix takes the prefix below which a service is reached off the
// templates that carry it: some descriptions have it in their base path, and
// the guard has taken it off a request's path already. It goes by whole
// segments; templates that do not begin with it stay as they are.
func WithoutPrefix(list []routes.Route, prefix routes.Prefix) []routes.Route {
	cut := make([]routes.Route, len(list))
	for i, r := range list {
		if rest, below := strings.CutPrefix(r.Template, prefix.String()); below && (rest == "" || rest[0] == '/') {
			r.Template = rest
			if rest == "" {
				r.Template = "/"
			}
		}
		cut[i] = r
	}
	return cut
}
