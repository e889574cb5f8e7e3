package caddymodule

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/google/uuid"
)

// streamer is an upstream whose answers a test scripts: after the header, what
// comes over say, until that is closed.
type streamer struct {
	addr  string
	say   chan string
	ended chan error // one for each request, nil when all was said
}

func newStreamer(t *testing.T, contentType string, length int) *streamer {
	s := &streamer{say: make(chan string), ended: make(chan error, 10)}
	s.addr = startHTTP(t, func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", contentType)
		if length > 0 {
			w.Header().Set("Content-Length", fmt.Sprint(length))
		}
		ctl := http.NewResponseController(w)
		_ = ctl.Flush()
		for {
			select {
			case text, ok := <-s.say:
				if !ok {
					s.ended <- nil
					return
				}
				_, _ = io.WriteString(w, text)
				_ = ctl.Flush()
			case <-r.Context().Done():
				s.ended <- r.Context().Err()
				return
			}
		}
	})
	return s
}

// get asks the guard for a stream, over HTTP/1.1 or 2.
func (n *node) get(token string, version int) *http.Response {
	n.t.Helper()
	tr := &http.Transport{Protocols: new(http.Protocols)}
	tr.Protocols.SetHTTP1(version == 1)
	tr.Protocols.SetUnencryptedHTTP2(version == 2)
	req, err := http.NewRequestWithContext(n.t.Context(), http.MethodGet, n.url("/stream"), nil)
	if err != nil {
		n.t.Fatal(err)
	}
	req.Header.Set("X-Auth-Token", token)
	resp, err := (&http.Client{Transport: tr, Timeout: patience}).Do(req)
	if err != nil {
		n.t.Fatal(err)
	}
	n.t.Cleanup(func() { _ = resp.Body.Close(); tr.CloseIdleConnections() })
	if resp.ProtoMajor != version || resp.StatusCode != http.StatusOK {
		n.t.Fatalf("%s %s", resp.Proto, resp.Status)
	}
	return resp
}

// withH2C lets HTTP/2 in without TLS.
func (n *node) withH2C(site string) {
	n.t.Helper()
	n.loadText(strings.Replace(n.caddyfile("", site), "\tgrace_period 5s\n", "\tgrace_period 5s\n\tservers {\n\t\tprotocols h1 h2c\n\t}\n", 1))
}

// TestTie_StreamEndedOnRevocation: the client of a stream that says nothing at
// the moment learns that it is broken off, and the upstream is let go.
func TestTie_StreamEndedOnRevocation(t *testing.T) {
	for _, c := range []struct{ name, contentType string }{
		{"events", "text/event-stream"},
		{"events, with a parameter", "Text/Event-Stream; charset=utf-8"},
		{"lines", "application/x-ndjson"},
		{"parts", "multipart/x-mixed-replace; boundary=x"},
		{"no length, and a second later", "text/plain"},
	} {
		for _, version := range []int{1, 2} {
			t.Run(fmt.Sprintf("%s, HTTP %d", c.name, version), func(t *testing.T) {
				n, w := newNode(t), theWorld(t)
				up := newStreamer(t, c.contentType, 0)
				n.withH2C(tiedSite(up.addr))
				token, other := n.mint(w.alice, "#"), n.mint(w.alice, "#")
				resp, bystander := n.get(token, version), n.get(other, version)
				n.awaitTies(2)
				// Whichever of the two gets it.
				up.say <- "data: 1\n\n"
				up.say <- "data: 2\n\n"
				n.revoke(token)
				if rest, err := io.ReadAll(resp.Body); err == nil || errors.Is(err, context.DeadlineExceeded) {
					t.Errorf("read %q to the end, %v: want a response that is broken off", rest, err)
				}
				if err := <-up.ended; !errors.Is(err, context.Canceled) {
					t.Errorf("the upstream saw %v", err)
				}
				n.awaitTies(1)
				up.say <- "data: 3\n\n"
				close(up.say)
				if rest, err := io.ReadAll(bystander.Body); err != nil || !strings.HasSuffix(string(rest), "data: 3\n\n") {
					t.Errorf("another token's: %q, %v", rest, err)
				}
				n.awaitTies(0)
			})
		}
	}
}

// TestTie_StalledStreamEnded: a client who does not read is in nobody's way.
func TestTie_StalledStreamEnded(t *testing.T) {
	for _, version := range []int{1, 2} {
		t.Run(fmt.Sprint("HTTP ", version), func(t *testing.T) {
			n, w := newNode(t), theWorld(t)
			ended := make(chan struct{})
			var said atomic.Int64
			up := startHTTP(t, func(w http.ResponseWriter, _ *http.Request) {
				defer close(ended)
				w.Header().Set("Content-Type", "text/event-stream")
				line := strings.Repeat("data: 1\n\n", 1000)
				for {
					if _, err := io.WriteString(w, line); err != nil {
						return
					}
					said.Add(1)
				}
			})
			n.withH2C(tiedSite(up))
			token := n.mint(w.alice, "#")
			resp := n.get(token, version)
			before, same := int64(-1), 0
			eventually(t, "the stream stalls", func() bool {
				if now := said.Load(); now != before {
					before, same = now, 0
				}
				same++
				return same > 25
			})
			n.revoke(token)
			<-ended
			if _, err := io.Copy(io.Discard, resp.Body); err == nil {
				t.Error("it came to an orderly end")
			}
			n.awaitTies(0)
		})
	}
}

