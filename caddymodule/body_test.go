package caddymodule

import (
	"bufio"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
)

// within sets a duration of the module for one test, before there is a node.
func within(t *testing.T, d *time.Duration, value time.Duration) {
	t.Helper()
	old := *d
	*d = value
	t.Cleanup(func() { *d = old })
}

const apiSite = "http://:<port> {\n\txivo_auth_api\n}"

// post is a login whose body is still to come.
func post(length int) string {
	return fmt.Sprintf("POST /0.1/token HTTP/1.1\r\nHost: pbx\r\nAuthorization: %s\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n",
		basic("alice", alicePassword), length)
}

// drip sends one byte after the other until it cannot any more, or is told to
// stop.
func drip(w io.Writer, stop <-chan struct{}) {
	for tick := time.NewTicker(5 * time.Millisecond); ; {
		select {
		case <-stop:
			return
		case <-tick.C:
		}
		if _, err := io.WriteString(w, " "); err != nil {
			return
		}
	}
}

// One byte after another, none of which is late, kept a stranger inside the
// service for ever, and with him whatever a reload had replaced (slowloris).
func TestSec_SlowBody(t *testing.T) {
	within(t, &bodyTimeout, 200*time.Millisecond)
	for _, header := range []string{post(1 << 20), strings.Replace(post(0), "Content-Length: 0", "Transfer-Encoding: chunked", 1) + "100000\r\n"} {
		n := newNode(t)
		n.start("", apiSite)
		conn := n.dial()
		if _, err := io.WriteString(conn, header); err != nil {
			t.Fatal(err)
		}
		stop := make(chan struct{})
		dripped := make(chan struct{})
		go func() { defer close(dripped); drip(conn, stop) }()
		// It is answered, and the connection closed, which no other request can
		// follow on.
		if _, err := io.ReadAll(conn); os.IsTimeout(err) {
			t.Error("the connection is kept")
		}
		eventually(t, "it is out again", func() bool { return n.service().inflight.Load() == 0 })
		close(stop)
		<-dripped
		_ = conn.Close()
	}
}

func TestSec_SlowBodyHTTP2(t *testing.T) {
	within(t, &bodyTimeout, 500*time.Millisecond)
	n := newNode(t)
	n.withH2C(apiSite)
	tr := &http.Transport{Protocols: new(http.Protocols)}
	tr.Protocols.SetUnencryptedHTTP2(true)
	defer tr.CloseIdleConnections()
	client := &http.Client{Transport: tr, Timeout: patience}
	body, w := io.Pipe()
	stop, dripped := make(chan struct{}), make(chan struct{})
	go func() { defer close(dripped); drip(w, stop) }()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, n.url("/0.1/token"), body)
	if err != nil {
		t.Fatal(err)
	}
	req.SetBasicAuth("alice", alicePassword)
	req.Header.Set("Content-Type", "application/json")
	resp, err := client.Do(req)
	if os.IsTimeout(err) {
		t.Error(err)
	}
	if err == nil {
		_ = resp.Body.Close()
	}
	close(stop)
	<-dripped
	_ = w.Close()
	eventually(t, "it is out again", func() bool { return n.service().inflight.Load() == 0 })
	// The connection is none the worse.
	req, err = http.NewRequestWithContext(t.Context(), http.MethodPost, n.url("/0.1/token"), strings.NewReader("{}"))
	if err != nil {
		t.Fatal(err)
	}
	req.SetBasicAuth("alice", alicePassword)
	req.Header.Set("Content-Type", "application/json")
	if resp, err = client.Do(req); err != nil || resp.StatusCode != http.StatusOK {
		t.Fatalf("%v %v", resp, err)
	}
	_ = resp.Body.Close()
}

// A connection goes on after a body that came in time, however long ago that
// was.
func TestAPI_KeepAlive(t *testing.T) {
	within(t, &bodyTimeout, 500*time.Millisecond)
	n := newNode(t)
	n.start("", apiSite)
	conn := n.dial()
	r := bufio.NewReader(conn)
	for range 3 {
		if _, err := io.WriteString(conn, post(2)+"{}"); err != nil {
			t.Fatal(err)
		}
		resp, err := http.ReadResponse(r, nil)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := io.Copy(io.Discard, resp.Body); err != nil || resp.StatusCode != http.StatusOK {
			t.Fatal(resp.Status, err)
		}
		<-time.After(2 * bodyTimeout)
	}
}

// deadlines is a writer that keeps which read deadlines are set.
type deadlines struct {
	*httptest.ResponseRecorder
	set []bool
}

func (d *deadlines) SetReadDeadline(at time.Time) error {
	d.set = append(d.set, !at.IsZero())
	return nil
}

// The deadline is gone when the body is complete, or net/http, which reads on to
// notice when the client goes, would cancel a request that takes longer; and
// stays when it is not, for what is left of it.
func TestPunctual(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name  string
		body  io.Reader
		reads int
		want  string
	}{
		{"none", http.NoBody, 1, "[]"},
		{"complete", strings.NewReader("ab"), 3, "[true false]"},
		{"not looked at", strings.NewReader("ab"), 0, "[true]"},
		{"half", strings.NewReader("ab"), 1, "[true]"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			w, r := &deadlines{ResponseRecorder: httptest.NewRecorder()}, httptest.NewRequest(http.MethodPost, "/", c.body)
			before := r.Body
			restore := punctual(w, r)
			for range c.reads {
				_, _ = r.Body.Read(make([]byte, 1))
			}
			restore()
			if got := fmt.Sprint(w.set); got != c.want || r.Body != before {
				t.Errorf("deadlines %s, want %s", got, c.want)
			}
		})
	}
}

// TestReload_SlowClientInside: who stays inside a service that was replaced does
// not keep its store, gets an answer all the same, and the rest goes with him.
func TestReload_SlowClientInside(t *testing.T) {
	within(t, &drainGrace, 10*time.Millisecond)
	n := newNode(t)
	n.start("", apiSite)
	conn := n.dial()
	if _, err := io.WriteString(conn, post(2)+"{"); err != nil {
		t.Fatal(err)
	}
	a := n.service()
	eventually(t, "it is inside", func() bool { return a.inflight.Load() == 1 })
	n.start("store probe <db> 2", apiSite)
	eventually(t, "the store is closed", func() bool { return n.switches().closes.Load() == 1 })
	if a.enter() {
		t.Error("another one is let in")
	}
	if a.inflight.Load() != closed+1 {
		t.Errorf("%d are inside", a.inflight.Load()-closed)
	}
	for _, h := range []caddyhttp.MiddlewareHandler{guardOn(a, ""), &API{shared: a}} {
		if got := serve(t, h, http.MethodGet, "/0.1/status"); got != http.StatusServiceUnavailable {
			t.Errorf("%T: %d", h, got)
		}
	}
	if _, err := io.WriteString(conn, "}"); err != nil {
		t.Fatal(err)
	}
	resp, err := http.ReadResponse(bufio.NewReader(conn), nil)
	if err != nil || resp.StatusCode < 500 {
		t.Errorf("%v %v", resp, err)
	}
	eventually(t, "he has left", func() bool { return a.inflight.Load() == closed })
}
