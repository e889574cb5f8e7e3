package store

// ReplicaRead is how an attempt to read a token from a read replica went. It is
// a closed set, fit for a metric label. All but [ReplicaAnswered] ask the
// primary.
type ReplicaRead int

// The outcomes.
const (
	// ReplicaAnswered found the token, on a replica that is as new as this
	// node needs it to be.
	ReplicaAnswered ReplicaRead = iota
	// ReplicaAbsent did not find it: it does not exist, or was issued a
	// moment ago.
	ReplicaAbsent
	// ReplicaBehind found it, on a replica that lacks a revocation which this
	// node has heard of.
	ReplicaBehind
	// ReplicaFailed got no answer, or did not try because there was none a
	// moment ago.
	ReplicaFailed
	// ReplicaUnheard did not try: the revocation feed is not heard, so nobody
	// can tell how new is new enough.
	ReplicaUnheard
	// ReplicaReads is how many outcomes there are.
	ReplicaReads
)

// String returns the outcome's name in metrics.
func (r ReplicaRead) String() string {
	return [ReplicaReads]string{"answered", "absent", "behind", "failed", "unheard"}[r]
}

// ReplicaStats counts reads by outcome.
type ReplicaStats [ReplicaReads]uint64
