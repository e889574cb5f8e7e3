package chaos

import "time"

// What the nodes are configured with; see caddyfile.
const (
	// StaleIfError is how long a token is honoured that nobody can ask about.
	StaleIfError = 3 * time.Second
	// StoreTimeout bounds every operation of the store, connecting included.
	StoreTimeout = 4 * time.Second
)

// What docs/operations.md promises.
const (
	// Heard is how late a node refuses, at the latest, what was revoked
	// elsewhere: a feed that does not tell in time is noticed to be lost after
	// two heartbeats, and then the store is asked. It takes a few
	// milliseconds while nothing is broken; see the report.
	Heard = 2 * time.Second
	// Unheard is the same where neither feed nor store can be reached.
	Unheard = max(Heard, StaleIfError)
	// LoadTimeout bounds a read of the store with its wait for a turn
	// (authsvc/cache), and so how long after an outage somebody waits for a
	// read that began in it.
	LoadTimeout = 5 * time.Second
	// Cancel is how long after its timeout a statement may take that the
	// server does not confirm to have cancelled (authsvc/store/postgres).
	Cancel = 200 * time.Millisecond
	// Precision is how exactly a token's expiry is known: to the second.
	Precision = time.Second
)

// How faults are made.
const (
	// Latency is what Slow adds to a link, in each direction.
	Latency = 250 * time.Millisecond
	// Step is by how much clocks are set: more than any token that expires
	// during the test has, and far less than the others.
	Step = 10 * time.Minute
	// longStill and longTime are from when on the machine stood still, and the
	// database took its time: until another client than the nodes had an
	// answer over a new connection that nothing is done to.
	longStill = 100 * time.Millisecond
	longTime  = 500 * time.Millisecond
	// settle is how long after an outage the last 503 is answered, where no
	// connection is left waiting for a dead one.
	settle = time.Second
)

// Kind is a kind of fault.
type Kind string

// The kinds.
const (
	ListenersCut    Kind = "listeners terminated"
	BackendsCut     Kind = "all backends terminated"
	PostgresStopped Kind = "postgres stopped and started"
	PostgresRestart Kind = "postgres restarted"
	PostgresCrashed Kind = "postgres kill -9"
	Slow            Kind = "link 250 ms slower"
	Cut             Kind = "link cut"
	Hole            Kind = "link swallows, then delivers"
	DeadHole        Kind = "link swallows for good"
	Exhausted       Kind = "pool exhausted"
	NodeDown        Kind = "node kill -9"
	KilledCommitted Kind = "node kill -9 between commit and answer"
	NodeStill       Kind = "node stands still"
	ClockAhead      Kind = "clock 10 minutes ahead"
	ClockBack       Kind = "clock 10 minutes back"
	Reloads         Kind = "reload every 100 ms"
	Flush           Kind = "cache flushed"
	Purge           Kind = "expired tokens purged"
	Stalled         Kind = "the machine stood still" // nobody does that, or this
	Overloaded      Kind = "the database took its time"
)

// Kinds are those of which every run has one.
var Kinds = []Kind{
	ListenersCut, BackendsCut, PostgresStopped, PostgresRestart, PostgresCrashed, Slow, Cut, Hole, DeadHole, Exhausted,
	NodeDown, KilledCommitted, NodeStill, ClockAhead, ClockBack, Reloads, Flush, Purge,
}

// effect is what a fault excuses on the nodes that it is of.
type effect struct {
	// outage faults keep a node from the store: they excuse 503 until grace
	// after they end, and honouring tokens until Unheard.
	outage bool
	grace  time.Duration
	// dead is when there is nobody to answer.
	dead bool
	// set is how far the wall clock is ahead, by which a node tells whether a
	// token has expired.
	set time.Duration
}

// effects has every kind. Those that are not in it excuse nothing at all: a
// listener that was cut is noticed at once, and then the store is asked; a node
// that stood still asks it before it trusts what it remembers.
var effects = map[Kind]effect{
	BackendsCut:     {outage: true, grace: settle},
	PostgresStopped: {outage: true, grace: settle},
	PostgresRestart: {outage: true, grace: settle},
	PostgresCrashed: {outage: true, grace: settle},
	Cut:             {outage: true, grace: settle},
	// Whoever asks later may wait for a read that began in the outage.
	Hole: {outage: true, grace: LoadTimeout + settle},
	// And idle connections of the pool are found dead one after the other.
	DeadHole:        {outage: true, grace: LoadTimeout + StoreTimeout + Cancel + settle},
	Exhausted:       {outage: true, grace: LoadTimeout + settle},
	NodeDown:        {dead: true, grace: settle},
	KilledCommitted: {dead: true, grace: settle},
	Overloaded:      {outage: true, grace: LoadTimeout + settle},
	ClockAhead:      {set: Step, grace: settle},
	ClockBack:       {set: -Step, grace: settle},
}

// on reports whether a fault is one of a node.
func (f Fault) on(node int) bool { return f.Node == Database || f.Node == node }

// over is when it excuses nothing any more.
func (f Fault) over() time.Duration {
	if grace := effects[f.Kind].grace; f.To < maxTime-grace {
		return f.To + grace
	}
	return maxTime
}

const maxTime = time.Duration(1<<63 - 1)
