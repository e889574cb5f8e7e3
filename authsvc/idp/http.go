package idp

import (
	_ "embed" // the document
	"net/http"

	"github.com/wazo-edge/xivo-auth/authsvc/httpapi"
	"github.com/wazo-edge/xivo-auth/authsvc/store"
)

// Document describes the room's operations.
//
//go:embed api.yml
var Document []byte

// HTTP is the resource on the wire.
type HTTP struct {
	// Methods tells the methods that there are now.
	Methods func() Methods
}

// Routes lists what the room serves.
func (h HTTP) Routes() []httpapi.Route {
	return []httpapi.Route{
		{Method: http.MethodGet, Path: "/0.1/idp", ACL: "auth.idp.read", HandleAs: h.list},
	}
}

// list is of no tenant, and takes no parameters.
func (h HTTP) list(w http.ResponseWriter, _ *http.Request, _ *httpapi.Caller) error {
	m := h.Methods()
	page := store.Page[string]{Total: len(m), Filtered: len(m), Items: m}
	return httpapi.WritePage(w, page, httpapi.TotalFirst, func(name string) string { return name })
}
