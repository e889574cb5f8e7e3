package caddymodule

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/http/httptrace"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"
)

// TestTie_PipelinedRequest: net/http stops watching a connection once the client
// has sent the first byte of a next request, so breaking the connection would
// not reach a stream that has nothing to say. A client must not keep an
// upstream busy in that way.
func TestTie_PipelinedRequest(t *testing.T) {
	n, w := newNode(t), theWorld(t)
	up := newStreamer(t, "text/event-stream", 0)
	n.start("", tiedSite(up.addr))
	token := n.mint(w.alice, "#")
	conn, err := net.Dial("tcp", fmt.Sprintf("127.0.0.1:%d", n.port))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	_ = conn.SetDeadline(time.Now().Add(patience))
	request := "GET /stream HTTP/1.1\r\nHost: pbx\r\nX-Auth-Token: " + token + "\r\n\r\n"
	_, _ = io.WriteString(conn, request)
	n.awaitTies(1)
	_, _ = io.WriteString(conn, request)
	up.say <- "data: 1\n\n"
	n.revoke(token)
	if err := <-up.ended; !errors.Is(err, context.Canceled) {
		t.Errorf("the upstream saw %v", err)
	}
	answers, _ := io.ReadAll(conn)
	if text := string(answers); !strings.Contains(text, "data: 1") || strings.Count(text, "HTTP/1.1 ") != 1 || strings.HasSuffix(text, "0\r\n\r\n") {
		t.Errorf("want one answer that is broken off: %q", text)
	}
	n.awaitTies(0)
}

// TestTie_ConnectionGoesOn: a connection whose request is over serves the next
// one, whatever became of the token before.
func TestTie_ConnectionGoesOn(t *testing.T) {
	n, w := newNode(t), theWorld(t)
	up := newStreamer(t, "text/event-stream", 0)
	close(up.say)
	n.start("", tiedSite(up.addr))
	client := &http.Client{Transport: &http.Transport{MaxConnsPerHost: 1}, Timeout: patience}
	t.Cleanup(client.CloseIdleConnections)
	for i := range 3 {
		token := n.mint(w.alice, "#")
		reused := false
		ctx := httptrace.WithClientTrace(t.Context(), &httptrace.ClientTrace{GotConn: func(got httptrace.GotConnInfo) { reused = got.Reused }})
		req, err := http.NewRequestWithContext(ctx, http.MethodGet, n.url("/stream"), nil)
		if err != nil {
			t.Fatal(err)
		}
		req.Header.Set("X-Auth-Token", token)
		resp, err := client.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := io.Copy(io.Discard, resp.Body); err != nil || resp.StatusCode != http.StatusOK || reused != (i > 0) {
			t.Errorf("request %d: %s, %v, on a connection that was used before: %v", i, resp.Status, err, reused)
		}
		_ = resp.Body.Close()
		n.revoke(token)
	}
}

// TestTie_OverIsNotCancelled: whoever ends a response that has just come to its
// own end must not cancel what is next on its connection.
func TestTie_OverIsNotCancelled(t *testing.T) {
	t.Parallel()
	cancelled := false
	w := &tied{shared: newBareShared(t), grant: newTestGrant(uuid.NewString()), cancel: func() { cancelled = true }}
	w.ResponseWriter = httptest.NewRecorder()
	w.Header().Set("Content-Type", "text/event-stream")
	w.WriteHeader(http.StatusOK)
	w.finish()
	w.end()
	if cancelled {
		t.Error("cancelled")
	}
}
