package httpapi_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/wazo-edge/xivo-auth/authsvc/acl"
	"github.com/wazo-edge/xivo-auth/authsvc/grant"
	"github.com/wazo-edge/xivo-auth/authsvc/httpapi"
)

func route(method, path string) httpapi.Route {
	return httpapi.Route{Method: method, Path: path, Handle: func(w http.ResponseWriter, r *http.Request) error {
		id, ok := httpapi.PathUUID(r, "id")
		httpapi.WriteJSON(w, 200, fmt.Appendf(nil, "%s %s %q %v", method, path, id, ok))
		return nil
	}}
}

func newMux(routes ...httpapi.Route) *httpapi.Mux {
	return httpapi.NewMux(discard, func() time.Time { return at }, httpapi.Access{}, routes...)
}

const (
	id       = "01234567-89ab-4cde-8f01-23456789abcd"
	notFound = `{"message": "The requested URL was not found on the server."}` + "\n"
	noMethod = `{"message": "The method is not allowed for the requested URL."}` + "\n"
)

func TestMux(t *testing.T) {
	t.Parallel()
	one := route("GET", "/0.1/things/{id}")
	m := newMux(
		route("POST", "/0.1/things"), one, route("DELETE", "/0.1/things/{id}"),
		route("HEAD", "/0.1/status"), route("GET", "/0.1/own"), route("HEAD", "/0.1/own"),
		httpapi.Route{Method: "GET", Path: "/0.1/fails", Handle: func(http.ResponseWriter, *http.Request) error { return errors.New("x") }},
	)
	got := func(id string) string { return fmt.Sprintf("GET /0.1/things/{id} %q %v", id, id != "") }
	for _, c := range []struct {
		name, method, target string
		status               int
		body                 string
		allow, location      string
	}{
		{"route", "GET", "/0.1/things/" + id, 200, got(id), "", ""},
		{"query", "GET", "/0.1/things/" + id + "?a=b", 200, got(id), "", ""},
		{"upper-case uuid", "GET", "/0.1/things/" + strings.ToUpper(id), 200, got(id), "", ""},
		{"no uuid", "GET", "/0.1/things/x", 200, got(""), "", ""},
		{"another method", "DELETE", "/0.1/things/" + id, 200, `DELETE /0.1/things/{id} "` + id + `" true`, "", ""},
		{"HEAD of GET", "HEAD", "/0.1/things/" + id, 200, got(id), "", ""}, // net/http drops the body
		{"own HEAD", "HEAD", "/0.1/own", 200, `HEAD /0.1/own "" false`, "", ""},
		{"GET beside its own HEAD", "GET", "/0.1/own", 200, `GET /0.1/own "" false`, "", ""},
		{"HEAD alone", "HEAD", "/0.1/status", 200, `HEAD /0.1/status "" false`, "", ""},
		{"GET of HEAD alone", "GET", "/0.1/status", 405, noMethod, "HEAD, OPTIONS", ""},
		{"method not allowed", "PUT", "/0.1/things/" + id, 405, noMethod, "DELETE, GET, HEAD, OPTIONS", ""},
		{"any verb", "BREW", "/0.1/things", 405, noMethod, "OPTIONS, POST", ""},
		{"method in lower case", "get", "/0.1/things/" + id, 405, noMethod, "DELETE, GET, HEAD, OPTIONS", ""},
		{"OPTIONS", "OPTIONS", "/0.1/things/" + id, 200, "", "DELETE, GET, HEAD, OPTIONS", ""},
		{"OPTIONS of nothing", "OPTIONS", "/0.1/nothing", 404, notFound, "", ""},
		{"unknown path", "GET", "/0.1/nothing", 404, notFound, "", ""},
		{"any verb, unknown path", "BREW", "/0.1/nothing", 404, notFound, "", ""},
		{"root", "GET", "/", 404, notFound, "", ""},
		{"path in another case", "GET", "/0.1/Things/" + id, 404, notFound, "", ""},
		{"trailing slash", "GET", "/0.1/things/" + id + "/", 404, notFound, "", ""},
		{"empty segment at the end", "GET", "/0.1/things/", 404, notFound, "", ""},
		{"one segment more", "GET", "/0.1/things/" + id + "/x", 404, notFound, "", ""},
		{"below the version", "GET", "/things/" + id, 404, notFound, "", ""},
		{"dot segment", "GET", "/0.1/./own", 404, notFound, "", ""},
		{"dots climb to a route", "GET", "/0.1/x/../own", 404, notFound, "", ""},
		{"dots at the end", "GET", "/0.1/own/..", 404, notFound, "", ""},
		{"encoded dots", "GET", "/0.1/x/%2e%2e/own", 404, notFound, "", ""},
		{"half encoded dots", "GET", "/0.1/x/.%2E/own", 404, notFound, "", ""},
		{"dots for an id", "GET", "/0.1/things/%2e%2e", 200, got(""), "", ""},
		{"three dots are a name", "GET", "/0.1/things/...", 200, got(""), "", ""},
		{"encoded letters", "GET", "/0.1/%74hings/%30" + id[1:], 200, got(id), "", ""},
		{"encoded slash", "GET", "/0.1%2Fown", 404, notFound, "", ""},
		{"encoded slash in an id", "GET", "/0.1/things/a%2Fb", 200, got(""), "", ""},
		{"encoded NUL", "GET", "/0.1/own%00", 404, notFound, "", ""},
		{"parameter", "GET", "/0.1/own;a=b", 404, notFound, "", ""},
		{"double slash", "GET", "/0.1//own", 308, "", "", "/0.1/own"},
		{"double slash of no route", "GET", "/0.1//nothing", 308, "", "", "/0.1/nothing"},
		{"slashes everywhere", "POST", "///0.1///things//", 308, "", "", "/0.1/things/"},
		{"another host's", "GET", "//evil.example/x", 308, "", "", "/evil.example/x"},
		{"only slashes", "GET", "///", 308, "", "", "/"},
		{"double slash with a query", "GET", "/0.1//own?next=//evil.example", 308, "", "", "/0.1/own?next=//evil.example"},
		{"double slash, encoded rest", "GET", "/0.1//a%20b%2F%5Cc", 308, "", "", "/0.1/a%20b%2F%5Cc"},
		{"backslash", "GET", `/\evil.example//x`, 308, "", "", "/%5Cevil.example/x"},
		{"double slash and dots", "GET", "/0.1//../own", 404, notFound, "", ""},
		{"error of a handler", "GET", "/0.1/fails", 500, `{"message": "Internal Server Error"}` + "\n", "", ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			u, err := url.ParseRequestURI("http://api.example" + c.target)
			if err != nil {
				t.Fatal(err)
			}
			r := httptest.NewRequest("GET", "/", nil)
			r.Method, r.URL = c.method, u
			w := httptest.NewRecorder()
			m.ServeHTTP(w, r)
			if w.Code != c.status || w.Body.String() != c.body {
				t.Errorf("%d %s\nwant %d %s", w.Code, w.Body, c.status, c.body)
			}
			if h := w.Header(); h.Get("Allow") != c.allow || h.Get("Location") != c.location || h.Get("Content-Length") != fmt.Sprint(w.Body.Len()) {
				t.Errorf("header %v, want Allow %q, Location %q", h, c.allow, c.location)
			}
			if c.method == "OPTIONS" && c.status == 200 && w.Header().Get("Content-Type") != "text/html; charset=utf-8" {
				t.Errorf("header %v", w.Header())
			}
		})
	}
	if len(m.Routes()) != 7 || m.Routes()[1].Path != one.Path {
		t.Errorf("routes %v", m.Routes())
	}
}

