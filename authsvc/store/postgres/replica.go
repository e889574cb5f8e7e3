package postgres

import (
	"context"
	"database/sql"
	"errors"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/wazo-edge/xivo-auth/authsvc/store"
	"github.com/wazo-edge/xivo-auth/authsvc/store/sqlstore"
)

const (
	// replicaShare is the part of the store's timeout that a replica may take:
	// what it does not answer, the primary has time left for.
	replicaShare = 5
	// replicaRest is how long nobody asks a replica that did not answer. Then
	// one read tries.
	replicaRest = 2 * time.Second
)

// sqlReplicaToken reads a token and, of the same snapshot, whether the replica
// has replayed an entry of the revocation log. On a standby, transactions
// become visible in the order in which they were committed, so it then has all
// that were committed before (ADR 9). A server that was promoted has a history
// of its own, in which the same number may be another transaction.
const sqlReplicaToken = `select ` + sqlstore.SQLTokenColumns + `, pg_is_in_recovery(),
	exists (select from xivo_edge_revocation where pos = $2)
` + sqlstore.SQLTokenByUUID

var errPromoted = errors.New("the server is no standby (any more)")

// replica reads tokens from a streaming standby, or whichever of several a
// balancer picks: each answer proves by itself that it is new enough. Safe for
// concurrent use.
type replica struct {
	db       *sql.DB
	classify func(error) sqlstore.Kind
	budget   time.Duration // of one read
	log      *slog.Logger

	// heard is the transaction of the revocation log's latest entry that this
	// node was told of, 0 while it is not told of them. A replica without it
	// might still have tokens that this node has revoked and, when that is
	// longer ago than a tombstone lasts, forgotten.
	heard atomic.Int64
	// known is when everything that had been committed was told.
	known atomic.Pointer[time.Time]

	count [store.ReplicaReads]atomic.Uint64

	down  atomic.Bool
	mu    sync.Mutex // for what follows
	retry time.Time  // when the next read may try, while down
}

var _ sqlstore.Replica = (*replica)(nil)

// Token implements [sqlstore.Replica].
func (r *replica) Token(ctx context.Context, uuid string) (store.Token, store.ReplicaRead) {
	t, outcome := r.token(ctx, uuid)
	r.count[outcome].Add(1)
	return t, outcome
}

func (r *replica) token(ctx context.Context, uuid string) (t store.Token, outcome store.ReplicaRead) {
	// Before the read begins: what is delivered during it, the cache's
	// tombstones and doubts are for.
	heard := r.heard.Load()
	if known := r.known.Load(); heard == 0 || known == nil || since(*known) > 2*heartbeat {
		return t, store.ReplicaUnheard
	}
	if !r.willing() {
		return t, store.ReplicaFailed
	}
	bounded, cancel := context.WithTimeout(ctx, r.budget)
	defer cancel()
	var standby, replayed bool
	err := r.db.QueryRowContext(bounded, sqlReplicaToken, uuid, heard).
		Scan(append(sqlstore.TokenFields(&t, dialect{}.ScanList(&t.ACL)), &standby, &replayed)...)
	if err == nil && !standby {
		err = errPromoted
	}
	switch {
	case err == nil && replayed:
		r.answers()
		return t, store.ReplicaAnswered
	case err == nil:
		r.answers()
		return t, store.ReplicaBehind
	case errors.Is(err, sql.ErrNoRows):
		r.answers()
		return t, store.ReplicaAbsent
	case r.classify(err) == sqlstore.KindSchema:
		return t, store.ReplicaBehind // it has not replayed that there is a log
	case ctx.Err() == nil: // else the caller is gone, which says nothing
		r.fails(err)
	}
	return t, store.ReplicaFailed
}

var began = time.Now()

// clock is how long the process has been running, in nanoseconds.
func clock() int64 { return int64(time.Since(began)) }

// willing reports whether to ask the replica: always while it answers, and one
// read now and then while it does not.
func (r *replica) willing() bool {
	if !r.down.Load() {
		return true
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	now := time.Now()
	if now.Before(r.retry) {
		return false
	}
	r.retry = now.Add(replicaRest)
	return true
}

func (r *replica) answers() {
	if !r.down.Load() {
		return
	}
	r.mu.Lock()
	was := r.down.Swap(false)
	r.mu.Unlock()
	if was {
		r.log.Info("the read replica answers again")
	}
}

// fails begins an outage, or goes on with one. Only the first failure is told.
func (r *replica) fails(err error) {
	r.mu.Lock()
	r.retry = time.Now().Add(replicaRest)
	was := r.down.Swap(true)
	r.mu.Unlock()
	if !was {
		r.log.Warn("the read replica is of no use: until it is, tokens are read from the primary", slog.Any("error", err))
	}
}

// Stats implements [sqlstore.Replica].
func (r *replica) Stats() (s store.ReplicaStats) {
	for outcome := range s {
		s[outcome] = r.count[outcome].Load()
	}
	return s
}

// Close implements [sqlstore.Replica].
func (r *replica) Close() error { return r.db.Close() }
