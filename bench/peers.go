//go:build linux

package main

import (
	"context"
	_ "embed"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
)

// The configurations of the peers, as their documentation recommends: what is
// measured is what an operator gets who follows it.
var (
	//go:embed config/nginx.conf
	nginxConf string
	//go:embed config/forward_auth.Caddyfile
	forwardAuthCaddyfile string
	//go:embed config/oathkeeper.yml
	oathkeeperYML string
	//go:embed config/oathkeeper-rules.json
	oathkeeperRules string
	//go:embed config/oauth2-proxy.cfg
	oauth2ProxyCfg string
)

// peer is somebody else's way to have requests authenticated.
type peer struct {
	key, name string
	find      func(b *bench) (program string, ok bool)
	files     map[string]string // name: template
	args      []string          // {dir} is where the files are
	// asks says that our node does part of the work.
	asks bool
	// plain names the same proxy without authentication, where it is none of
	// those that are measured anyhow.
	plain string
	// bearer says that it wants Authorization in place of X-Auth-Token, and
	// from whom the token is.
	bearer func(b *bench) (string, error)
}

func installed(name string) func(*bench) (string, bool) {
	return func(*bench) (string, bool) {
		for _, p := range []string{name, "/usr/sbin/" + name} {
			if path, err := exec.LookPath(p); err == nil {
				return path, true
			}
		}
		return "", false
	}
}

// built is a program that the make target has built out of bench/peers.
func built(name string) func(*bench) (string, bool) {
	return func(b *bench) (string, bool) {
		path := filepath.Join(b.peersDir, name)
		_, err := os.Stat(path)
		return path, err == nil
	}
}

var peers = []peer{
	{
		key: "forward_auth", name: "Caddy forward_auth → our verify", asks: true,
		find:  func(b *bench) (string, bool) { return b.world.binary, true },
		files: map[string]string{"Caddyfile": forwardAuthCaddyfile},
		args:  []string{"run", "--config", "{dir}/Caddyfile", "--adapter", "caddyfile"},
	},
	{
		key: "auth_request", name: "nginx auth_request → our verify", asks: true,
		find:  installed("nginx"),
		files: map[string]string{"nginx.conf": nginxConf},
		args:  []string{"-p", "{dir}", "-e", "{dir}/error.log", "-c", "{dir}/nginx.conf"},
		plain: "nginx proxy_pass, no auth",
	},
	{
		key: "oathkeeper", name: "Ory Oathkeeper, introspection cached",
		find:   built("oathkeeper"),
		files:  map[string]string{"oathkeeper.yml": oathkeeperYML, "rules.json": oathkeeperRules},
		args:   []string{"serve", "--config", "{dir}/oathkeeper.yml", "--sqa-opt-out"},
		bearer: func(*bench) (string, error) { return "3f6d1c0e-opaque", nil },
	},
	{
		key: "oauth2-proxy", name: "oauth2-proxy, bearer JWT",
		find:   built("oauth2-proxy"),
		files:  map[string]string{"oauth2-proxy.cfg": oauth2ProxyCfg},
		args:   []string{"--config", "{dir}/oauth2-proxy.cfg"},
		bearer: func(b *bench) (string, error) { return b.issuer.token() },
	},
}

// Place is what the configurations are filled in with.
type Place struct {
	Dir, Addr, Admin, Upstream, Issuer string
	Plain                              string // without authentication
	Verify, VerifyNginx                string
	Workers                            int
}

// Port is that of an address.
func (Place) Port(addr string) string {
	_, port, _ := net.SplitHostPort(addr)
	return port
}

// Free is a port nobody listens at.
func (p Place) Free() string { return p.Port(freeAddr()) }

// peerRungs starts the peers there are, and names those there are not.
func (b *bench) peerRungs(ctx context.Context) (rungs []rung, missing []string, err error) {
	rungs = append(rungs, b.rung("guard", "our guard", b.guarded("guard", userPath)),
		b.rung("proxy", "Caddy reverse_proxy, no auth", b.guarded("proxy", userPath)))
	for i := range peers {
		p := &peers[i]
		program, ok := p.find(b)
		if !ok {
			missing = append(missing, p.name)
			continue
		}
		r, err := b.startPeer(ctx, p, program)
		if err != nil {
			return nil, nil, err
		}
		rungs = append(rungs, r...)
	}
	return rungs, missing, nil
}

func (b *bench) startPeer(ctx context.Context, p *peer, program string) ([]rung, error) {
	place := Place{
		Dir: filepath.Join(b.dir, p.key), Addr: freeAddr(), Plain: freeAddr(), Admin: freeAddr(), Upstream: b.upstreamAddr, Issuer: b.issuer.url,
		Verify: b.node.addr("verify"), VerifyNginx: b.node.addr("verify-nginx"), Workers: runtime.NumCPU(),
	}
	if err := os.MkdirAll(place.Dir, 0o700); err != nil {
		return nil, err
	}
	for name, text := range p.files {
		if err := writeTemplate(filepath.Join(place.Dir, name), text, place); err != nil {
			return nil, fmt.Errorf("%s: %w", p.name, err)
		}
	}
	args := make([]string, len(p.args))
	for i, a := range p.args {
		args[i] = strings.ReplaceAll(a, "{dir}", place.Dir)
	}
	proc, err := start(place.Dir, p.key, []string{"XDG_DATA_HOME=" + place.Dir, "XDG_CONFIG_HOME=" + place.Dir}, program, args...)
	if err != nil {
		return nil, err
	}
	b.cleanup(proc.stop)
	if err := proc.ready(ctx, "http://"+place.Addr+"/"); err != nil {
		return nil, err
	}
	l := b.guarded("scope", userPath)
	l.addr = place.Addr
	if p.bearer != nil {
		bearer, err := p.bearer(b)
		if err != nil {
			return nil, err
		}
		l.tokens = nil
		l.req = request{method: http.MethodGet, path: userPath, token: "X-Request-Id", header: append(l.req.header, "Authorization: Bearer "+bearer)}
	}
	r := rung{key: p.key, name: p.name, load: l, procs: []*process{proc}}
	if p.asks {
		r.procs = append(r.procs, b.node.process)
	}
	if p.plain == "" {
		return []rung{r}, nil
	}
	l.addr = place.Plain
	return []rung{r, {key: p.key + "-plain", name: p.plain, load: l, procs: []*process{proc}}}, nil
}