// TestTie_ShortRequestNotEnded: what has a length is completed, whatever
// becomes of its token meanwhile, and a token may be revoked through the guard
// with itself.
func TestTie_ShortRequestNotEnded(t *testing.T) {
	for _, version := range []int{1, 2} {
		t.Run(fmt.Sprint("sized, HTTP ", version), func(t *testing.T) {
			n, w := newNode(t), theWorld(t)
			up := newStreamer(t, "application/octet-stream", 10)
			n.withH2C(tiedSite(up.addr))
			token := n.mint(w.alice, "#")
			resp := n.get(token, version)
			up.say <- "12345"
			n.revoke(token)
			if n.ties() != 0 {
				t.Errorf("%d ties", n.ties())
			}
			up.say <- "67890"
			close(up.say)
			if rest, err := io.ReadAll(resp.Body); err != nil || string(rest) != "1234567890" {
				t.Errorf("%q, %v", rest, err)
			}
		})
	}
	t.Run("revokes itself", func(t *testing.T) {
		n, w := newNode(t), theWorld(t)
		n.start("", `http://:<port> {
	xivo_auth_guard
	reverse_proxy 127.0.0.1:<port2>
}
http://:<port2> {
	xivo_auth_api
}`)
		token := n.mint(w.alice, "#")
		if r := n.do("DELETE", n.url("/0.1/token/"+token), "", "X-Auth-Token", token); r.status != http.StatusOK {
			t.Errorf("%d %s", r.status, r.body)
		}
		if r := n.guarded(token); r.status != http.StatusUnauthorized {
			t.Errorf("afterwards: %d", r.status)
		}
	})
}

// TestTie_Begin: what becomes tied, and when.
func TestTie_Begin(t *testing.T) {
	t.Parallel()
	const never, later, now = "never", "later", "now"
	for _, c := range []struct {
		name, method, header string
		status               int
		want                 string
	}{
		{"sized", "GET", "Content-Length: 0", 200, never},
		{"unsized", "GET", "", 200, later},
		{"unsized error", "GET", "", 500, later},
		{"unsized, to HEAD", "HEAD", "", 200, never},
		{"events, to HEAD", "HEAD", "Content-Type: text/event-stream", 200, never},
		{"nothing", "GET", "", 204, never},
		{"not modified", "GET", "", 304, never},
		{"early hints", "GET", "", 103, never},
		{"switching", "GET", "Upgrade: WebSocket", 101, never}, // that is for Hijack
		{"events", "GET", "Content-Type: text/event-stream", 200, now},
		{"events that are sized", "GET", "Content-Type: text/event-stream; charset=utf-8", 200, now},
		{"json", "GET", "Content-Type: application/json", 200, later},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			n := 0
			w := &tied{cancel: func() {}, bodyless: c.method == "HEAD", gauge: func(delta int) { n += delta }}
			w.shared, w.grant = newBareShared(t), newTestGrant(uuid.NewString())
			w.ResponseWriter = httptest.NewRecorder()
			if name, value, ok := strings.Cut(c.header, ": "); ok {
				w.Header().Set(name, value)
			}
			w.WriteHeader(c.status)
			got := never
			switch {
			case n > 0:
				got = now
			case w.late != nil:
				got = later
			}
			if got != c.want {
				t.Errorf("tied %s, want %s", got, c.want)
			}
			if w.websocket != (c.status == 101) {
				t.Errorf("a WebSocket: %v", w.websocket)
			}
			w.finish()
			w.finish()
			if n != 0 || w.shared.CacheStats().Watches != 0 {
				t.Errorf("left behind: %d", n)
			}
		})
	}
}

// TestTie_GaugeAndNoLeak: whatever way connections end, none is counted or
// watched afterwards, and no goroutine is left.
func TestTie_GaugeAndNoLeak(t *testing.T) {
	n, w := newNode(t), theWorld(t)
	n.probed(func(w http.ResponseWriter, r *http.Request) error {
		if r.Header.Get("Upgrade") == "" {
			w.Header().Set("Content-Type", "text/event-stream")
			_ = http.NewResponseController(w).Flush()
			<-r.Context().Done()
			return nil
		}
		w.Header().Set("Connection", "Upgrade")
		w.Header().Set("Upgrade", r.Header.Get("Upgrade"))
		w.WriteHeader(http.StatusSwitchingProtocols)
		conn, buf, err := http.NewResponseController(w).Hijack()
		if err != nil {
			return err
		}
		_, _ = io.Copy(io.Discard, buf)
		return conn.Close()
	})
	is := func(want int) {
		t.Helper()
		n.awaitTies(want)
		eventually(t, fmt.Sprintf("%d are counted", want), func() bool { return probeGauge.Load() == int64(want) })
	}
	token := n.mint(w.alice)
	n.get(token, 1) // what is lazy is made now
	ws := n.upgrade(token, "websocket")
	is(2)
	n.revoke(token)
	ws.isClosed(t, closeRevoked)
	is(0)
	settled := 0
	eventually(t, "goroutines settle", func() bool {
		n.client.CloseIdleConnections()
		before := settled
		settled = runtime.NumGoroutine()
		return settled == before
	})
	for range 3 {
		revoked, left := n.mint(w.alice), n.mint(w.alice)
		var bodies []io.Closer
		for range 5 {
			for _, token := range []string{revoked, left} {
				bodies = append(bodies, n.get(token, 1).Body, n.upgrade(token, "websocket"), n.upgrade(token, "telnet"))
			}
		}
		is(30)
		n.revoke(revoked)
		var all sync.WaitGroup
		for _, body := range bodies {
			all.Go(func() { _ = body.Close() }) // while some of them are being ended
		}
		all.Wait()
		is(0)
	}
	eventually(t, "no goroutine is left", func() bool {
		n.client.CloseIdleConnections()
		return runtime.NumGoroutine() <= settled
	})
}
