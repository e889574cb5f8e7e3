package authsvc_test

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/wazo-edge/xivo-auth/authsvc"
	"github.com/wazo-edge/xivo-auth/authsvc/cache"
	"github.com/wazo-edge/xivo-auth/authsvc/grant"
	"github.com/wazo-edge/xivo-auth/authsvc/guard"
	"github.com/wazo-edge/xivo-auth/authsvc/revocation"
	"github.com/wazo-edge/xivo-auth/authsvc/store"
	"github.com/wazo-edge/xivo-auth/authsvc/store/postgres"
	"github.com/wazo-edge/xivo-auth/authsvc/store/sqlite"
	"github.com/wazo-edge/xivo-auth/authsvc/store/sqlstore"
	"github.com/wazo-edge/xivo-auth/internal/pgtest"
)

// cluster is a few nodes on one database, and a client that writes to it like
// somebody who knows nothing of them: the Python service, psql.
type cluster struct {
	t     testing.TB
	open  func() (*sqlstore.Store, error)
	feed  authsvc.Feed
	nodes []*authsvc.Service
	db    *sqlstore.Store
	furniture
}

func newCluster(t testing.TB, n int, feed authsvc.Feed, open func() (*sqlstore.Store, error)) *cluster {
	t.Helper()
	c := &cluster{t: t}
	st, err := open()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = st.Close() })
	c.db = st
	if c.furniture, err = furnish(t.Context(), st); err != nil {
		t.Fatal(err)
	}
	c.open, c.feed = open, feed
	for range n {
		c.join()
	}
	c.live()
	return c
}

// join starts another node.
func (c *cluster) join() *authsvc.Service {
	c.t.Helper()
	st, err := c.open()
	if err != nil {
		c.t.Fatal(err)
	}
	// max_age is out of the way: whatever is noticed, the feed told.
	svc, err := authsvc.New(authsvc.Config{Store: st, Feed: c.feed, Cache: cache.Config{Grants: 10_000}},
		authsvc.Settings{Cache: cache.Limits{MaxAge: 24 * time.Hour}, CleanupInterval: -1})
	if err != nil {
		c.t.Fatal(err)
	}
	c.t.Cleanup(func() { _ = svc.Close() })
	svc.StartFeed()
	c.nodes = append(c.nodes, svc)
	return svc
}

// live waits until every node hears the feed.
func (c *cluster) live() {
	c.t.Helper()
	for i, n := range c.nodes {
		c.eventually(fmt.Sprintf("node %d hears the feed", i), func() bool {
			s, on := n.FeedStatus()
			return on && s.State == revocation.Live
		})
	}
}

func (c *cluster) eventually(what string, ok func() bool) {
	c.t.Helper()
	for deadline := time.Now().Add(20 * time.Second); !ok(); time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			c.t.Fatalf("never happened: %s", what)
		}
	}
}

func (c *cluster) exec(query string, args ...any) {
	c.t.Helper()
	if _, err := c.db.DB().ExecContext(context.Background(), c.db.Rebind(query), args...); err != nil {
		c.t.Fatalf("%s: %v", query, err)
	}
}

// mint puts a token into the database.
func (c *cluster) mint(u modelUser) store.Token {
	c.t.Helper()
	t := store.Token{
		UUID: uuid.NewString(), AuthID: u.uuid, SessionUUID: uuid.NewString(), IssuedAt: time.Now().Unix(), ExpiresAt: time.Now().Unix() + 3600,
		Metadata: grant.Metadata(u.uuid, u.tenant, "", "", u.purpose), ACL: []string{modelAccess},
	}
	if err := c.db.CreateToken(context.Background(), store.Session{UUID: t.SessionUUID, TenantUUID: u.tenant}, t); err != nil {
		c.t.Fatal(err)
	}
	return t
}

// known mints tokens that every node has in memory.
func (c *cluster) known(u modelUser, n int) (tokens []store.Token) {
	c.t.Helper()
	for range n {
		tokens = append(tokens, c.mint(u))
	}
	for i, node := range c.nodes {
		for _, t := range tokens {
			c.eventually(fmt.Sprintf("node %d has a token in memory", i), func() bool {
				d := decide(node, t.UUID, "")
				return d.Verdict == guard.Allow && d.State == grant.Hit
			})
		}
	}
	return tokens
}

func decide(node *authsvc.Service, token, tenant string) guard.Decision {
	r := guard.Request{Method: "GET", Target: "/", Tokens: []string{token}}
	if tenant != "" {
		r.Tenants = []string{tenant}
	}
	return node.Decide(context.Background(), scopePolicy(modelAccess), r)
}

