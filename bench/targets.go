//go:build linux

package main

import (
	"fmt"
	"strings"
)

// target is what is asked of one figure.
type target struct {
	what   string
	limit  float64
	atMost bool // else at least
	got    func(r *Results) (Spread, bool)
}

// rowOf finds a figure of a row.
func rowOf(group, key string, of func(*Row) Spread) func(*Results) (Spread, bool) {
	return func(r *Results) (Spread, bool) {
		if w := r.find(group).row(key); w != nil {
			return of(w), true
		}
		return Spread{}, false
	}
}

// addedOf is the CPU that authentication adds to a peer's proxy, by what our
// guard adds to its own.
func addedOf(key string) func(*Results) (Spread, bool) {
	return func(r *Results) (Spread, bool) {
		list := r.added()
		for _, a := range list {
			if by := a.cpu / list[0].cpu; a.key == key && list[0].cpu > 0 {
				return Spread{by, by, by}, true
			}
		}
		return Spread{}, false
	}
}

func ratioOf(w *Row) Spread    { return w.Ratio }
func cpuRatioOf(w *Row) Spread { return w.CPURatio }

var targets = []target{
	{what: "guard, hit: requests/s × floor", limit: .97, got: rowOf("ladder", "scope", ratioOf)},
	{what: "guard, hit: CPU × floor", limit: 1.03, atMost: true, got: rowOf("ladder", "scope", cpuRatioOf)},
	{what: "+ 1 000 routes: requests/s × floor", limit: .95, got: rowOf("ladder", "routes", ratioOf)},
	{what: "+ tenant check: requests/s × floor", limit: .95, got: rowOf("ladder", "tenant", ratioOf)},
	{what: "+ identity headers: requests/s × floor", limit: .95, got: rowOf("ladder", "identity", ratioOf)},
	{what: "+ identity headers and assertion: requests/s × floor", limit: .95, got: rowOf("ladder", "assertion", ratioOf)},
	{what: "HEAD /token: requests/s × `respond 204`", limit: .85, got: rowOf("api", "head", ratioOf)},
	{what: "Caddy forward_auth: requests/s × our guard", limit: .5, atMost: true, got: rowOf("peers", "forward_auth", ratioOf)},
	{what: "nginx auth_request: requests/s × our guard", limit: .5, atMost: true, got: rowOf("peers", "auth_request", ratioOf)},
	{what: "Oathkeeper: requests/s × our guard", limit: .5, atMost: true, got: rowOf("peers", "oathkeeper", ratioOf)},
	{what: "oauth2-proxy: requests/s × our guard", limit: .5, atMost: true, got: rowOf("peers", "oauth2-proxy", ratioOf)},
	{what: "nginx auth_request: CPU it adds to nginx × what our guard adds to Caddy", limit: 2, got: addedOf("auth_request")},
	{what: "Caddy forward_auth: CPU it adds to Caddy × what our guard adds", limit: 2, got: addedOf("forward_auth")},
	{what: "a login: time × its bare hash", limit: 1.05, atMost: true, got: func(r *Results) (Spread, bool) {
		if r.Login == nil {
			return Spread{}, false
		}
		return r.Login.Ratio, true
	}},
	{what: "a million grants: MiB above an empty node", limit: 512, atMost: true, got: func(r *Results) (Spread, bool) {
		for _, m := range r.Memory {
			if m.Grants == 1_000_000 {
				mib := float64(m.Above >> 20)
				return Spread{mib, mib, mib}, true
			}
		}
		return Spread{}, false
	}},
}

// targetTable says which targets were reached, and by how much others were
// not. It is judged by the median.
func (r *Results) targetTable() string {
	var b strings.Builder
	b.WriteString("| target | asked | measured | |\n|---|--:|--:|---|\n")
	n := 0
	for _, t := range targets {
		got, ok := t.got(r)
		if !ok {
			continue
		}
		n++
		sign, missed := "≥", t.limit-got.Median
		if t.atMost {
			sign, missed = "≤", -missed
		}
		verdict := "reached"
		if missed > 0 {
			verdict = fmt.Sprintf("missed by %.3g", missed)
		}
		fmt.Fprintf(&b, "| %s | %s %v | %s | %s |\n", t.what, sign, t.limit, figure(got), verdict)
	}
	if n == 0 {
		return ""
	}
	return b.String()
}

func figure(s Spread) string {
	if s.Median >= 100 {
		return fmt.Sprintf("%.0f", s.Median)
	}
	return s.ratio()
}
