package openapi

import (
	"cmp"
	"encoding/csv"
	"encoding/json"
	"fmt"
	"io"
	"slices"

	"github.com/wazo-edge/xivo-auth/authsvc/routes"
)

// entry is a route in a table. Its names are those of an overlay's columns, so
// that what is written here can be edited and laid over a description.
type entry struct {
	Service    string `json:"service"`
	Method     string `json:"method"`
	Path       string `json:"path"`
	ACL        string `json:"acl"`
	QueryToken bool   `json:"token_in_query"`
}

// entries sorts routes by path and method. It refuses what would be read back
// as something else.
func entries(service string, list []routes.Route) ([]entry, error) {
	table := make([]entry, len(list))
	for i, r := range list {
		if r.Kind == routes.Access {
			if err := checkACL(r.ACL); err != nil {
				return nil, fmt.Errorf("%s: %w", r.String(), err)
			}
		}
		table[i] = entry{service, r.Method, r.Template, r.Demand(), r.QueryToken}
	}
	slices.SortStableFunc(table, func(a, b entry) int {
		return cmp.Or(cmp.Compare(a.Path, b.Path), cmp.Compare(a.Method, b.Method))
	})
	return table, nil
}

// WriteCSV writes routes as a table that [ReadOverlay] reads: service, method,
// path, acl, token_in_query. Types of parameters are not part of it.
func WriteCSV(w io.Writer, service string, list []routes.Route) error {
	table, err := entries(service, list)
	if err != nil {
		return err
	}
	out := csv.NewWriter(w)
	_ = out.Write([]string{"service", "method", "path", "acl", "token_in_query"}) // Flush keeps the error
	for _, e := range table {
		query := ""
		if e.QueryToken {
			query = "yes"
		}
		_ = out.Write([]string{e.Service, e.Method, e.Path, e.ACL, query})
	}
	out.Flush()
	return out.Error()
}

// WriteJSON writes routes as a list of objects, one a line, with the names of
// [WriteCSV]'s columns. [ReadOverlay] reads it.
func WriteJSON(w io.Writer, service string, list []routes.Route) error {
	table, err := entries(service, list)
	if err != nil {
		return err
	}
	for i, e := range table {
		line, err := json.Marshal(e)
		if err != nil {
			return err
		}
		before := ",\n "
		if i == 0 {
			before = "[\n "
		}
		if _, err := fmt.Fprintf(w, "%s%s", before, line); err != nil {
			return err
		}
	}
	end := "\n]\n"
	if len(table) == 0 {
		end = "[]\n"
	}
	_, err = io.WriteString(w, end)
	return err
}
