package caddymodule

import (
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
)

func TestIsIdentity(t *testing.T) {
	for _, name := range append(slices.Clone(forgeries), "x-auth-", "X-Script-Name", "x_script.name", "X-AUTH-TOKEN", "x-auth-token", "X-Auth-TokeN", "wazo-tenant", "WAZO-TENANT", "X-Auth-\xff") {
		if !isIdentity(name) {
			t.Errorf("%q would reach the upstream", name)
		}
	}
	// Keys of a header are canonical, so only these are the real ones.
	for _, name := range []string{
		"X-Auth-Token", "Wazo-Tenant", "", "X-Auth", "X-Aut", "X-Authentication", "X-Author", "Authorization", "X-Forwarded-User",
		"Wazo-Tenants", "Wazo-Tenan", "Wazo-Session-Type", "XX-Auth-Id", "X--Auth-Id", "X-Script-Names", "X Auth Id",
	} {
		if isIdentity(name) {
			t.Errorf("%q is taken away, which is not ours", name)
		}
	}
}

func TestStripIdentity(t *testing.T) {
	r := httptest.NewRequest(http.MethodGet, "/", nil)
	keep := http.Header{"X-Auth-Token": {"t"}, "Wazo-Tenant": {"w"}, "Accept": {"a", "b"}, "Connection": {"Upgrade", "X-Mine"}, "Upgrade": {"websocket"}}
	r.Header = keep.Clone()
	r.Header["Connection"] = []string{" , X_Auth-Id, Upgrade ,x-auth-token,", "X-Mine", "wazo-tenant", ""}
	for _, name := range forgeries {
		r.Header[name] = []string{forged, forged} // as they are, and canonical
		r.Header[http.CanonicalHeaderKey(name)] = []string{forged}
	}
	r.Trailer = http.Header{"X-Checksum": nil, "X-Auth-Id": nil}
	stripIdentity(r)
	for name, values := range r.Header {
		if !slices.Equal(values, keep[name]) {
			t.Errorf("%s: %q, want %q", name, values, keep[name])
		}
	}
	if len(r.Header) != len(keep) {
		t.Errorf("left %v, want %v", r.Header, keep)
	}
	if r.Trailer != nil {
		t.Errorf("trailers %v", r.Trailer)
	}
	// A request without any of it is not touched.
	if got := testing.AllocsPerRun(100, func() { stripIdentity(r) }); got > 2 { // the kept values of Connection
		t.Errorf("%v allocations", got)
	}
	delete(r.Header, "Connection")
	if got := testing.AllocsPerRun(100, func() { stripIdentity(r) }); got != 0 {
		t.Errorf("%v allocations without a Connection header", got)
	}
}

// FuzzIdentity: whatever a WSGI server would read as one of our headers is
// taken away, and nothing else.
func FuzzIdentity(f *testing.F) {
	for _, name := range forgeries {
		f.Add(name)
	}
	for _, name := range []string{"X-Auth-Token", "Wazo-Tenant", "X-Authority", "x.auth", "X-Auth-\u0130d", "\u212Aazo-tenant", "wazo-tenant\x00"} {
		f.Add(name)
	}
	f.Fuzz(func(t *testing.T, name string) {
		// CGI's spelling, with the dots that some fold, too; ASCII only.
		cgi := []byte(name)
		for i, c := range cgi {
			switch {
			case c == '-' || c == '.':
				cgi[i] = '_'
			case 'a' <= c && c <= 'z':
				cgi[i] = c - 'a' + 'A'
			}
		}
		want := strings.HasPrefix(string(cgi), "X_AUTH_") && name != "X-Auth-Token" ||
			string(cgi) == "WAZO_TENANT" && name != "Wazo-Tenant"
		if got := isIdentity(name); got != want {
			t.Errorf("isIdentity(%q) = %t", name, got)
		}
		r := &http.Request{Header: http.Header{name: {"x"}, "Connection": {"close, " + name}}}
		stripIdentity(r)
		if _, left := r.Header[name]; left == want && name != "Connection" {
			t.Errorf("%q: left %t", name, left)
		}
		for _, v := range r.Header["Connection"] {
			if isIdentity(v) || http.CanonicalHeaderKey(v) == "X-Auth-Token" || http.CanonicalHeaderKey(v) == "Wazo-Tenant" {
				t.Errorf("Connection still names %q", v)
			}
		}
	})
}
