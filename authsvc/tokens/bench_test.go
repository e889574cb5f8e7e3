package tokens

import (
	"net/http"
	"net/http/httptest"
	"testing"
)

// sink is a ResponseWriter that is used again and again.
type sink struct {
	header http.Header
	status int
}

func (s *sink) Header() http.Header         { return s.header }
func (s *sink) Write(b []byte) (int, error) { return len(b), nil }
func (s *sink) WriteHeader(status int)      { s.status = status }

// benchmark serves one request for a resident token, through CORS rules and
// mux, over and over.
func benchmark(b *testing.B, method, query string, want int) {
	a := newAPI(b)
	target := "/0.1/token/" + a.insert(nil) + query
	if w := a.do(b, method, target, ""); w.Code != want {
		b.Fatalf("%d %s", w.Code, w.Body)
	}
	a.cache.Wait()
	r := httptest.NewRequestWithContext(b.Context(), method, target, nil)
	w := &sink{header: http.Header{}}
	b.ReportAllocs()
	for b.Loop() {
		clear(w.header)
		a.ServeHTTP(w, r)
	}
	if w.status != want {
		b.Fatal(w.status)
	}
}

func BenchmarkTokenHEAD(b *testing.B) {
	b.Run("plain", func(b *testing.B) { benchmark(b, "HEAD", "", 204) })
	b.Run("scope", func(b *testing.B) { benchmark(b, "HEAD", "?scope=confd.users.read", 204) })
	b.Run("scope and tenant", func(b *testing.B) {
		benchmark(b, "HEAD", "?scope=confd.users.read&tenant="+subTenant, 204)
	})
}

func BenchmarkTokenGET(b *testing.B) { benchmark(b, "GET", "", 200) }
