package caddymodule

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"strings"
	"time"

	"github.com/google/uuid"
	"github.com/lib/pq"

	"github.com/wazo-edge/xivo-auth/authsvc/store"
	"github.com/wazo-edge/xivo-auth/authsvc/store/postgres"
	"github.com/wazo-edge/xivo-auth/authsvc/store/sqlstore"
)

// postgres makes the checks that only a server needs.
func (d *doctor) postgres(ctx context.Context, st *sqlstore.Store, trip time.Duration) {
	if d.feed != "poll" && d.feed != feedOff {
		d.news(ctx, st)
	}
	d.clock(ctx, st, trip)
	d.connections(ctx, st)
	d.encryption(ctx, st)
}

// sqlRights lists what the role may not do with the tables of the schema that
// the service works in, and with those of the log: nothing of a database
// without them.
const sqlRights = `select c.relname, string_agg(r.name, ', ' order by r.name)
from pg_class c
cross join unnest(array['select', 'insert', 'update', 'delete']) as r (name)
where c.relkind in ('r', 'p') and not has_table_privilege(c.oid, r.name) and (
	c.relname like 'auth\_%' and c.relnamespace = (select relnamespace from pg_class where oid = to_regclass('auth_token'))
	or r.name = 'select' and c.oid in (to_regclass('alembic_version_auth'), to_regclass('xivo_edge_revocation'), to_regclass('xivo_edge_state'))
	or r.name = 'delete' and c.oid = to_regclass('xivo_edge_revocation')
	or r.name = 'update' and c.oid = to_regclass('xivo_edge_state')
)
group by c.relname order by c.relname`

// rights checks that the role may do what the service does.
func (d *doctor) rights(ctx context.Context, st *sqlstore.Store) bool {
	var readOnly string
	err := eachRow(ctx, st.DB(), `select current_setting('transaction_read_only')`, func(rows *sql.Rows) error { return rows.Scan(&readOnly) })
	var lacking []string
	if err == nil {
		err = eachRow(ctx, st.DB(), sqlRights, func(rows *sql.Rows) error {
			var table, what string
			err := rows.Scan(&table, &what)
			lacking = append(lacking, table+" ("+what+")")
			return err
		})
	}
	switch {
	case err != nil:
		d.fail("rights", "Look at the log of the database.", "%s", withoutSecrets(err.Error()))
	case readOnly == "on":
		d.fail("rights", "Name the primary, not a replica; or look for default_transaction_read_only among the settings of role and database.",
			"the database takes no writes from here: nobody can log in or out")
	case lacking != nil:
		d.fail("rights", "As the owner of the tables: grant select, insert, update, delete on all tables in schema <schema> to <role>.",
			"the role lacks %s", strings.Join(lacking, ", "))
	default:
		d.ok("rights", "the role may do what the service does")
		return true
	}
	return false
}

// errHeard ends the listening.
var errHeard = errors.New("heard")

// newsEcho listens for a token's end that it sends itself.
type newsEcho struct {
	send  func(change string) error
	token string
	sent  time.Time
	took  time.Duration
	heard func()
}

// Ready implements [store.Listener].
func (e *newsEcho) Ready() error {
	e.sent = time.Now()
	return e.send(string(store.TokensEnded) + " " + e.token)
}

// Changed implements [store.Listener].
func (e *newsEcho) Changed(c store.Change) {
	if len(c.IDs) == 1 && c.IDs[0] == e.token {
		e.took = time.Since(e.sent)
		e.heard()
	}
}

// Alive implements [store.Listener].
func (*newsEcho) Alive(time.Duration) {}

// news sends one over the feed's channel and measures how long it takes. It
// says that a token ended that never was: nodes note that and forget it.
func (d *doctor) news(ctx context.Context, st *sqlstore.Store) {
	ctx, cancel := context.WithTimeoutCause(ctx, d.worry.silence, errors.New("nothing was heard"))
	defer cancel()
	ctx, stop := context.WithCancelCause(ctx)
	defer stop(nil)
	e := &newsEcho{token: uuid.NewString(), heard: func() { stop(errHeard) }, send: func(change string) error {
		_, err := st.DB().ExecContext(ctx, `select pg_notify('xivo_edge', $1)`, change)
		return err
	}}
	err := st.Listen(ctx, e)
	switch {
	case e.took == 0:
		if cause := context.Cause(ctx); cause != nil {
			err = cause
		}
		d.fail("feed news", "A pooler in transaction mode cannot listen: name a direct connection (listen), or read the log instead (feed poll).",
			"%s", withoutSecrets(err.Error()))
	case e.took > d.worry.news:
		d.warn("feed news", "Revocations made elsewhere are that late here: look at the load of the database and at the network.", "heard after %s", e.took.Round(time.Microsecond))
	default:
		d.ok("feed news", "heard after %s", e.took.Round(time.Microsecond))
	}
}

