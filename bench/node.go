//go:build linux

package main

import (
	"bytes"
	"context"
	_ "embed"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"text/template"
	"time"
)

//go:embed config/node.Caddyfile
var nodeCaddyfile string

// node is one xivo-auth, as it is shipped, with a configuration that has all
// rungs.
type node struct {
	*process
	Admin    string
	Dir      string
	Upstream string
	Tables   [][]string // route tables: lines of a template and an access
	ports    map[string]string
}

// tableSizes are how many routes the tables have.
var tableSizes = []int{10, 100, 1000, 10_000}

// Port is the port of a site, the same each time it is asked.
func (n *node) Port(site string) string {
	if n.ports[site] == "" {
		_, n.ports[site], _ = net.SplitHostPort(freeAddr())
	}
	return n.ports[site]
}

// addr is where a site listens.
func (n *node) addr(site string) string { return "127.0.0.1:" + n.Port(site) }

// startNode starts one over the world's database.
func startNode(ctx context.Context, w *world, dir, name, upstream string) (*node, error) {
	n := &node{Admin: freeAddr(), Dir: filepath.Join(dir, name), Upstream: upstream, ports: map[string]string{}}
	for _, size := range tableSizes {
		n.Tables = append(n.Tables, table(size))
	}
	if err := os.MkdirAll(n.Dir, 0o700); err != nil {
		return nil, err
	}
	file := filepath.Join(n.Dir, "Caddyfile")
	if err := writeTemplate(file, nodeCaddyfile, n); err != nil {
		return nil, err
	}
	var err error
	n.process, err = start(n.Dir, name, []string{"XIVO_AUTH_DSN=" + w.pg.DSN, "XDG_DATA_HOME=" + n.Dir, "XDG_CONFIG_HOME=" + n.Dir},
		w.binary, "run", "--config", file, "--adapter", "caddyfile")
	if err != nil {
		return nil, err
	}
	if err := n.ready(ctx, "http://"+n.Admin+"/xivo-auth/ready"); err != nil {
		n.stop()
		return nil, err
	}
	return n, n.ready(ctx, "http://"+n.addr("proxy")+"/")
}

func writeTemplate(file, text string, data any) error {
	t, err := template.New(filepath.Base(file)).Option("missingkey=error").Parse(text)
	if err != nil {
		return err
	}
	var b bytes.Buffer
	if err := t.Execute(&b, data); err != nil {
		return err
	}
	return os.WriteFile(file, b.Bytes(), 0o600)
}

// userPath is what the guard is asked about. The table of routes has it, among
// others that begin the same way.
const (
	userPath  = "/routes1000/1.1/users/5d31d1d9-9a5f-4c58-9d27-3a51d6a2a1b7/lines"
	userRoute = "/1.1/users/{user_uuid}/lines confd.users.{user_uuid}.lines.read"
)

func table(size int) []string {
	list := []string{userRoute}
	for i := range size - 1 {
		list = append(list, fmt.Sprintf("/1.1/resource-%d/{id}/lines confd.resource-%d.{id}.read", i, i))
	}
	return list
}

// flush has the node look everything up again.
func (n *node) flush(ctx context.Context) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, "http://"+n.Admin+"/xivo-auth/cache/flush", nil)
	if err != nil {
		return err
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return err
	}
	return resp.Body.Close()
}

// feed waits until the node's revocation feed is in one of the states.
func (n *node) feed(ctx context.Context, states ...string) error {
	for {
		var feed struct {
			State string `json:"state"`
		}
		if err := getJSON(ctx, "http://"+n.Admin+"/xivo-auth/feed", &feed); err != nil {
			return err
		}
		if slices.Contains(states, feed.State) {
			return nil
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("the feed is %s: %w", feed.State, ctx.Err())
		case <-time.After(50 * time.Millisecond):
		}
	}
}

// live is the node's heap just after a collection, in bytes.
func (n *node) live(ctx context.Context) (uint64, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+n.Admin+"/debug/pprof/heap?gc=1", nil)
	if err != nil {
		return 0, err
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return 0, err
	}
	_, err = io.Copy(io.Discard, resp.Body)
	_ = resp.Body.Close()
	if err != nil {
		return 0, err
	}
	var vars struct {
		Memstats struct{ HeapAlloc uint64 } `json:"memstats"`
	}
	err = getJSON(ctx, "http://"+n.Admin+"/debug/vars", &vars)
	return vars.Memstats.HeapAlloc, err
}

// profile takes a CPU profile of d, as go tool pprof reads it.
func (n *node) profile(ctx context.Context, d time.Duration, file string) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, fmt.Sprintf("http://%s/debug/pprof/profile?seconds=%d", n.Admin, int(d.Seconds())), nil)
	if err != nil {
		return err
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return err
	}
	defer func() { _ = resp.Body.Close() }()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		return err
	}
	return os.WriteFile(file, body, 0o600)
}
