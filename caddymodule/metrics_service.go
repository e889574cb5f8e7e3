package caddymodule

import (
	"context"
	"database/sql"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/wazo-edge/xivo-auth/authsvc/cache"
	"github.com/wazo-edge/xivo-auth/authsvc/grant"
	"github.com/wazo-edge/xivo-auth/authsvc/revocation"
	"github.com/wazo-edge/xivo-auth/authsvc/store"
)

func metric(name, help string, labels ...string) *prometheus.Desc {
	return prometheus.NewDesc("xivo_auth_"+name, help, labels, nil)
}

var (
	metricLookups    = metric("cache_lookups_total", "Tokens looked up, by where the answer came from.", "state")
	metricTombstones = metric("cache_tombstones", "Revocations that are remembered until no read of the store can miss them.")
	metricWatches    = metric("cache_watches", "Waits for the end of a token, of tied connections.")

	metricFeed      = metric("feed_state", "Services whose revocation feed is in a state: 1 for the current one, and 2 in all during a reload that replaces the service.", "state")
	metricFeedSince = metric("feed_since_timestamp_seconds", "When the revocation feed got into its state, in Unix time. Not there when it is off.")
	metricChanges   = metric("feed_changes_total", "Entries of the revocation log delivered.")
	metricLosses    = metric("feed_losses_total", "How often the revocation feed was lost.")

	metricConns   = metric("store_connections", "Open connections of the pool to the database, without the one that listens.", "state")
	metricReplica = metric("replica_reads_total", "Reads of tokens with a read replica configured, by how the replica took part: all but answered asked the primary.", "result")

	metricMaxConns = metric("store_connections_max", "Most connections of the pool.")
	metricWaits    = metric("store_waits_total", "How often somebody waited for a connection of the pool.")
	metricWaited   = metric("store_wait_seconds_total", "For how long they did, all together.")
)

// feedStates are the values of the label state of xivo_auth_feed_state.
var feedStates = []string{string(revocation.Waiting), string(revocation.Live), string(revocation.Lost), feedOff}

// tally are the numbers of services that only grow.
type tally struct {
	lookups         [grant.States]uint64
	changes, losses uint64
	replica         store.ReplicaStats
	waits           int64
	waited          time.Duration
}

func (t *tally) add(stats cache.Stats, feed revocation.Status, pool sql.DBStats, replica store.ReplicaStats) {
	for state, n := range stats.Lookups {
		t.lookups[state] += n
	}
	t.changes += feed.Changes
	t.losses += feed.Losses
	for result, n := range replica {
		t.replica[result] += n
	}
	t.waits += pool.WaitCount
	t.waited += pool.WaitDuration
}

// tallying collects the metrics of services. A service that a reload replaced
// goes on counting until it is closed; then what it counted is kept, so that no
// counter of the process ever falls. Safe for concurrent use.
type tallying struct {
	mu     sync.Mutex
	known  map[*shared]struct{} // not closed yet
	closed tally
}

// tallies is for all registries there are.
var tallies = &tallying{known: map[*shared]struct{}{}}

// Describe implements [prometheus.Collector].
func (*tallying) Describe(to chan<- *prometheus.Desc) {
	for _, d := range []*prometheus.Desc{
		metricLookups, metricTombstones, metricWatches, metricFeed, metricFeedSince, metricChanges, metricLosses,
		metricConns, metricMaxConns, metricWaits, metricWaited, metricReplica,
	} {
		to <- d
	}
}

// Collect implements [prometheus.Collector]. It asks no database.
func (t *tallying) Collect(to chan<- prometheus.Metric) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.meet()
	var (
		sum                 = t.closed
		tombstones, watches int
		states              = make(map[string]int, len(feedStates))
		since               time.Time
		pool                sql.DBStats
		pooled              bool
	)
	for sh := range t.known {
		stats, feed, conns, replica := sh.numbers()
		sum.add(stats, feed, conns, replica)
		tombstones += stats.Tombstones
		watches += stats.Watches
		if conns.MaxOpenConnections > 0 {
			pooled = true
			pool.MaxOpenConnections += conns.MaxOpenConnections
			pool.Idle += conns.Idle
			pool.InUse += conns.InUse
		}
		if sh.ended.Err() != nil {
			continue // nobody relies on its feed any more
		}
		if feed.State == "" {
			states[feedOff]++
			continue
		}
		states[string(feed.State)]++
		if feed.Since.After(since) {
			since = feed.Since
		}
	}
	if len(t.known) == 0 && sum == (tally{}) {
		return // a Caddy that does not use us
	}
	send := func(d *prometheus.Desc, kind prometheus.ValueType, value float64, labels ...string) {
		to <- prometheus.MustNewConstMetric(d, kind, value, labels...)
	}
	for state, n := range sum.lookups {
		send(metricLookups, prometheus.CounterValue, float64(n), grant.State(state).String())
	}
	send(metricTombstones, prometheus.GaugeValue, float64(tombstones))
	send(metricWatches, prometheus.GaugeValue, float64(watches))
	for _, state := range feedStates {
		send(metricFeed, prometheus.GaugeValue, float64(states[state]), state)
	}
	if !since.IsZero() {
		send(metricFeedSince, prometheus.GaugeValue, float64(since.UnixMilli())/1e3)
	}
	send(metricChanges, prometheus.CounterValue, float64(sum.changes))
	send(metricLosses, prometheus.CounterValue, float64(sum.losses))
	if pooled {
		send(metricMaxConns, prometheus.GaugeValue, float64(pool.MaxOpenConnections))
		send(metricConns, prometheus.GaugeValue, float64(pool.Idle), "idle")
		send(metricConns, prometheus.GaugeValue, float64(pool.InUse), "in_use")
	}
	send(metricWaits, prometheus.CounterValue, float64(sum.waits))
	send(metricWaited, prometheus.CounterValue, sum.waited.Seconds())
	for result, n := range sum.replica {
		send(metricReplica, prometheus.CounterValue, float64(n), store.ReplicaRead(result).String())
	}
}

// meet makes the services of the pool known. Those it has no more stay known
// until they are closed, or a counter would fall in between. The caller holds
// the lock.
func (t *tallying) meet() {
	services.Range(func(_, v any) bool {
		sh := v.(*shared)
		if _, known := t.known[sh]; !known {
			t.known[sh] = struct{}{}
			context.AfterFunc(sh.ended, func() { t.outlive(sh) })
		}
		return true
	})
}

// outlive waits until nobody is inside a service whose end has come, and keeps
// what it counted.
func (t *tallying) outlive(sh *shared) {
	for sh.inflight.Load() >= 0 { // as drain does, which makes it negative for good
		time.Sleep(drainPoll)
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	t.closed.add(sh.numbers())
	delete(t.known, sh)
}

// numbers are what a service counts, also after it was closed. The state of a
// feed that is off is "", and a store without a pool of connections or a replica
// has none.
func (sh *shared) numbers() (stats cache.Stats, feed revocation.Status, pool sql.DBStats, replica store.ReplicaStats) {
	stats = sh.CacheStats()
	feed, _ = sh.FeedStatus()
	if st, ok := sh.Store.(interface{ DB() *sql.DB }); ok {
		pool = st.DB().Stats()
	}
	if st, ok := sh.Store.(interface {
		ReplicaStats() (store.ReplicaStats, bool)
	}); ok {
		replica, _ = st.ReplicaStats()
	}
	return stats, feed, pool, replica
}

var _ prometheus.Collector = (*tallying)(nil)
