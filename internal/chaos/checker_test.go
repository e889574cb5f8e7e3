package chaos

import (
	"fmt"
	"slices"
	"testing"
	"time"
)

const ms = time.Millisecond

// moment is a check that took a millisecond, at a number of them.
func moment(node, at int, outcome Outcome) Check {
	return Check{Node: node, Token: "t", Begin: time.Duration(at) * ms, End: time.Duration(at+1) * ms, Outcome: outcome}
}

func fault(kind Kind, node, from, to int) Fault {
	return Fault{kind, node, time.Duration(from) * ms, time.Duration(to) * ms}
}

// TestJudge has it find what is wrong in histories made by hand, and nothing
// in those that are right. The token is issued at 0, and ends at 1000 where
// something ends it.
func TestJudge(t *testing.T) {
	t.Parallel()
	acked := func(node int) Revocation {
		return Revocation{Node: node, Token: "t", Begin: 990 * ms, End: 1000 * ms, Acked: true}
	}
	byNode, bySQL := []Revocation{acked(0)}, []Revocation{acked(Database)}
	inDoubt := []Revocation{{Node: 0, Token: "t", Begin: 990 * ms, End: 1000 * ms}}
	found := append(slices.Clone(inDoubt), Revocation{Node: Database, Token: "t", Begin: 990 * ms, End: 1200 * ms, Acked: true})
	endless := Fault{Hole, 1, 900 * ms, maxTime}
	// The bounds, counted from the acknowledgement at 1000.
	const heard, unheard = 1000 + int(Heard/ms), 1000 + int(Unheard/ms)
	for _, test := range []struct {
		name    string
		revoked []Revocation
		faults  []Fault
		expires time.Duration
		check   Check
		want    string
	}{
		{name: "valid", check: moment(1, 5000, Allowed)},
		{name: "valid and refused", check: moment(1, 5000, Refused), want: RuleRefused},
		{name: "refused before it was issued", check: moment(1, -5, Refused)},
		{name: "refused in an outage", faults: []Fault{fault(PostgresStopped, Database, 4000, 6000)}, check: moment(1, 5000, Refused), want: RuleRefused},
		{name: "unavailable", check: moment(1, 5000, Unavailable), want: RuleOutage},
		{name: "unavailable in an outage", faults: []Fault{fault(PostgresStopped, Database, 4000, 6000)}, check: moment(1, 5000, Unavailable)},
		{name: "unavailable in the outage of another", faults: []Fault{fault(Cut, 0, 4000, 6000)}, check: moment(1, 5000, Unavailable), want: RuleOutage},
		{name: "unavailable just after one", faults: []Fault{fault(Cut, 1, 4000, 4700)}, check: moment(1, 5000, Unavailable)},
		{name: "unavailable long after one", faults: []Fault{fault(Cut, 1, 3000, 3500)}, check: moment(1, 5000, Unavailable), want: RuleOutage},
		{name: "unavailable before one", faults: []Fault{fault(Cut, 1, 5002, 6000)}, check: moment(1, 5000, Unavailable), want: RuleOutage},
		{name: "unavailable without a listener", faults: []Fault{fault(ListenersCut, Database, 4900, 5100)}, check: moment(1, 5000, Unavailable), want: RuleOutage},
		{name: "unavailable over a slow link", faults: []Fault{fault(Slow, 1, 4900, 5100)}, check: moment(1, 5000, Unavailable), want: RuleOutage},
		{name: "unavailable in a reload", faults: []Fault{fault(Reloads, 1, 4000, 6000)}, check: moment(1, 5000, Unavailable), want: RuleOutage},
		{name: "unavailable when the clock was set", faults: []Fault{fault(ClockAhead, 1, 4000, 6000)}, check: moment(1, 5000, Unavailable), want: RuleOutage},
		{name: "unavailable after an outage, on a machine that stood still", faults: []Fault{fault(Cut, 1, 3000, 3500), fault(Stalled, Database, 4000, 4600)}, check: moment(1, 5000, Unavailable)},
		{name: "unavailable on a machine that stood still", faults: []Fault{fault(Stalled, Database, 4000, 6000)}, check: moment(1, 5000, Unavailable), want: RuleOutage},
		{name: "no answer", check: moment(1, 5000, Unanswered), want: RuleOutage},
		{name: "no answer in a reload", faults: []Fault{fault(Reloads, 1, 4000, 6000)}, check: moment(1, 5000, Unanswered), want: RuleOutage},
		{name: "no answer of a killed node", faults: []Fault{fault(NodeDown, 1, 4900, 5100)}, check: moment(1, 5000, Unanswered)},
		{name: "no answer of another node", faults: []Fault{fault(NodeDown, 0, 4900, 5100)}, check: moment(1, 5000, Unanswered), want: RuleOutage},
		{name: "no answer without a database", faults: []Fault{fault(PostgresCrashed, Database, 4900, 5100)}, check: moment(1, 5000, Unanswered), want: RuleOutage},
		{name: "another answer", faults: []Fault{fault(PostgresStopped, Database, 4900, 5100)}, check: moment(1, 5000, Odd), want: RuleOutage},
		{name: "expired", expires: 3000 * ms, check: moment(1, 4500, Allowed), want: RuleExpired},
		{name: "expired and refused", expires: 3000 * ms, check: moment(1, 3500, Refused)},
		{name: "refused before it expired", expires: 9000 * ms, check: moment(1, 5000, Refused), want: RuleRefused},
		{name: "expired by another's clock", expires: 3000 * ms, faults: []Fault{fault(ClockBack, 0, 0, 9000)}, check: moment(1, 4500, Allowed), want: RuleExpired},
		{name: "expired, but not by its own clock", expires: 3000 * ms, faults: []Fault{fault(ClockBack, 1, 0, 9000)}, check: moment(1, 4500, Allowed)},
		{name: "expired, when its clock is right again", expires: 3000 * ms, faults: []Fault{fault(ClockBack, 1, 0, 3400)}, check: moment(1, 4500, Allowed), want: RuleExpired},
		{name: "expired by its own clock", expires: 9000 * ms, faults: []Fault{fault(ClockAhead, 1, 0, 9000)}, check: moment(1, 5000, Refused)},
		{name: "not expired by any clock", expires: 3600e3 * ms, faults: []Fault{fault(ClockAhead, 1, 0, 9000)}, check: moment(1, 5000, Refused), want: RuleRefused},
		{name: "expired by another node's clock", expires: 9000 * ms, faults: []Fault{fault(ClockAhead, 0, 0, 9000)}, check: moment(1, 5000, Refused), want: RuleRefused},

		{name: "revoked and refused", revoked: byNode, check: moment(1, 1001, Refused)},
		{name: "refused while it is revoked", revoked: byNode, check: moment(1, 990, Refused)},
		{name: "refused before it is revoked", revoked: byNode, check: moment(1, 980, Refused), want: RuleRefused},
		{name: "allowed while it is revoked", revoked: byNode, check: moment(0, 999, Allowed)},
		{name: "allowed where it was revoked", revoked: byNode, check: moment(0, 1001, Allowed), want: RuleStale},
		{name: "allowed there in an outage", revoked: byNode, faults: []Fault{endless}, check: moment(0, 1001, Allowed), want: RuleStale},
		{name: "allowed there, the clock set back", revoked: byNode, faults: []Fault{fault(ClockBack, 0, 900, 9000)}, check: moment(0, 1001, Allowed), want: RuleStale},
		{name: "allowed elsewhere, a moment later", revoked: byNode, check: moment(1, heard, Allowed)},
		{name: "allowed elsewhere, too late", revoked: byNode, check: moment(1, heard+1, Allowed), want: RuleStale},
		{name: "revoked by SQL", revoked: bySQL, check: moment(0, heard, Allowed)},
		{name: "revoked by SQL, too late", revoked: bySQL, check: moment(0, heard+1, Allowed), want: RuleStale},
		{name: "too late, the machine stood still", revoked: bySQL, faults: []Fault{fault(Stalled, Database, 900, 1500)}, check: moment(0, heard+500, Allowed)},
		{name: "too late for that, too", revoked: bySQL, faults: []Fault{fault(Stalled, Database, 900, 1500)}, check: moment(0, heard+501, Allowed), want: RuleStale},
		{name: "too late, the machine had stood still before", revoked: bySQL, faults: []Fault{fault(Stalled, Database, 100, 900)}, check: moment(0, heard+1, Allowed), want: RuleStale},
		{name: "too late after the listener was cut", revoked: bySQL, faults: []Fault{fault(ListenersCut, Database, 900, 1100)}, check: moment(1, heard+1, Allowed), want: RuleStale},
		{name: "too late over a slow link", revoked: bySQL, faults: []Fault{fault(Slow, 1, 900, 9000)}, check: moment(1, heard+1, Allowed), want: RuleStale},
		{name: "too late in reloads", revoked: bySQL, faults: []Fault{fault(Reloads, 1, 900, 9000)}, check: moment(1, heard+1, Allowed), want: RuleStale},
		{name: "too late after a restart", revoked: bySQL, faults: []Fault{fault(NodeDown, 1, 900, 1500)}, check: moment(1, heard+1, Allowed), want: RuleStale},
		{name: "too late, the clock set back", revoked: bySQL, faults: []Fault{fault(ClockBack, 1, 900, 9000)}, check: moment(1, heard+1, Allowed), want: RuleStale},
		{name: "allowed in a hole", revoked: bySQL, faults: []Fault{endless}, check: moment(1, unheard, Allowed)},
		{name: "allowed in a hole, too late", revoked: bySQL, faults: []Fault{endless}, check: moment(1, unheard+1, Allowed), want: RuleStale},
		{name: "allowed in a hole into which the database died", revoked: bySQL, faults: []Fault{fault(Hole, 1, 900, 1900), fault(PostgresCrashed, Database, 1800, 9000)}, check: moment(1, unheard, Allowed)},
		{name: "allowed in one, too late", revoked: bySQL, faults: []Fault{fault(Hole, 1, 900, 1900), fault(PostgresCrashed, Database, 1800, 9000)}, check: moment(1, unheard+1, Allowed), want: RuleStale},
		{name: "allowed in the hole of another", revoked: bySQL, faults: []Fault{endless}, check: moment(2, heard+1, Allowed), want: RuleStale},
		{name: "allowed in a hole that came later", revoked: bySQL, faults: []Fault{fault(Hole, 1, heard+1, 9000)}, check: moment(1, heard+1, Allowed), want: RuleStale},
		{name: "allowed after an outage that was over before", revoked: bySQL, faults: []Fault{fault(BackendsCut, Database, -2000, -1000)}, check: moment(1, heard+1, Allowed), want: RuleStale},
		{name: "in doubt and allowed", revoked: inDoubt, check: moment(1, 5000, Allowed)},
		{name: "in doubt and refused", revoked: inDoubt, check: moment(1, 5000, Refused)},
		{name: "found to be gone", revoked: found, check: moment(1, heard+200, Allowed)},
		{name: "found to be gone, too late", revoked: found, check: moment(1, heard+201, Allowed), want: RuleStale},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			h := NewHistory()
			h.Tokens["t"] = Token{ID: "t", Expires: test.expires}
			h.Revocations, h.Faults, h.Checks = test.revoked, test.faults, []Check{test.check}
			judged(t, h, test.want)
		})
	}
}

