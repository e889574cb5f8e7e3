package authsvc_test

import (
	"database/sql"
	"testing"
	"time"

	"github.com/wazo-edge/xivo-auth/authsvc"
	"github.com/wazo-edge/xivo-auth/authsvc/grant"
	"github.com/wazo-edge/xivo-auth/authsvc/guard"
	"github.com/wazo-edge/xivo-auth/authsvc/revocation"
	"github.com/wazo-edge/xivo-auth/authsvc/store"
	"github.com/wazo-edge/xivo-auth/authsvc/store/postgres"
	"github.com/wazo-edge/xivo-auth/authsvc/store/sqlstore"
	"github.com/wazo-edge/xivo-auth/internal/chaos"
	"github.com/wazo-edge/xivo-auth/internal/pgtest"
)

// TestFeed_Failover: an asynchronous standby takes over that lacked the last
// transactions. It gives their numbers to its own, and what was revoked in those
// is not to be overlooked for it: whether it has got as far as the node had read
// by the time the node comes back, or not.
func TestFeed_Failover(t *testing.T) {
	t.Parallel()
	for name, feed := range map[string]authsvc.Feed{"told": {}, "polling": {Poll: 20 * time.Millisecond}} {
		for past, transactions := range map[string]int{"behind": 0, "past": 400} {
			t.Run(name+", "+past, func(t *testing.T) {
				t.Parallel()
				failover(t, feed, transactions)
			})
		}
	}
}

func failover(t *testing.T, feed authsvc.Feed, transactions int) {
	t.Helper()
	primary, err := pgtest.StartPrimary(t.Context())
	if err != nil {
		t.Skipf("no Postgres: %v", err)
	}
	t.Cleanup(func() { _ = primary.Stop() })
	standby, err := primary.Standby(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = standby.Stop() })
	db, err := sql.Open("postgres", standby.DSN)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = db.Close() })
	link, err := chaos.NewLink(primary.DSN)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(link.Close)

	c := newCluster(t, 1, feed, func() (*sqlstore.Store, error) {
		return postgres.Open(link.DSN, store.Options{MaxConns: 4})
	})
	node, tokens := c.nodes[0], c.known(c.user("alice"), 2)
	is := func(what, query string) {
		c.eventually(what, func() bool {
			var yes bool
			return db.QueryRowContext(t.Context(), query).Scan(&yes) == nil && yes
		})
	}
	is("the standby has the tokens", `select count(*) = 2 from auth_token where uuid in ('`+tokens[0].UUID+`', '`+tokens[1].UUID+`')`)
	for _, query := range []string{`alter system set primary_conninfo = ''`, `select pg_reload_conf()`} {
		if _, err := db.ExecContext(t.Context(), query); err != nil {
			t.Fatal(err)
		}
	}
	is("the standby is cut off", `select not exists (select from pg_stat_wal_receiver)`)

	// What it does not get any more, and the node reads.
	for range 200 {
		c.exec(`update auth_tenant set phone = '1'`)
	}
	before, _ := node.FeedStatus()
	if feed.Poll == 0 {
		c.cutListeners()
		c.eventually("the node reads the log", func() bool {
			s, _ := node.FeedStatus()
			return s.Losses > before.Losses && s.State == revocation.Live
		})
	} else {
		c.exec(`update auth_tenant set slug = 'noticed' where slug is null or uuid = parent_uuid`)
		c.eventually("the node reads the log", func() bool {
			s, _ := node.FeedStatus()
			return s.Changes > before.Changes
		})
	}

	link.Cut()
	if err := primary.Kill(); err != nil {
		t.Fatal(err)
	}
	c.eventually("the node notices", func() bool {
		s, _ := node.FeedStatus()
		return s.State == revocation.Lost
	})
	if _, err := db.ExecContext(t.Context(), `select pg_promote()`); err != nil {
		t.Fatal(err)
	}
	is("the standby is the primary", `select not pg_is_in_recovery()`)
	if _, err := db.ExecContext(t.Context(), `delete from auth_token where uuid = $1`, tokens[0].UUID); err != nil {
		t.Fatal(err)
	}
	for range transactions {
		if _, err := db.ExecContext(t.Context(), `update auth_tenant set phone = '2'`); err != nil {
			t.Fatal(err)
		}
	}
	if err := link.Move(standby.DSN); err != nil {
		t.Fatal(err)
	}
	link.Mend()
	c.live()
	if d := decide(node, tokens[0].UUID, ""); d.Verdict != guard.Unauthenticated {
		t.Errorf("a token revoked on the new primary: %v", d.Verdict)
	}
	c.eventually("the other is served from memory", func() bool {
		d := decide(node, tokens[1].UUID, "")
		return d.Verdict == guard.Allow && d.State == grant.Hit
	})
}
