//go:build chaos

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

// Judge returns what in the history breaks a promise.
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
		rule, text := "", ""
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
		if until := h.until(c.Node, r); c.Begin > until {
			return RuleStale, fmt.Sprintf("revoked by %s, acknowledged at %s, to be refused from %s on at the latest", who(r.Node), r.End, until)
		}
	}
	if f.Expires > 0 && c.Begin > f.Expires+Second {
		return RuleExpired, fmt.Sprintf("expired at %s", f.Expires)
	}
	return "", ""
}

// until is when a node must refuse what was revoked at the latest: at once
// where that was answered, elsewhere when the feed has told, or when the store
// is asked because it cannot.
func (h *History) until(node int, r Revocation) time.Duration {
	if r.Node == node {
		return r.End
	}
	until := r.End + Notice
	for _, f := range h.Faults {
		e := effects[f.Kind]
		if !f.on(node) || f.From > r.End+Notice {
			continue
		}
		if e.silent {
			until = max(until, f.stale())
		}
		if e.late > 0 && (f.To > maxTime-e.late || f.To+e.late >= r.End) {
			until = max(until, r.End+Notice+e.late)
		}
	}
	return until
}

func (h *History) refused(c Check, f *fate) (rule, text string) {
	if c.Begin < f.Minted || c.End >= f.doubtful || f.Expires > 0 && c.End > f.Expires-Second {
		return "", ""
	}
	return RuleRefused, fmt.Sprintf("issued at %s", f.Minted)
}

func (h *History) unavailable(c Check) (rule, text string) {
	for _, f := range h.Faults {
		if f.on(c.Node) && f.excuses(c) {
			return "", ""
		}
	}
	return RuleOutage, "no outage is declared for that time"
}

// final is stricter: nothing is excused any more.
func (h *History) final(c Check, f *fate) (rule, text string) {
	switch gone := h.Gone[c.Token]; {
	case c.Outcome == Unavailable, c.Outcome == Unanswered:
		return RuleFinal, "nothing is broken any more"
	case gone && c.Outcome == Allowed:
		return RuleFinal, "the database does not have it"
	case !gone && c.Outcome == Refused && f.doubtful == maxTime && (f.Expires == 0 || c.End < f.Expires-Second):
		return RuleFinal, "the database has it"
	}
	return "", ""
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