func judged(t *testing.T, h *History, want string) {
	t.Helper()
	got := ""
	for _, v := range Judge(h) {
		got = v.Rule
		if Tell(h, v) == "" {
			t.Error("nothing is told")
		}
	}
	if got != want {
		t.Errorf("found %q, want %q", got, want)
	}
}

// TestJudge_Final: when all is over nothing is excused.
func TestJudge_Final(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		outcome Outcome
		gone    bool
		want    string
	}{
		{Allowed, false, ""},
		{Allowed, true, RuleFinal},
		{Refused, true, ""},
		{Unavailable, false, RuleFinal},
		{Unanswered, true, RuleFinal},
	} {
		t.Run(fmt.Sprint(test.outcome, test.gone), func(t *testing.T) {
			t.Parallel()
			h := NewHistory()
			h.Tokens["t"], h.Gone["t"], h.Final = Token{ID: "t"}, test.gone, 5000*ms
			// Nobody knows whether it was ended, and an outage is just over.
			h.Revocations = []Revocation{{Node: 0, Token: "t", Begin: 990 * ms, End: 1000 * ms}}
			h.Faults = []Fault{fault(DeadHole, Database, 4000, 4999), fault(NodeDown, Database, 4000, 4999)}
			h.Checks = []Check{moment(1, 5100, test.outcome)}
			judged(t, h, test.want)
		})
	}
}

