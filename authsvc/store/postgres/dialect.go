package postgres

import (
	"context"
	"database/sql"
	_ "embed"
	"errors"
	"fmt"

	"github.com/lib/pq"
	"github.com/lib/pq/pqerror"

	"github.com/wazo-edge/xivo-auth/authsvc/store"
	"github.com/wazo-edge/xivo-auth/authsvc/store/sqlstore"
)

//go:embed schema.sql
var schemaSQL string

// Advisory locks share one space per database; the first key sets ours apart
// from what other programs may use.
const (
	sqlLockSchema = `select pg_advisory_xact_lock(2020766831, 1)`
	sqlLockLogins = `select pg_advisory_xact_lock(2020766831, 2)`
	sqlLockTree   = `select pg_advisory_xact_lock(2020766831, 3)`
	sqlLockUser   = `select uuid from auth_user where uuid = $1 for update`
)

const sqlListTables = `select name from unnest(cast($1 as text[])) as known (name) where to_regclass(name) is not null`

// The extension's functions may live in a schema outside the search_path,
// and the defaults below call them by their bare name.
const (
	sqlExtension     = `create extension if not exists "uuid-ossp"`
	sqlFindExtension = `
select set_config('search_path', current_setting('search_path') || ', ' || quote_ident(n.nspname), true)
from pg_extension e
join pg_namespace n on n.oid = e.extnamespace
where e.extname = 'uuid-ossp' and to_regprocedure('uuid_generate_v4()') is null`
)

// dialect is Postgres. It has no state.
type dialect struct{}

var _ sqlstore.Dialect = dialect{}

// Rebind has nothing to do: the statements are written this way.
func (dialect) Rebind(query string) string { return query }

// List wraps v as text[].
func (dialect) List(v []string) any {
	if v == nil {
		v = []string{}
	}
	return pq.StringArray(v)
}

// ScanList reads text[].
func (dialect) ScanList(dst *[]string) sql.Scanner { return (*list)(dst) }

// SingleWriter is false: rows are locked, not the database.
func (dialect) SingleWriter() bool { return false }

func (dialect) LockLogins() string { return sqlLockLogins }
func (dialect) LockTree() string   { return sqlLockTree }
func (dialect) LockUser() string   { return sqlLockUser }
func (dialect) LockSchema() string { return sqlLockSchema }
func (dialect) ListTables() string { return sqlListTables }

// CreateTables creates the extension, if the role may, and the tables.
func (dialect) CreateTables(ctx context.Context, tx *sql.Tx) error {
	if _, err := tx.ExecContext(ctx, sqlExtension); err != nil {
		if pqErr := pq.As(err, pqerror.InsufficientPrivilege, pqerror.FeatureNotSupported, pqerror.UndefinedFile); pqErr != nil {
			return fmt.Errorf(`%w: the extension "uuid-ossp" is missing and this role or server cannot create it; `+
				`have a superuser run: create extension "uuid-ossp": %w`, store.ErrSchema, err)
		}
		return err
	}
	if _, err := tx.ExecContext(ctx, sqlFindExtension); err != nil {
		return err
	}
	_, err := tx.ExecContext(ctx, schemaSQL)
	return err
}

// CreateIndex lets others write meanwhile, which takes two scans of the table,
// and leaves an index that is not valid behind when it is interrupted.
func (dialect) CreateIndex(i sqlstore.Index) string {
	return `create index concurrently if not exists ` + i.Name + ` on ` + i.Table + ` (` + i.Columns + `)`
}

// ListIndexes finds them where unqualified statements would.
func (dialect) ListIndexes() string {
	return `select name from unnest(cast($1 as text[])) as known (name)
join pg_index i on i.indexrelid = to_regclass(name) and i.indisvalid`
}

var (
	//go:embed log.sql
	logSQL string
	//go:embed log_drop.sql
	logDropSQL string
)

// LogVersion is that of log.sql.
func (dialect) LogVersion() int { return 2 }

// CreateLog runs log.sql.
func (dialect) CreateLog(ctx context.Context, tx *sql.Tx) error {
	_, err := tx.ExecContext(ctx, logSQL)
	return err
}

// DropLog runs log_drop.sql.
func (dialect) DropLog(ctx context.Context, tx *sql.Tx) error {
	_, err := tx.ExecContext(ctx, logDropSQL)
	return err
}

