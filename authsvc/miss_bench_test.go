package authsvc_test

import (
	"path/filepath"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/wazo-edge/xivo-auth/authsvc"
	"github.com/wazo-edge/xivo-auth/authsvc/cache"
	"github.com/wazo-edge/xivo-auth/authsvc/grant"
	"github.com/wazo-edge/xivo-auth/authsvc/guard"
	"github.com/wazo-edge/xivo-auth/authsvc/store"
	"github.com/wazo-edge/xivo-auth/authsvc/store/postgres"
	"github.com/wazo-edge/xivo-auth/authsvc/store/sqlite"
	"github.com/wazo-edge/xivo-auth/authsvc/store/sqlstore"
	"github.com/wazo-edge/xivo-auth/internal/pgtest"
)

// single is one node on a store that counts its reads.
func single(b *testing.B, open func() (*sqlstore.Store, error), limits cache.Limits) (*cluster, *authsvc.Service, *countingStore) {
	b.Helper()
	c := newCluster(b, 0, authsvc.Feed{}, open)
	st, err := open()
	if err != nil {
		b.Fatal(err)
	}
	counting := &countingStore{Store: st}
	svc, err := authsvc.New(authsvc.Config{Store: counting, Cache: cache.Config{Grants: 100_000}}, authsvc.Settings{Cache: limits, CleanupInterval: -1})
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { _ = svc.Close() })
	svc.StartFeed()
	c.nodes = append(c.nodes, svc)
	c.live()
	return c, svc, counting
}

// BenchmarkMiss is a decision on a token that has to be looked up, by one
// request at a time: what a hit saves.
func BenchmarkMiss(b *testing.B) {
	path := filepath.Join(b.TempDir(), "auth.db")
	for name, open := range map[string]func() (*sqlstore.Store, error){
		"postgres": onePostgres(b),
		"sqlite":   func() (*sqlstore.Store, error) { return sqlite.Open(path, modelOptions) },
	} {
		b.Run(name, func(b *testing.B) {
			c, svc, st := single(b, open, cache.Limits{MaxAge: 1, NegativeTTL: -1}) // nothing is served from memory
			alice := c.user("alice")
			tokens := make([]string, 100)
			for i := range tokens {
				tokens[i] = c.mint(alice).UUID
			}
			before, i := st.reads.Load(), 0
			b.ReportAllocs()
			for b.Loop() {
				if d := decide(svc, tokens[i%len(tokens)], ""); d.Verdict != guard.Allow || d.State != grant.Miss {
					b.Fatal(d.Verdict, d.State)
				}
				i++
			}
			b.ReportMetric(float64(st.reads.Load()-before)/float64(b.N), "queries/op")
		})
	}
}

// BenchmarkMiss_Stampede is 10 000 requests at once with one token that is not
// in memory: how long until the last of them is answered, and how many queries
// they made, at most. That is one, and more only in a moment in which the feed
// is lost, when no read is shared with who comes after it began.
func BenchmarkMiss_Stampede(b *testing.B) {
	const requests = 10_000
	c, svc, st := single(b, onePostgres(b), cache.Limits{})
	alice := c.user("alice")
	var took []time.Duration
	most := int64(0)
	for b.Loop() {
		token := c.mint(alice).UUID
		before := st.reads.Load()
		start := make(chan struct{})
		var all sync.WaitGroup
		for range requests {
			all.Go(func() {
				<-start
				if d := decide(svc, token, ""); d.Verdict != guard.Allow {
					b.Error(d.Verdict, d.Err)
				}
			})
		}
		began := time.Now()
		close(start)
		all.Wait()
		took = append(took, time.Since(began))
		most = max(most, st.reads.Load()-before)
	}
	slices.Sort(took)
	b.ReportMetric(float64(took[len(took)/2].Microseconds())/1000, "p50-ms")
	b.ReportMetric(float64(most), "queries")
	feed, _ := svc.FeedStatus()
	b.ReportMetric(float64(feed.Losses), "feed-losses")
}

// BenchmarkFlood is how many requests with good tokens one client gets through
// while 64 others send tokens that they made up, as fast as those are answered
// (U1). In turns with quiet, so that whatever else the machine does meets both.
func BenchmarkFlood(b *testing.B) {
	const slice = 100 * time.Millisecond
	c, svc, st := single(b, onePostgres(b), cache.Limits{MaxAge: 24 * time.Hour})
	tokens := c.known(c.user("alice"), 256)
	hits := func() (n int) {
		for began := time.Now(); time.Since(began) < slice; {
			for range 64 {
				if d := decide(svc, tokens[n%len(tokens)].UUID, ""); d.Verdict != guard.Allow || d.State != grant.Hit {
					b.Fatalf("a good token: %v %v", d.Verdict, d.State)
				}
				n++
			}
		}
		return n
	}
	var quiet, flooded, rounds int
	var made atomic.Int64
	before := st.reads.Load()
	turn := func() {
		quiet += hits()
		stop := make(chan struct{})
		var senders sync.WaitGroup
		for range 64 {
			senders.Go(func() {
				for {
					select {
					case <-stop:
						return
					default:
					}
					if d := decide(svc, uuid.NewString(), ""); d.Verdict != guard.Unauthenticated {
						b.Error(d.Verdict, d.Err)
					}
					made.Add(1)
				}
			})
		}
		flooded += hits()
		close(stop)
		senders.Wait()
		rounds++
	}
	for b.Loop() {
		for range 10 {
			turn()
		}
	}
	seconds := float64(rounds) * slice.Seconds()
	b.ReportMetric(float64(flooded)/float64(quiet), "ratio")
	b.ReportMetric(float64(quiet)/seconds, "quiet-hits/s")
	b.ReportMetric(float64(flooded)/seconds, "flooded-hits/s")
	b.ReportMetric(float64(made.Load())/seconds, "made-up/s")
	b.ReportMetric(float64(st.reads.Load()-before)/float64(made.Load()), "queries/made-up")
}

// onePostgres opens stores on one new database.
func onePostgres(b *testing.B) func() (*sqlstore.Store, error) {
	dsn := pgtest.DSN(b)
	return func() (*sqlstore.Store, error) { return postgres.Open(dsn, store.Options{MaxConns: 32}) }
}
