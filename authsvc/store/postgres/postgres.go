// Package postgres opens a store in PostgreSQL (12 or later), on the very
// schema of the historical service: both can work on one database.
package postgres

import (
	"database/sql"
	"errors"
	"os"
	"strings"
	"time"

	"github.com/lib/pq"

	"github.com/wazo-edge/xivo-auth/authsvc/store"
	"github.com/wazo-edge/xivo-auth/authsvc/store/sqlstore"
)

// applicationName tells operators in pg_stat_activity who is connected.
const applicationName = "xivo-auth"

// errDSN names no cause: whatever a parser says about a connection string may
// quote the password in it.
var errDSN = errors.New("postgres: the connection string cannot be understood (what is wrong is not repeated here " +
	"because it may hold a password): want postgres://user:password@host:5432/database?sslmode=… with special " +
	"characters percent-encoded, or host=… dbname=… user=… password='…' sslmode=…")

// Open returns a store on the database that dsn names, a URL of scheme
// postgres or postgresql or a list of key=value pairs, completed by the usual
// PG… variables of the environment. It does not connect: an unreachable
// server shows at the first call, as [store.ErrUnavailable].
//
// Without connect_timeout the store's timeout bounds connecting, too. Queries
// go in one message without named statements, so a pooler in transaction mode
// may stand between.
func Open(dsn string, o store.Options) (*sqlstore.Store, error) {
	o = o.Defaults()
	cfg, err := config(dsn, o)
	if err != nil {
		return nil, err
	}
	direct := o.ListenDSN
	if direct == "" {
		direct = dsn
	}
	listenCfg, err := config(direct, o)
	if err != nil {
		return nil, err
	}
	s := sqlstore.New(sql.OpenDB(newConnector(cfg)), dialect{}, o)
	var r *replica
	if o.ReplicaDSN != "" {
		replicaCfg, err := config(o.ReplicaDSN, o)
		if err != nil {
			return nil, err
		}
		r = &replica{
			db: sql.OpenDB(newConnector(replicaCfg)), classify: s.Classify, budget: o.Timeout / replicaShare, log: o.Log,
		}
		sqlstore.LimitPool(r.db, o)
		s.OnReplica(r)
	}
	s.OnListen(listen(listenDSN(direct, listenCfg), o.Timeout,
		func() *echo { return newEcho(s.DB(), o.Log, o.Timeout) }, func() *fence { return newFence(r, s.DB()) }))
	return s, nil
}

// config completes what dsn says.
func config(dsn string, o store.Options) (pq.Config, error) {
	cfg, err := pq.NewConfig(dsn)
	if err != nil {
		return pq.Config{}, errDSN
	}
	if cfg.ConnectTimeout <= 0 {
		// The option counts in whole seconds.
		cfg.ConnectTimeout = max(o.Timeout.Round(time.Second), time.Second)
	}
	if cfg.ApplicationName == "" {
		cfg.ApplicationName = applicationName
	}
	if !strings.Contains(dsn, "sslmode") && os.Getenv("PGSSLMODE") == "" {
		// What libpq does, so that the connection string of the historical
		// service works as it is. Say sslmode=verify-full where the network
		// is not yours: this one does not stop who sits in the middle.
		cfg.SSLMode = pq.SSLModePrefer
	}
	// Parse, bind and execute travel together: one round trip, not two.
	cfg.BinaryParameters = true
	return cfg, nil
}

// Way tells how [Open] gets to the database that dsn names: the host, which is
// a name, an address or the directory of a socket, and the sslmode, with the
// defaults and the environment taken into account. It connects to nothing.
func Way(dsn string) (host, sslmode string, err error) {
	cfg, err := config(dsn, store.Options{}.Defaults())
	if err != nil {
		return "", "", err
	}
	host = cfg.Host
	if cfg.Hostaddr.IsValid() {
		host = cfg.Hostaddr.String()
	}
	return host, string(cfg.SSLMode), nil
}
