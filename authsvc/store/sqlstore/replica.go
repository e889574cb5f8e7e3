package sqlstore

import (
	"context"

	"github.com/wazo-edge/xivo-auth/authsvc/store"
)

// Replica reads tokens in place of the database. Safe for concurrent use.
type Replica interface {
	// Token returns what [Store.Token] would, with [store.ReplicaAnswered].
	// When it cannot be sure of that, or anything else is in the way, it
	// returns another outcome, and the database is asked.
	Token(ctx context.Context, uuid string) (store.Token, store.ReplicaRead)
	Stats() store.ReplicaStats
	Close() error
}

// OnReplica has tokens read from r first. The store closes it. It is called
// before the store is used.
//
// Nothing else is read from there: a login has to see the password that was set
// a moment ago, and who lists what he has just made wants to find it.
func (s *Store) OnReplica(r Replica) { s.replica = r }

// ReplicaStats counts the reads of the replica; false when there is none.
func (s *Store) ReplicaStats() (stats store.ReplicaStats, on bool) {
	if s.replica == nil {
		return stats, false
	}
	return s.replica.Stats(), true
}

// replicaToken asks the replica.
func (s *Store) replicaToken(ctx context.Context, uuid string) (t store.Token, ok bool) {
	if s.closed.Load() || ctx.Err() != nil {
		return t, false
	}
	end := func(string) {}
	if s.trace != nil {
		ctx, end = s.trace(ctx, "reading a token from the replica")
	}
	t, outcome := s.replica.Token(ctx, uuid)
	end(outcome.String())
	return t, outcome == store.ReplicaAnswered
}