// TestMux_UUIDOrSlug: of two paths that differ in the kind of a parameter, the
// one with the uuid answers for uuids.
func TestMux_UUIDOrSlug(t *testing.T) {
	t.Parallel()
	answer := func(method, path, name string) httpapi.Route {
		return httpapi.Route{Method: method, Path: path, ACL: "things.{" + name + "}", HandleAs: func(w http.ResponseWriter, r *http.Request, _ *httpapi.Caller) error {
			httpapi.WriteJSON(w, 200, []byte(method+" "+name+" "+r.PathValue(name)+" "+r.PathValue("access")))
			return nil
		}}
	}
	m := httpapi.NewMux(discard, func() time.Time { return at }, httpapi.Access{Grants: holder{"#"}},
		answer("GET", "/things/{thing_slug}", "thing_slug"), answer("GET", "/things/{thing_uuid}", "thing_uuid"), answer("PUT", "/things/{thing_uuid}", "thing_uuid"),
		answer("PUT", "/things/{thing_slug}/acl/{access}", "thing_slug"), answer("PUT", "/things/{thing_uuid}/acl/{access}", "thing_uuid"),
		answer("GET", "/pairs/{a_uuid}/{b_uuid}", "b_uuid"), answer("GET", "/pairs/{a_uuid}/{b_slug}", "b_slug"),
	)
	for _, c := range []struct {
		name, method, target string
		status               int
		body                 string
	}{
		{"uuid", "GET", "/things/" + id, 200, "GET thing_uuid " + id + " "},
		{"upper-case uuid", "GET", "/things/" + strings.ToUpper(id), 200, "GET thing_uuid " + id + " "},
		{"slug", "GET", "/things/x", 200, "GET thing_slug x "},
		{"undashed", "GET", "/things/0123456789ab4cde8f0123456789abcd", 200, "GET thing_slug 0123456789ab4cde8f0123456789abcd "},
		{"method of one", "PUT", "/things/" + id, 200, "PUT thing_uuid " + id + " "},
		{"method of the other", "PUT", "/things/x", 405, noMethod},
		{"below a uuid", "PUT", "/things/" + id + "/acl/a.%23", 200, "PUT thing_uuid " + id + " a.#"},
		{"below a slug", "PUT", "/things/X/acl/a", 200, "PUT thing_slug X a"},
		{"both uuids", "GET", "/pairs/" + id + "/" + id, 200, "GET b_uuid " + id + " "},
		{"one uuid", "GET", "/pairs/" + id + "/b", 200, "GET b_slug b "},
		{"the wrong one", "GET", "/pairs/a/" + id, 404, notFound},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			w := httptest.NewRecorder()
			m.ServeHTTP(w, httptest.NewRequest(c.method, c.target, nil))
			if w.Code != c.status || w.Body.String() != c.body {
				t.Errorf("%d %q, want %d %q", w.Code, w.Body, c.status, c.body)
			}
		})
	}
}

