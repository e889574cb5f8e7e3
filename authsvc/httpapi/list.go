package httpapi

import (
	"net/http"
	"slices"
	"strings"

	"github.com/wazo-edge/xivo-auth/authsvc/ascii"
	"github.com/wazo-edge/xivo-auth/authsvc/form"
	"github.com/wazo-edge/xivo-auth/authsvc/store"
)

// Listing declares how a resource can be listed. Make one with [NewListing].
type Listing struct {
	schema  form.Schema
	filters []string
	lists   []string // those of them that can be given several times
}

// maxSearch bounds a search: what it costs is its length times that of each row.
const maxSearch = 1024

// NewListing returns a listing that can be ordered by the columns of orders,
// of which the first is the default, and filtered by the fields of filters: a
// [form.ListOf] has one element for each time the parameter is there, and its
// filter is a []string.
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
		if _, several := f.Kind.(form.ListOf); several {
			l.lists = append(l.lists, f.Name)
		}
	}
	return l
}

// InPath is a filter that cannot be asked for, since the path says already what
// is listed. The reference fails on it with a 500.
func InPath(name string) form.Field { return form.Field{Name: name, Kind: inPath{}} }

type inPath struct{}

// Load implements [form.Kind].
func (inPath) Load(any) (any, form.Entry) { return nil, form.Messages{"Unknown field."} }

// Read reads the parameters of a list from the query. Its scope, the tenant
// and the user, is for the handler to fill in.
func (l *Listing) Read(r *http.Request) (store.List, error) {
	values, wrong := l.schema.Load(queryObject(r.URL.RawQuery, l.lists...))
	if wrong != nil {
		// It always names users: clients have learned to live with that.
		return store.List{}, InvalidBody(wrong, "invalid-list-param", "users")
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
			if list.Filters[name] = values.Get(name); slices.Contains(l.lists, name) {
				list.Filters[name] = values.Strings(name)
			}
		}
	}
	return list, nil
}

// queryObject returns the first value of each parameter, as form reads it, and
// all of those in lists.
func queryObject(rawQuery string, lists ...string) map[string]any {
	object := map[string]any{}
	for pair := range strings.SplitSeq(rawQuery, "&") {
		key, value, _ := strings.Cut(pair, "=")
		if key = unescape(key); key != "" {
			if slices.Contains(lists, key) {
				all, _ := object[key].([]any)
				object[key] = append(all, unescape(value))
			} else if _, again := object[key]; !again {
				object[key] = unescape(value)
			}
		}
	}
	return object
}

// The members of a page's envelope, in the orders in which lists have them.
var (
	FilteredFirst = []string{"filtered", "total", "items"}
	TotalFirst    = []string{"total", "filtered", "items"}
	ItemsFirst    = []string{"items", "total", "filtered"}
	TotalOnly     = []string{"items", "total"}
)

// WritePage answers 200 with a page: each item as spell makes it, in an object
// with the members of envelope.
func WritePage[T, W any](w http.ResponseWriter, p store.Page[T], envelope []string, spell func(T) W) error {
	items := make([]W, len(p.Items))
	for i, item := range p.Items {
		items[i] = spell(item)
	}
	body := []byte{'{'}
	for i, member := range envelope {
		value, err := ascii.Marshal(map[string]any{"filtered": p.Filtered, "total": p.Total, "items": items}[member])
		if err != nil {
			return err
		}
		if i > 0 {
			body = append(body, ',')
		}
		body = append(append(append(body, '"'), member...), '"', ':')
		body = append(body, value...)
	}
	WriteJSON(w, http.StatusOK, append(body, '}', '\n'))
	return nil
}

// WriteValue answers 200 with v as JSON.
func WriteValue(w http.ResponseWriter, v any) error {
	body, err := ascii.Marshal(v)
	if err != nil {
		return err
	}
	WriteJSON(w, http.StatusOK, append(body, '\n'))
	return nil
}

// ReadBody reads the body of r and checks it with schema. What is wrong with it
// is told by wrong.
func ReadBody(r *http.Request, schema *form.Schema, wrong func(*form.Errors) error) (form.Values, error) {
	input, err := form.ReadJSON(r.Body, r.Header.Get("Content-Type"))
	if err != nil {
		return form.Values{}, err
	}
	values, problems := schema.Load(input)
	if problems != nil {
		return form.Values{}, wrong(problems)
	}
	return values, nil
}