// TestMissing: a run in which something was not broken proves less than it says.
func TestMissing(t *testing.T) {
	t.Parallel()
	h := NewHistory()
	for _, kind := range Kinds[1:] {
		h.Broken(kind, Database)()
	}
	if missing := h.Missing(Kinds); len(missing) != 1 || missing[0] != Kinds[0] {
		t.Errorf("missing %q", missing)
	}
}

// TestMeasure tells nodes apart that something disturbed.
func TestMeasure(t *testing.T) {
	t.Parallel()
	h := NewHistory()
	h.Tokens["t"] = Token{ID: "t"}
	h.Revocations = []Revocation{{Node: 0, Token: "t", Begin: 990 * ms, End: 1000 * ms, Acked: true}}
	h.Faults = []Fault{fault(Slow, 2, 900, 2000)}
	h.Checks = []Check{
		moment(0, 1001, Refused),
		moment(1, 1001, Allowed), moment(1, 1002, Allowed), moment(1, 1004, Refused), moment(1, 1009, Refused),
		moment(2, 995, Allowed), moment(2, 1300, Refused),
	}
	n := Measure(h)
	if got, want := fmt.Sprint(n.Refused, n.Allowed),
		"[n=1 p50=4ms p99=4ms max=4ms n=1 p50=300ms p99=300ms max=300ms] [n=1 p50=2ms p99=2ms max=2ms nothing measured]"; got != want {
		t.Errorf("%s\nwant %s", got, want)
	}
	if Report(h) == "" {
		t.Error("nothing is reported")
	}
}