// holder is whoever sends a token, with these accesses.
type holder []string

func (h holder) Lookup(context.Context, string) (*grant.Grant, grant.State, error) {
	return grant.New(grant.Fields{AuthID: grant.InternalAuthID, Metadata: `{"tenant_uuid": "home"}`, ACL: acl.Compile(h)}, at), grant.Hit, nil
}

// village is a tree of tenants: top, and home below it.
type village struct{}

func (village) Contains(_ context.Context, ancestor, tenant string) (bool, error) {
	return ancestor == tenant || ancestor == "top" && tenant == "home", nil
}
func (village) Top(context.Context) (string, error) { return "top", nil }

func TestCaller(t *testing.T) {
	t.Parallel()
	ask := func(question func(*httpapi.Caller) error) httpapi.Route {
		return httpapi.Route{Method: "GET", Path: "/x", ACL: "x", HandleAs: func(w http.ResponseWriter, _ *http.Request, c *httpapi.Caller) error {
			if err := question(c); err != nil {
				return err
			}
			httpapi.NoContent(w)
			return nil
		}}
	}
	for _, c := range []struct {
		name     string
		question func(*httpapi.Caller) error
		body     string // "" for none
	}{
		{"adds what he holds", func(c *httpapi.Caller) error { return c.MayAdd(t.Context(), "a.b", "!anything") }, ""},
		{"adds what he lacks", func(c *httpapi.Caller) error { return c.MayAdd(t.Context(), "a.b", "b", "c") }, `"details": {"invalid_token": "tok", "required_access": "b"}`},
		{"removes what he holds", func(c *httpapi.Caller) error { return c.MayRemove(t.Context(), "a.b", "!a.c") }, ""},
		{"lifts a restriction he lacks", func(c *httpapi.Caller) error { return c.MayRemove(t.Context(), "!b") }, `"required_access": "!b"`},
		{"hung up", func(c *httpapi.Caller) error {
			gone, cancel := context.WithCancel(t.Context())
			cancel()
			if err := c.MayAdd(gone, "a.b"); !errors.Is(err, context.Canceled) {
				return fmt.Errorf("adding: %w", err)
			}
			if err := c.MayRemove(gone, "a.b"); !errors.Is(err, context.Canceled) {
				return fmt.Errorf("removing: %w", err)
			}
			return nil
		}, ""},
		{"is not of the top tenant", func(c *httpapi.Caller) error { return c.Top(t.Context()) }, `"details": {"invalid_token": "tok"}`},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			m := httpapi.NewMux(discard, func() time.Time { return at }, httpapi.Access{Grants: holder{"x", "a.*"}, Tenants: village{}}, ask(c.question))
			r := httptest.NewRequest("GET", "/x", nil)
			r.Header.Set("X-Auth-Token", "tok")
			r.Header.Set("Wazo-Tenant", "top") // nobody becomes what he names
			w := httptest.NewRecorder()
			m.ServeHTTP(w, r)
			if want := map[bool]int{true: 204, false: 401}[c.body == ""]; w.Code != want || !strings.Contains(w.Body.String(), c.body) {
				t.Errorf("%d %s, want %s", w.Code, w.Body, c.body)
			}
		})
	}
}

