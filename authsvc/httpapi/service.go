package httpapi

import (
	"bytes"
	_ "embed" // the document
	"net/http"
	"regexp"
	"strconv"
)

// document describes what the service serves; a test walks the routes to prove
// that it lists the same.
//
//go:embed api.yml
var document []byte

// Status answers HEAD /status: the process is there.
func Status() Route {
	return Route{Method: http.MethodHead, Path: "/0.1/status", Handle: func(w http.ResponseWriter, _ *http.Request) error {
		WriteJSON(w, http.StatusOK, []byte("\"\"\n"))
		return nil
	}}
}

// scriptName is what X-Script-Name may say. Anything else is not shown: the
// header reaches us from whoever sends it.
var scriptName = regexp.MustCompile(`^(/[A-Za-z0-9._~-]+)+$`)

// Document answers GET /api/api.yml with the OpenAPI document. Behind a proxy
// that mounts the API below a prefix and says so in X-Script-Name, the base
// path has that prefix.
func Document() Route {
	return Route{Method: http.MethodGet, Path: "/0.1/api/api.yml", Handle: func(w http.ResponseWriter, r *http.Request) error {
		body := document
		if prefix := r.Header.Get("X-Script-Name"); scriptName.MatchString(prefix) {
			body = bytes.Replace(body, []byte("\nbasePath: /0.1\n"), []byte("\nschemes: [https]\nbasePath: "+prefix+"/0.1\n"), 1)
		}
		w.Header().Set("Content-Type", "application/x-yaml")
		w.Header().Set("Content-Length", strconv.Itoa(len(body)))
		w.WriteHeader(http.StatusOK)
		_, _ = w.Write(body)
		return nil
	}}
}
