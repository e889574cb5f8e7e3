package chaos

import (
	"fmt"
	"time"
)

// Violation is something that must not happen.
type Violation struct {
	Rule  string
	Check Check
	Text  string
}

// The rules.
const (
	RuleStale   = "1: allowed after a revocation"
	RuleExpired = "1: allowed after its expiry"
	RuleRefused = "2: a valid token refused"
	RuleOutage  = "2: unavailable without a reason"
	RuleFinal   = "3: wrong when all was over"
)

// fate is what became of a token.
type fate struct {
	Token
	doubtful time.Duration // when the first attempt to end it began
	acked    []Revocation
}

// Judge returns what in the history breaks a promise of docs/operations.md.
func Judge(h *History) (found []Violation) {
	fates := make(map[string]*fate, len(h.Tokens))
	for id, t := range h.Tokens {
		fates[id] = &fate{Token: t, doubtful: maxTime}
	}
	for _, r := range h.Revocations {
		f := fates[r.Token]
		f.doubtful = min(f.doubtful, r.Begin)
		if r.Acked {
			f.acked = append(f.acked, r)
		}
	}
	for _, c := range h.Checks {
		f := fates[c.Token]
		var rule, text string
		switch c.Outcome {
		case Allowed:
			rule, text = h.allowed(c, f)
		case Refused:
			rule, text = h.refused(c, f)
		default:
			rule, text = h.unavailable(c)
		}
		if rule == "" && h.Final > 0 && c.Begin >= h.Final {
			rule, text = h.final(c, f)
		}
		if rule != "" {
			found = append(found, Violation{rule, c, text})
		}
	}
	return found
}

func (h *History) allowed(c Check, f *fate) (rule, text string) {
	for _, r := range f.acked {
		if until := h.until(c.Node, r); c.Begin > until+h.stalled(r.End, c.Begin) {
			return RuleStale, fmt.Sprintf("revoked by %s, acknowledged at %s, to be refused from %s on at the latest", who(r.Node), r.End, until)
		}
	}
	_, behind := h.clock(c)
	if f.Expires > 0 && c.Begin > f.Expires+Precision+behind {
		return RuleExpired, fmt.Sprintf("expired at %s", f.Expires)
	}
	return "", ""
}

// until is when a node must refuse what was revoked at the latest: at once
// where that was answered; elsewhere when the feed has told, or the store is
// asked because it did not; and whatever is broken, when nobody honours any
// more what he cannot ask about.
func (h *History) until(node int, r Revocation) time.Duration {
	if r.Node == node {
		return r.End
	}
	for _, f := range h.Faults {
		if effects[f.Kind].outage && f.on(node) && f.From <= r.End+Heard && f.over() >= r.Begin {
			return r.End + Unheard
		}
	}
	return r.End + Heard
}

func (h *History) refused(c Check, f *fate) (rule, text string) {
	ahead, _ := h.clock(c)
	if c.Begin < f.Minted || c.End >= f.doubtful || f.Expires > 0 && c.End > f.Expires-Precision-ahead {
		return "", ""
	}
	return RuleRefused, fmt.Sprintf("issued at %s", f.Minted)
}

// clock is how far the wall clock of a node may have been off.
func (h *History) clock(c Check) (ahead, behind time.Duration) {
	for _, f := range h.Faults {
		if set := effects[f.Kind].set; set != 0 && f.on(c.Node) && f.From <= c.End && c.Begin <= f.over() {
			ahead, behind = max(ahead, set), max(behind, -set)
		}
	}
	return ahead, behind
}

func (h *History) unavailable(c Check) (rule, text string) {
	for _, f := range h.Faults {
		if f.on(c.Node) && h.excuses(f, c) {
			return "", ""
		}
	}
	return RuleOutage, "no outage is declared for that time"
}

// excuses reports whether a check on a node that f is of may end as c did.
func (h *History) excuses(f Fault, c Check) bool {
	e := effects[f.Kind]
	if !e.dead && (!e.outage || c.Outcome != Unavailable) || c.End < f.From {
		return false
	}
	over := f.over()
	return over == maxTime || c.Begin <= over+h.stalled(f.To, c.Begin)
}

// final is stricter: nothing is excused any more.
func (h *History) final(c Check, f *fate) (rule, text string) {
	switch gone := h.Gone[c.Token]; {
	case c.Outcome == Unavailable, c.Outcome == Unanswered:
		return RuleFinal, "nothing is broken any more"
	case gone && c.Outcome == Allowed:
		return RuleFinal, "the database does not have it"
	case !gone && c.Outcome == Refused && f.doubtful == maxTime && (f.Expires == 0 || c.End < f.Expires-Precision):
		return RuleFinal, "the database has it"
	}
	return "", ""
}

// stalled is for how much of a time the machine did something else, which a
// node cannot know, either.
func (h *History) stalled(from, to time.Duration) (sum time.Duration) {
	for _, f := range h.Faults {
		if f.Kind == Stalled {
			sum += max(0, min(to, f.To)-max(from, f.From))
		}
	}
	return sum
}

func who(node int) string {
	if node == Database {
		return "SQL"
	}
	return fmt.Sprintf("node %d", node)
}

// around are the faults of a node that are not long over.
func (h *History) around(node int, from, to time.Duration) (faults []Fault) {
	for _, f := range h.Faults {
		if f.on(node) && f.From <= to && (f.To > maxTime-calm || f.To+calm >= from) {
			faults = append(faults, f)
		}
	}
	return faults
}

// calm is how long a node is called disturbed after a fault: it connects again
// within two seconds, or StoreTimeout later.
const calm = 2*time.Second + StoreTimeout
