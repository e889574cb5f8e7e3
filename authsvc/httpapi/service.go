package httpapi

import (
	"bytes"
	_ "embed" // the document
	"fmt"
	"iter"
	"net/http"
	"regexp"
	"strconv"

	"gopkg.in/yaml.v3"
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

// Document answers GET /api/api.yml with the OpenAPI document: what every
// service has, and the parts of the rooms, each a document with tags, paths,
// parameters and definitions of its own. Behind a proxy that mounts the API
// below a prefix and says so in X-Script-Name, the base path has that prefix.
// It panics when two parts say something about the same thing: a mistake in
// the program.
func Document(parts ...[]byte) Route {
	document := merge(document, parts...)
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

// merge adds what stands below each key of parts to what stands below it in
// base.
func merge(base []byte, parts ...[]byte) []byte {
	whole := root(base)
	for _, part := range parts {
		for key, value := range pairs(root(part)) {
			into := value
			for k, v := range pairs(whole) {
				if k.Value == key.Value {
					into = v
				}
			}
			switch {
			case into == value:
				whole.Content = append(whole.Content, key, value)
			case into.Kind != value.Kind:
				panic("httpapi: the OpenAPI document has two kinds of " + key.Value)
			default:
				for k := range pairs(value) {
					for have := range pairs(into) {
						if value.Kind == yaml.MappingNode && have.Value == k.Value {
							panic("httpapi: the OpenAPI document has two " + key.Value + " " + k.Value)
						}
					}
				}
				into.Content = append(into.Content, value.Content...)
			}
		}
	}
	var b bytes.Buffer
	enc := yaml.NewEncoder(&b)
	enc.SetIndent(2)
	if err := enc.Encode(whole); err != nil {
		panic("httpapi: the OpenAPI document: " + err.Error())
	}
	return b.Bytes()
}

func root(text []byte) *yaml.Node {
	var n yaml.Node
	if err := yaml.Unmarshal(text, &n); err != nil || n.Kind != yaml.DocumentNode || n.Content[0].Kind != yaml.MappingNode {
		panic(fmt.Sprintf("httpapi: a part of the OpenAPI document is no mapping: %v", err))
	}
	return n.Content[0]
}

// pairs are the keys and values of a mapping.
func pairs(n *yaml.Node) iter.Seq2[*yaml.Node, *yaml.Node] {
	return func(yield func(k, v *yaml.Node) bool) {
		for i := 0; i+1 < len(n.Content); i += 2 {
			if !yield(n.Content[i], n.Content[i+1]) {
				return
			}
		}
	}
}
