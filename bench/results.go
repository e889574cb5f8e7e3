//go:build linux

package main

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
)

// Results are everything one run saw.
type Results struct {
	Date    string  `json:"date"`
	Go      string  `json:"go"`
	Cores   int     `json:"cores"`
	Machine string  `json:"machine"`
	Quick   bool    `json:"quick,omitempty"`
	Minutes float64 `json:"minutes"`
	// Load is what else the machine did: its load average after each part.
	Load   []Load  `json:"load,omitempty"`
	Groups []Group `json:"groups"`
	// Series are the same pair of rungs, measured with more and more of
	// something.
	Series     []Series    `json:"series"`
	Memory     []Memory    `json:"memory"`
	Login      *Login      `json:"login"`
	Storm      *Storm      `json:"storm"`
	Revocation *Revocation `json:"revocation"`
	// Missing are peers that were not there.
	Missing []string `json:"missing_peers,omitempty"`
	// Profiles say where the CPU time of rungs went, the functions that took
	// most of it themselves first.
	Profiles []Profile `json:"profiles,omitempty"`
}

// Load is the load average, of one minute, when a part was done.
type Load struct {
	Part    string `json:"part"`
	Average string `json:"average"`
}

// Series is one of those.
type Series struct {
	Key    string  `json:"key"`
	Name   string  `json:"name"`
	Grows  bool    `json:"grows"` // each point is a number
	Points []Group `json:"points"`
}

// readResults reads what [Results.write] has written.
func readResults(file string) (*Results, error) {
	text, err := os.ReadFile(file)
	if err != nil {
		return nil, err
	}
	r := new(Results)
	if err := json.Unmarshal(text, r); err != nil {
		return nil, fmt.Errorf("%s: %w", file, err)
	}
	return r, nil
}

// measured reports whether a part was measured to its end.
func (r *Results) measured(part string) bool {
	return slices.ContainsFunc(r.Load, func(l Load) bool { return l.Part == part })
}

func (r *Results) group(g Group, err error) error {
	if err == nil {
		r.Groups = append(r.Groups, g)
	}
	return err
}

func (r *Results) series(key, name string, grows bool) func([]Group, error) error {
	return func(points []Group, err error) error {
		if err == nil {
			r.Series = append(r.Series, Series{key, name, grows, points})
		}
		return err
	}
}

// find returns a group, nil when it was not measured.
func (r *Results) find(key string) *Group {
	for i := range r.Groups {
		if r.Groups[i].Key == key {
			return &r.Groups[i]
		}
	}
	return nil
}

// machine names the processor.
func machine() string {
	text, _ := os.ReadFile("/proc/cpuinfo")
	for line := range strings.Lines(string(text)) {
		if name, value, ok := strings.Cut(line, ":"); ok && strings.TrimSpace(name) == "model name" {
			return strings.TrimSpace(value)
		}
	}
	return "unknown"
}

func loadAverage() string {
	text, _ := os.ReadFile("/proc/loadavg")
	fields := strings.Fields(string(text))
	if len(fields) < 1 {
		return "unknown"
	}
	return fields[0]
}

// Profile is where the CPU time of one rung went.
type Profile struct {
	Key  string `json:"key"`
	Name string `json:"name"`
	// Telling are the functions that explain a rung, with all that they call;
	// Top are all by their own time.
	Telling []string `json:"telling"`
	Top     []string `json:"top"`
}

// telling are the functions that profiles show with what they call: ours, the
// reverse proxy around which they stand, its line for the log, which it spells
// for every request, and the costs of system calls and memory.
const telling = `wazo-edge/xivo-auth/|reverseproxy\.\(\*Handler\)\.ServeHTTP$|zap\.\(\*Logger\)\.With$|syscall\.Syscall$|runtime\.mallocgc$|runtime\.gcBgMarkWorker$|persistConn\)\.(read|write)Loop$|caddyhttp\.\(\*Server\)\.ServeHTTP$`

// readProfiles has go tool pprof read what [bench.profiles] has written.
func readProfiles(ctx context.Context, rungs []rung, dir string) (list []Profile, err error) {
	for _, r := range rungs {
		file := filepath.Join(dir, r.key+".pprof")
		if _, err := os.Stat(file); err != nil {
			continue
		}
		p := Profile{Key: r.key, Name: r.name}
		if p.Top, err = pprofTop(ctx, "-nodecount=15", file); err != nil {
			return nil, err
		}
		if p.Telling, err = pprofTop(ctx, "-cum", "-nodecount=18", "-show="+telling, file); err != nil {
			return nil, err
		}
		list = append(list, p)
	}
	return list, nil
}

func pprofTop(ctx context.Context, args ...string) ([]string, error) {
	out, err := exec.CommandContext(ctx, "go", append([]string{"tool", "pprof", "-top"}, args...)...).Output() //nolint:gosec // arguments of ours
	if err != nil {
		return nil, fmt.Errorf("reading a profile: %w", err)
	}
	_, rows, _ := strings.Cut(string(out), "flat%")
	_, rows, _ = strings.Cut(rows, "\n")
	return strings.Split(strings.TrimRight(rows, "\n"), "\n"), nil
}

// write writes the results and what is made of them into dir.
func (r *Results) write(dir string) error {
	if err := os.MkdirAll(dir, 0o755); err != nil { //nolint:gosec // to be read by everybody
		return err
	}
	text, err := json.MarshalIndent(r, "", "\t")
	if err != nil {
		return err
	}
	base := filepath.Join(dir, r.Date)
	if err := os.WriteFile(base+".json", append(text, '\n'), 0o644); err != nil { //nolint:gosec // as above
		return err
	}
	return r.render(base)
}

// render writes the table and the plots beside the results.
func (r *Results) render(base string) error {
	files := map[string]string{base + ".md": r.markdown()}
	for name, text := range r.plots() {
		files[base+"-"+name+".svg"] = text
	}
	for name, text := range files {
		if err := os.WriteFile(name, []byte(text), 0o644); err != nil { //nolint:gosec // as above
			return err
		}
	}
	return nil
}
