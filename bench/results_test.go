//go:build linux

package main

import (
	"encoding/xml"
	"errors"
	"io"
	"strings"
	"testing"
	"time"
)

// measured is a round in which n requests took a second and cpu.
func measured(n uint64, cpu time.Duration) measurement {
	m := measurement{outcome: outcome{n: n, elapsed: time.Second}, cpu: cpu}
	for range n {
		m.hist.record(time.Millisecond)
	}
	return m
}

// TestRow: a ratio is to the floor of the same round, so that a slow round
// changes none.
func TestRow(t *testing.T) {
	t.Parallel()
	floor := []measurement{measured(1000, 100*time.Millisecond), measured(100, 10*time.Millisecond), measured(1000, 100*time.Millisecond)}
	rounds := []measurement{measured(900, 99*time.Millisecond), measured(90, 9900*time.Microsecond), measured(500, 50*time.Millisecond)}
	r := rung{key: "k", name: "n"}
	row := r.row(rounds, floor)
	if row.Ratio != (Spread{.9, .5, .9}) {
		t.Errorf("ratio %+v", row.Ratio)
	}
	if row.RPS != (Spread{500, 90, 900}) {
		t.Errorf("rps %+v", row.RPS)
	}
	if c := row.CPURatio; c.Median < 1.0999 || c.Median > 1.1001 || c.Low < .9999 || c.Low > 1.0001 {
		t.Errorf("CPU ratio %+v", c)
	}
	if c := row.CPU.Median; c < 109.99 || c > 110.01 {
		t.Errorf("CPU for a million %v", c)
	}
	// Nothing answered is nothing, and no division by it.
	if row := r.row([]measurement{{}}, []measurement{{}}); row.Ratio != (Spread{}) || row.CPURatio != (Spread{}) {
		t.Errorf("of nothing: %+v", row)
	}
}

func results() *Results {
	row := Row{Key: "scope", Name: `2 <guard> & "hit"`, RPS: Spread{10, 9, 11}, Ratio: Spread{.98, .9, 1}, CPURatio: Spread{1.02, 1, 1.1},
		Latency: Latency{P50: 100, P90: 200, P99: 1500, P999: 250_000}, RSS: 64 << 20, Bad: 3}
	floor := row
	floor.Key, floor.Name, floor.Ratio, floor.Latency = "proxy", "floor", Spread{1, 1, 1}, Latency{}
	pair := Group{Key: "conns1", Name: "1", Rows: []Row{floor, row}}
	return &Results{
		Date: "2026-01-02", Groups: []Group{{Key: "ladder", Name: "Ladder", Rows: []Row{floor, row}}, {Key: "open", Name: "Open", Rows: []Row{floor, row}}},
		Series: []Series{{"connections", "Connections", true, []Group{pair, pair}}, {"protocols", "Protocols", false, []Group{pair}}},
		Memory: []Memory{{1000, 200 << 20, 100 << 20, 50 << 20}}, Login: &Login{}, Storm: &Storm{}, Revocation: &Revocation{Nodes: 3},
	}
}

func TestResults_Plots(t *testing.T) {
	t.Parallel()
	plots := results().plots()
	for _, name := range []string{"ladder", "latency", "scaling"} {
		text := plots[name]
		if text == "" {
			t.Errorf("no plot %s", name)
		}
		for d := xml.NewDecoder(strings.NewReader(text)); ; {
			_, err := d.Token()
			if errors.Is(err, io.EOF) {
				break
			}
			if err != nil {
				t.Fatalf("%s: %v", name, err)
			}
		}
		if strings.Contains(text, "NaN") || strings.Contains(text, "Inf") {
			t.Errorf("%s has points that are nowhere", name)
		}
	}
	if p := new(Results).plots(); len(p) != 0 {
		t.Errorf("%d plots of nothing", len(p))
	}
}

func TestResults_Markdown(t *testing.T) {
	t.Parallel()
	text := results().markdown()
	for _, want := range []string{
		"## Ladder", "| guard, hit: requests/s × floor | ≥ 0.97 | 0.980 (0.90…1.00) | reached |", "0.980 (0.90…1.00)", "1.020 (1.00…1.10)", "| 64 MiB |", "(3 other answers)", "1.5 ms", "250 ms", "## Connections", "| 1000 | 200 MiB | 100 MiB | 50 MiB |",
	} {
		if !strings.Contains(text, want) {
			t.Errorf("%q is missing in\n%s", want, text)
		}
	}
}

// TestResults_Added: what authentication adds is counted against the same proxy.
func TestResults_Added(t *testing.T) {
	t.Parallel()
	row := func(key string, rps, cpu float64) Row {
		return Row{Key: key, Name: key, RPS: Spread{Median: rps}, CPU: Spread{Median: cpu}}
	}
	r := &Results{Groups: []Group{{Key: "peers", Rows: []Row{
		row("guard", 950, 110), row("proxy", 1000, 100), row("auth_request", 1200, 90), row("auth_request-plain", 3000, 30),
	}}}}
	text := r.markdown()
	for _, want := range []string{"| guard | 0.95 | 10.0 | 1.0 |", "| auth_request | 0.40 | 60.0 | 6.0 |", "what our guard adds to Caddy | ≥ 2 | 6.000 (6.00…6.00) | reached |"} {
		if !strings.Contains(text, want) {
			t.Errorf("%q is missing in\n%s", want, text)
		}
	}
	if strings.Contains(text, "forward_auth") {
		t.Errorf("what was not measured is told of:\n%s", text)
	}
	if text := new(Results).addedTable(); text != "" {
		t.Errorf("of nothing: %s", text)
	}
}

func TestFill(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name, text, want string
		fails            bool
	}{
		{name: "none", text: "a page\n", want: "a page\n"},
		{name: "two", text: "x\n<!-- bench:a -->\nold\n<!-- /bench -->\ny\n<!-- bench:b -->\n<!-- /bench -->", want: "x\n<!-- bench:a -->\n\nnew a\n\n<!-- /bench -->\ny\n<!-- bench:b -->\n\nnew b\n\n<!-- /bench -->"},
		{name: "not measured", text: "<!-- bench:c -->\nold\n<!-- /bench -->\n", want: "<!-- bench:c -->\nold\n<!-- /bench -->\n"},
		{name: "not closed", text: "<!-- bench:a -->\nold\n", fails: true},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			got, err := fill(c.text, map[string]string{"a": "new a\n", "b": "new b"})
			if got != c.want && !c.fails || (err != nil) != c.fails {
				t.Errorf("%q, %v", got, err)
			}
			if again, _ := fill(got, map[string]string{"a": "new a\n", "b": "new b"}); again != got {
				t.Errorf("done twice: %q", again)
			}
		})
	}
}
