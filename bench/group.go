//go:build linux

package main

import (
	"context"
	"fmt"
	"math/rand/v2"
	"slices"
	"time"
)

// rung is one thing that is measured beside others.
type rung struct {
	key, name string
	load      load
	// procs are the programs whose work it is: the proxy, and whomever that
	// asks, but neither the upstream nor the client.
	procs []*process
	admin string // of the node among them, to count allocations
}

// Row is what became of a rung.
type Row struct {
	Key  string `json:"key"`
	Name string `json:"name"`
	// RPS are requests answered as wanted, in a second.
	RPS Spread `json:"rps"`
	// Ratio is RPS by that of the floor in the same round.
	Ratio Spread `json:"ratio"`
	// CPU are seconds of a core that the programs in charge needed for a
	// million requests, and CPURatio that by the floor's in the same round.
	CPU      Spread `json:"cpu_s_per_million"`
	CPURatio Spread `json:"cpu_ratio"`
	// Allocs are allocations for a request, in Go programs of ours only.
	Allocs float64 `json:"allocs,omitempty"`
	// RSS is the resident memory of the programs in charge afterwards.
	RSS     int64   `json:"rss_bytes"`
	Latency Latency `json:"latency"`
	// Bad are answers that were not as wanted, and Example is one of them.
	Bad     uint64 `json:"bad"`
	Example string `json:"example,omitempty"`
}

// Group are rungs that were measured in turns.
type Group struct {
	Key    string `json:"key"`
	Name   string `json:"name"`
	Floor  string `json:"floor"`
	Rounds int    `json:"rounds"`
	// Seconds is how long each rung is measured in a round.
	Seconds float64 `json:"seconds"`
	Rows    []Row   `json:"rows"`
}

// row finds one by its key: nil where there is none, and in no group.
func (g *Group) row(key string) *Row {
	if g == nil {
		return nil
	}
	for i := range g.Rows {
		if g.Rows[i].Key == key {
			return &g.Rows[i]
		}
	}
	return nil
}

// measurement is one rung in one round.
type measurement struct {
	outcome
	cpu    time.Duration
	allocs uint64
}

// measure measures r for d with do, which is one of the ways to load it.
func (r *rung) measure(ctx context.Context, do func(*load) *outcome) (m measurement, err error) {
	before := mallocs(ctx, r.admin)
	began, err := cpu(r.procs)
	if err != nil {
		return m, err
	}
	m.outcome = *do(&r.load)
	ended, err := cpu(r.procs)
	if err != nil {
		return m, err
	}
	m.cpu, m.allocs = ended-began, mallocs(ctx, r.admin)-before
	return m, nil
}

func (m *measurement) join(o *measurement) {
	m.add(&o.outcome)
	m.cpu += o.cpu
	m.allocs += o.allocs
}

// perMillion are seconds of CPU for a million requests.
func (m *measurement) perMillion() float64 {
	return m.cpu.Seconds() / float64(max(1, m.n)) * 1e6
}

// compare measures rungs in turns. Each round goes through them in a random
// order and back again, so that whatever else the machine does, and whatever
// drifts, meets all of them; and every figure is set in proportion to the
// first rung's, the floor's, of the same round. Many short rounds tell more
// than a few long ones: what a neighbour does for some seconds meets all rungs
// of a round, and is one figure among many.
func compare(ctx context.Context, key, name string, rungs []rung, rounds int, slot time.Duration, do func(*load, time.Duration) *outcome) (Group, error) {
	g := Group{Key: key, Name: name, Floor: rungs[0].Key(), Rounds: rounds, Seconds: slot.Seconds()}
	all := make([][]measurement, len(rungs))
	order := make([]int, len(rungs))
	for i := range order {
		order[i] = i
	}
	for i := range rungs { // connections, pools and caches
		defer rungs[i].load.connect()()
		do(&rungs[i].load, max(slot/4, 100*time.Millisecond))
	}
	for round := range rounds {
		rand.Shuffle(len(order), func(i, j int) { order[i], order[j] = order[j], order[i] })
		back := slices.Clone(order)
		slices.Reverse(back)
		for _, i := range append(slices.Clone(order), back...) {
			if err := ctx.Err(); err != nil {
				return g, err
			}
			m, err := rungs[i].measure(ctx, func(l *load) *outcome { return do(l, slot/2) })
			if err != nil {
				return g, fmt.Errorf("%s: %w", rungs[i].name, err)
			}
			if len(all[i]) == round {
				all[i] = append(all[i], m)
			} else {
				all[i][round].join(&m)
			}
		}
	}
	for i := range rungs {
		g.Rows = append(g.Rows, rungs[i].row(all[i], all[0]))
	}
	return g, nil
}

// Key is how results name the rung.
func (r *rung) Key() string { return r.key }

// row sums rounds up.
func (r *rung) row(rounds, floor []measurement) Row {
	var rps, ratio, cpus, cpuRatio []float64
	var total measurement
	for i := range rounds {
		m, f := &rounds[i], &floor[i]
		rps = append(rps, m.rate())
		cpus = append(cpus, m.perMillion())
		if f.n > 0 {
			ratio = append(ratio, m.rate()/f.rate())
		}
		if f.cpu > 0 && m.n > 0 {
			cpuRatio = append(cpuRatio, m.perMillion()/f.perMillion())
		}
		total.join(m)
	}
	return Row{
		Key: r.key, Name: r.name, RPS: spread(rps), Ratio: spread(ratio), CPU: spread(cpus), CPURatio: spread(cpuRatio),
		Allocs: float64(total.allocs) / float64(max(1, total.n)), RSS: rss(r.procs), Latency: total.hist.latency(),
		Bad: total.bad, Example: total.example,
	}
}
