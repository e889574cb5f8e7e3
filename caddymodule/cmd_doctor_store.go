package caddymodule

import (
	"context"
	"database/sql"
	"errors"
	"os"
	"runtime"
	"slices"
	"strings"
	"time"

	"github.com/wazo-edge/xivo-auth/authsvc/store"
	"github.com/wazo-edge/xivo-auth/authsvc/store/postgres"
	"github.com/wazo-edge/xivo-auth/authsvc/store/sqlite"
	"github.com/wazo-edge/xivo-auth/authsvc/store/sqlstore"
)

// doctorTimeout bounds every single question to the database.
const doctorTimeout = 10 * time.Second

// database makes the checks that need one. Each stands on those before it.
func (d *doctor) database(ctx context.Context) {
	dsn, path := whichDSN(d.dsn)
	o := store.Options{MaxConns: 4, Timeout: doctorTimeout, ListenDSN: d.listen}
	var st *sqlstore.Store
	var err error
	if path != nil {
		if !d.file(*path) {
			return
		}
		st, err = sqlite.OpenReadOnly(*path, o)
	} else {
		st, err = postgres.Open(dsn, o)
	}
	if err != nil {
		d.fail("database", "Check --dsn and XIVO_AUTH_DSN.", "%v", err)
		return
	}
	defer func() { _ = st.Close() }()
	trip, ok := d.reach(ctx, st)
	if !ok || path == nil && !d.rights(ctx, st) || !d.schema(ctx, st) {
		return
	}
	d.indexes(ctx, st)
	if path == nil {
		d.log(ctx, st, postgresTriggers, sqlPostgresTriggers)
		d.postgres(ctx, st, trip)
	} else {
		d.log(ctx, st, sqliteTriggers, sqlSQLiteTriggers)
	}
	d.size(ctx, st)
}

// file checks that there is one, which opening would not tell, and that it is
// nobody else's.
func (d *doctor) file(path string) bool {
	info, err := os.Stat(path)
	switch {
	case errors.Is(err, os.ErrNotExist):
		d.fail("file", "Run xivo-auth migrate, or check --dsn.", "there is no file %s", path)
		return false
	case err != nil:
		d.fail("file", "Check --dsn, and run this as the user the server runs as.", "%v", err)
		return false
	case info.IsDir():
		d.fail("file", "Check --dsn.", "%s is a directory", path)
		return false
	case runtime.GOOS != "windows" && info.Mode().Perm()&0o077 != 0:
		d.warn("file", "It holds hashes of passwords and tokens: chmod 600 it and the files beside it.", "%s is open to others: %s", path, info.Mode().Perm())
	default:
		d.ok("file", "%s", path)
	}
	return true
}

// reach measures the way to the database and back.
func (d *doctor) reach(ctx context.Context, st *sqlstore.Store) (trip time.Duration, ok bool) {
	trips := make([]time.Duration, 0, 5)
	if err := st.Ping(ctx); err != nil { // the first one connects
		d.fail("database", "Check that the database runs, that --dsn names it, and what its log says.", "%s", withoutSecrets(err.Error()))
		return 0, false
	}
	for range cap(trips) {
		began := time.Now()
		if err := st.Ping(ctx); err != nil {
			d.fail("database", "It answered once and then no more: look at the network and at its log.", "%s", withoutSecrets(err.Error()))
			return 0, false
		}
		trips = append(trips, time.Since(began))
	}
	slices.Sort(trips)
	trip = trips[len(trips)/2]
	if trip > d.worry.trip {
		d.warn("database", "Run the node closer to its database, or expect every token that is not in memory to wait so long.", "answers in %s", trip.Round(time.Microsecond))
	} else {
		d.ok("database", "answers in %s", trip.Round(time.Microsecond))
	}
	return trip, true
}

func (d *doctor) schema(ctx context.Context, st *sqlstore.Store) bool {
	state, err := st.State(ctx)
	switch {
	case errors.Is(err, store.ErrSchema):
		d.fail("schema", "The service answers 503 on this database. Nothing was changed.", "%v", err)
	case err != nil:
		d.fail("schema", "Look at the log of the database.", "%v", err)
	case state == store.SchemaEmpty:
		d.fail("schema", "Run xivo-auth migrate, or check --dsn.", "the database is empty")
	default:
		d.ok("schema", "revision %s", sqlstore.Revision)
		return true
	}
	return false
}

// indexes looks for those that the historical schema lacks.
func (d *doctor) indexes(ctx context.Context, st *sqlstore.Store) {
	missing, err := st.MissingIndexes(ctx)
	switch {
	case err != nil:
		d.fail("indexes", "Look at the log of the database.", "%v", err)
	case len(missing) > 0:
		d.warn("indexes", "Run xivo-auth migrate as the owner of the tables: logins and lists of a large stack are slow without.",
			"missing: %s", strings.Join(missing, ", "))
	default:
		d.ok("indexes", "all there")
	}
}