// refused waits until every node refuses the tokens.
func (c *cluster) refused(how string, tokens ...store.Token) {
	c.t.Helper()
	for i, node := range c.nodes {
		for _, t := range tokens {
			c.eventually(fmt.Sprintf("node %d refuses what %s ended", i, how), func() bool {
				return decide(node, t.UUID, "").Verdict == guard.Unauthenticated
			})
		}
	}
}

func (c *cluster) user(name string) modelUser {
	return c.users[slices.IndexFunc(c.users, func(u modelUser) bool { return u.name == name })]
}

// clusters are all ways in which nodes hear of each other.
var clusters = map[string]func(testing.TB) *cluster{
	"postgres, told": func(t testing.TB) *cluster { return onPostgres(t, pgtest.DSN(t), authsvc.Feed{}) },
	"postgres, polling": func(t testing.TB) *cluster {
		return onPostgres(t, pgtest.DSN(t), authsvc.Feed{Poll: 5 * time.Millisecond})
	},
	"sqlite": func(t testing.TB) *cluster {
		path := filepath.Join(t.TempDir(), "auth.db")
		return newCluster(t, 2, authsvc.Feed{}, func() (*sqlstore.Store, error) { return sqlite.Open(path, modelOptions) })
	},
}

func onPostgres(t testing.TB, dsn string, feed authsvc.Feed) *cluster {
	return newCluster(t, 3, feed, func() (*sqlstore.Store, error) { return postgres.Open(dsn, store.Options{MaxConns: 4}) })
}

// TestFeed_RevokedElsewhere: whoever ends a token, and however, every node
// refuses it without waiting for max_age.
func TestFeed_RevokedElsewhere(t *testing.T) {
	t.Parallel()
	for name, make := range clusters {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c := make(t)
			alice, kid := c.user("alice"), c.user("kid")
			byAPI, byToken, bySession := c.known(alice, 1)[0], c.known(alice, 1)[0], c.known(alice, 1)[0]
			many, kids, last := c.known(alice, 50), c.known(kid, 2), c.known(alice, 1)

			rec := httptest.NewRecorder()
			c.nodes[0].ServeHTTP(rec, httptest.NewRequest(http.MethodDelete, "/0.1/token/"+byAPI.UUID, nil))
			if rec.Code != http.StatusOK {
				t.Fatal(rec.Code, rec.Body)
			}
			if d := decide(c.nodes[0], byAPI.UUID, ""); d.Verdict != guard.Unauthenticated {
				t.Errorf("the node itself: %v", d.Verdict)
			}
			c.refused("the API of another node", byAPI)
			c.exec(`delete from auth_token where uuid = $1`, byToken.UUID)
			c.refused("a deletion by hand", byToken)
			c.exec(`delete from auth_session where uuid = $1`, bySession.SessionUUID)
			c.refused("the end of its session", bySession)

			// A user deleted as the Python service does: his tokens stay, and
			// he is nobody any more.
			for _, node := range c.nodes {
				if d := decide(node, kids[0].UUID, kid.tenant); d.Verdict != guard.Allow {
					t.Fatalf("%v %s", d.Verdict, d.Reason)
				}
			}
			c.exec(`delete from auth_user where uuid = $1`, kid.uuid)
			for i, node := range c.nodes {
				c.eventually(fmt.Sprintf("node %d knows that the user is gone", i), func() bool {
					return decide(node, kids[0].UUID, kid.tenant).Reason == guard.NoUser
				})
			}

			// A tenant that is somebody else's now.
			for _, node := range c.nodes {
				if d := decide(node, last[0].UUID, c.child); d.Verdict != guard.Allow {
					t.Fatalf("%v %s", d.Verdict, d.Reason)
				}
			}
			c.exec(`update auth_tenant set parent_uuid = $1 where uuid = $2`, c.other, c.child)
			for i, node := range c.nodes {
				c.eventually(fmt.Sprintf("node %d knows that the tenant moved", i), func() bool {
					return decide(node, last[0].UUID, c.child).Reason == guard.WrongTenant
				})
			}
			// A user who moved.
			c.exec(`update auth_user set tenant_uuid = $1 where uuid = $2`, c.other, alice.uuid)
			for i, node := range c.nodes {
				c.eventually(fmt.Sprintf("node %d knows that the user moved", i), func() bool {
					return decide(node, last[0].UUID, c.child).Verdict == guard.Allow
				})
			}
			c.exec(`delete from auth_token where auth_id = $1`, alice.uuid)
			c.refused("a batch", append(many, last...)...)
		})
	}
}

