//go:build linux

package main

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
)

// markdown is everything as tables.
func (r *Results) markdown() string {
	var b strings.Builder
	fmt.Fprintf(&b, "# Benchmark of %s\n\n%s\n", r.Date, r.where())
	if t := r.targetTable(); t != "" {
		fmt.Fprintf(&b, "\n## Targets\n\n%s", t)
	}
	for i := range r.Groups {
		fmt.Fprintf(&b, "\n## %s\n\n%s", r.Groups[i].Name, r.Groups[i].table())
	}
	for i := range r.Series {
		fmt.Fprintf(&b, "\n## %s\n\n%s", r.Series[i].Name, r.Series[i].table())
	}
	for _, s := range []struct{ name, text string }{
		{"What authentication adds to the same proxy", r.addedTable()}, {"Memory", r.memoryTable()}, {"Logins", r.loginTable()}, {"A revocation, from one node to the others", r.revocationTable()},
	} {
		if s.text != "" {
			fmt.Fprintf(&b, "\n## %s\n\n%s", s.name, s.text)
		}
	}
	if len(r.Missing) > 0 {
		fmt.Fprintf(&b, "\nNot measured, because the program was not there: %s.\n", strings.Join(r.Missing, "; "))
	}
	return b.String()
}

// where says what machine it was.
func (r *Results) where() string {
	return fmt.Sprintf("%d cores of %s, shared with others; %s; the run took %.0f minutes. Client, upstream, proxy and Postgres are on these cores. "+
		"Ratios are to the floor in the same round: median (95 %% confidence interval of the median).", r.Cores, r.Machine, r.Go, r.Minutes)
}

func (s Spread) ratio() string { return fmt.Sprintf("%.3f (%.2f…%.2f)", s.Median, s.Low, s.High) }

// table is a group.
func (g *Group) table() string {
	var b strings.Builder
	b.WriteString("| | requests/s | × floor | CPU s per million | CPU × floor | allocs | p50 | p99 | p99.9 | RSS |\n|---|--:|--:|--:|--:|--:|--:|--:|--:|--:|\n")
	for _, w := range g.Rows {
		allocs, note := "", ""
		if w.Allocs > 0 {
			allocs = fmt.Sprintf("%.0f", w.Allocs)
		}
		if w.Bad > 0 {
			note = fmt.Sprintf(" (%d other answers)", w.Bad)
		}
		fmt.Fprintf(&b, "| %s%s | %.0f | %s | %.1f | %s | %s | %s | %s | %s | %s |\n", w.Name, note, w.RPS.Median, w.Ratio.ratio(), w.CPU.Median,
			w.CPURatio.ratio(), allocs, micros(w.Latency.P50), micros(w.Latency.P99), micros(w.Latency.P999), megabytes(w.RSS))
	}
	return b.String()
}

func micros(us float64) string {
	switch {
	case us < 1000:
		return fmt.Sprintf("%.0f µs", us)
	case us < 100_000:
		return fmt.Sprintf("%.1f ms", us/1e3)
	default:
		return fmt.Sprintf("%.0f ms", us/1e3)
	}
}

func megabytes(n int64) string { return fmt.Sprintf("%d MiB", n>>20) }

// table is a series: the second rung of each point beside the first.
func (s *Series) table() string {
	var b strings.Builder
	fmt.Fprintf(&b, "| %s | floor, requests/s | %s, requests/s | × floor | CPU × floor | floor p99 | p99 |\n|---|--:|--:|--:|--:|--:|--:|\n",
		strings.ToLower(s.Name), s.Points[0].Rows[1].Name)
	for _, p := range s.Points {
		floor, w := p.Rows[0], p.Rows[1]
		fmt.Fprintf(&b, "| %s | %.0f | %.0f | %s | %s | %s | %s |\n", p.Name, floor.RPS.Median, w.RPS.Median, w.Ratio.ratio(), w.CPURatio.ratio(),
			micros(floor.Latency.P99), micros(w.Latency.P99))
	}
	return b.String()
}

func (r *Results) memoryTable() string {
	if len(r.Memory) == 0 {
		return ""
	}
	var b strings.Builder
	b.WriteString("| grants | RSS | above an empty node | live heap |\n|--:|--:|--:|--:|\n")
	for _, m := range r.Memory {
		fmt.Fprintf(&b, "| %d | %s | %s | %s |\n", m.Grants, megabytes(m.RSS), megabytes(m.Above), megabytes(int64(m.Live)))
	}
	return b.String()
}

func (r *Results) loginTable() string {
	if r.Login == nil || r.Storm == nil {
		return ""
	}
	l, s := r.Login, r.Storm
	var b strings.Builder
	fmt.Fprintf(&b, "One after the other: a login %.1f ms, its bare hash %.1f ms, ratio %s, in CPU seconds %s.\n\n", l.LoginMS.Median, l.HashMS.Median,
		l.Ratio.ratio(), l.CPURatio.ratio())
	fmt.Fprintf(&b, "%d clients log in at once, again and again, or a second later when they are told to (503), for %.0f s, while %.0f checks of tokens arrive each second:\n\n", s.Clients, s.Seconds, s.Offered)
	fmt.Fprintf(&b, "| | checks answered/s | p50 | p99 | logins/s | 503 |\n|---|--:|--:|--:|--:|--:|\n| before | %.0f | %s | %s | | |\n| in the storm | %.0f | %s | %s | %.1f | %d |\n\n",
		s.Calm, micros(s.CalmLatency.P50), micros(s.CalmLatency.P99), s.During, micros(s.DuringLatency.P50), micros(s.DuringLatency.P99), s.Logins, s.Busy)
	fmt.Fprintf(&b, "One core that does nothing else hashes %.1f passwords a second.\n", s.Hashes)
	return b.String()
}

