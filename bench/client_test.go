//go:build linux

package main

import (
	"bufio"
	"bytes"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"
)

func TestReadResponse(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name, text string
		head       bool
		status     int
		keep       bool
		rest       string // of the connection
		fails      bool
	}{
		{name: "sized", text: "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhelloHTTP", status: 200, keep: true, rest: "HTTP"},
		{name: "chunked", text: "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n5\r\nhello\r\na;x=y\r\n0123456789\r\n0\r\nA: b\r\n\r\nHTTP", status: 200, keep: true, rest: "HTTP"},
		{name: "HEAD", text: "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nHTTP", head: true, status: 200, keep: true, rest: "HTTP"},
		{name: "no content", text: "HTTP/1.1 204 No Content\r\n\r\nHTTP", status: 204, keep: true, rest: "HTTP"},
		{name: "closed", text: "HTTP/1.1 401 Unauthorized\r\nConnection: close\r\nContent-Length: 2\r\n\r\nno", status: 401},
		{name: "until the end", text: "HTTP/1.1 200 OK\r\n\r\nhello", status: 200},
		{name: "another protocol", text: "SSH-2.0-OpenSSH_9.2\r\n", fails: true},
		{name: "cut in the header", text: "HTTP/1.1 200 OK\r\nContent-Le", fails: true},
		{name: "cut in the body", text: "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhel", fails: true},
		{name: "no length", text: "HTTP/1.1 200 OK\r\nContent-Length: five\r\n\r\n", fails: true},
		{name: "no chunk", text: "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n", fails: true},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			in := bufio.NewReader(strings.NewReader(c.text))
			status, keep, err := readResponse(in, c.head)
			if c.fails {
				if err == nil {
					t.Fatalf("read as %d", status)
				}
				return
			}
			rest, _ := io.ReadAll(in)
			if err != nil || status != c.status || keep != c.keep || string(rest) != c.rest {
				t.Errorf("%d, keep %v, %v, then %q", status, keep, err, rest)
			}
		})
	}
}

func TestRequest_Raw(t *testing.T) {
	t.Parallel()
	r := request{method: "POST", path: "/0.1/token/{token}/scopes/check", body: "{}", header: []string{"Content-Type: application/json"}}
	text, at := r.raw("host:1")
	want := "POST /0.1/token/" + placeholder + "/scopes/check HTTP/1.1\r\nHost: host:1\r\nContent-Type: application/json\r\nContent-Length: 2\r\n\r\n{}"
	if string(text) != want || at != len("POST /0.1/token/") {
		t.Errorf("%q, token at %d", text, at)
	}
	r = request{method: "GET", path: "/", token: "X-Auth-Token"}
	if text, at = r.raw("host:1"); !bytes.HasPrefix(text[at-len("X-Auth-Token: "):], []byte("X-Auth-Token: "+placeholder)) {
		t.Errorf("%q, token at %d", text, at)
	}
	if _, at = (&request{method: "GET", path: "/"}).raw("h"); at != -1 {
		t.Errorf("no token, but at %d", at)
	}
}

// TestLoad counts what is answered as wanted, and what is not, apart, with the
// token of each request its own and connections that the server closes.
func TestLoad(t *testing.T) {
	t.Parallel()
	var seen atomic.Int64
	var wrong atomic.Value
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		n := seen.Add(1)
		if len(r.Header.Get("X-Auth-Token")) != len(placeholder) || r.Header.Get("X-Auth-Token") == placeholder {
			wrong.Store(r.Header.Get("X-Auth-Token"))
		}
		if n%10 == 0 {
			w.Header().Set("Connection", "close")
		}
		if n%4 == 0 {
			w.WriteHeader(http.StatusUnauthorized)
		}
		_, _ = io.WriteString(w, "hello")
	}))
	t.Cleanup(server.Close)
	l := load{addr: server.Listener.Addr().String(), conns: 4, want: 200, tokens: inTurn("set"), req: request{method: "GET", path: "/", token: "X-Auth-Token"}}
	if o := l.times(t.Context(), 100); o.n != 75 || o.bad != 25 || o.hist.n != 75 || o.example != "401 where 200 was due" {
		t.Errorf("%d good, %d bad (%s), %d measured", o.n, o.bad, o.example, o.hist.n)
	}
	if w := wrong.Load(); w != nil {
		t.Errorf("a request had the token %q", w)
	}
	server.Close()
	if o := l.times(t.Context(), 4); o.n != 0 || o.bad != 4 {
		t.Errorf("nobody listens: %d good, %d bad", o.n, o.bad)
	}
}

// TestLoad_Open has the one server stall: those who arrive meanwhile wait, and
// their wait counts.
func TestLoad_Open(t *testing.T) {
	t.Parallel()
	var seen atomic.Int64
	release := make(chan struct{})
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		if seen.Add(1) == 1 {
			<-release
		}
		w.WriteHeader(http.StatusNoContent)
	}))
	t.Cleanup(server.Close)
	l := load{addr: server.Listener.Addr().String(), conns: 1, want: 204, req: request{method: "GET", path: "/"}}
	done := make(chan *outcome)
	began := time.Now()
	go func() { done <- l.open(t.Context(), 1000, 20*time.Millisecond) }()
	for seen.Load() == 0 || time.Since(began) < 60*time.Millisecond { // all 20 are due
		time.Sleep(time.Millisecond)
	}
	close(release)
	o := <-done
	if o.n != 20 || o.bad != 0 {
		t.Fatalf("%d good, %d bad: %s", o.n, o.bad, o.example)
	}
	// The last was due at 19 ms and could not be asked before 60 ms.
	if least := o.hist.quantile(.01); least < 40*time.Millisecond {
		t.Errorf("one who waited counts as answered in %s", least)
	}
}

func TestDiscardChunks_Errors(t *testing.T) {
	t.Parallel()
	if err := discardChunks(bufio.NewReader(strings.NewReader("ffffffffff\r\n"))); !errors.Is(err, errResponse) {
		t.Errorf("a chunk of a terabyte: %v", err)
	}
}