// clock compares this machine's with the database's.
func (d *doctor) clock(ctx context.Context, st *sqlstore.Store, trip time.Duration) {
	var there float64
	began := d.now()
	err := eachRow(ctx, st.DB(), `select extract(epoch from clock_timestamp())`, func(rows *sql.Rows) error { return rows.Scan(&there) })
	if err != nil {
		d.fail("clock", "Look at the log of the database.", "reading its clock: %v", err)
		return
	}
	middle := began.Add(d.now().Sub(began) / 2)
	apart := time.Duration(there*float64(time.Second)) - time.Duration(middle.UnixNano())
	precision := time.Millisecond
	if max(apart, -apart) > time.Minute {
		precision = time.Second // somebody has set it, and nobody cares when
	}
	detail := fmt.Sprintf("the database is %s ahead", apart.Round(precision))
	if apart < 0 {
		detail = fmt.Sprintf("the database is %s behind", (-apart).Round(precision))
	}
	const advice = "Have both machines follow a time server: tokens expire, and revocations are sorted from expiries, by these clocks."
	switch apart = max(apart, -apart) - trip; {
	case apart > d.worry.clockFail:
		d.fail("clock", advice, "%s", detail)
	case apart > d.worry.clock:
		d.warn("clock", advice, "%s", detail)
	default:
		d.ok("clock", "%s", detail)
	}
}

// sqlConnections tells how many connections the role may have to this database,
// and how many of them are left beside those of other programs. What a role may
// not see of other backends is null.
const sqlConnections = `with others as (
	select datname, usename from pg_stat_activity
	where datid is not null and coalesce(backend_type, 'client backend') = 'client backend' and application_name <> 'xivo-auth'
), limits (allowed, held) as (
	select cast(current_setting('max_connections') as int) - cast(current_setting('superuser_reserved_connections') as int)
		- cast(coalesce(current_setting('reserved_connections', true), '0') as int), (select count(*) from others)
	union all
	select rolconnlimit, (select count(*) from others where usename = current_user) from pg_roles where rolname = current_user and rolconnlimit >= 0
	union all
	select datconnlimit, (select count(*) from others where datname = current_database()) from pg_database where datname = current_database() and datconnlimit >= 0
)
select min(allowed), min(allowed - held) from limits`

// connections checks that the pool fits into what the database allows. One more
// connection listens.
func (d *doctor) connections(ctx context.Context, st *sqlstore.Store) {
	var allowed, left int
	err := eachRow(ctx, st.DB(), sqlConnections, func(rows *sql.Rows) error { return rows.Scan(&allowed, &left) })
	if err != nil {
		d.fail("connections", "Look at the log of the database.", "counting connections: %v", err)
		return
	}
	need := d.maxConns + 1
	detail := fmt.Sprintf("the database allows %d, other programs leave %d, a node takes up to %d", allowed, max(0, left), need)
	switch {
	case need > allowed:
		d.fail("connections", "Lower max_conns of the store, or raise max_connections of the database (or the limit of its own or of the role).", "%s", detail)
	case need > left:
		d.warn("connections", "Under load logins and misses of the cache will wait or fail: lower max_conns, or raise max_connections.", "%s", detail)
	default:
		d.ok("connections", "%s: nodes that fit: %d", detail, left/need)
	}
}

// encryption tells whether somebody in between can read or change what is said.
func (d *doctor) encryption(ctx context.Context, st *sqlstore.Store) {
	dsn, _ := whichDSN(d.dsn)
	host, mode, err := postgres.Way(dsn)
	var encrypted sql.NullBool
	if err == nil {
		err = eachRow(ctx, st.DB(), `select ssl from pg_stat_ssl where pid = pg_backend_pid()`, func(rows *sql.Rows) error { return rows.Scan(&encrypted) })
	}
	switch {
	case err != nil:
		d.fail("sslmode", "Look at the log of the database.", "asking about encryption: %v", err)
	case onThisMachine(ctx, host):
		d.ok("sslmode", "%s, and the way to the database does not leave this machine", mode)
	case !encrypted.Bool:
		d.warn("sslmode", "Hashes of passwords and tokens travel in clear: turn TLS on in the database and say sslmode=verify-full.", "%s, and the connection is not encrypted", mode)
	case mode != string(pq.SSLModeVerifyFull):
		d.warn("sslmode", "Say sslmode=verify-full (with sslrootcert): nothing else stops who sits in the middle.", "%s, and the connection is encrypted", mode)
	default:
		d.ok("sslmode", "%s", mode)
	}
}

// onThisMachine reports whether host is a socket or the loopback interface.
func onThisMachine(ctx context.Context, host string) bool {
	if strings.HasPrefix(host, "/") || strings.HasPrefix(host, "@") {
		return true
	}
	addrs, err := net.DefaultResolver.LookupNetIP(ctx, "ip", host)
	return err == nil && !slices.ContainsFunc(addrs, func(a netip.Addr) bool { return !a.Unmap().IsLoopback() })
}
