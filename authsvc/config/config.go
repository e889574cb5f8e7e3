// Package config is the configuration resource: what the service runs with,
// and two switches that can be turned while it does (contract: config.md §2,
// routes.yml). Only the top tenant sees it.
package config

import (
	_ "embed" // the document
	"maps"
	"net/http"
	"slices"

	"github.com/wazo-edge/xivo-auth/authsvc/form"
	"github.com/wazo-edge/xivo-auth/authsvc/httpapi"
)

// Document describes the room's operations.
//
//go:embed api.yml
var Document []byte

// HTTP is the resource on the wire.
type HTTP struct {
	// Settings is the configuration in force, without what the switches say.
	// It holds no secret: what is in it is shown. It is not changed.
	Settings func() map[string]any
	Switches *Switches
}

// Routes lists what the room serves.
func (h HTTP) Routes() []httpapi.Route {
	const path = "/0.1/config"
	return []httpapi.Route{
		{Method: http.MethodGet, Path: path, ACL: "auth.config.read", HandleAs: h.get},
		{Method: http.MethodPatch, Path: path, ACL: "auth.config.update", HandleAs: h.patch},
	}
}

func (h HTTP) get(w http.ResponseWriter, r *http.Request, c *httpapi.Caller) error {
	if err := c.Top(r.Context()); err != nil {
		return err
	}
	return h.write(w)
}

func (h HTTP) write(w http.ResponseWriter) error {
	shown := maps.Clone(h.Settings())
	shown["debug"], shown["profiling_enabled"] = h.Switches.Debug(), h.Switches.Profiling()
	return httpapi.WriteValue(w, shown)
}

// patch carries out a JSON Patch (RFC 6902) that replaces nothing but switches:
// all of it, or none when a part of it is wrong.
func (h HTTP) patch(w http.ResponseWriter, r *http.Request, c *httpapi.Caller) error {
	if err := c.Top(r.Context()); err != nil {
		return err
	}
	input, err := form.ReadJSON(r.Body, r.Header.Get("Content-Type"))
	if err != nil {
		return err
	}
	operations, wrong := read(input)
	if wrong != nil {
		return httpapi.InvalidBody(wrong, "invalid-data", "config")
	}
	for _, op := range operations {
		switch op.Text("path") {
		case pathDebug:
			h.Switches.SetDebug(op.Bool("value"))
		case pathProfiling:
			h.Switches.SetProfiling(op.Bool("value"))
		}
	}
	return h.write(w)
}

const (
	pathDebug     = "/debug"
	pathProfiling = "/profiling_enabled"
)

var operation = &form.Schema{Fields: []form.Field{
	{Name: "op", Kind: form.String{OneOf: []string{"replace"}}, Required: true},
	{Name: "path", Kind: form.String{OneOf: []string{pathDebug, pathProfiling}}, Required: true},
	{Name: "value", Kind: form.Boolean{}, Required: true},
}}

// exact is operation, and nothing beside its fields: what a client asks for
// and does not get, he is to know of.
type exact struct{}

// Load implements [form.Kind].
func (exact) Load(v any) (any, form.Entry) {
	value, wrong := form.Object{Schema: operation}.Load(v)
	object, _ := v.(map[string]any)
	if wrong != nil && object == nil {
		return nil, wrong
	}
	told, _ := wrong.(form.Dict)
	for _, key := range slices.Sorted(maps.Keys(object)) {
		if !slices.ContainsFunc(operation.Fields, func(f form.Field) bool { return f.Name == key }) {
			told = append(told, form.Item{Key: key, Value: form.Messages{"Unknown field."}})
		}
	}
	if told != nil {
		return nil, told
	}
	return value, nil
}

// read checks the operations of a body. Whatever is false in Python is none.
func read(input any) ([]form.Values, *form.Errors) {
	if _, wrong := (&form.Schema{}).Load(input); wrong == nil {
		if object, ok := input.(map[string]any); !ok || len(object) == 0 {
			return nil, nil
		}
	}
	list, ok := input.([]any)
	if !ok {
		return nil, &form.Errors{Dict: form.Dict{{Key: "_schema", Value: form.Messages{"Invalid input type."}}}}
	}
	loaded, wrong := form.ListOf{Of: exact{}}.Load(list)
	if wrong != nil {
		return nil, &form.Errors{Dict: wrong.(form.Dict)}
	}
	var operations []form.Values
	for _, op := range loaded.([]any) {
		operations = append(operations, op.(form.Values))
	}
	return operations, nil
}
