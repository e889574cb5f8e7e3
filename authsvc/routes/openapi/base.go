package openapi

import (
	"strings"

	"gopkg.in/yaml.v3"

	"github.com/wazo-edge/xivo-auth/authsvc/routes"
)

// maxBase bounds the path that others are below, in bytes: it is repeated in
// front of every one of them.
const maxBase = 1 << 10

// server returns the path of the first server of a list (OpenAPI 3), "" if
// there is no list. The others are alternatives to reach the same routes by.
func (r *reader) server(list *yaml.Node) (string, error) {
	servers := r.items(list)
	if len(servers) == 0 {
		return "", nil
	}
	node := or(r.get(servers[0], "url"), servers[0])
	raw, ok := text(node)
	if !ok {
		return "", at(node, "the server has no url")
	}
	if len(raw) > maxSize/4 {
		return "", at(node, "the server's url is too long")
	}
	variables := r.get(servers[0], "variables")
	var b strings.Builder
	for raw != "" {
		before, after, found := strings.Cut(raw, "{")
		b.WriteString(before)
		if !found {
			break
		}
		name, rest, closed := strings.Cut(after, "}")
		value, has := text(r.get(r.get(variables, name), "default"))
		if !closed || !has {
			return "", at(node, "the server's url has the variable {%s} without a default", shorten(name))
		}
		if b.Len()+len(value) > 4*maxBase {
			return "", at(node, "the server's url is too long")
		}
		b.WriteString(value)
		raw = rest
	}
	url := b.String()
	url, _, _ = strings.Cut(url, "#")
	url, _, _ = strings.Cut(url, "?")
	if _, rest, absolute := strings.Cut(url, "//"); absolute {
		_, path, _ := strings.Cut(rest, "/")
		url = "/" + path
	} else if !strings.HasPrefix(url, "/") {
		url = "/" + url // relative to where the file is served, which is the root here
	}
	return basePath(node, url)
}

// basePath judges the path that others are below.
func basePath(n *yaml.Node, path string) (string, error) {
	if len(path) > maxBase {
		return "", at(n, "the base path is longer than %d bytes", maxBase)
	}
	if strings.ContainsAny(path, "{}") {
		return "", at(n, "the base path %q has a parameter", shorten(path))
	}
	if strings.Contains(path, "%") {
		// A literal of a template is compared with decoded segments.
		return "", at(n, "the base path %q has an escape", shorten(path))
	}
	prefix, rule := routes.ParsePrefix(path)
	if rule != "" {
		return "", at(n, "no request has the base path %q: %s", shorten(path), rule)
	}
	return prefix.String(), nil
}