// Clock is that of the server.
func (dialect) Clock() string { return `cast(floor(extract(epoch from clock_timestamp())) as bigint)` }

// LogHistory is one run of one server, and this log in it. Transactions, by which
// entries are numbered, go on across a restart, but a standby that takes over
// numbers its own from where it was, which the old primary may have passed. What
// would tell exactly that, the timeline, is not everywhere for an ordinary role
// to read; when the server was started is, and two do not start in one
// microsecond. The price is that everything is looked up again after a restart.
// A standby that a log is read from and that is promoted is still the same run.
func (dialect) LogHistory() string {
	return `concat_ws('/', cast(extract(epoch from pg_postmaster_start_time()) * 1000000 as bigint), pg_is_in_recovery(),
	(select oid from pg_database where datname = current_database()), cast(to_regclass('xivo_edge_revocation') as oid))`
}

// LogEnd is the oldest transaction that is still under way: entries of all
// older ones are visible or never will be.
func (dialect) LogEnd() string { return `txid_snapshot_xmin(txid_current_snapshot())` }

// LogSeen is the snapshot: which transactions are under way and which are not
// is all there is to know about what it sees.
func (dialect) LogSeen() string { return `cast(txid_current_snapshot() as text)` }

// LogUnseen goes by that. Without it a reader would get all entries again and
// again that are younger than the oldest transaction under way, and have
// everything doubted again and again for one of them.
func (dialect) LogUnseen() string {
	return `($2 = '' or not txid_visible_in_snapshot(r.pos, cast(coalesce(nullif($2, ''), '1:1:') as txid_snapshot)))`
}

// list scans text[] and leaves out NULL elements, which grant nothing.
type list []string

// Scan implements [sql.Scanner].
func (l *list) Scan(src any) error {
	var plain pq.StringArray
	if err := plain.Scan(src); err == nil {
		if plain == nil {
			plain = pq.StringArray{}
		}
		*l = list(plain)
		return nil
	}
	var nullable []sql.NullString
	if err := pq.Array(&nullable).Scan(src); err != nil {
		return err
	}
	*l = make(list, 0, len(nullable))
	for _, v := range nullable {
		if v.Valid {
			*l = append(*l, v.String)
		}
	}
	return nil
}

// Classify goes by SQLSTATE.
func (dialect) Classify(err error) sqlstore.Kind {
	switch {
	case errors.Is(err, errLost):
		return sqlstore.KindLost
	case errors.Is(err, errConnect):
		return sqlstore.KindUnavailable
	}
	var e *pq.Error
	if !errors.As(err, &e) {
		return sqlstore.KindOther
	}
	code := e.SQLState()
	if kind, ok := kinds[code]; ok {
		return kind
	}
	if len(code) == 5 {
		return classes[code[:2]]
	}
	return sqlstore.KindOther
}

// kinds are the codes that mean something else than their class.
var kinds = map[string]sqlstore.Kind{
	"23503": sqlstore.KindNotFound,    // foreign key
	"23505": sqlstore.KindConflict,    // unique
	"23502": sqlstore.KindInvalid,     // not null
	"23514": sqlstore.KindInvalid,     // check
	"25006": sqlstore.KindUnavailable, // writing on a standby: a failover is under way
	"40001": sqlstore.KindRetry,       // serialization
	"40P01": sqlstore.KindRetry,       // deadlock
	"42501": sqlstore.KindSchema,      // privilege
	"42703": sqlstore.KindSchema,      // column
	"42883": sqlstore.KindSchema,      // function
	"42P01": sqlstore.KindSchema,      // table
	"42P07": sqlstore.KindSchema,      // table exists
	"42710": sqlstore.KindSchema,      // object exists
	"55P03": sqlstore.KindUnavailable, // lock timeout
}

// classes are what the first two characters of a code mean.
var classes = map[string]sqlstore.Kind{
	"08": sqlstore.KindUnavailable,
	"22": sqlstore.KindInvalid,
	"3F": sqlstore.KindSchema,
	"53": sqlstore.KindUnavailable,
	"54": sqlstore.KindInvalid, // too large for an index, say
	"57": sqlstore.KindUnavailable,
	"58": sqlstore.KindUnavailable,
}
