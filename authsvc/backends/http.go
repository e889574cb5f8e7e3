package backends

import (
	"encoding/json"
	"net/http"

	"github.com/wazo-edge/xivo-auth/authsvc/httpapi"
)

// Route serves the names of the backends in force, in their order.
func Route(current func() *Set) httpapi.Route {
	return httpapi.Route{Method: http.MethodGet, Path: "/0.1/backends", Handle: func(w http.ResponseWriter, _ *http.Request) error {
		body, err := json.Marshal(map[string][]string{"data": current().Names()})
		if err != nil {
			return err
		}
		httpapi.WriteJSON(w, http.StatusOK, append(body, '\n'))
		return nil
	}}
}