func TestMux_NoPath(t *testing.T) {
	t.Parallel()
	for _, u := range []*url.URL{{}, {Path: "*"}, {Path: "0.1/own"}, {Opaque: "x"}} {
		r := httptest.NewRequest("OPTIONS", "/", nil)
		r.URL = u
		w := httptest.NewRecorder()
		newMux(route("GET", "/0.1/own")).ServeHTTP(w, r)
		if w.Code != 404 || w.Body.String() != notFound {
			t.Errorf("%#v: %d %s", u, w.Code, w.Body)
		}
	}
}

// TestMux_Served: through a real server, HEAD has the header of GET and no body.
func TestMux_Served(t *testing.T) {
	t.Parallel()
	s := httptest.NewServer(newMux(route("GET", "/0.1/own")))
	t.Cleanup(s.Close)
	get, err := s.Client().Get(s.URL + "/0.1/own")
	if err != nil {
		t.Fatal(err)
	}
	defer get.Body.Close()
	head, err := s.Client().Head(s.URL + "/0.1/own")
	if err != nil {
		t.Fatal(err)
	}
	defer head.Body.Close()
	if get.StatusCode != 200 || head.StatusCode != 200 || head.ContentLength != get.ContentLength || get.ContentLength <= 0 ||
		head.Header.Get("Content-Type") != get.Header.Get("Content-Type") {
		t.Errorf("GET %v, HEAD %v", get, head)
	}
}

func TestNewMux_Panics(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name   string
		routes []httpapi.Route
	}{
		{"twice the same", []httpapi.Route{route("GET", "/a"), route("GET", "/a")}},
		{"neither open nor guarded", []httpapi.Route{{Method: "GET", Path: "/a"}}},
		{"open and guarded", []httpapi.Route{{Method: "GET", Path: "/a", ACL: "x", Handle: route("GET", "/a").Handle}}},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			defer func() {
				if recover() == nil {
					t.Error("a mistake in the program went unnoticed")
				}
			}()
			newMux(c.routes...)
		})
	}
}

func TestPathUUID(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ name, in, want string }{
		{"canonical", id, id},
		{"upper case", strings.ToUpper(id), id},
		{"mixed case", "01234567-89AB-4cde-8f01-23456789aBcD", id},
		{"undashed", strings.ReplaceAll(id, "-", ""), ""},
		{"braces", "{" + id + "}", ""},
		{"urn", "urn:uuid:" + id, ""},
		{"36 bytes that are none", "{" + strings.ReplaceAll(id, "-", "") + "}xx", ""},
		{"trailing line feed", id + "\n", ""},
		{"line feed for a digit", id[:35] + "\n", ""},
		{"full-width digit", id[:33] + "１", ""},
		{"empty", "", ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			r := httptest.NewRequest("GET", "/", nil)
			r.SetPathValue("id", c.in)
			if got, ok := httpapi.PathUUID(r, "id"); got != c.want || ok != (c.want != "") {
				t.Errorf("PathUUID(%q) = %q, %v; want %q", c.in, got, ok, c.want)
			}
			if got, ok := httpapi.PathUUID(r, "other"); ok {
				t.Errorf("another parameter: %q", got)
			}
		})
	}
}
