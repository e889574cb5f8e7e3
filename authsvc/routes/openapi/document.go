package openapi

import (
	"fmt"
	"strings"

	"gopkg.in/yaml.v3"

	"github.com/wazo-edge/xivo-auth/authsvc/routes"
)

// Document is what an API description says about its routes. It is not changed
// once it was read; safe for concurrent use.
type Document struct {
	Title string
	// Base is the path all others are below, unless an operation has servers of
	// its own: "/1.1", or "".
	Base string
	// Operations are in the order of the file.
	Operations []Operation
	// Problems are those of parts that are no operations, or that leave an
	// operation's demand as it is. The others are with their operations.
	Problems []Problem
}

// Operation is one method of one path.
type Operation struct {
	// Route is of kind Access or Public, or denies and Problem says why.
	Route   routes.Route
	Line    int // where it begins, from 1
	Problem *Problem
}

// Reason is why something could not be taken as it is written. It is a closed
// set.
type Reason string

// The reasons. Operations have one of the first three.
const (
	NoACL      Reason = "no_acl"         // the prose does not speak of it
	TwoACLs    Reason = "two_acls"       // the prose names several, and which holds cannot be told
	Unreadable Reason = "unreadable_acl" // the prose speaks of one, but not clearly
	BadRef     Reason = "bad_reference"  // a $ref to another file, to nothing, or in circles
	BadNode    Reason = "bad_node"       // not of the shape the format wants
)

var sentences = map[Reason]string{
	NoACL:      "states no ACL",
	TwoACLs:    "states two different ACLs",
	Unreadable: "states an ACL that cannot be read",
	BadRef:     "has a reference that leads nowhere",
	BadNode:    "is not written as the format wants it",
}

// Problem is something in a file that could not be taken as it is written.
type Problem struct {
	Line   int    `json:"line,omitempty"` // from 1; 0 if not known
	Route  string `json:"route"`          // the method and template, or only the path
	Reason Reason `json:"reason"`
	Detail string `json:"detail,omitempty"` // what was found; shortened
}

// String tells the problem in one line.
func (p Problem) String() string {
	text := p.Route + " " + sentences[p.Reason]
	if p.Line > 0 {
		text = fmt.Sprintf("line %d: %s", p.Line, text)
	}
	if p.Detail != "" {
		text += ": " + p.Detail
	}
	return text
}

// maxOperations bounds what one description may have; the largest of the stack
// has 420.
const maxOperations = 1 << 14

// Import reads an API description, in YAML or JSON, of at most 4 MiB. An error
// means that nothing of it could be used, and names the line where one is
// known; whatever is wrong with single operations is a [Problem] instead. The
// time is linear in what the file says once its aliases and references are
// written out, which is bounded.
func Import(data []byte) (*Document, error) {
	root, err := parse(data)
	if err != nil {
		return nil, err
	}
	r := &reader{root: deref(root), refs: map[string]*yaml.Node{}, work: maxWork, doc: new(Document)}
	if err := r.document(); err != nil {
		return nil, err
	}
	if r.work < 0 {
		return nil, errTooMuch
	}
	return r.doc, nil
}

// document reads the parts that all operations have in common, then the paths.
func (r *reader) document() error {
	if r.root == nil || r.root.Kind != yaml.MappingNode {
		return at(r.root, "an API description is a mapping")
	}
	swagger, openapi := r.get(r.root, "swagger"), r.get(r.root, "openapi")
	version, _ := text(openapi)
	r.v3 = strings.HasPrefix(version, "3.")
	if old, _ := text(swagger); !r.v3 && (old != "2.0" || openapi != nil) {
		return at(or(openapi, swagger, r.root), "neither swagger is 2.0 nor openapi 3.x")
	}
	r.doc.Title, _ = text(r.get(r.get(r.root, "info"), "title"))
	r.doc.Title = shorten(r.doc.Title)

	var err error
	if r.v3 {
		r.doc.Base, err = r.server(r.get(r.root, "servers"))
	} else if base := r.get(r.root, "basePath"); base != nil {
		path, ok := text(base)
		if !ok {
			return at(base, "basePath is no text")
		}
		r.doc.Base, err = basePath(base, path)
	}
	if err != nil {
		return err
	}
	paths := r.get(r.root, "paths")
	if paths == nil || paths.Kind != yaml.MappingNode {
		return at(or(paths, r.root), "there is no mapping paths")
	}
	for _, p := range r.pairs(paths) {
		if strings.HasPrefix(p.key, "x-") {
			continue
		}
		if err := r.path(p); err != nil {
			return err
		}
		if r.work < 0 {
			return errTooMuch
		}
	}
	return nil
}

func (r *reader) problem(line int, route string, reason Reason, detail string) {
	r.doc.Problems = append(r.doc.Problems, Problem{Line: line, Route: shorten(route), Reason: reason, Detail: shorten(detail)})
}

// shorten keeps what is quoted from a file to the length of a line.
func shorten(s string) string {
	const most = 120
	if len(s) <= most {
		return s
	}
	return strings.ToValidUTF8(s[:most], "") + "…"
}
