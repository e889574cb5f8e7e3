//go:build chaos

package chaos

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"
)

const (
	adminPassword = "chaos-password"
	scope         = "chaos.read"
)

// build makes the binary as it is shipped.
func build(t *testing.T) string {
	t.Helper()
	binary := filepath.Join(t.TempDir(), "xivo-auth")
	if out, err := exec.CommandContext(t.Context(), "go", "build", "-tags", "nobadger,nomysql,nopgx", "-o", binary, "../../cmd/xivo-auth").CombinedOutput(); err != nil {
		t.Fatalf("go build: %v\n%s", err, out)
	}
	return binary
}

// node is a process.
type node struct {
	t                   *testing.T
	i                   int
	binary, dir         string
	conns               int
	api, guarded, admin string // addresses
	link                *Link

	mu   sync.Mutex
	cmd  *exec.Cmd
	gone chan struct{} // closed when the process is
	died []string      // ends that nobody brought about
}

func newNode(t *testing.T, i int, binary string, link *Link, conns int) *node {
	t.Helper()
	n := &node{t: t, i: i, binary: binary, dir: t.TempDir(), conns: conns, link: link}
	n.api, n.guarded, n.admin = freeAddr(t), freeAddr(t), freeAddr(t)
	if err := os.WriteFile(n.file("Caddyfile"), []byte(n.caddyfile()), 0o600); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(n.kill)
	return n
}

func (n *node) file(name string) string { return filepath.Join(n.dir, name) }

func (n *node) caddyfile() string {
	return fmt.Sprintf(`{
	admin %s
	auto_https off
	persist_config off
	xivo_auth {
		store postgres {env.CHAOS_DSN} {
			max_conns %d
			timeout %s
		}
		cache {
			grants 10000
		}
		backend wazo_user
		stale_if_error %s
		cleanup_interval 3s
		bootstrap admin %s
	}
}
http://%s {
	xivo_auth_api
}
http://%s {
	route {
		xivo_auth_guard {
			scope %s
		}
		respond ok 200
	}
}
`, n.admin, n.conns, StoreTimeout, StaleIfError, adminPassword, n.api, n.guarded, scope)
}

// start runs the process; it does not wait until that serves.
func (n *node) start() {
	log, err := os.OpenFile(n.file("log"), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		n.t.Error(err)
		return
	}
	cmd := exec.Command(n.binary, "run", "--config", n.file("Caddyfile"), "--adapter", "caddyfile")
	cmd.Env = append(os.Environ(), "CHAOS_DSN="+n.link.DSN, "XDG_DATA_HOME="+n.dir, "XDG_CONFIG_HOME="+n.dir)
	cmd.Stdout, cmd.Stderr, cmd.SysProcAttr = log, log, attributes()
	gone, started := make(chan struct{}), make(chan error)
	n.mu.Lock()
	n.cmd, n.gone = cmd, gone
	n.mu.Unlock()
	go func() {
		runtime.LockOSThread() // on which the process depends
		defer log.Close()
		err := cmd.Start()
		started <- err
		if err != nil {
			close(gone)
			return
		}
		err = cmd.Wait()
		n.mu.Lock()
		if n.cmd == cmd {
			n.died = append(n.died, fmt.Sprintf("node %d ended by itself: %v", n.i, err))
		}
		n.mu.Unlock()
		close(gone)
	}()
	if err := <-started; err != nil {
		n.t.Error(err)
	}
}

// kill ends the process as kill -9 does.
func (n *node) kill() {
	n.mu.Lock()
	cmd, gone := n.cmd, n.gone
	n.cmd = nil
	n.mu.Unlock()
	if cmd != nil && cmd.Process != nil {
		_ = cmd.Process.Kill()
		<-gone
	}
}

// serving waits until it answers.
func (n *node) serving(within time.Duration) bool {
	for deadline := time.Now().Add(within); time.Now().Before(deadline); time.Sleep(5 * time.Millisecond) {
		if resp, err := control.Head("http://" + n.api + "/0.1/status"); err == nil {
			resp.Body.Close()
			return true
		}
	}
	return false
}

// control is the client of what is no part of the history.
var control = &http.Client{Timeout: 10 * time.Second, Transport: &http.Transport{DisableKeepAlives: true}}

// reload loads the configuration again, the same one.
func (n *node) reload() error {
	req, err := http.NewRequest(http.MethodPost, "http://"+n.admin+"/load", strings.NewReader(n.caddyfile()))
	if err != nil {
		return err
	}
	req.Header.Set("Content-Type", "text/caddyfile")
	req.Header.Set("Cache-Control", "must-revalidate") // although nothing changed
	return succeed(control.Do(req))
}

func (n *node) flush() error {
	return succeed(control.Post("http://"+n.admin+"/xivo-auth/cache/flush", "application/json", nil))
}

func succeed(resp *http.Response, err error) error {
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	if resp.StatusCode/100 != 2 {
		return fmt.Errorf("%s: %s", resp.Request.URL.Path, resp.Status)
	}
	return nil
}

// live reports whether it hears the feed.
func (n *node) live() bool {
	resp, err := control.Get("http://" + n.admin + "/xivo-auth/feed")
	if err != nil {
		return false
	}
	defer resp.Body.Close()
	var feed struct{ State string }
	return json.NewDecoder(resp.Body).Decode(&feed) == nil && feed.State == "live"
}

// tail is the end of its log.
func (n *node) tail(lines int) string {
	text, _ := os.ReadFile(n.file("log"))
	all := bytes.Split(bytes.TrimSpace(text), []byte("\n"))
	return string(bytes.Join(all[max(0, len(all)-lines):], []byte("\n")))
}

func freeAddr(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().String()
}
