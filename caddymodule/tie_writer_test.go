package caddymodule

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig/httpcaddyfile"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
	"github.com/google/uuid"

	"github.com/wazo-edge/xivo-auth/authsvc/acl"
	"github.com/wazo-edge/xivo-auth/authsvc/cache"
	"github.com/wazo-edge/xivo-auth/authsvc/grant"
)

// tieProbe serves what handle says, tied to the token of the request.
type tieProbe struct{}

var (
	probeHandle atomic.Pointer[func(http.ResponseWriter, *http.Request) error]
	probeGauge  atomic.Int64
)

func (*tieProbe) CaddyModule() caddy.ModuleInfo {
	return caddy.ModuleInfo{ID: "http.handlers.tie_probe", New: func() caddy.Module { return new(tieProbe) }}
}

func (*tieProbe) ServeHTTP(w http.ResponseWriter, r *http.Request, next caddyhttp.Handler) error {
	for _, sh := range allServices() {
		if handle := probeHandle.Load(); handle != nil {
			next = caddyhttp.HandlerFunc(*handle)
		}
		g := newTestGrant(r.Header.Get(headerToken))
		return sh.serveTied(w, r, next, g, func(delta int) { probeGauge.Add(int64(delta)) })
	}
	return errors.New("no service")
}

func init() {
	caddy.RegisterModule(&tieProbe{})
	httpcaddyfile.RegisterHandlerDirective("tie_probe", func(httpcaddyfile.Helper) (caddyhttp.MiddlewareHandler, error) {
		return new(tieProbe), nil
	})
}

func newTestGrant(token string) *grant.Grant {
	id, _ := grant.ParseID(token)
	now := time.Now()
	return grant.New(grant.Fields{Token: id, ExpiresAt: now.Unix() + 3600, ACL: acl.Compile(nil)}, now)
}

// probed serves everything with handle.
func (n *node) probed(handle func(http.ResponseWriter, *http.Request) error) {
	n.t.Helper()
	probeHandle.Store(nil)
	if handle != nil {
		probeHandle.Store(&handle)
		n.t.Cleanup(func() { probeHandle.Store(nil) })
	}
	n.withH2C(`http://:<port> {
	handle /0.1/* {
		xivo_auth_api
	}
	handle {
		route {
			tie_probe
		}
	}
}`)
}

