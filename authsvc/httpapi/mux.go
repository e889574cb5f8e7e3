package httpapi

import (
	"log/slog"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/google/uuid"
)

// Route is one operation of the API.
type Route struct {
	Method string
	// Path is the pattern as [http.ServeMux] reads it, without a method. Where
	// a token is needed, a parameter whose name ends in uuid matches dashed
	// uuids only; of paths that differ in nothing but names, such as
	// /policies/{policy_uuid} and /policies/{policy_slug}, the one with more
	// uuids comes first.
	Path string
	// Handle answers an operation that needs no token, or returns the error
	// to answer with.
	Handle func(w http.ResponseWriter, r *http.Request) error

	// ACL is the access that HandleAs requires, with path parameters in
	// braces. Parameters called uuid are read as uuids by the router.
	ACL      string
	HandleAs func(w http.ResponseWriter, r *http.Request, c *Caller) error
}

// Mux serves routes the way the reference's framework does where clients can
// tell: JSON 404 and 405, OPTIONS on every path, HEAD on every GET, and no
// cleaning of paths behind the client's back. Safe for concurrent use.
type Mux struct {
	mux    *http.ServeMux
	access *Access
	routes []Route
	log    *Log
	now    func() time.Time
}

// NewMux returns a mux that serves routes to whom access admits. It panics when
// two of them have the same method and path, or one does not say whether it
// needs a token: those are mistakes in the program.
func NewMux(log *slog.Logger, now func() time.Time, access Access, routes ...Route) *Mux {
	m := &Mux{mux: http.NewServeMux(), access: &access, routes: routes, log: NewLog(log), now: now}
	shapes := map[string]alternatives{}
	for _, rt := range routes {
		handle := rt.Handle
		if (rt.ACL == "") == (handle == nil) || (rt.ACL == "") != (rt.HandleAs == nil) {
			panic("httpapi: " + rt.Method + " " + rt.Path + " is neither open nor guarded")
		}
		if handle == nil {
			handle = m.guarded(rt)
		}
		shape := shapeOf(rt.Path)
		res := shapes[shape].at(rt.Path)
		if res == nil {
			res = newResource(rt.Path, rt.ACL != "")
			shapes[shape] = append(shapes[shape], res)
		}
		if _, twice := res.methods[rt.Method]; twice {
			panic("httpapi: two routes for " + rt.Method + " " + rt.Path)
		}
		res.methods[rt.Method] = handle
	}
	for shape, alternatives := range shapes {
		for _, res := range alternatives {
			if get := res.methods[http.MethodGet]; get != nil && res.methods[http.MethodHead] == nil {
				res.methods[http.MethodHead] = get
			}
		}
		if len(alternatives) == 1 { // as it is: its values need no other names
			shape = alternatives[0].path
		}
		slices.SortFunc(alternatives, func(a, b *resource) int { return len(b.uuids) - len(a.uuids) })
		m.mux.Handle(shape, m.handler(alternatives.serve))
	}
	m.mux.Handle("/", m.handler(func(http.ResponseWriter, *http.Request) error { return errNotFound }))
	return m
}

// Routes lists what is served, in the order it was declared.
func (m *Mux) Routes() []Route { return m.routes }

// ServeHTTP implements [http.Handler].
func (m *Mux) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	path := r.URL.EscapedPath()
	switch {
	case path == "" || path[0] != '/' || hasDotSegment(path):
		// ServeMux would redirect to the cleaned path. The reference does
		// not resolve dot segments: they match no route.
		WriteError(w, r, m.log, m.now(), errNotFound)
	case strings.Contains(path, "//"):
		// The reference merges slashes with a redirect. Ours names no host,
		// and exactly one leading slash keeps it from naming one by accident
		// (Authelia GHSA-36f2-fcrx-fp4j).
		target := "/" + strings.Join(strings.FieldsFunc(path, func(c rune) bool { return c == '/' }), "/")
		if strings.HasSuffix(path, "/") && target != "/" {
			target += "/"
		}
		if r.URL.RawQuery != "" {
			target += "?" + r.URL.RawQuery
		}
		w.Header().Set("Location", target)
		w.Header().Set("Content-Length", "0")
		w.WriteHeader(http.StatusPermanentRedirect)
	default:
		m.mux.ServeHTTP(w, r)
	}
}

