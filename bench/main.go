//go:build linux

// Command bench measures xivo-auth beside a floor and beside its peers, in one
// run on one machine, and writes what it saw as JSON, Markdown and SVG:
//
//	go run ./bench -binary bin/xivo-auth -peers bin/peers -out bench/results
//	go run ./bench -publish bench/results/2026-11-26.json
//
// What is measured, and how to read it, is in docs/performance.md.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"syscall"
	"time"
)

// plan is how much is measured.
type plan struct {
	rounds      int
	slot        time.Duration // of each rung in each round
	openRounds  int
	openSlot    time.Duration
	part        float64 // of the floor's capacity that arrives in the open loop
	conns       []int
	grants      []int
	tenants     []int
	missed      int
	revocations int
	storm       int
	stormFor    time.Duration
	profile     time.Duration
}

var (
	full = plan{
		rounds: 25, slot: 300 * time.Millisecond, openRounds: 3, openSlot: 3 * time.Second, part: .4,
		conns: []int{1, 16, 64, 512}, grants: []int{1000, 100_000, 1_000_000}, tenants: []int{2, 1000, 10_000, 100_000},
		missed: 100_000, revocations: 300, storm: 1000, stormFor: 20 * time.Second, profile: 4 * time.Second,
	}
	quick = plan{
		rounds: 6, slot: 200 * time.Millisecond, openRounds: 1, openSlot: time.Second, part: .4,
		conns: []int{1, 64}, grants: []int{1000, 10_000}, tenants: []int{2, 1000},
		missed: 60_000, revocations: 30, storm: 200, stormFor: 4 * time.Second,
	}
)

// bench is one run.
type bench struct {
	plan         plan
	dir          string // of the run: configurations, logs
	peersDir     string
	conns        int // connections where nothing else is said
	plain        int // tokens of the set that is read over and over
	world        *world
	node         *node
	upstream     *process
	upstreamAddr string
	issuer       *issuer
	cleanups     []func()
}

func (b *bench) cleanup(f func()) { b.cleanups = append(b.cleanups, f) }

func (b *bench) close() {
	for _, f := range slices.Backward(b.cleanups) {
		f()
	}
}

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err := run(ctx)
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context) error {
	binary := flag.String("binary", "bin/xivo-auth", "the program to measure")
	peersDir := flag.String("peers", "bin/peers", "where the programs of peers are; those that are not there are left out")
	out := flag.String("out", "bench/results", "where to write the results")
	isQuick := flag.Bool("quick", false, "a look, in three minutes")
	only := flag.String("only", "", "comma-separated parts to measure: "+strings.Join(partNames(), ", "))
	resume := flag.String("resume", "", "results of a run that was interrupted, to measure the parts that are missing in them")
	publish := flag.String("publish", "", "results to write tables and plots of once more, and into README.md and docs/performance.md")
	upstream := flag.String("upstream", "", "be the upstream at this address (the benchmark starts itself so)")
	flag.Parse()
	switch {
	case *upstream != "":
		return serveUpstream(*upstream)
	case *publish != "":
		return publishResults(*publish)
	}
	b := &bench{plan: full, conns: 16, plain: 10_000, peersDir: *peersDir}
	if *isQuick {
		b.plan, b.plain = quick, 1000
	}
	defer b.close()
	r := &Results{Quick: *isQuick, Date: time.Now().UTC().Format(time.DateOnly), Go: runtime.Version(), Cores: runtime.NumCPU(), Machine: machine()}
	if *resume != "" {
		var err error
		if r, err = readResults(*resume); err != nil {
			return err
		}
	}
	return b.run(ctx, r, *binary, *only, *out)
}

// open starts what all parts need.
func (b *bench) open(ctx context.Context, binary string) (err error) {
	if binary, err = filepath.Abs(binary); err != nil {
		return err
	}
	if b.peersDir, err = filepath.Abs(b.peersDir); err != nil {
		return err
	}
	if b.dir, err = os.MkdirTemp("", "xivo-auth-bench-"); err != nil {
		return err
	}
	b.cleanup(func() { _ = os.RemoveAll(b.dir) })
	if b.world, err = openWorld(ctx, binary); err != nil {
		return err
	}
	b.cleanup(func() { _ = b.world.pg.Stop() })
	if b.issuer, err = startIssuer(); err != nil {
		return err
	}
	self, err := os.Executable()
	if err != nil {
		return err
	}
	b.upstreamAddr = freeAddr()
	if b.upstream, err = start(b.dir, "upstream", nil, self, "-upstream", b.upstreamAddr); err != nil {
		return err
	}
	b.cleanup(b.upstream.stop)
	later := time.Now().Add(12 * time.Hour)
	for _, set := range []struct {
		name    string
		n, acl  int
		expires time.Time
	}{
		{setPlain, b.plain, 30, later}, {setLong, 1, 300, later}, {setMissed, b.plan.missed, 30, later},
		{setExpired, 1, 30, time.Now().Add(-time.Minute)},
	} {
		if err := b.world.issue(ctx, set.name, 0, set.n, set.expires, accessList(set.acl)...); err != nil {
			return err
		}
	}
	if _, err := b.world.db.ExecContext(ctx, "analyze"); err != nil {
		return err
	}
	if b.node, err = startNode(ctx, b.world, b.dir, "node", b.upstreamAddr); err != nil {
		return err
	}
	b.cleanup(b.node.stop)
	if err := b.node.feed(ctx, "live"); err != nil {
		return err
	}
	return warm(ctx, b.node, setPlain, 0, b.plain)
}

