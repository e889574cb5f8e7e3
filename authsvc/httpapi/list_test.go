package httpapi_test

import (
	"net/http/httptest"
	"reflect"
	"testing"

	"github.com/wazo-edge/xivo-auth/authsvc/form"
	"github.com/wazo-edge/xivo-auth/authsvc/httpapi"
)

// Of a parameter that is repeated the first counts, unless it is a list.
func TestListing_Filters(t *testing.T) {
	t.Parallel()
	l := httpapi.NewListing([]string{"name"}, true,
		form.Text("uuid"), form.Field{Name: "uuids", Kind: form.ListOf{Of: form.String{}, Max: 3}})
	for _, c := range []struct {
		query string
		want  map[string]any // nil: refused
	}{
		{"", map[string]any{}},
		{"uuid=a&uuid=b", map[string]any{"uuid": "a"}},
		{"uuids=a", map[string]any{"uuids": []string{"a"}}},
		{"uuids=b&x=1&%75uids=a%2Cb&uuids", map[string]any{"uuids": []string{"b", "a,b", ""}}},
		{"uuid=&uuids=&order=name", map[string]any{"uuid": "", "uuids": []string{""}}},
		{"uuids=1&uuids=2&uuids=3&uuids=4", nil},
	} {
		list, err := l.Read(httptest.NewRequest("GET", "/?"+c.query, nil))
		if (err != nil) != (c.want == nil) {
			t.Errorf("%s: %v", c.query, err)
		}
		if len(list.Filters)+len(c.want) > 0 && !reflect.DeepEqual(list.Filters, c.want) {
			t.Errorf("%s: %v, want %v", c.query, list.Filters, c.want)
		}
	}
}
