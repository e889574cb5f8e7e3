//go:build linux

package main

import (
	"context"
	"crypto/tls"
	"fmt"
	"net/http"
	"path/filepath"
	"strconv"
	"strings"
	"time"
)

func clientTLS(h2 bool) *tls.Config {
	cfg := &tls.Config{InsecureSkipVerify: true, ServerName: "localhost", NextProtos: []string{"http/1.1"}} //nolint:gosec // the certificate is made for the run
	if h2 {
		cfg.NextProtos = []string{"h2"}
	}
	return cfg
}

// Memory is what a node holds when so many grants are resident.
type Memory struct {
	Grants int   `json:"grants"`
	RSS    int64 `json:"rss_bytes"`
	// Above is RSS above that of a node that has answered nothing yet.
	Above int64 `json:"above_empty_bytes"`
	// Live is its heap just after a collection. Go lets it grow to twice that
	// before the next one, unless GOGC or GOMEMLIMIT say otherwise.
	Live uint64 `json:"live_heap_bytes"`
}

// resident measures a node of its own with more and more grants in memory: the
// guard on tokens chosen among all of them beside the floor, and the memory.
func (b *bench) resident(ctx context.Context) (groups []Group, memory []Memory, err error) {
	n, err := startNode(ctx, b.world, b.dir, "resident", b.upstreamAddr)
	if err != nil {
		return nil, nil, err
	}
	defer n.stop()
	procs := []*process{n.process}
	empty := rss(procs)
	issued := 0
	for _, grants := range b.plan.grants {
		if err := b.world.issue(ctx, "resident", issued, grants-issued, time.Now().Add(12*time.Hour), accessList(30)...); err != nil {
			return groups, memory, err
		}
		if err := warm(ctx, n, "resident", issued, grants); err != nil {
			return groups, memory, err
		}
		issued = grants
		resident := rss(procs) // before a collection that nobody would have asked for
		live, err := n.live(ctx)
		if err != nil {
			return groups, memory, err
		}
		memory = append(memory, Memory{grants, resident, resident - empty, live})
		floor, guard := b.guarded("proxy", userPath), b.guarded("scope", userPath)
		floor.addr, guard.addr = n.addr("proxy"), n.addr("scope")
		guard.tokens = among("resident", grants)
		g, err := b.compare(ctx, fmt.Sprint("grants", grants), strconv.Itoa(grants), []rung{
			{key: "proxy", name: "reverse_proxy", load: floor, procs: procs, admin: n.Admin},
			{key: "scope", name: "guard", load: guard, procs: procs, admin: n.Admin},
		})
		if err != nil {
			return groups, memory, err
		}
		groups = append(groups, g)
	}
	return groups, memory, nil
}

// warm has a node look the tokens of a set from (including) to (excluding) up
// once.
func warm(ctx context.Context, n *node, set string, from, to int) error {
	next := inTurnFrom(set, int64(from))
	l := load{addr: n.addr("api"), conns: 32, want: http.StatusNoContent, tokens: next, req: request{method: http.MethodHead, path: "/0.1/token/{token}"}}
	if o := l.times(ctx, int64(to-from)); o.bad > 0 {
		return fmt.Errorf("warming up: %d of %d tokens: %s", o.bad, to-from, o.example)
	}
	return nil
}

// lists measures access lists, routes and tenants of several sizes.
func (b *bench) lists(ctx context.Context) ([]Group, error) {
	floor := b.rung("proxy", "reverse_proxy", b.guarded("proxy", userPath))
	accesses := []rung{floor}
	for _, n := range []int{1, 30, 300, 3000} {
		set := fmt.Sprint("acl", n)
		if err := b.world.issue(ctx, set, 0, 1, time.Now().Add(12*time.Hour), accessList(n)...); err != nil {
			return nil, err
		}
		l := b.guarded("scope", userPath)
		l.tokens = always(inside(set))
		accesses = append(accesses, b.rung(set, strconv.Itoa(n), l))
	}
	routes := []rung{floor}
	for _, n := range tableSizes {
		name := fmt.Sprint("routes", n)
		routes = append(routes, b.rung(name, strconv.Itoa(n), b.guarded(name, strings.Replace(userPath, "routes1000", name, 1))))
	}
	var groups []Group
	for _, c := range []struct {
		key, name string
		rungs     []rung
	}{{"acl", "Accesses in the token", accesses}, {"routes", "Routes in the table", routes}} {
		g, err := b.compare(ctx, c.key, c.name, c.rungs)
		if err != nil {
			return nil, err
		}
		groups = append(groups, g)
	}
	return groups, nil
}

// tenants measures the tenant check with more and more tenants.
func (b *bench) tenants(ctx context.Context) (groups []Group, err error) {
	for _, n := range b.plan.tenants {
		if err := b.world.tenants(ctx, n); err != nil {
			return nil, err
		}
		if err := b.node.flush(ctx); err != nil {
			return nil, err
		}
		g, err := b.compare(ctx, fmt.Sprint("tenants", n), strconv.Itoa(n), []rung{
			b.rung("proxy", "reverse_proxy", b.guarded("proxy", userPath)),
			b.rung("tenant", "guard, tenant check", b.guarded("routes1000", userPath, "Wazo-Tenant: "+b.world.sub)),
		})
		if err != nil {
			return nil, err
		}
		groups = append(groups, g)
	}
	return groups, nil
}

// profiles takes a profile of each rung that a page explains.
func (b *bench) profiles(ctx context.Context, rungs []rung, dir string) error {
	for _, r := range rungs {
		if r.admin == "" {
			continue
		}
		done := make(chan *outcome, 1)
		go func() { done <- r.load.closed(ctx, b.plan.profile+time.Second) }()
		err := b.node.profile(ctx, b.plan.profile, filepath.Join(dir, r.key+".pprof"))
		<-done
		if err != nil {
			return err
		}
	}
	return nil
}