// What log.sql of each database makes, and queries for what is there and fires.
var (
	postgresTriggers = []string{
		"auth_token.xivo_edge_ended", "auth_token.xivo_edge_changed", "auth_token.xivo_edge_emptied",
		"auth_user.xivo_edge_deleted", "auth_user.xivo_edge_moved", "auth_user.xivo_edge_emptied",
		"auth_tenant.xivo_edge_added", "auth_tenant.xivo_edge_deleted", "auth_tenant.xivo_edge_moved", "auth_tenant.xivo_edge_emptied",
	}
	sqliteTriggers = []string{
		"auth_token.xivo_edge_ended", "auth_token.xivo_edge_changed", "auth_user.xivo_edge_deleted", "auth_user.xivo_edge_moved",
		"auth_tenant.xivo_edge_tenants_inserted", "auth_tenant.xivo_edge_tenants_updated", "auth_tenant.xivo_edge_tenants_deleted",
	}
)

const (
	sqlPostgresTriggers = `select c.relname || '.' || t.tgname, t.tgenabled in ('O', 'A')
from pg_trigger t join pg_class c on c.oid = t.tgrelid
where t.tgname like 'xivo\_edge\_%' and t.tgrelid in (to_regclass('auth_token'), to_regclass('auth_user'), to_regclass('auth_tenant'))`

	sqlSQLiteTriggers = `select tbl_name || '.' || name, 1 from sqlite_schema where type = 'trigger' and name like 'xivo\_edge\_%' escape '\'`
)

// log checks that whoever writes leaves an entry in the feed's log. query
// lists the triggers there are, and whether they fire.
func (d *doctor) log(ctx context.Context, st *sqlstore.Store, want []string, query string) {
	_, err := st.LogEnd(ctx)
	switch {
	case errors.Is(err, store.ErrSchema) && d.feed == feedOff:
		d.ok("feed log", "not installed, and the server does without")
		return
	case errors.Is(err, store.ErrSchema):
		d.warn("feed log", "Run xivo-auth migrate, unless the configuration says `feed off`.",
			"not installed: what is revoked elsewhere is noticed within max_age")
		return
	case err != nil:
		d.fail("feed log", "Look at the log of the database.", "%v", err)
		return
	}
	firing := map[string]bool{}
	err = eachRow(ctx, st.DB(), query, func(rows *sql.Rows) error {
		var name string
		var fires bool
		err := rows.Scan(&name, &fires)
		firing[name] = fires
		return err
	})
	if err != nil {
		d.fail("feed log", "Look at the log of the database.", "reading its triggers: %v", err)
		return
	}
	var missing, disabled []string
	for _, name := range want {
		fires, there := firing[name]
		switch {
		case !there:
			missing = append(missing, name)
		case !fires:
			disabled = append(disabled, name)
		}
	}
	switch {
	case missing != nil:
		d.fail("feed log", "Run xivo-auth migrate --remove-feed and then xivo-auth migrate, which makes them anew.",
			"triggers are missing, so revocations made elsewhere are not told: %s", strings.Join(missing, ", "))
	case disabled != nil:
		d.fail("feed log", "Enable them: alter table <table> enable trigger <trigger>.",
			"triggers are disabled, so revocations made elsewhere are not told: %s", strings.Join(disabled, ", "))
	default:
		d.ok("feed log", "installed, with %d triggers", len(want))
	}
}

// size compares the tokens there are with those that fit into the cache.
func (d *doctor) size(ctx context.Context, st *sqlstore.Store) {
	var tokens int
	ctx, cancel := context.WithTimeout(ctx, doctorTimeout)
	defer cancel()
	err := st.DB().QueryRowContext(ctx, st.Rebind(`select count(*) from auth_token where expire_t >= $1`), time.Now().Unix()).Scan(&tokens)
	switch {
	case err != nil:
		d.fail("cache", "Look at the log of the database.", "counting tokens: %v", err)
	case tokens > d.grants:
		d.warn("cache", "Raise cache.grants: a token in memory takes some 400 bytes, a question to the database takes a round trip.",
			"%d tokens are valid and %d fit", tokens, d.grants)
	default:
		d.ok("cache", "%d tokens are valid and %d fit", tokens, d.grants)
	}
}

// eachRow runs a query and read on each of its rows.
func eachRow(ctx context.Context, db *sql.DB, query string, read func(*sql.Rows) error) error {
	ctx, cancel := context.WithTimeout(ctx, doctorTimeout)
	defer cancel()
	rows, err := db.QueryContext(ctx, query)
	if err != nil {
		return err
	}
	defer func() { _ = rows.Close() }()
	for rows.Next() {
		if err := read(rows); err != nil {
			return err
		}
	}
	return rows.Err()
}
