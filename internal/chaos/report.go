package chaos

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"
)

// Distribution is how long something took.
type Distribution []time.Duration

func (d Distribution) String() string {
	if len(d) == 0 {
		return "nothing measured"
	}
	slices.Sort(d)
	at := func(q float64) time.Duration { return d[int(q*float64(len(d)-1))].Round(10 * time.Microsecond) }
	return fmt.Sprintf("n=%d p50=%s p99=%s max=%s", len(d), at(.5), at(.99), at(1))
}

// Noticed is when the other nodes first refused what was revoked, and when they
// last allowed it, after it was acknowledged; of nodes that nothing disturbed,
// and of those that something did.
type Noticed struct{ Refused, Allowed [2]Distribution }

// Measure finds that out.
func Measure(h *History) (n Noticed) {
	checks := map[string][]Check{}
	for _, c := range h.Checks {
		checks[c.Token] = append(checks[c.Token], c)
	}
	nodes := map[int]bool{}
	for _, c := range h.Checks {
		nodes[c.Node] = true
	}
	for _, r := range h.Revocations {
		for node := range nodes {
			if !r.Acked || node == r.Node {
				continue
			}
			refused, allowed := maxTime, time.Duration(0)
			for _, c := range checks[r.Token] {
				switch {
				case c.Node != node || c.Begin < r.End:
				case c.Outcome == Refused:
					refused = min(refused, c.Begin-r.End)
				case c.Outcome == Allowed:
					allowed = max(allowed, c.Begin-r.End)
				}
			}
			if refused == maxTime {
				continue
			}
			i := 0
			if len(h.around(node, r.Begin, r.End+refused)) > 0 {
				i = 1
			}
			n.Refused[i] = append(n.Refused[i], refused)
			if allowed > 0 {
				n.Allowed[i] = append(n.Allowed[i], allowed)
			}
		}
	}
	return n
}

// Report sums the history up.
func Report(h *History) string {
	var b strings.Builder
	counts := map[Outcome]int{}
	for _, c := range h.Checks {
		counts[c.Outcome]++
	}
	acked := 0
	for _, r := range h.Revocations {
		if r.Acked {
			acked++
		}
	}
	fmt.Fprintf(&b, "%s: %d tokens, %d revocations (%d acknowledged), %d checks %v\n", h.Now().Round(time.Second), len(h.Tokens), len(h.Revocations), acked, len(h.Checks), counts)
	kinds := map[Kind]int{}
	for _, f := range h.Faults {
		kinds[f.Kind]++
	}
	for _, kind := range slices.Sorted(maps.Keys(kinds)) {
		fmt.Fprintf(&b, "  %3d × %s\n", kinds[kind], kind)
	}
	strict := 0
	for _, c := range h.Checks {
		unavailable := c
		unavailable.Outcome = Unavailable
		if rule, _ := h.unavailable(unavailable); rule != "" {
			strict++
		}
	}
	fmt.Fprintf(&b, "%d of the checks were made while nothing excused a 503; the machine stood still for %s in all\n", strict, h.stalled(0, maxTime).Round(time.Millisecond))
	n := Measure(h)
	for i, when := range []string{"undisturbed", "disturbed"} {
		fmt.Fprintf(&b, "revoked elsewhere, %s: first refused %s; last allowed, where it was at all, %s\n", when, n.Refused[i], n.Allowed[i])
	}
	n503 := map[Kind]Distribution{}
	for _, c := range h.Checks {
		if c.Outcome != Unavailable {
			continue
		}
		for _, f := range h.Faults {
			if f.on(c.Node) && h.excuses(f, c) {
				n503[f.Kind] = append(n503[f.Kind], max(0, c.End-f.To))
			}
		}
	}
	for _, kind := range slices.Sorted(maps.Keys(n503)) {
		fmt.Fprintf(&b, "503 during or after %q, ended so long after it: %s\n", kind, n503[kind])
	}
	return b.String()
}

// Tell describes a violation with what happened to its token.
func Tell(h *History, v Violation) string {
	var b strings.Builder
	c := v.Check
	fmt.Fprintf(&b, "%s\n  node %d, %s to %s, %s: %s (%s)\n", v.Rule, c.Node, c.Begin, c.End, c.Outcome, v.Text, c.Detail)
	for _, f := range h.around(c.Node, c.Begin-10*time.Second, c.End) {
		fmt.Fprintf(&b, "  fault %q of %s from %s to %s\n", f.Kind, who(f.Node), f.From, f.To)
	}
	for _, r := range h.Revocations {
		if r.Token == c.Token {
			fmt.Fprintf(&b, "  revocation by %s from %s to %s, acknowledged: %t\n", who(r.Node), r.Begin, r.End, r.Acked)
		}
	}
	told := 0
	for _, other := range h.Checks {
		if other.Token == c.Token && other.Begin > c.Begin-10*time.Second && other.Begin < c.End+time.Second && told < 40 {
			told++
			fmt.Fprintf(&b, "  check on %d from %s to %s: %s (%s)\n", other.Node, other.Begin, other.End, other.Outcome, other.Detail)
		}
	}
	return b.String()
}
