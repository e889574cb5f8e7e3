package caddymodule

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
)

const nginxBinary = "/usr/sbin/nginx"

func needNginx(t *testing.T) {
	t.Helper()
	if _, err := os.Stat(nginxBinary); errors.Is(err, os.ErrNotExist) {
		t.Skip("there is no " + nginxBinary + ": install the package nginx-light")
	}
}

// startNginx runs the recipe on the first port, with further replacements, and
// returns its directory. It ends with the test, and with the test's process.
func (n *node) startNginx(up *upstream, replace ...string) (dir string) {
	n.t.Helper()
	dir = n.t.TempDir()
	n.port = freePort(n.t)
	// Where only root or a packaged nginx may write.
	temp := "http {\n"
	for _, kind := range []string{"client_body", "proxy", "fastcgi", "uwsgi", "scgi"} {
		temp += kind + "_temp_path " + dir + "/" + kind + ";\n"
	}
	conf := recipe(n.t, "nginx.conf", append([]string{
		"http {\n", temp,
		"/var/log/nginx/access.log", dir + "/access.log",
		"listen 8080;", fmt.Sprintf("listen 127.0.0.1:%d;", n.port),
		"127.0.0.1:9486", up.addr,
	}, replace...)...)
	conf = strings.ReplaceAll(conf, "127.0.0.1:9080", fmt.Sprintf("127.0.0.1:%d", n.port2))
	file := filepath.Join(dir, "nginx.conf")
	if err := os.WriteFile(file, []byte(conf), 0o600); err != nil {
		n.t.Fatal(err)
	}
	// One process, which stays who it is: no user of its own needs to read
	// the test's directory.
	args := []string{"-p", dir, "-c", file, "-e", "stderr", "-g", "daemon off; master_process off; pid " + dir + "/nginx.pid;"}
	if out, err := exec.CommandContext(n.t.Context(), nginxBinary, append(args, "-t")...).CombinedOutput(); err != nil || strings.Contains(string(out), "[warn]") {
		n.t.Fatalf("nginx -t: %v\n%s", err, out)
	}
	log, err := os.Create(filepath.Join(dir, "error.log"))
	if err != nil {
		n.t.Fatal(err)
	}
	defer func() { _ = log.Close() }()
	// The shell ends it when its input ends, however this process does.
	cmd := exec.Command("/bin/sh", append([]string{"-c", `"$0" "$@" & cat; kill $!; wait`, nginxBinary}, args...)...)
	cmd.Stderr = log
	input, err := cmd.StdinPipe()
	if err != nil {
		n.t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		n.t.Fatal(err)
	}
	t := n.t
	t.Cleanup(func() {
		_ = input.Close()
		_ = cmd.Wait()
		if raw, err := os.ReadFile(log.Name()); err == nil && t.Failed() {
			t.Logf("nginx says:\n%s", raw)
		}
	})
	eventually(t, "nginx listens", func() bool {
		conn, err := net.Dial("tcp", fmt.Sprintf("127.0.0.1:%d", n.port))
		if err == nil {
			_ = conn.Close()
		}
		return err == nil
	})
	return dir
}

