//go:build linux

package main

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/wazo-edge/xivo-auth/internal/freeport"
)

// process is a program that takes part.
type process struct {
	name string
	cmd  *exec.Cmd
	log  string
	done chan struct{}
}

// start runs a program with its output in a file of dir. It ends with this
// process, however that ends.
func start(dir, name string, env []string, program string, args ...string) (*process, error) {
	p := &process{name: name, log: filepath.Join(dir, name+".log"), done: make(chan struct{})}
	out, err := os.Create(p.log)
	if err != nil {
		return nil, fmt.Errorf("starting %s: %w", name, err)
	}
	p.cmd = exec.Command(program, args...) //nolint:gosec,noctx // what the operator names, until it is stopped
	p.cmd.Env = append(os.Environ(), env...)
	p.cmd.Stdout, p.cmd.Stderr = out, out
	p.cmd.SysProcAttr = deathSignal()
	err = p.cmd.Start()
	_ = out.Close()
	if err != nil {
		return nil, fmt.Errorf("starting %s: %w", name, err)
	}
	go func() {
		_ = p.cmd.Wait()
		close(p.done)
	}()
	return p, nil
}

// stop ends it, by its id, and waits.
func (p *process) stop() {
	if p == nil {
		return
	}
	_ = p.cmd.Process.Signal(syscall.SIGTERM)
	select {
	case <-p.done:
	case <-time.After(5 * time.Second):
		_ = p.cmd.Process.Kill()
		<-p.done
	}
}

// ready waits until url is answered with any status but 5xx.
func (p *process) ready(ctx context.Context, url string) error {
	ctx, cancel := context.WithTimeout(ctx, 30*time.Second)
	defer cancel()
	for {
		req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
		if err != nil {
			return err
		}
		if resp, err := http.DefaultClient.Do(req); err == nil {
			_ = resp.Body.Close()
			if resp.StatusCode < 500 {
				return nil
			}
		}
		select {
		case <-p.done:
			return fmt.Errorf("%s ended:\n%s", p.name, tail(p.log))
		case <-ctx.Done():
			return fmt.Errorf("%s does not answer %s:\n%s", p.name, url, tail(p.log))
		case <-time.After(20 * time.Millisecond):
		}
	}
}

func tail(file string) string {
	text, _ := os.ReadFile(file)
	return string(text[max(0, len(text)-2000):])
}

// family is a process and its children: nginx answers with workers.
func (p *process) family() []int {
	pids := []int{p.cmd.Process.Pid}
	lists, _ := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/children", pids[0]))
	for _, file := range lists {
		text, _ := os.ReadFile(file)
		for f := range strings.FieldsSeq(string(text)) {
			if pid, err := strconv.Atoi(f); err == nil {
				pids = append(pids, pid)
			}
		}
	}
	return pids
}

// cpu is the time that processes have spent on a core.
func cpu(ps []*process) (total time.Duration, err error) {
	for _, p := range ps {
		for _, pid := range p.family() {
			d, err := cpuOf(pid)
			if err != nil {
				return 0, err
			}
			total += d
		}
	}
	return total, nil
}

// rss is the resident memory of processes in bytes.
func rss(ps []*process) (total int64) {
	for _, p := range ps {
		for _, pid := range p.family() {
			text, _ := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
			total += parseRSS(text)
		}
	}
	return total
}

// parseRSS reads VmRSS out of /proc/<pid>/status (proc(5)), in bytes.
func parseRSS(text []byte) int64 {
	for line := range strings.Lines(string(text)) {
		if rest, ok := strings.CutPrefix(line, "VmRSS:"); ok {
			kb, _ := strconv.ParseInt(strings.TrimSpace(strings.TrimSuffix(strings.TrimSpace(rest), "kB")), 10, 64)
			return kb << 10
		}
	}
	return 0
}

// mallocs is how often a Go program has allocated, asked at Caddy's admin
// endpoint; 0 where there is none.
func mallocs(ctx context.Context, admin string) uint64 {
	if admin == "" {
		return 0
	}
	var vars struct {
		Memstats struct{ Mallocs uint64 } `json:"memstats"`
	}
	if err := getJSON(ctx, "http://"+admin+"/debug/vars", &vars); err != nil {
		return 0
	}
	return vars.Memstats.Mallocs
}

func getJSON(ctx context.Context, url string, into any) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return err
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return err
	}
	defer func() { _ = resp.Body.Close() }()
	if resp.StatusCode != http.StatusOK {
		return fmt.Errorf("%s: %s", url, resp.Status)
	}
	return json.NewDecoder(resp.Body).Decode(into)
}

// freeAddr is an address nobody listens at, and never the same twice: Caddys
// share a port with SO_REUSEPORT and would not even complain.
func freeAddr() string {
	port, err := freeport.Pick()
	if err != nil {
		panic(err)
	}
	return fmt.Sprintf("127.0.0.1:%d", port)
}