func hasDotSegment(path string) bool {
	if !strings.Contains(path, "/.") {
		return false
	}
	for s := range strings.SplitSeq(path, "/") {
		if s == "." || s == ".." {
			return true
		}
	}
	return false
}

type handleFunc = func(http.ResponseWriter, *http.Request) error

func (m *Mux) handler(handle handleFunc) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if err := handle(w, r); err != nil {
			WriteError(w, r, m.log, m.now(), err)
		}
	})
}

// resource is one path: what each method does there.
type resource struct {
	path    string
	params  []string // names, in order
	uuids   []string // those of them that are uuids
	methods map[string]handleFunc
}

func newResource(path string, guarded bool) *resource {
	res := &resource{path: path, params: parseRequirement(path).params, methods: map[string]handleFunc{}}
	for _, name := range res.params {
		if guarded && strings.HasSuffix(name, "uuid") {
			res.uuids = append(res.uuids, name)
		}
	}
	return res
}

// shapeOf is a path with its parameters numbered instead of named: what is the
// same for paths that differ in their names only.
func shapeOf(path string) string {
	q := parseRequirement(path)
	var b strings.Builder
	for i, literal := range q.literals {
		b.WriteString(literal)
		if i < len(q.params) {
			b.WriteString("{" + shapeParam(i) + "}")
		}
	}
	return b.String()
}

func shapeParam(i int) string { return "p" + strconv.Itoa(i) }

// alternatives are the resources of one shape, those with more uuids first.
type alternatives []*resource

func (as alternatives) at(path string) *resource {
	for _, res := range as {
		if res.path == path {
			return res
		}
	}
	return nil
}

// serve has the first resource answer whose uuids are uuids: it is the router
// that reads them, so that what is none is no such path.
func (as alternatives) serve(w http.ResponseWriter, r *http.Request) error {
	for _, res := range as {
		if len(as) > 1 {
			for i, name := range res.params {
				r.SetPathValue(name, r.PathValue(shapeParam(i)))
			}
		}
		if res.match(r) {
			r.Pattern = res.path
			return res.serve(w, r)
		}
	}
	return errNotFound
}

// match reports whether all uuids are some, and spells them in lower case.
func (res *resource) match(r *http.Request) bool {
	for _, name := range res.uuids {
		id, ok := PathUUID(r, name)
		if !ok {
			return false
		}
		r.SetPathValue(name, id)
	}
	return true
}

func (res *resource) serve(w http.ResponseWriter, r *http.Request) error {
	if handle, ok := res.methods[r.Method]; ok {
		return handle(w, r)
	}
	w.Header().Set("Allow", res.allow())
	if r.Method == http.MethodOptions {
		w.Header().Set("Content-Type", "text/html; charset=utf-8")
		w.Header().Set("Content-Length", "0")
		w.WriteHeader(http.StatusOK)
		return nil
	}
	return errMethod
}

func (res *resource) allow() string {
	methods := []string{http.MethodOptions}
	for m := range res.methods {
		methods = append(methods, m)
	}
	slices.Sort(methods)
	return strings.Join(methods, ", ")
}

// PathUUID returns the path parameter name as a lower-case uuid. ok is false
// unless it is spelled in the dashed form, in any case: that is all the
// reference's router takes.
func PathUUID(r *http.Request, name string) (id string, ok bool) {
	s := r.PathValue(name)
	if len(s) != 36 || uuid.Validate(s) != nil {
		return "", false
	}
	return strings.ToLower(s), true
}