func TestRecipe_Nginx(t *testing.T) {
	needNginx(t)
	n, up := newNode(t), newUpstream(t)
	k := n.edgeKeys()
	n.loadRecipe("nginx.Caddyfile")
	dir := n.startNginx(up)
	testEdge(t, n, up, k)
	t.Run("untrusted", func(t *testing.T) {
		testEdgeUntrusted(t, n, "GET / HTTP/1.1\r\nHost: xivo_auth\r\nX-Original-Method: GET\r\nX-Original-URI: /api/confd/1.1/users\r\nX-Auth-Token: "+k.good+"\r\n\r\n")
	})
	t.Run("locations", func(t *testing.T) {
		for path, want := range map[string]int{
			"/_xivo_auth": 404, "/api//confd/1.1/wizard": 404, "//api/confd/1.1/wizard": 404, // not 403: nobody is asked
			"/api/c%6Fnfd/1.1/users": 404, "/api/confd/1.1/wizard": 200, "http://other/api/confd/1.1/wizard": 200,
		} {
			q := edgeCase{method: "GET", path: path, token: k.all}
			if resp := n.send(n.port, localhost, q.request("")); resp.StatusCode != want {
				t.Errorf("%s: %s", path, resp.Status)
			}
			if want == http.StatusOK {
				if got := up.take(t); !strings.HasPrefix(got, "GET /1.1/wizard HTTP/1.1\r\n") {
					t.Errorf("%s: the upstream got\n%s", path, got)
				}
			}
			up.untouched(t)
		}
	})
	// A body without its length would be another question, of the client's
	// making.
	t.Run("body", func(t *testing.T) {
		const body = "GET /smuggled HTTP/1.1\r\nHost: x\r\n\r\n"
		for range 2 {
			n.send(n.port, localhost, "POST /api/confd/1.1/users HTTP/1.1\r\nHost: pbx\r\nConnection: close\r\nX-Auth-Token: "+k.good+
				fmt.Sprintf("\r\nContent-Length: %d\r\n\r\n%s", len(body), body))
			if got := up.take(t); !strings.HasSuffix(got, body) {
				t.Errorf("the body is lost:\n%s", got)
			}
		}
		if strings.Contains(n.logs(), "/smuggled") {
			t.Error("the body is taken for a question")
		}
	})
	t.Run("trailers", func(t *testing.T) {
		resp := n.send(n.port, localhost, "POST /api/confd/1.1/users HTTP/1.1\r\nHost: pbx\r\nConnection: close\r\nX-Auth-Token: "+k.good+
			"\r\nTransfer-Encoding: chunked\r\nTrailer: X-Auth-Id\r\n\r\n2\r\nhi\r\n0\r\nX-Auth-Id: "+forged+"\r\n\r\n")
		if got := up.take(t); resp.StatusCode != http.StatusOK || strings.Contains(got, forged) {
			t.Errorf("%s\n%s", resp.Status, got)
		}
	})
	t.Run("log", func(t *testing.T) {
		n.send(n.port, localhost, "GET /api/confd/1.1/users?token="+k.good+" HTTP/1.1\r\nHost: pbx\r\nConnection: close\r\nX-Auth-Token: "+k.good+"\r\n\r\n")
		up.take(t)
		eventually(t, "nginx writes its log", func() bool {
			raw, err := os.ReadFile(filepath.Join(dir, "access.log"))
			if strings.Contains(string(raw), k.good) {
				t.Fatalf("the access log has the token:\n%s", raw)
			}
			return err == nil && strings.Contains(string(raw), `"GET /api/confd/1.1/users" 200`)
		})
	})
	t.Run("refusals", func(t *testing.T) {
		for _, c := range []struct {
			token, status, id, message string
		}{{k.unknown, "401 Unauthorized", "unauthorized", "Unauthorized"}, {k.poor, "403 Forbidden", "forbidden", "Forbidden"}} {
			r := n.do("GET", n.url("/api/confd/1.1/users"), "", "X-Auth-Token", c.token)
			want := `{"message": "` + c.message + `", "error_id": "` + c.id + `", "details": {}, "timestamp": `
			if !strings.HasPrefix(r.body, want) || !strings.HasSuffix(r.body, "}\n") || !strings.HasPrefix(c.status, fmt.Sprint(r.status)) {
				t.Errorf("%d %s", r.status, r.body)
			}
			if challenge := r.header.Get("WWW-Authenticate"); (challenge != "") != (r.status == http.StatusUnauthorized) {
				t.Errorf("%d with the challenge %q", r.status, challenge)
			}
		}
		up.untouched(t)
	})
	t.Run("endpoint down", func(t *testing.T) {
		was := n.port2
		n.port2 = freePort(t)
		defer func() { n.port2 = was }()
		n.startNginx(up)
		for _, path := range []string{"/api/confd/1.1/users", "/api/confd/1.1/wizard"} {
			if r := n.do("GET", n.url(path), "", "X-Auth-Token", k.good); r.status != http.StatusServiceUnavailable || r.header.Get("Retry-After") != "1" {
				t.Errorf("%s: %d %s", path, r.status, r.body)
			}
		}
		up.untouched(t)
	})
}

// What an upstream answers is not taken for an answer of ours.
func TestRecipe_NginxUpstreamErrors(t *testing.T) {
	needNginx(t)
	n, up := newNode(t), newUpstream(t)
	k := n.edgeKeys()
	n.loadRecipe("nginx.Caddyfile")
	var answer atomic.Int32
	up.addr = startHTTP(t, func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(int(answer.Load()))
		_, _ = io.WriteString(w, "its own words")
	})
	n.startNginx(up)
	for _, status := range []int{401, 403, 404, 500, 503} {
		answer.Store(int32(status))
		if r := n.do("GET", n.url("/api/confd/1.1/users"), "", "X-Auth-Token", k.good); r.status != status || r.body != "its own words" {
			t.Errorf("%d: %d %s", status, r.status, r.body)
		}
	}
}