// TestFeed_ListenerKilled: connections that listen are cut again and again
// while tokens are revoked. Nothing is lost: once a node hears the feed again,
// it refuses all that was revoked.
func TestFeed_ListenerKilled(t *testing.T) {
	t.Parallel()
	c := clusters["postgres, told"](t)
	tokens := c.known(c.user("alice"), 60)
	for i, token := range tokens {
		if i%6 == 0 {
			c.cutListeners()
		}
		c.exec(`delete from auth_token where uuid = $1`, token.UUID)
	}
	c.refused("a deletion while nobody listened", tokens...)
	c.live()
	losses := uint64(0)
	for _, n := range c.nodes {
		s, _ := n.FeedStatus()
		losses += s.Losses
	}
	if losses == 0 {
		t.Error("no listener was ever cut: this tests nothing")
	}
}

// TestFeed_PostgresRestarts: with the database gone, tokens that were vouched
// for a moment ago are honoured and marked; when it is back, what was revoked
// meanwhile is refused, and the rest is served from memory as before.
func TestFeed_PostgresRestarts(t *testing.T) {
	t.Parallel()
	srv, err := pgtest.Start(t.Context())
	if err != nil {
		t.Skipf("no Postgres: %v", err)
	}
	t.Cleanup(func() { _ = srv.Stop() })
	c := onPostgres(t, srv.DSN, authsvc.Feed{})
	tokens := c.known(c.user("alice"), 3)
	for round := range 2 {
		if err := srv.Kill(); err != nil { // as kill -9
			t.Fatal(err)
		}
		for i, node := range c.nodes {
			c.eventually(fmt.Sprintf("node %d notices", i), func() bool {
				s, _ := node.FeedStatus()
				return s.State == revocation.Lost
			})
			if d := decide(node, tokens[0].UUID, ""); d.Verdict != guard.Allow || d.State != grant.Degraded {
				t.Errorf("node %d, a token of a moment ago: %v %v", i, d.Verdict, d.State)
			}
			if d := decide(node, uuid.NewString(), ""); d.Verdict != guard.Unavailable {
				t.Errorf("node %d, a token nobody has seen: %v", i, d.Verdict)
			}
		}
		if err := srv.Restart(t.Context()); err != nil {
			t.Fatal(err)
		}
		// Before anybody listens again, as far as that can be had.
		c.eventually("the database takes writes", func() bool {
			_, err := c.db.DB().ExecContext(t.Context(), `delete from auth_token where uuid = $1`, tokens[round+1].UUID)
			return err == nil
		})
		c.live()
		c.refused("a deletion nobody was told of", tokens[round+1])
		for i, node := range c.nodes {
			c.eventually(fmt.Sprintf("node %d serves from memory", i), func() bool {
				d := decide(node, tokens[0].UUID, "")
				return d.Verdict == guard.Allow && d.State == grant.Hit
			})
		}
	}
}

// TestFeed_RemovedWithoutTrace: nothing of ours is left in the database.
func TestFeed_RemovedWithoutTrace(t *testing.T) {
	t.Parallel()
	dsn := pgtest.DSN(t)
	c := onPostgres(t, dsn, authsvc.Feed{})
	for _, n := range c.nodes {
		if err := n.Close(); err != nil {
			t.Fatal(err)
		}
	}
	if err := c.db.RemoveLog(t.Context()); err != nil {
		t.Fatal(err)
	}
	var left int
	if err := c.db.DB().QueryRowContext(t.Context(), `select
	(select count(*) from pg_class where relname like 'xivo_edge%') +
	(select count(*) from pg_proc where proname like 'xivo_edge%') +
	(select count(*) from pg_trigger where tgname like 'xivo_edge%')`).Scan(&left); err != nil || left != 0 {
		t.Errorf("%d objects are left, %v", left, err)
	}
}

// BenchmarkFeed_RevokeToRefused is how long it takes from a revocation being
// committed to its being refused by the last of three nodes.
func BenchmarkFeed_RevokeToRefused(b *testing.B) {
	for _, name := range []string{"postgres, told"} {
		b.Run(name, func(b *testing.B) {
			c := clusters[name](b)
			alice := c.user("alice")
			var took []time.Duration
			for b.Loop() {
				b.StopTimer()
				token := c.known(alice, 1)[0]
				b.StartTimer()
				c.exec(`delete from auth_token where uuid = $1`, token.UUID)
				began := time.Now()
				for _, node := range c.nodes {
					for decide(node, token.UUID, "").Verdict != guard.Unauthenticated {
						time.Sleep(50 * time.Microsecond)
					}
				}
				took = append(took, time.Since(began))
			}
			slices.Sort(took)
			b.ReportMetric(float64(took[len(took)/2].Microseconds())/1000, "p50-ms")
			b.ReportMetric(float64(took[len(took)*99/100].Microseconds())/1000, "p99-ms")
			b.ReportMetric(float64(took[len(took)-1].Microseconds())/1000, "max-ms")
		})
	}
}
