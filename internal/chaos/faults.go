//go:build chaos

package chaos

import "time"

// What the nodes are configured with; see caddyfile.
const (
	// StaleIfError is how long after the loss of the feed a token is honoured
	// while the store cannot be asked.
	StaleIfError = 3 * time.Second
	// StoreTimeout bounds every operation of the store, connecting included.
	StoreTimeout = 2 * time.Second
)

// What is promised.
const (
	// Notice is how late a node may refuse what was revoked elsewhere, while
	// nothing keeps the feed from it. It takes a few milliseconds; the rest is
	// for a machine that does something else at the moment.
	Notice = 500 * time.Millisecond
	// Heartbeat is authsvc/store/postgres's: a listening connection is tried
	// every second.
	Heartbeat = time.Second
	// Silence is how long a link that swallows everything goes unnoticed: up
	// to a heartbeat until the first one is sent into it, and another until
	// that counts as unanswered. A read of the store that was under way is no
	// reason to serve anything from memory for longer, but may itself take
	// its time to come back: StoreTimeout is the longest.
	Silence = max(2*Heartbeat, StoreTimeout)
	// Cancel is how long after StoreTimeout a connection is cut that does not
	// confirm (authsvc/store/postgres: cancelGrace).
	Cancel = 200 * time.Millisecond
	// LoadTimeout bounds a read of the store with its wait for a turn
	// (authsvc/cache), and so how long after an outage somebody waits for a
	// read that began in it.
	LoadTimeout = 5 * time.Second
	// Latency is what Slow adds to a link, in each direction.
	Latency = 250 * time.Millisecond
	// Second is how exactly a token's expiry is known: to the second.
	Second = time.Second
)

// Kind is a kind of fault.
type Kind string

// The kinds.
const (
	ListenersCut Kind = "listeners terminated"
	BackendsCut  Kind = "all backends terminated"
	PostgresDown Kind = "postgres killed"
	Slow         Kind = "link slow"
	Cut          Kind = "link cut"
	Hole         Kind = "link swallows, then delivers"
	DeadHole     Kind = "link swallows for good"
	NodeDown     Kind = "node killed"
	Reloads      Kind = "reload every 100 ms"
	Flush        Kind = "cache flushed"
	Purge        Kind = "expired tokens purged"
	Flood        Kind = "flood of unknown tokens"
)

// effect is what a fault excuses on the nodes that it is of.
type effect struct {
	// silent faults keep the feed and the store from a node: it goes on as
	// before until they are noticed, and then honours tokens for StaleIfError
	// while they last.
	silent bool
	unseen time.Duration // how long it takes to notice
	late   time.Duration // how much later the feed delivers
	// outage faults excuse 503 until grace after they end.
	outage bool
	grace  time.Duration
	// dead is when there is nobody to answer.
	dead bool
}

// effects has every kind. Those that are not in it excuse nothing at all: a
// listener that was cut is noticed at once, and then the store is asked.
var effects = map[Kind]effect{
	BackendsCut:  {outage: true, grace: Notice},
	PostgresDown: {silent: true, outage: true, grace: Notice},
	Slow:         {late: 2 * Latency, outage: false},
	Cut:          {silent: true, outage: true, grace: Notice},
	// Whoever asks later may wait for a read that began in the outage.
	Hole: {silent: true, unseen: Silence, outage: true, grace: LoadTimeout + Notice},
	// And idle connections of the pool are found dead one after the other.
	DeadHole: {silent: true, unseen: Silence, outage: true, grace: LoadTimeout + StoreTimeout + Cancel + Notice},
	NodeDown: {outage: true, dead: true, grace: Notice},
	Flood:    {outage: true, grace: LoadTimeout + Notice},
}

// on reports whether a fault is one of a node.
func (f Fault) on(node int) bool { return f.Node == Database || f.Node == node }

// stale is until when a node may not know what was revoked elsewhere.
func (f Fault) stale() time.Duration {
	e := effects[f.Kind]
	noticed := f.From + e.unseen
	return min(noticed+StaleIfError, max(f.To, noticed)) + Notice
}

// excuses reports whether a check on a node it is of may end as c did.
func (f Fault) excuses(c Check) bool {
	e := effects[f.Kind]
	return (e.dead || e.outage && c.Outcome == Unavailable) && c.End >= f.From && (f.To > maxTime-e.grace || c.Begin <= f.To+e.grace)
}

const maxTime = time.Duration(1<<63 - 1)
