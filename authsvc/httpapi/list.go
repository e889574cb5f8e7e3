package httpapi

import (
	"encoding/json"
	"net/http"
	"strings"

	"github.com/wazo-edge/xivo-auth/authsvc/form"
	"github.com/wazo-edge/xivo-auth/authsvc/store"
)

// Listing declares how a resource can be listed. Make one with [NewListing].
type Listing struct {
	schema  form.Schema
	filters []string
}

// maxSearch bounds a search: what it costs is its length times that of each row.
const maxSearch = 1024

// NewListing returns a listing that can be ordered by the columns of orders,
// of which the first is the default, and filtered by the fields of filters.
// With no default the rows come in the order of their keys.
func NewListing(orders []string, hasDefault bool, filters ...form.Field) *Listing {
	order := form.Field{Name: "order", Kind: form.String{OneOf: orders}}
	if hasDefault {
		order.Default = orders[0]
	}
	zero := int64(0)
	l := &Listing{schema: form.Schema{Fields: []form.Field{
		order,
		{Name: "direction", Kind: form.String{OneOf: []string{"asc", "desc"}}, Default: "asc"},
		{Name: "limit", Kind: form.Integer{Min: &zero}},
		{Name: "offset", Kind: form.Integer{Min: &zero}},
		{Name: "search", Kind: form.String{Max: maxSearch}},
		{Name: "recurse", Kind: form.Boolean{}},
	}}}
	for _, f := range filters {
		l.schema.Fields = append(l.schema.Fields, f)
		l.filters = append(l.filters, f.Name)
	}
	return l
}

// Read reads the parameters of a list from the query. Its scope, the tenant
// and the user, is for the handler to fill in.
func (l *Listing) Read(r *http.Request) (store.List, error) {
	values, wrong := l.schema.Load(queryObject(r.URL.RawQuery))
	if wrong != nil {
		return store.List{}, invalidListParam(wrong)
	}
	list := store.List{
		Order:      values.Text("order"),
		Descending: values.Text("direction") == "desc",
		Offset:     values.Int("offset"),
		Recurse:    values.Bool("recurse"),
	}
	if values.Has("limit") {
		limit := values.Int("limit")
		list.Limit = &limit
	}
	if values.Has("search") {
		search := values.Text("search")
		list.Search = &search
	}
	for _, name := range l.filters {
		if values.Has(name) {
			if list.Filters == nil {
				list.Filters = map[string]any{}
			}
			list.Filters[name] = values.Get(name)
		}
	}
	return list, nil
}

// queryObject returns the first value of each parameter, as form reads it.
func queryObject(rawQuery string) map[string]any {
	object := map[string]any{}
	for pair := range strings.SplitSeq(rawQuery, "&") {
		key, value, _ := strings.Cut(pair, "=")
		if key = unescape(key); key != "" {
			if _, again := object[key]; !again {
				object[key] = unescape(value)
			}
		}
	}
	return object
}

// invalidListParam tells all that is wrong at once. It always names users:
// clients of the reference have learned to live with that.
func invalidListParam(wrong *form.Errors) error {
	message, err := json.Marshal(wrong)
	if err != nil {
		return err
	}
	e := API(http.StatusBadRequest, "invalid-list-param", "", Details{}, "users")
	e.object = message
	return e
}

// Column is one part of a list's envelope.
type Column struct {
	Key   string
	Value any
}

// WriteObject answers 200 with a JSON object whose keys are in this order.
func WriteObject(w http.ResponseWriter, columns ...Column) error {
	body := []byte{'{'}
	for i, c := range columns {
		value, err := json.Marshal(c.Value)
		if err != nil {
			return err
		}
		if i > 0 {
			body = append(body, ',')
		}
		body = append(append(append(body, '"'), c.Key...), '"', ':')
		body = append(body, value...)
	}
	WriteJSON(w, http.StatusOK, append(body, '}', '\n'))
	return nil
}
