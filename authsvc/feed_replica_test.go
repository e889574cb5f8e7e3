package authsvc_test

import (
	"database/sql"
	"fmt"
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/wazo-edge/xivo-auth/authsvc"
	"github.com/wazo-edge/xivo-auth/authsvc/guard"
	"github.com/wazo-edge/xivo-auth/authsvc/store"
	"github.com/wazo-edge/xivo-auth/authsvc/store/postgres"
	"github.com/wazo-edge/xivo-auth/authsvc/store/sqlstore"
	"github.com/wazo-edge/xivo-auth/internal/pgtest"
)

// behindReplica is a cluster whose nodes read from a standby, and that standby.
func behindReplica(t *testing.T) (c *cluster, standby *pgtest.Server, db *sql.DB) {
	t.Helper()
	primary, err := pgtest.StartPrimary(t.Context())
	if err != nil {
		t.Skipf("no Postgres: %v", err)
	}
	t.Cleanup(func() { _ = primary.Stop() })
	if standby, err = primary.Standby(t.Context()); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = standby.Stop() })
	o := store.Options{MaxConns: 4, ReplicaDSN: standby.DSN}
	c = newCluster(t, 2, authsvc.Feed{}, func() (*sqlstore.Store, error) { return postgres.Open(primary.DSN, o) })
	if db, err = sql.Open("postgres", standby.DSN); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = db.Close() })
	return c, standby, db
}

// took is how often a node's reads of tokens had an outcome.
func took(node *authsvc.Service, outcome store.ReplicaRead) uint64 {
	stats, _ := node.Store.(*sqlstore.Store).ReplicaStats()
	return stats[outcome]
}

// fromReplica waits until a node reads a token there.
func (c *cluster) fromReplica(i int, token store.Token) {
	c.t.Helper()
	node := c.nodes[i]
	c.eventually(fmt.Sprintf("node %d reads from the replica", i), func() bool {
		before := took(node, store.ReplicaAnswered)
		node.FlushCache()
		if d := decide(node, token.UUID, ""); d.Verdict != guard.Allow {
			c.t.Fatalf("node %d: %v %s", i, d.Verdict, d.Reason)
		}
		return took(node, store.ReplicaAnswered) > before
	})
}

// TestFeed_Replica: with a replica that replays nothing more, tokens issued
// since are good and those revoked since are not, on the node that revoked, on
// another, and on one that was started afterwards; nor do tenants of users come
// back that they were moved out of. With the replica gone nobody notices.
func TestFeed_Replica(t *testing.T) {
	t.Parallel()
	c, standby, db := behindReplica(t)
	alice, kid := c.user("alice"), c.user("kid")
	tokens := c.known(alice, 3)
	moved := c.known(kid, 1)[0]
	for i := range c.nodes {
		c.fromReplica(i, tokens[0])
		c.fromReplica(i, moved)
	}
	if _, err := db.ExecContext(t.Context(), `select pg_wal_replay_pause()`); err != nil {
		t.Fatal(err)
	}
	c.eventually("the standby pauses", func() bool {
		var paused bool
		return db.QueryRowContext(t.Context(), `select pg_get_wal_replay_pause_state() = 'paused'`).Scan(&paused) == nil && paused
	})

	fresh := c.mint(alice)
	for i, node := range c.nodes {
		if d := decide(node, fresh.UUID, ""); d.Verdict != guard.Allow {
			t.Errorf("node %d, a token just issued: %v %s", i, d.Verdict, d.Reason)
		}
	}
	for i, node := range c.nodes {
		rec := httptest.NewRecorder()
		node.ServeHTTP(rec, httptest.NewRequest(http.MethodDelete, "/0.1/token/"+tokens[i].UUID, nil))
		if rec.Code != http.StatusOK {
			t.Fatal(rec.Code, rec.Body)
		}
		if d := decide(node, tokens[i].UUID, ""); d.Verdict != guard.Unauthenticated {
			t.Errorf("node %d, what it revoked itself: %v", i, d.Verdict)
		}
	}
	c.refused("another node", tokens[:2]...)
	c.exec(`update auth_user set tenant_uuid = $1 where uuid = $2`, c.other, kid.uuid)
	for i, node := range c.nodes {
		c.eventually(fmt.Sprintf("node %d knows that the user moved", i), func() bool {
			return decide(node, moved.UUID, kid.tenant).Reason == guard.WrongTenant
		})
	}

	// Nothing in memory, no tombstone, and never told.
	var stale int
	if err := db.QueryRowContext(t.Context(), `select count(*) from auth_token where uuid in ($1, $2)`, tokens[0].UUID, tokens[1].UUID).Scan(&stale); err != nil || stale != 2 {
		t.Fatalf("the standby has %d of the revoked tokens (%v): this tests nothing", stale, err)
	}
	late := c.join()
	c.eventually("it asks the replica", func() bool {
		late.FlushCache()
		for _, token := range tokens[:2] {
			if d := decide(late, token.UUID, ""); d.Verdict != guard.Unauthenticated {
				t.Fatalf("a token revoked before the node was started: %v", d.Verdict)
			}
		}
		if d := decide(late, tokens[2].UUID, ""); d.Verdict != guard.Allow {
			t.Fatalf("one that was not: %v", d.Verdict)
		}
		return took(late, store.ReplicaBehind) > 0
	})

	if _, err := db.ExecContext(t.Context(), `select pg_wal_replay_resume()`); err != nil {
		t.Fatal(err)
	}
	for i := range c.nodes {
		c.fromReplica(i, fresh)
	}
	if err := standby.Kill(); err != nil {
		t.Fatal(err)
	}
	for i, node := range c.nodes {
		node.FlushCache()
		for _, token := range []store.Token{fresh, c.mint(alice)} {
			if d := decide(node, token.UUID, ""); d.Verdict != guard.Allow {
				t.Errorf("node %d, with the replica gone: %v %s", i, d.Verdict, d.Reason)
			}
		}
		if d := decide(node, tokens[0].UUID, ""); d.Verdict != guard.Unauthenticated {
			t.Errorf("node %d, with the replica gone, a revoked token: %v", i, d.Verdict)
		}
	}
}
