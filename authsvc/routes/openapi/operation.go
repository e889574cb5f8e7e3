package openapi

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"unicode"

	"gopkg.in/yaml.v3"

	"github.com/wazo-edge/xivo-auth/authsvc/routes"
)

var methods = []string{"get", "put", "post", "delete", "patch", "head", "options", "trace"}

// maxTemplate bounds a path of the file, in bytes.
const maxTemplate = 8 << 10

var errOperations = fmt.Errorf("the file has more than %d operations", maxOperations)

// declared is what a parameter of a path says about its type.
type declared struct{ typ, format string }

// path reads the operations of one path.
func (r *reader) path(p pair) error {
	switch {
	case !strings.HasPrefix(p.key, "/"):
		r.problem(p.line, p.key, BadNode, "a path begins with a slash")
		return nil
	case len(p.key) > maxTemplate:
		r.problem(p.line, p.key, BadNode, "the path is too long")
		return nil
	case strings.ContainsFunc(p.key, unicode.IsControl):
		r.problem(p.line, p.key, BadNode, "the path has a control character")
		return nil
	case p.value == nil || p.value.Kind != yaml.MappingNode:
		r.problem(p.line, p.key, BadNode, "a path has a mapping of methods")
		return nil
	}
	entries := r.entries(p)
	base := r.doc.Base
	shared := map[string]declared{}
	for _, e := range entries {
		switch {
		case e.key == "parameters":
			r.parameters(shared, e.value, p.key)
		case e.key == "servers" && r.v3:
			var err error
			if base, err = r.server(e.value); err != nil {
				r.problem(e.line, p.key, BadNode, bare(err))
				return nil
			}
		}
	}
	for _, e := range entries {
		method := strings.ToLower(e.key)
		if !slices.Contains(methods, method) {
			continue
		}
		if len(r.doc.Operations) == maxOperations {
			return errOperations
		}
		r.operation(strings.ToUpper(method), base, p.key, e, shared)
	}
	return nil
}

// entries lists what a path has, and what its references bring.
func (r *reader) entries(p pair) (all []pair) {
	n := p.value
	for range maxRefs {
		own := r.pairs(n)
		all = append(all, own...)
		i := slices.IndexFunc(own, func(e pair) bool { return e.key == "$ref" })
		if i < 0 {
			return all
		}
		ref, _ := text(own[i].value)
		next, err := r.pointer(ref)
		if err == nil && next.Kind != yaml.MappingNode {
			err = errors.New("it leads to no mapping of methods")
		}
		if err != nil {
			r.problem(own[i].line, p.key, BadRef, err.Error())
			return all
		}
		n = next
	}
	r.problem(p.line, p.key, BadRef, "circles, or too many references in a row")
	return nil // what was gathered on the way round would be there many times
}

// operation reads one operation. Where its prose is not clear, it denies.
func (r *reader) operation(method, base, path string, e pair, shared map[string]declared) {
	route := routes.Route{Method: method, Template: base + path}
	if e.value == nil || e.value.Kind != yaml.MappingNode {
		r.deny(route, e.line, BadNode, "an operation is a mapping")
		return
	}
	var texts, summaries []string
	params := shared
	for _, f := range r.pairs(e.value) {
		switch f.key {
		case "description", "summary":
			s, _ := text(f.value)
			r.spend(len(s)) // through aliases, one long text may be read many times
			if f.key == "summary" {
				summaries = append(summaries, s)
			} else {
				texts = append(texts, s)
			}
		case "parameters":
			params = make(map[string]declared, len(shared))
			maps.Copy(params, shared)
			r.spend(len(shared))
			r.parameters(params, f.value, route.String())
		case "servers":
			if !r.v3 {
				continue
			}
			own, err := r.server(f.value)
			if err != nil {
				r.problem(f.line, route.String(), BadNode, bare(err))
				return
			}
			route.Template = own + path
		}
	}
	for i, name := range parameters(route.Template) {
		t := typeOf(name, params[name])
		if t == routes.Unknown || i >= maxTypes {
			continue
		}
		if route.Types == nil {
			route.Types = map[string]routes.Type{}
		}
		route.Types[name] = t
	}
	said := readProse(append(texts, summaries...)...)
	if said.reason != "" {
		r.deny(route, e.line, said.reason, said.detail)
		return
	}
	route.Kind, route.ACL = said.kind, said.acl
	r.doc.Operations = append(r.doc.Operations, Operation{Route: route, Line: e.line})
}

func (r *reader) deny(route routes.Route, line int, reason Reason, detail string) {
	route.Kind = routes.Deny
	r.doc.Operations = append(r.doc.Operations, Operation{
		Route: route, Line: line,
		Problem: &Problem{Line: line, Route: shorten(route.String()), Reason: reason, Detail: shorten(detail)},
	})
}

// parameters notes the types of the path's parameters in a list. Those that
// cannot be read have no type, and that is a problem of their own.
func (r *reader) parameters(into map[string]declared, list *yaml.Node, route string) {
	for _, item := range r.items(list) {
		n, err := r.follow(item)
		if err != nil {
			r.problem(line(item), route, BadRef, err.Error())
			continue
		}
		if in, _ := text(r.get(n, "in")); in != "path" {
			continue
		}
		name, _ := text(r.get(n, "name"))
		schema := n
		if r.v3 {
			if schema, err = r.follow(r.get(n, "schema")); err != nil {
				r.problem(line(item), route, BadRef, err.Error())
				continue
			}
		}
		into[name] = r.declared(schema)
	}
}

func (r *reader) declared(schema *yaml.Node) (d declared) {
	typ := r.get(schema, "type")
	d.typ, _ = text(typ)
	for _, one := range r.items(typ) { // ["string", "null"] in OpenAPI 3.1
		if t, is := text(one); is && t != "null" {
			if d.typ != "" {
				return declared{typ: "several"}
			}
			d.typ = t
		}
	}
	d.format, _ = text(r.get(schema, "format"))
	return d
}

func line(n *yaml.Node) int {
	if n == nil {
		return 0
	}
	return n.Line
}
