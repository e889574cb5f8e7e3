package openapi

import (
	"bytes"
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"path"
	"slices"
	"strings"
	"unicode"

	"gopkg.in/yaml.v3"

	"github.com/wazo-edge/xivo-auth/authsvc/routes"
)

// Row is what an overlay says about one route.
type Row struct {
	Service string // "" is any
	// Route has no types of parameters: those are the description's.
	Route routes.Route
	Line  int // of the file, from 1
}

// columns are what a row is made of, with their other names. Everything else
// in a table is for its readers.
var columns = map[string]string{
	"service": "service", "method": "method", "path": "path", "acl": "acl", "enforced_acl": "acl",
	"auth": "auth", "token_in_query": "token_in_query",
}

var errRows = fmt.Errorf("the overlay has more than %d rows", maxOperations)

// ReadOverlay reads a table of routes of at most 4 MiB: CSV whose first line
// names the columns, or a YAML or JSON list of maps with the same names. The
// name, that of a file, tells which (.csv, .yml, .yaml, .json; otherwise the
// first character does) and is only used for that.
//
// Needed are service, method, path, and acl or enforced_acl; an acl is a
// required access or one of the words token, public and deny. Where it is empty
// the column auth may begin with public or token. token_in_query is yes or
// true, no or false, or empty. Lines of CSV that begin with # are comments. A
// row that cannot be read fails the whole overlay, with its line: half a
// correction is worse than none.
func ReadOverlay(name string, data []byte) ([]Row, error) {
	data, err := plain(data)
	if err != nil {
		return nil, err
	}
	asYAML := false
	switch strings.ToLower(path.Ext(name)) {
	case ".yml", ".yaml", ".json":
		asYAML = true
	case ".csv":
	default:
		start := bytes.TrimLeft(data, " \t\r\n")
		asYAML = len(start) > 0 && strings.IndexByte("-[", start[0]) >= 0
	}
	if asYAML {
		return readYAML(data)
	}
	return readCSV(data)
}

// OfService keeps the rows of one service, and those of any.
func OfService(rows []Row, service string) []Row {
	return slices.DeleteFunc(slices.Clone(rows), func(r Row) bool { return r.Service != "" && r.Service != service })
}

func readCSV(data []byte) (rows []Row, err error) {
	in := csv.NewReader(bytes.NewReader(data))
	in.Comment = '#'
	in.TrimLeadingSpace = true
	in.ReuseRecord = true
	header, err := in.Read()
	if errors.Is(err, io.EOF) {
		return nil, errors.New("the overlay is empty")
	}
	if err != nil {
		return nil, err
	}
	first, _ := in.FieldPos(0)
	names := make([]string, len(header))
	for i, h := range header {
		names[i] = columns[strings.ToLower(strings.TrimSpace(h))]
		if names[i] != "" && slices.Contains(names[:i], names[i]) {
			return nil, fmt.Errorf("line %d: there are two columns for %s", first, names[i])
		}
	}
	for _, needed := range []string{"service", "method", "path", "acl"} {
		if !slices.Contains(names, needed) {
			return nil, fmt.Errorf("line %d: there is no column %s", first, needed)
		}
	}
	for {
		record, err := in.Read()
		if errors.Is(err, io.EOF) {
			return rows, nil
		}
		if err != nil {
			return nil, err
		}
		line, _ := in.FieldPos(0)
		cells := map[string]string{}
		for i, name := range names {
			cells[name] = strings.TrimSpace(record[i])
		}
		row, err := newRow(cells)
		if err != nil {
			return nil, fmt.Errorf("line %d: %w", line, err)
		}
		row.Line = line
		if rows = append(rows, row); len(rows) > maxOperations {
			return nil, errRows
		}
	}
}

func readYAML(data []byte) (rows []Row, err error) {
	root, err := parse(data)
	if err != nil {
		return nil, err
	}
	r := &reader{root: deref(root), work: maxWork}
	if r.root == nil || r.root.Kind != yaml.SequenceNode {
		return nil, at(r.root, "an overlay is a list of routes")
	}
	for _, item := range r.items(r.root) {
		n := deref(item)
		if n == nil || n.Kind != yaml.MappingNode {
			return nil, at(item, "a route of an overlay is a mapping")
		}
		cells := map[string]string{}
		for _, p := range r.pairs(n) {
			name := columns[strings.ToLower(p.key)]
			if name == "" {
				continue
			}
			value, is := text(p.value)
			if !is && (p.value == nil || p.value.Kind != yaml.ScalarNode) {
				return nil, fmt.Errorf("line %d: %s is no text", p.line, p.key)
			}
			if _, twice := cells[name]; twice {
				return nil, fmt.Errorf("line %d: there are two values for %s", p.line, name)
			}
			r.spend(len(value) / 8)
			cells[name] = strings.TrimSpace(value)
		}
		_, hasACL := cells["acl"]
		_, hasAuth := cells["auth"]
		for _, needed := range []string{"service", "method", "path"} {
			if _, has := cells[needed]; !has {
				return nil, at(item, "the route has no %s", needed)
			}
		}
		if !hasACL && !hasAuth {
			return nil, at(item, "the route has no acl")
		}
		row, err := newRow(cells)
		if err != nil {
			return nil, at(item, "%w", err)
		}
		row.Line = line(item)
		if rows = append(rows, row); len(rows) > maxOperations {
			return nil, errRows
		}
		if r.work < 0 {
			return nil, errTooMuch
		}
	}
	if r.work < 0 {
		return nil, errTooMuch
	}
	return rows, nil
}

// newRow makes a row of its cells.
func newRow(cells map[string]string) (Row, error) {
	row := Row{Service: cells["service"]}
	row.Route.Method = strings.ToUpper(cells["method"])
	row.Route.Template = cells["path"]
	for i := range len(row.Route.Method) {
		if c := row.Route.Method[i]; !isWord(c) && c != '-' && row.Route.Method != "*" {
			return Row{}, fmt.Errorf("%q is no method", shorten(cells["method"]))
		}
	}
	switch {
	case row.Route.Method == "":
		return Row{}, errors.New("the method is empty; * is every other")
	case !strings.HasPrefix(row.Route.Template, "/"):
		return Row{}, fmt.Errorf("the path %q does not begin with a slash", shorten(row.Route.Template))
	case strings.ContainsFunc(row.Route.Template, unicode.IsControl):
		return Row{}, fmt.Errorf("the path %q has a control character", shorten(row.Route.Template))
	case len(row.Route.Template) > maxTemplate:
		return Row{}, errors.New("the path is too long")
	}
	acl := cells["acl"]
	auth := strings.ToLower(cells["auth"])
	kind, word := routes.ParseKind(acl)
	switch {
	case word:
		row.Route.Kind = kind
	case acl != "":
		if err := checkACL(acl); err != nil {
			return Row{}, err
		}
		row.Route.Kind, row.Route.ACL = routes.Access, acl
	case strings.HasPrefix(auth, "public"):
		row.Route.Kind = routes.Public
	case strings.HasPrefix(auth, "token"):
		row.Route.Kind = routes.Token
	case auth != "":
		return Row{}, fmt.Errorf("the acl is empty and auth is %q: write a required access, token, public or deny", shorten(auth))
	default:
		return Row{}, errors.New("the acl is empty: write a required access, token, public or deny")
	}
	switch in := strings.ToLower(cells["token_in_query"]); in {
	case "yes", "true":
		row.Route.QueryToken = true
	case "", "no", "false":
	default:
		return Row{}, fmt.Errorf("token_in_query is %q: it is yes, no or empty", shorten(in))
	}
	return row, nil
}