func (r *Results) revocationTable() string {
	if r.Revocation == nil {
		return ""
	}
	v := r.Revocation
	var b strings.Builder
	fmt.Fprintf(&b, "%d nodes over one Postgres, %d revocations, from the answer to DELETE at one of them on:\n\n| refused by | p50 | p90 | p99 | longest |\n|---|--:|--:|--:|--:|\n", v.Nodes, v.Samples)
	for _, row := range []struct {
		name string
		Latency
	}{{"another node", v.Other}, {"the last node", v.Last}} {
		fmt.Fprintf(&b, "| %s | %s | %s | %s | %s |\n", row.name, micros(row.P50), micros(row.P90), micros(row.P99), micros(row.Max))
	}
	return b.String()
}

// added is what authentication adds to a request of the same proxy without any:
// the proxies differ more than what they are asked to do here.
type added struct {
	key, name string
	kept      float64 // requests in a second, by those without authentication
	cpu       float64 // seconds for a million requests
}

// added compares the peers that are the same proxy with and without. Our guard
// is the first.
func (r *Results) added() (list []added) {
	for _, pair := range [][2]string{{"guard", "proxy"}, {"forward_auth", "proxy"}, {"auth_request", "auth_request-plain"}} {
		with, without := r.find("peers").row(pair[0]), r.find("peers").row(pair[1])
		switch {
		case with != nil && without != nil:
			list = append(list, added{with.Key, with.Name, with.RPS.Median / without.RPS.Median, with.CPU.Median - without.CPU.Median})
		case len(list) == 0: // without our guard there is nothing to compare with
			return nil
		}
	}
	return list
}

func (r *Results) addedTable() string {
	list := r.added()
	if len(list) == 0 {
		return ""
	}
	var b strings.Builder
	b.WriteString("| | requests/s × the same proxy without auth | CPU s per million, added | × our guard |\n|---|--:|--:|--:|\n")
	for _, a := range list {
		fmt.Fprintf(&b, "| %s | %.2f | %.1f | %.1f |\n", a.name, a.kept, a.cpu, a.cpu/list[0].cpu)
	}
	return b.String()
}

// profileTables show where the time of some rungs went.
func (r *Results) profileTables(keys ...string) string {
	var b strings.Builder
	for _, key := range keys {
		for _, p := range r.Profiles {
			if p.Key == key {
				fmt.Fprintf(&b, "%s, functions by their own time:\n\n```\n%s\n```\n\nand some with what they call:\n\n```\n%s\n```\n\n", p.Name,
					strings.Join(p.Top, "\n"), strings.Join(p.Telling, "\n"))
			}
		}
	}
	return b.String()
}

// publishResults renders a file of results once more, and puts its tables and
// plots into the pages that show them.
func publishResults(file string) error {
	r, err := readResults(file)
	if err != nil {
		return err
	}
	base := strings.TrimSuffix(file, ".json")
	if err := r.render(base); err != nil {
		return err
	}
	for _, page := range []string{"README.md", "docs/performance.md"} {
		rel, err := filepath.Rel(filepath.Dir(page), base)
		if err != nil {
			return err
		}
		if err := publishInto(page, r.blocks(filepath.ToSlash(rel))); err != nil {
			return err
		}
	}
	return nil
}

// blocks are the texts that pages may show, by name.
func (r *Results) blocks(base string) map[string]string {
	blocks := map[string]string{
		"where": r.where() + "\n", "added": r.addedTable(), "memory": r.memoryTable(), "targets": r.targetTable(), "login": r.loginTable(), "revocation": r.revocationTable(),
		"profiles": r.profileTables("proxy", "scope", "identity", "miss"),
		"raw":      fmt.Sprintf("All figures: [%[1]s.md](%[2]s.md), [%[1]s.json](%[2]s.json).\n", filepath.Base(base), base),
	}
	for i := range r.Groups {
		blocks[r.Groups[i].Key] = r.Groups[i].table()
	}
	for i := range r.Series {
		blocks[r.Series[i].Key] = r.Series[i].table()
	}
	for name := range r.plots() {
		blocks["plot-"+name] = fmt.Sprintf("![%s](%s-%s.svg)\n", name, base, name)
	}
	return blocks
}

var errBlock = errors.New("a block of results is not closed")

// publishInto replaces what is between <!-- bench:NAME --> and <!-- /bench -->
// in a page. A block that nothing was measured for is left as it is.
func publishInto(page string, blocks map[string]string) error {
	text, err := os.ReadFile(page)
	if err != nil {
		return err
	}
	done, err := fill(string(text), blocks)
	if err != nil {
		return fmt.Errorf("%s: %w", page, err)
	}
	return os.WriteFile(page, []byte(done), 0o644) //nolint:gosec // to be read by everybody
}

func fill(text string, blocks map[string]string) (string, error) {
	const open, end = "<!-- bench:", "<!-- /bench -->"
	var b strings.Builder
	for {
		before, rest, found := strings.Cut(text, open)
		b.WriteString(before)
		if !found {
			return b.String(), nil
		}
		name, rest, ok1 := strings.Cut(rest, " -->\n")
		old, rest, ok2 := strings.Cut(rest, end)
		if !ok1 || !ok2 {
			return "", errBlock
		}
		if block := blocks[name]; block != "" {
			old = "\n" + strings.TrimRight(block, "\n") + "\n\n"
		}
		b.WriteString(open + name + " -->\n" + old + end)
		text = rest
	}
}
