//go:build linux

package main

import (
	"net"
	"net/http"
	"net/http/httptest"
	"sync/atomic"
	"testing"
	"time"
)

// counted is a server that tells how many connections it was asked for.
func counted(t *testing.T, status int) (addr string, opened *atomic.Int64) {
	t.Helper()
	opened = new(atomic.Int64)
	s := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(status) }))
	s.Config.ConnState = func(_ net.Conn, state http.ConnState) {
		if state == http.StateNew {
			opened.Add(1)
		}
	}
	s.Start()
	t.Cleanup(s.Close)
	return s.Listener.Addr().String(), opened
}

// tenEach has every client of l ask ten times: of a common number, one client
// may ask all before the others have begun.
func tenEach(l *load) *outcome {
	return l.run(func(w *worker) bool {
		if w.n+w.bad == 10 {
			return false
		}
		w.ask(time.Now)
		return true
	})
}

// TestCompare_KeepsConnections: to open connections is no part of what a slot
// measures.
func TestCompare_KeepsConnections(t *testing.T) {
	t.Parallel()
	addr, opened := counted(t, http.StatusNoContent)
	l := load{addr: addr, conns: 3, want: http.StatusNoContent, req: request{method: http.MethodGet, path: "/"}}
	g, err := compare(t.Context(), "k", "n", []rung{{key: "floor", load: l}, {key: "rung", load: l}}, 4, time.Millisecond,
		func(l *load, _ time.Duration) *outcome { return tenEach(l) })
	if err != nil || len(g.Rows) != 2 || g.Rows[0].Bad+g.Rows[1].Bad != 0 {
		t.Fatalf("%+v, %v", g, err)
	}
	if n := opened.Load(); n != 6 {
		t.Errorf("%d connections for two rungs of 3", n)
	}
	// A load by itself opens its own, and counts what was not as wanted.
	l.want = http.StatusOK
	if o := tenEach(&l); o.n != 0 || o.bad != 30 || o.example != "204 where 200 was due" {
		t.Errorf("%+v", o)
	}
	if n := opened.Load(); n != 9 {
		t.Errorf("%d connections, with 3 more", n)
	}
}