// A2: whatever page is shown to those who are refused, the request is not
// passed and the answer says so (ingress-nginx CVE-2026-24513).
func TestSec_A2(t *testing.T) {
	needNginx(t)
	n, up := newNode(t), newUpstream(t)
	k := n.edgeKeys()
	n.loadRecipe("nginx.Caddyfile")
	var shown atomic.Int32
	pages := startHTTP(t, func(w http.ResponseWriter, r *http.Request) {
		shown.Add(1)
		if r.Header.Get(headerID) != "" {
			t.Errorf("the page is told who is refused: %v", r.Header)
		}
		_, _ = io.WriteString(w, "a page")
	})
	const was401, was403 = "error_page 401 @unauthorized;", "error_page 403 @forbidden;"
	for _, c := range []struct {
		name, errors, location string
		page                   bool
	}{
		{"the recipe's", was401 + was403, "", false},
		{"a page of its own", "error_page 401 403 /refused;", "location = /refused { auth_request off; return 200 'a page'; }", true},
		{"a page of another server", "error_page 401 403 @page;", "location @page { auth_request off; proxy_pass http://" + pages + "; }", true},
		{"a page that must pass, too", "error_page 401 403 /api/confd/1.1/wizard;", "", false},
		{"a page that must pass, too, by name", "error_page 401 403 @page;", "location @page { proxy_pass http://" + up.addr + "; }", false},
		{"a page below the service", "error_page 401 403 /api/confd/refused;", "", false},
		{"pages over pages", "recursive_error_pages on; error_page 401 403 /a; ", "location = /a { error_page 401 403 /b; } location = /b { auth_request off; return 200 'a page'; }", true},
		{"no page", "", "", false},
	} {
		t.Run(c.name, func(t *testing.T) {
			n.startNginx(up, was401, c.errors, was403, "", "location / {\n", c.location+"\nlocation / {\n")
			for name, want := range map[string]int{"": 401, k.unknown: 401, k.poor: 403, k.good: 200} {
				for _, method := range []string{"GET", "POST", "HEAD"} {
					q := edgeCase{method: method, path: "/api/confd/1.1/users", token: name}
					resp := n.send(n.port, localhost, q.request(forgedHead()))
					body, _ := io.ReadAll(resp.Body)
					if resp.StatusCode != want {
						t.Errorf("%s with %q: %s %s", method, name, resp.Status, body)
					}
					if want == 200 {
						up.take(t)
					} else if method == "GET" && strings.Contains(string(body), "a page") != c.page {
						t.Errorf("%q shows %s", name, body)
					}
					up.untouched(t)
				}
			}
		})
	}
	if shown.Load() == 0 {
		t.Error("no page was shown")
	}
}

// A WebSocket passes when it may, and nothing else is upgraded.
func TestRecipe_NginxWebSocket(t *testing.T) {
	needNginx(t)
	n, up := newNode(t), newUpstream(t)
	k := n.edgeKeys()
	n.loadRecipe("nginx.Caddyfile")
	seen := make(chan *http.Request, 10)
	echo := startHTTP(t, func(w http.ResponseWriter, r *http.Request) {
		seen <- r
		if r.Header.Get("Upgrade") != "websocket" || !strings.EqualFold(r.Header.Get("Connection"), "upgrade") {
			return
		}
		conn, rw, err := http.NewResponseController(w).Hijack()
		if err != nil {
			t.Error(err)
			return
		}
		defer func() { _ = conn.Close() }()
		_, _ = io.WriteString(conn, "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n")
		line, _ := rw.ReadString('\n')
		_, _ = io.WriteString(conn, "echo "+line)
	})
	n.startNginx(up, "127.0.0.1:9502", echo)
	open := func(query, upgrade string) (*bufio.Reader, net.Conn, *http.Response) {
		conn := n.dial()
		_, err := io.WriteString(conn, "GET /api/websocketd/"+query+" HTTP/1.1\r\nHost: pbx\r\nConnection: Upgrade, X-Auth-Id\r\nUpgrade: "+upgrade+
			"\r\nX-Auth-Id: "+forged+"\r\nSec-WebSocket-Key: x\r\nSec-WebSocket-Version: 13\r\n\r\n")
		if err != nil {
			t.Fatal(err)
		}
		r := bufio.NewReader(conn)
		resp, err := http.ReadResponse(r, nil)
		if err != nil {
			t.Fatal(err)
		}
		return r, conn, resp
	}
	r, conn, resp := open("?token="+k.poor, "websocket")
	if resp.StatusCode != http.StatusSwitchingProtocols {
		t.Fatal(resp.Status)
	}
	_, _ = io.WriteString(conn, "hello\n")
	if line, err := r.ReadString('\n'); line != "echo hello\n" {
		t.Errorf("%q %v", line, err)
	}
	if req := <-seen; req.RequestURI != "/?token="+k.poor || req.Header.Get(headerID) != theWorld(t).alice.UUID || len(req.Header.Values(headerID)) != 1 {
		t.Errorf("%s %v", req.RequestURI, req.Header)
	}
	for _, query := range []string{"", "?token=", "?token=" + k.unknown, "?Token=" + k.poor, "?token=" + k.poor + "&token=" + k.unknown} {
		if _, _, resp := open(query, "websocket"); resp.StatusCode != http.StatusUnauthorized && resp.StatusCode != http.StatusForbidden {
			t.Errorf("%s: %s", query, resp.Status)
		}
	}
	if len(seen) > 0 {
		t.Error("a refused WebSocket reached the upstream")
	}
	// Smuggling: a connection that nginx no longer looks at.
	if _, _, resp := open("?token="+k.poor, "h2c"); resp.StatusCode != http.StatusOK {
		t.Error(resp.Status)
	}
	if req := <-seen; req.Header.Get("Upgrade") != "" || strings.Contains(strings.ToLower(req.Header.Get("Connection")), "upgrade") {
		t.Errorf("the upstream is asked to upgrade: %v", req.Header)
	}
}
