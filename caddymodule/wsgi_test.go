package caddymodule

import (
	"bufio"
	"bytes"
	"encoding/json"
	"os/exec"
	"strings"
	"sync"
	"testing"
)

// wsgiServer is a real WSGI server, of the kind the stack's services are: it
// reads headers, paths and methods otherwise than Go does, which is what most
// of the attacks are made of.
type wsgiServer struct {
	addr    string
	missing string // why there is none
	stop    func()
}

// need skips a test that cannot be done without it.
func (w *wsgiServer) need(t testing.TB) {
	t.Helper()
	if w.missing != "" {
		t.Skip(w.missing)
	}
}

// startWSGI runs a script of testdata/wsgi with Debian's Python, which has the
// packages that the stack runs on: python3-cheroot and python3-werkzeug. It
// ends with this process at the latest: its standard input is closed then.
func startWSGI(script string, args ...string) *wsgiServer {
	w := &wsgiServer{stop: func() {}}
	const python = "/usr/bin/python3"
	if _, err := exec.LookPath(python); err != nil {
		w.missing = "there is no WSGI server: " + err.Error()
		return w
	}
	cmd := exec.Command(python, append([]string{"-B", "testdata/wsgi/" + script}, args...)...)
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	stdin, err1 := cmd.StdinPipe()
	stdout, err2 := cmd.StdoutPipe()
	if err1 != nil || err2 != nil || cmd.Start() != nil {
		w.missing = "no WSGI server can be started"
		return w
	}
	port, err := bufio.NewReader(stdout).ReadString('\n')
	// The pipe is held by stop, and closed when nobody refers to it any more.
	w.stop = sync.OnceFunc(func() {
		_ = stdin.Close()
		_ = cmd.Wait()
	})
	if err != nil {
		w.stop()
		// What was printed tells which package is missing.
		w.missing = "apt-get install python3-cheroot python3-werkzeug: " + stderr.String()
		return w
	}
	w.addr = "127.0.0.1:" + strings.TrimSpace(port)
	return w
}

// echoWSGI answers with the environment that it sees. One serves all tests:
// it keeps nothing.
var echoWSGI = sync.OnceValue(func() *wsgiServer { return startWSGI("echo.py") })

// environ reads an answer of [echoWSGI].
func environ(t testing.TB, r reply) map[string]string {
	t.Helper()
	var seen map[string]string
	if err := json.Unmarshal([]byte(r.body), &seen); err != nil || r.status != 200 {
		t.Fatalf("the upstream did not answer: %d %s", r.status, r.body)
	}
	return seen
}