// TestTie_StreamingWriter: what handlers want of a writer they still get.
func TestTie_StreamingWriter(t *testing.T) {
	file := filepath.Join(t.TempDir(), "file")
	content := strings.Repeat("0123456789abcdef", 1<<16)
	if err := os.WriteFile(file, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
	serveFile := func(w http.ResponseWriter, r *http.Request) error {
		http.ServeFile(w, r, file)
		return nil
	}
	for _, version := range []int{1, 2} {
		t.Run(fmt.Sprint("file, HTTP ", version), func(t *testing.T) {
			n, w := newNode(t), theWorld(t)
			n.probed(serveFile)
			body, err := io.ReadAll(n.get(n.mint(w.alice), version).Body)
			if err != nil || string(body) != content {
				t.Errorf("%d bytes, %v", len(body), err)
			}
		})
		t.Run(fmt.Sprint("copy without length, HTTP ", version), func(t *testing.T) {
			n, w := newNode(t), theWorld(t)
			n.probed(func(w http.ResponseWriter, _ *http.Request) error {
				_, err := io.Copy(w, struct{ io.Reader }{strings.NewReader(content)})
				return err
			})
			body, err := io.ReadAll(n.get(n.mint(w.alice), version).Body)
			if err != nil || string(body) != content {
				t.Errorf("%d bytes, %v", len(body), err)
			}
		})
		t.Run(fmt.Sprint("events, HTTP ", version), func(t *testing.T) {
			n, w := newNode(t), theWorld(t)
			next := make(chan struct{})
			n.probed(func(w http.ResponseWriter, _ *http.Request) error {
				w.Header().Set("Content-Type", "text/event-stream")
				ctl := http.NewResponseController(w)
				if err := ctl.Flush(); err != nil { // the header alone
					t.Error(err)
				}
				for i := range 3 {
					<-next
					_, _ = fmt.Fprintf(w, "data: %d\n\n", i)
					if err := ctl.Flush(); err != nil {
						t.Error(err)
					}
				}
				return nil
			})
			resp := n.get(n.mint(w.alice), version)
			n.awaitTies(1)
			lines := bufio.NewReader(resp.Body)
			for i := range 3 {
				next <- struct{}{} // the handler waits until the one before has arrived
				line, err := lines.ReadString('\n')
				if want := fmt.Sprintf("data: %d\n", i); err != nil || line != want {
					t.Fatalf("%q, %v, want %q", line, err, want)
				}
				_, _ = lines.ReadString('\n')
			}
			if rest, err := io.ReadAll(lines); err != nil || len(rest) != 0 {
				t.Errorf("%q, %v", rest, err)
			}
		})
		t.Run(fmt.Sprint("ended where nobody looks, HTTP ", version), func(t *testing.T) {
			// A handler that does not mind its context or errors.
			n, w := newNode(t), theWorld(t)
			outcome := make(chan [3]error, 1)
			n.probed(func(w http.ResponseWriter, r *http.Request) error {
				w.Header().Set("Content-Type", "text/event-stream")
				_, _ = io.WriteString(w, "data: 1\n\n")
				_ = http.NewResponseController(w).Flush()
				<-r.Context().Done()
				var errs [3]error
				_, errs[0] = io.WriteString(w, "data: 2\n\n")
				_, errs[1] = io.Copy(w, struct{ io.Reader }{strings.NewReader("data: 3\n\n")})
				errs[2] = http.NewResponseController(w).Flush()
				outcome <- errs
				return nil
			})
			token := n.mint(w.alice)
			resp := n.get(token, version)
			n.revoke(token)
			if body, err := io.ReadAll(resp.Body); err == nil || strings.Contains(string(body), "data: 2") {
				t.Errorf("%q, %v", body, err)
			}
			for i, err := range <-outcome {
				if !errors.Is(err, errEnded) {
					t.Errorf("%d: %v, want %v", i, err, errEnded)
				}
			}
		})
	}
	t.Run("hijack, with what came early", func(t *testing.T) {
		n, w := newNode(t), theWorld(t)
		n.probed(func(w http.ResponseWriter, _ *http.Request) error {
			conn, buf, err := http.NewResponseController(w).Hijack()
			if err != nil {
				return err
			}
			if buf.Reader.Buffered() == 0 {
				t.Error("nothing in the buffer")
			}
			for range 2 {
				line, err := buf.ReadString('\n')
				if err != nil {
					t.Error(err)
				}
				_, _ = buf.WriteString(line)
				_ = buf.Flush()
			}
			return conn.Close()
		})
		answer := n.raw("GET / HTTP/1.1\r\nHost: pbx\r\nX-Auth-Token: " + n.mint(w.alice) + "\r\n\r\nearly\nlate\n")
		if answer != "early\nlate\n" {
			t.Errorf("%q", answer)
		}
	})
}

// recordingWriter tells what it is asked to read from.
type recordingWriter struct {
	*httptest.ResponseRecorder
	from io.Reader
}

func (r *recordingWriter) ReadFrom(from io.Reader) (int64, error) {
	r.from = from
	return io.Copy(r.ResponseRecorder, from)
}

// TestTie_Sendfile: the connection is shown the file itself.
func TestTie_Sendfile(t *testing.T) {
	t.Parallel()
	f, err := os.Open(os.DevNull)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = f.Close() }()
	for _, length := range []string{"10", ""} {
		w := &recordingWriter{ResponseRecorder: httptest.NewRecorder()}
		r := httptest.NewRequestWithContext(t.Context(), "GET", "/", nil)
		sh := newBareShared(t)
		if err := sh.serveTied(w, r, caddyhttp.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) error {
			if length != "" {
				w.Header().Set("Content-Length", length)
			}
			_, err := w.(io.ReaderFrom).ReadFrom(f)
			return err
		}), newTestGrant(uuid.NewString()), nil); err != nil {
			t.Fatal(err)
		}
		if (w.from == f) != (length != "") {
			t.Errorf("length %q: read from %T", length, w.from)
		}
	}
}

// newBareShared is a service without a store that can be asked.
func newBareShared(t testing.TB) *shared {
	t.Helper()
	sh, err := openShared(hard{
		store: &probeStore{Path: filepath.Join(t.TempDir(), "none.db")},
		cache: cache.Config{Grants: 1000},
	}, soft{log: slog.DiscardHandler})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = sh.Close() })
	return sh
}

// BenchmarkTied is what a short request pays.
func BenchmarkTied(b *testing.B) {
	sh := newBareShared(b)
	g := newTestGrant(uuid.NewString())
	body := []byte(`{"items": []}`)
	for _, c := range []struct{ name, length string }{{"sized", "13"}, {"unsized", ""}} {
		next := caddyhttp.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) error {
			if c.length != "" {
				w.Header()["Content-Length"] = []string{c.length}
			}
			w.WriteHeader(http.StatusOK)
			_, err := w.Write(body)
			return err
		})
		for _, tied := range []bool{false, true} {
			b.Run(fmt.Sprintf("%s/tied=%v", c.name, tied), func(b *testing.B) {
				parent, cancel := context.WithCancel(b.Context())
				defer cancel()
				w := &blank{header: http.Header{}}
				r := httptest.NewRequestWithContext(parent, "GET", "/", nil)
				b.ReportAllocs()
				for b.Loop() {
					clear(w.header)
					var err error
					if tied {
						err = sh.serveTied(w, r, next, g, nil)
					} else {
						err = next.ServeHTTP(w, r)
					}
					if err != nil {
						b.Fatal(err)
					}
				}
			})
		}
	}
}

// blank is a writer that costs nothing.
type blank struct{ header http.Header }

func (b *blank) Header() http.Header       { return b.header }
func (*blank) WriteHeader(int)             {}
func (*blank) Write(p []byte) (int, error) { return len(p), nil }
