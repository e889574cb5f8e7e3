// Package chaos is a consistency checker: three real processes on one
// Postgres, clients that issue, check and revoke tokens on any of them, faults
// all the while, and a history of everything that was asked and answered,
// which is then judged by what docs/operations.md promises. It holds tests,
// what judges, so that the judge can be tested by itself, and the [Link] that is
// broken, which other tests break, too.
//
//	make chaos
//	go test ./internal/chaos -v -run 'TestChaos$' -chaos.duration 1m -seed 42
//
// A seed fixes which faults come when, not how the processes interleave.
package chaos

import (
	"slices"
	"sync"
	"time"
)

// Outcome is how a node answered a check.
type Outcome string

// The outcomes.
const (
	Allowed     Outcome = "allowed"
	Refused     Outcome = "refused"     // 401 of the guard, 404 of the API
	Unavailable Outcome = "unavailable" // 503
	Unanswered  Outcome = "unanswered"  // the connection failed
	Odd         Outcome = "odd"         // any other status, which is wrong at all times
)

// Times are since the start of the test, on its monotonic clock.

// Token is one that was issued.
type Token struct {
	ID, Session string
	Minted      time.Duration // when its issue was acknowledged
	Expires     time.Duration // to the second; 0 is far away
}

// Check is one request that a node decided.
type Check struct {
	Node       int
	Token      string
	Begin, End time.Duration
	Outcome    Outcome
	Detail     string // how it was asked, and what came back
}

// Database is the node of what was done with SQL, and of faults of all nodes.
const Database = -1

// Revocation is one attempt to end a token.
type Revocation struct {
	Node       int // the one that answered
	Token      string
	Begin, End time.Duration
	// Acked is false when the answer was lost or was that nothing is known:
	// from Begin on the token may be gone. When it is found to be, that is
	// another Revocation of the Database.
	Acked bool
}

// Fault is an interval in which something was broken.
type Fault struct {
	Kind     Kind
	Node     int
	From, To time.Duration
}

// History is what happened. Safe for concurrent use while it is recorded.
type History struct {
	start time.Time

	mu          sync.Mutex
	Tokens      map[string]Token
	Checks      []Check
	Revocations []Revocation
	Faults      []Fault
	// Final is when all faults were over and all nodes live again, 0 never.
	Final time.Duration
	// Gone are tokens that the database did not have after that.
	Gone map[string]bool
}

// NewHistory begins now.
func NewHistory() *History {
	return &History{start: time.Now(), Tokens: map[string]Token{}, Gone: map[string]bool{}}
}

// Now is the time since the start.
func (h *History) Now() time.Duration { return time.Since(h.start) }

// At converts a time of the wall clock, which is the same machine's.
func (h *History) At(wall time.Time) time.Duration { return wall.Sub(h.start) }

// Issued records a token.
func (h *History) Issued(t Token) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.Tokens[t.ID] = t
}

// Checked records a check.
func (h *History) Checked(c Check) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.Checks = append(h.Checks, c)
}

// Revoked records a revocation.
func (h *History) Revoked(r Revocation) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.Revocations = append(h.Revocations, r)
}

// Noticed records what nobody brought about, since a moment.
func (h *History) Noticed(kind Kind, from time.Duration) {
	to := h.Now()
	h.mu.Lock()
	defer h.mu.Unlock()
	h.Faults = append(h.Faults, Fault{kind, Database, from, to})
}

// Missing returns those of the kinds of which there was no fault.
func (h *History) Missing(kinds []Kind) (missing []Kind) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, kind := range kinds {
		if !slices.ContainsFunc(h.Faults, func(f Fault) bool { return f.Kind == kind }) {
			missing = append(missing, kind)
		}
	}
	return missing
}

// Ongoing reports whether a node has such a fault, or had a moment ago.
func (h *History) Ongoing(kind Kind, node int) bool {
	now := h.Now()
	h.mu.Lock()
	defer h.mu.Unlock()
	return slices.ContainsFunc(h.Faults, func(f Fault) bool { return f.Kind == kind && f.on(node) && now-settle < f.To })
}

// Broken records that a fault begins; the returned function, that it ends.
func (h *History) Broken(kind Kind, node int) (mended func()) {
	from := h.Now()
	h.mu.Lock()
	defer h.mu.Unlock()
	i := len(h.Faults)
	h.Faults = append(h.Faults, Fault{kind, node, from, maxTime})
	return func() {
		to := h.Now()
		h.mu.Lock()
		defer h.mu.Unlock()
		h.Faults[i].To = to
	}
}
