package openapi

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"gopkg.in/yaml.v3"
)

const (
	maxSize   = 4 << 20 // bytes of a file
	maxWork   = 1 << 22 // nodes and bytes of prose looked at; the largest file of the stack needs 105 000
	maxRefs   = 16      // references from one to the next
	maxMerges = 8       // merge keys within merge keys
)

var (
	errTooLarge = fmt.Errorf("the file is larger than %d MiB", maxSize>>20)
	errTooMuch  = errors.New("written out, the file's aliases and references are more than can be read")
)

// parse reads YAML or JSON without writing out aliases, so that a small file
// which stands for a huge one costs nothing here (the billion laughs).
func parse(data []byte) (root *yaml.Node, err error) {
	data, err = plain(data)
	if err != nil {
		return nil, err
	}
	// JSON is YAML but for tabs between tokens and surrogate pairs, both of
	// which generators write.
	if start := bytes.TrimLeft(data, " \t\r\n"); len(start) > 0 && (start[0] == '{' || start[0] == '[') {
		if root, err := parseJSON(data); err == nil {
			return root, nil
		}
	}
	// The parser has had inputs that made it panic (CVE-2022-28948).
	defer func() {
		if p := recover(); p != nil {
			root, err = nil, fmt.Errorf("the YAML cannot be read: %v", p)
		}
	}()
	dec := yaml.NewDecoder(bytes.NewReader(data))
	var doc, more yaml.Node
	if err := dec.Decode(&doc); err != nil {
		if errors.Is(err, io.EOF) {
			return nil, errors.New("the file is empty")
		}
		return nil, err
	}
	if err := dec.Decode(&more); !errors.Is(err, io.EOF) {
		if err != nil {
			return nil, err
		}
		return nil, at(&more, "the file holds more than one document")
	}
	if len(doc.Content) != 1 {
		return nil, errors.New("the file is empty")
	}
	return doc.Content[0], nil
}

// plain bounds a file and takes the byte order mark off it. What is not UTF-8
// would be written back as something else.
func plain(data []byte) ([]byte, error) {
	if len(data) > maxSize {
		return nil, errTooLarge
	}
	data = bytes.TrimPrefix(data, []byte("\ufeff"))
	if utf8.Valid(data) {
		return data, nil
	}
	number := 0
	for line := range bytes.SplitSeq(data, []byte("\n")) {
		if number++; !utf8.Valid(line) {
			break
		}
	}
	return nil, fmt.Errorf("line %d: the file is not UTF-8", number)
}

// reader walks a parsed file. Not safe for concurrent use.
type reader struct {
	root *yaml.Node
	v3   bool
	refs map[string]*yaml.Node // what references lead to
	work int                   // how much may still be looked at; below 0 the file is refused
	doc  *Document
}

// pair is an entry of a mapping.
type pair struct {
	key   string
	line  int
	value *yaml.Node
}

// pairs lists the entries of a mapping in the order of the file, with those
// that a merge key brings in and that it does not have itself. A key that
// occurs twice is listed twice.
func (r *reader) pairs(n *yaml.Node) []pair { return r.merged(n, 0) }

func (r *reader) merged(n *yaml.Node, depth int) []pair {
	if n = deref(n); n == nil || n.Kind != yaml.MappingNode || !r.spend(len(n.Content)) {
		return nil
	}
	list := make([]pair, 0, len(n.Content)/2)
	var from []*yaml.Node
	for i := 0; i+1 < len(n.Content); i += 2 {
		key, value := deref(n.Content[i]), deref(n.Content[i+1])
		switch {
		case key == nil || key.Kind != yaml.ScalarNode:
		case key.Tag == "!!merge":
			from = append(from, value)
		default:
			list = append(list, pair{key.Value, key.Line, value})
		}
	}
	if len(from) == 0 || depth == maxMerges {
		return list
	}
	own := map[string]bool{}
	for _, p := range list {
		own[p.key] = true
	}
	for _, f := range from {
		sources := []*yaml.Node{f}
		if f != nil && f.Kind == yaml.SequenceNode {
			sources = f.Content
		}
		for _, s := range sources {
			more := slices.DeleteFunc(r.merged(s, depth+1), func(p pair) bool { return own[p.key] })
			for _, p := range more {
				own[p.key] = true
			}
			list = append(list, more...)
		}
	}
	return list
}

// get returns the value of a key of a mapping, nil if there is none.
func (r *reader) get(n *yaml.Node, key string) *yaml.Node {
	for _, p := range r.pairs(n) {
		if p.key == key {
			return p.value
		}
	}
	return nil
}

// items lists a sequence.
func (r *reader) items(n *yaml.Node) []*yaml.Node {
	if n = deref(n); n == nil || n.Kind != yaml.SequenceNode || !r.spend(len(n.Content)) {
		return nil
	}
	return n.Content
}

func (r *reader) spend(n int) bool {
	r.work -= n + 1
	return r.work >= 0
}

// follow returns what n stands for, if need be through references within the
// file. Other files are never opened: the name would be the file's choice.
func (r *reader) follow(n *yaml.Node) (*yaml.Node, error) {
	for range maxRefs {
		ref, is := text(r.get(n, "$ref"))
		if !is {
			return deref(n), nil
		}
		var err error
		if n, err = r.pointer(ref); err != nil {
			return nil, err
		}
	}
	return nil, fmt.Errorf("circles, or more than %d references in a row", maxRefs)
}

// pointer finds what a local reference names (RFC 6901).
func (r *reader) pointer(ref string) (*yaml.Node, error) {
	if n, known := r.refs[ref]; known {
		return n, nil
	}
	rest, local := strings.CutPrefix(ref, "#/")
	if !local {
		return nil, fmt.Errorf("%q is not within this file", shorten(ref))
	}
	n := r.root
	for part := range strings.SplitSeq(rest, "/") {
		key, err := url.PathUnescape(part)
		if err != nil {
			return nil, fmt.Errorf("%q is no reference", shorten(ref))
		}
		key = strings.NewReplacer("~1", "/", "~0", "~").Replace(key)
		if n.Kind == yaml.SequenceNode {
			i, err := strconv.Atoi(key)
			if err != nil || i < 0 || i >= len(n.Content) {
				return nil, fmt.Errorf("there is no %q", shorten(ref))
			}
			n = deref(n.Content[i])
		} else {
			n = r.get(n, key)
		}
		if n == nil {
			return nil, fmt.Errorf("there is no %q", shorten(ref))
		}
	}
	r.refs[ref] = n
	return n, nil
}

// deref returns what an alias stands for.
func deref(n *yaml.Node) *yaml.Node {
	if n != nil && n.Kind == yaml.AliasNode {
		return n.Alias
	}
	return n
}

// text returns a scalar as it is written; null is none.
func text(n *yaml.Node) (string, bool) {
	if n = deref(n); n == nil || n.Kind != yaml.ScalarNode || n.ShortTag() == "!!null" {
		return "", false
	}
	return n.Value, true
}

// or returns the first node that is one.
func or(nodes ...*yaml.Node) *yaml.Node {
	for _, n := range nodes {
		if n != nil {
			return n
		}
	}
	return nil
}

// at is an error with the line of a node.
func at(n *yaml.Node, format string, args ...any) error {
	err := fmt.Errorf(format, args...)
	if n != nil && n.Line > 0 {
		return fmt.Errorf("line %d: %w", n.Line, err)
	}
	return err
}

// bare is the text of an error of at without the line, which a problem has.
func bare(err error) string {
	if inner := errors.Unwrap(err); inner != nil {
		err = inner
	}
	return err.Error()
}
