package sqlstore

import (
	"context"
	"database/sql"
	"fmt"
	"sync"
)

const sqlPing = `select 1`

// statements are all statements in the dialect's form.
type statements struct {
	ping string

	token string

	userAccesses, tenantTree string

	refreshCredentials, mayLogIn, countSessions, insertRefresh, replacedRefresh string
	refreshTokens, deleteSessions, deleteRefreshTokens, isAdmin                 string
	deleteRefresh, sessionTokens, deleteSession                                 string
	userTokens, userRefreshTokens                                               string

	listTables, revision string

	clock string

	logVersion, logStamp, logEnd, logRead, logPruned, logPrune string
}

func rebind(d Dialect) statements {
	return statements{
		ping: d.Rebind(sqlPing),

		token: d.Rebind(sqlToken),

		userAccesses: d.Rebind(sqlUserAccesses),
		tenantTree:   d.Rebind(sqlTenantTree),

		refreshCredentials:  d.Rebind(sqlRefreshCredentials),
		mayLogIn:            d.Rebind(sqlMayLogIn),
		countSessions:       d.Rebind(sqlCountSessions),
		insertRefresh:       d.Rebind(sqlInsertRefresh),
		replacedRefresh:     d.Rebind(sqlReplacedRefresh),
		refreshTokens:       d.Rebind(sqlRefreshTokens),
		deleteSessions:      d.Rebind(sqlDeleteSessions),
		deleteRefreshTokens: d.Rebind(sqlDeleteRefreshTokens),
		isAdmin:             d.Rebind(sqlIsAdmin),

		deleteRefresh: d.Rebind(sqlDeleteRefresh),
		sessionTokens: d.Rebind(sqlSessionTokens),
		deleteSession: d.Rebind(sqlDeleteSession),

		userTokens:        d.Rebind(sqlUserTokens),
		userRefreshTokens: d.Rebind(sqlUserRefreshTokens),

		listTables: d.Rebind(d.ListTables()),
		revision:   d.Rebind(sqlRevision),

		logVersion: d.Rebind(sqlLogVersion),
		logStamp:   d.Rebind(sqlLogStamp),
		clock:      fmt.Sprintf(sqlClock, d.Clock()),
		logEnd:     fmt.Sprintf(sqlLogEnd, d.LogHistory(), d.LogEnd(), d.LogSeen()),
		logRead:    d.Rebind(fmt.Sprintf(sqlLogRead, d.LogHistory(), d.LogEnd(), d.LogSeen(), d.LogUnseen())),
		logPruned:  d.Rebind(fmt.Sprintf(sqlLogPruned, d.LogEnd())),
		logPrune:   d.Rebind(sqlLogPrune),
	}
}

// texts keeps statements in the dialect's form by the text they are written as.
// There are as many as the program has, so it needs no bound: statements that
// are put together from parts do not come here.
type texts struct {
	dialect Dialect
	known   sync.Map // string to string
}

func (t *texts) of(query string) string {
	if text, ok := t.known.Load(query); ok {
		return text.(string)
	}
	text, _ := t.known.LoadOrStore(query, t.dialect.Rebind(query))
	return text.(string)
}

// statement runs statements that are written the Postgres way, on the pool or
// in a transaction.
type statement struct {
	texts *texts
	on    executor
}

// executor is a pool or a transaction.
type executor interface {
	Queryer
	ExecContext(ctx context.Context, query string, args ...any) (sql.Result, error)
	QueryRowContext(ctx context.Context, query string, args ...any) *sql.Row
}

// exec returns how many rows that touched.
func (q statement) exec(ctx context.Context, query string, args ...any) (int64, error) {
	res, err := q.on.ExecContext(ctx, q.texts.of(query), args...)
	if err != nil {
		return 0, err
	}
	return res.RowsAffected()
}

// must is exec that touches a row, or fails with [sql.ErrNoRows].
func (q statement) must(ctx context.Context, query string, args ...any) error {
	n, err := q.exec(ctx, query, args...)
	if err == nil && n == 0 {
		err = sql.ErrNoRows
	}
	return err
}

func (q statement) row(ctx context.Context, query string, args ...any) *sql.Row {
	return q.on.QueryRowContext(ctx, q.texts.of(query), args...)
}

// rows reads all rows of a query.
func rows[T any](ctx context.Context, q statement, scan func(*sql.Rows) (T, error), query string, args ...any) ([]T, error) {
	return collect(ctx, q.on, scan, q.texts.of(query), args...)
}

// lock waits for a lock of the dialect, which the transaction holds to its end.
func (q statement) lock(ctx context.Context, lock string, args ...any) error {
	if lock == "" {
		return nil
	}
	_, err := q.on.ExecContext(ctx, lock, args...)
	return err
}

// view runs f, which only reads, on the pool.
func (s *Store) view(ctx context.Context, op string, f func(context.Context, statement) error) error {
	return s.call(ctx, op, read, func(ctx context.Context) error { return f(ctx, statement{&s.texts, s.db}) })
}

// change runs f in a transaction, all or nothing. It runs f again when the
// database refused a value that somebody else has: he may have stored it since
// f looked, who finds it now and can tell what it is.
func (s *Store) change(ctx context.Context, op string, f func(context.Context, statement) error) error {
	return s.call(ctx, op, write, func(ctx context.Context) error {
		tx := func(tx *sql.Tx) error { return f(ctx, statement{&s.texts, tx}) }
		err := InTx(ctx, s.db, tx)
		if err != nil && s.classify(err) == KindConflict {
			err = InTx(ctx, s.db, tx)
		}
		return err
	})
}

// scanner is a [sql.Row] or [sql.Rows].
type scanner interface{ Scan(dest ...any) error }

// one reads the row that a query finds by text; [store.ErrNotFound] when there
// is none, as of text that no row can have.
func one[T any](ctx context.Context, s *Store, op string, scan func(scanner) (T, error), query string, keys ...string) (v T, err error) {
	args := make([]any, len(keys))
	for i, key := range keys {
		if !searchable(key) {
			return v, notFound(op)
		}
		args[i] = key
	}
	err = s.view(ctx, op, func(ctx context.Context, q statement) (err error) {
		v, err = scan(q.row(ctx, query, args...))
		return err
	})
	if err != nil {
		var none T
		return none, err
	}
	return v, nil
}
