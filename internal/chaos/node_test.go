package chaos

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
)

const (
	adminPassword = "chaos-password"
	scope         = "chaos.read"
)

// build makes the binary as it is shipped, but for a wall clock that can be set.
// With the race detector here it has it, too: then everything it is built from
// was built for the other tests before.
func build(t *testing.T) string {
	t.Helper()
	binary := filepath.Join(t.TempDir(), "xivo-auth")
	args := []string{"build", "-tags", "nobadger,nomysql,nopgx,chaos", "-o", binary}
	if race {
		args = append(args, "-race")
	}
	if out, err := exec.CommandContext(t.Context(), "go", append(args, "../../cmd/xivo-auth")...).CombinedOutput(); err != nil {
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
	// Its log is kept with go test -artifacts.
	n := &node{t: t, i: i, binary: binary, dir: filepath.Join(t.ArtifactDir(), fmt.Sprintf("node%d", i)), conns: conns, link: link}
	if err := os.MkdirAll(n.dir, 0o700); err != nil {
		t.Fatal(err)
	}
	n.api, n.guarded, n.admin = freeAddrs(t, i)
	if err := os.WriteFile(n.file("Caddyfile"), []byte(n.caddyfile()), 0o600); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(n.kill)
	return n
}

func (n *node) file(name string) string { return filepath.Join(n.dir, name) }

func (n *node) caddyfile() string {
	return fmt.Sprintf(`{
	admin %s {
		origins %s
	}
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
	bind %s
	xivo_auth_api
}
http://%s {
	bind %s
	route {
		xivo_auth_guard {
			scope %s
		}
		respond ok 200
	}
}
`, n.admin, n.admin, n.conns, StoreTimeout, StaleIfError, adminPassword, n.api, host(n.api), n.guarded, host(n.guarded), scope)
}

// start runs the process; it does not wait until that serves.
func (n *node) start() {
	log, err := os.OpenFile(n.file("log"), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		n.t.Error(err)
		return
	}
	cmd := exec.Command(n.binary, "run", "--config", n.file("Caddyfile"), "--adapter", "caddyfile")
	cmd.Env = append(os.Environ(), "CHAOS_DSN="+n.link.DSN, "XIVO_CHAOS_CLOCK="+n.file("clock"), "XDG_DATA_HOME="+n.dir, "XDG_CONFIG_HOME="+n.dir)
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

// restart starts what was killed, and waits until it serves.
func (n *node) restart() {
	if n.start(); !n.serving(time.Minute) {
		n.t.Errorf("node %d does not start:\n%s", n.i, n.tail(20))
	}
}

// setClock sets the wall clock of the process that much ahead.
func (n *node) setClock(ahead time.Duration) {
	tmp := n.file("clock.tmp")
	err := os.WriteFile(tmp, []byte(ahead.String()), 0o600)
	if err = errors.Join(err, os.Rename(tmp, n.file("clock"))); err != nil {
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

// suspend stops the process until resume.
func (n *node) suspend() (resume func()) {
	n.mu.Lock()
	cmd := n.cmd
	n.mu.Unlock()
	if cmd == nil || cmd.Process == nil {
		return func() {}
	}
	return suspend(cmd.Process)
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

// tail is the end of its log, without what Caddy has to say about itself.
func (n *node) tail(lines int) string {
	text, _ := os.ReadFile(n.file("log"))
	all := slices.DeleteFunc(bytes.Split(bytes.TrimSpace(text), []byte("\n")), func(line []byte) bool {
		return bytes.Contains(line, []byte(`"logger":"admin`)) || bytes.Contains(line, []byte(`"logger":"http`))
	})
	return string(bytes.Join(all[max(0, len(all)-lines):], []byte("\n")))
}

// freeAddrs are addresses of a node, where the system has them of a host that is
// its alone: Caddy shares ports with whoever does so, too, such as the tests of
// another package.
func freeAddrs(t *testing.T, i int) (api, guarded, admin string) {
	t.Helper()
	pid := os.Getpid()
	alone := fmt.Sprintf("127.%d.%d.%d", 1+pid>>8%254, pid%256, 10+i)
	var addrs [3]string
	for j := range addrs {
		l, err := net.Listen("tcp", alone+":0")
		if err != nil {
			l, err = net.Listen("tcp", "127.0.0.1:0")
		}
		if err != nil {
			t.Fatal(err)
		}
		defer l.Close() // when all are known: each is another one
		addrs[j] = l.Addr().String()
	}
	return addrs[0], addrs[1], addrs[2]
}

func host(addr string) string {
	name, _, _ := net.SplitHostPort(addr)
	return name
}