// compare is [compare] on as many connections as answers come, as long as the
// plan says.
func (b *bench) compare(ctx context.Context, key, name string, rungs []rung) (Group, error) {
	return compare(ctx, key, name, rungs, b.plan.rounds, b.plan.slot, func(l *load, d time.Duration) *outcome { return l.closed(ctx, d) })
}

// part is one part of a run, in the order of the results.
type part struct {
	name string
	run  func(b *bench, ctx context.Context, r *Results) error
}

var parts = []part{
	{"ladder", func(b *bench, ctx context.Context, r *Results) error {
		return r.group(b.compare(ctx, "ladder", "The guard, rung by rung", b.ladder()))
	}},
	{"outage", func(b *bench, ctx context.Context, r *Results) error { return r.group(b.outage(ctx)) }},
	{"api", func(b *bench, ctx context.Context, r *Results) error {
		rungs, err := b.api(ctx)
		if err != nil {
			return err
		}
		return r.group(b.compare(ctx, "api", "The token API", rungs))
	}},
	{"peers", func(b *bench, ctx context.Context, r *Results) error {
		rungs, missing, err := b.peerRungs(ctx)
		if err != nil {
			return err
		}
		r.Missing = missing
		g, err := b.compare(ctx, "peers", "Beside others who do the job", rungs)
		if err := r.group(g, err); err != nil {
			return err
		}
		return r.group(b.constant(ctx, rungs, g.Rows[1].RPS.Median))
	}},
	{"protocols", func(b *bench, ctx context.Context, r *Results) error {
		return r.series("protocols", "Protocols", false)(b.protocols(ctx))
	}},
	{"connections", func(b *bench, ctx context.Context, r *Results) error {
		return r.series("connections", "Connections", true)(b.connections(ctx))
	}},
	{"lists", func(b *bench, ctx context.Context, r *Results) error {
		groups, err := b.lists(ctx)
		r.Groups = append(r.Groups, groups...)
		return err
	}},
	{"tenants", func(b *bench, ctx context.Context, r *Results) error {
		return r.series("tenants", "Tenants", true)(b.tenants(ctx))
	}},
	{"login", func(b *bench, ctx context.Context, r *Results) error {
		login, err := b.logins(ctx)
		if err != nil {
			return err
		}
		r.Login = &login
		storm, err := b.storm(ctx, login.HashMS.Median)
		r.Storm = &storm
		return err
	}},
	{"revocation", func(b *bench, ctx context.Context, r *Results) error {
		revocation, err := b.revocation(ctx)
		r.Revocation = &revocation
		return err
	}},
	{"profiles", func(b *bench, ctx context.Context, r *Results) error {
		if b.plan.profile == 0 {
			return nil
		}
		dir, err := os.MkdirTemp(b.dir, "profiles")
		if err != nil {
			return err
		}
		rungs := b.ladder()
		if err := b.profiles(ctx, rungs, dir); err != nil {
			return err
		}
		r.Profiles, err = readProfiles(ctx, rungs, dir)
		return err
	}},
	{"grants", func(b *bench, ctx context.Context, r *Results) error {
		groups, memory, err := b.resident(ctx)
		r.Memory = memory
		if len(groups) > 0 { // a million take their time: what there is when it is interrupted counts
			r.Series = append(r.Series, Series{"grants", "Grants in memory", true, groups})
		}
		return err
	}},
}

func partNames() []string {
	names := make([]string, len(parts))
	for i, p := range parts {
		names[i] = p.name
	}
	return names
}

// run measures the parts and writes what there is after each, so that an
// interruption loses the rest only.
func (b *bench) run(ctx context.Context, r *Results, binary, only, out string) error {
	started, before := time.Now(), r.Minutes
	if err := b.open(ctx, binary); err != nil {
		return err
	}
	for _, p := range parts {
		if only != "" && !strings.Contains(","+only+",", ","+p.name+",") || r.measured(p.name) {
			continue
		}
		began := time.Now()
		if err := p.run(b, ctx, r); err != nil {
			return errors.Join(fmt.Errorf("measuring %s: %w", p.name, err), ctx.Err(), r.write(out))
		}
		r.Minutes = before + time.Since(started).Minutes()
		r.Load = append(r.Load, Load{p.name, loadAverage()})
		fmt.Fprintf(os.Stderr, "%-12s %s, load %s\n", p.name, time.Since(began).Round(time.Second), loadAverage())
		if err := r.write(out); err != nil {
			return err
		}
	}
	fmt.Println(filepath.Join(out, r.Date+".json"))
	return nil
}
