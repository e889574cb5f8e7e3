package httpapi

import (
	"log/slog"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/google/uuid"
)

// Route is one operation of the API.
type Route struct {
	Method string
	// Path is the pattern as [http.ServeMux] reads it, without a method.
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
	log    *slog.Logger
	now    func() time.Time
}

// NewMux returns a mux that serves routes to whom access admits. It panics when
// two of them have the same method and path, or one does not say whether it
// needs a token: those are mistakes in the program.
func NewMux(log *slog.Logger, now func() time.Time, access Access, routes ...Route) *Mux {
	m := &Mux{mux: http.NewServeMux(), access: &access, routes: routes, log: log, now: now}
	paths := map[string]resource{}
	for _, rt := range routes {
		if paths[rt.Path] == nil {
			paths[rt.Path] = resource{}
		}
		if _, twice := paths[rt.Path][rt.Method]; twice {
			panic("httpapi: two routes for " + rt.Method + " " + rt.Path)
		}
		handle := rt.Handle
		if (rt.ACL == "") == (handle == nil) || (rt.ACL == "") != (rt.HandleAs == nil) {
			panic("httpapi: " + rt.Method + " " + rt.Path + " is neither open nor guarded")
		}
		if handle == nil {
			handle = m.guarded(rt)
		}
		paths[rt.Path][rt.Method] = handle
	}
	for path, res := range paths {
		if get := res[http.MethodGet]; get != nil && res[http.MethodHead] == nil {
			res[http.MethodHead] = get
		}
		m.mux.Handle(path, m.handler(res.serve))
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
type resource map[string]handleFunc

func (res resource) serve(w http.ResponseWriter, r *http.Request) error {
	if handle, ok := res[r.Method]; ok {
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

func (res resource) allow() string {
	methods := []string{http.MethodOptions}
	for m := range res {
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
