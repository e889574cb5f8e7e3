package sqlstore

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/wazo-edge/xivo-auth/authsvc/store"
)

// LogDialect is the part of a dialect that keeps the revocation log.
type LogDialect interface {
	// LogVersion grows with every change to what CreateLog makes.
	LogVersion() int
	// CreateLog makes the log's objects inside tx, replacing older ones.
	CreateLog(ctx context.Context, tx *sql.Tx) error
	// DropLog removes them, if they are there.
	DropLog(ctx context.Context, tx *sql.Tx) error
	// LogHistory is an expression for [store.Position.History].
	LogHistory() string
	// LogEnd is an expression for the number from which a later statement
	// finds everything this one does not see. It never falls in one history.
	LogEnd() string
	// LogSeen is an expression for what this statement sees from there on, and
	// LogUnseen a condition for an entry r not to be of that, as $2.
	LogSeen() string
	LogUnseen() string
}

const (
	sqlLogVersion = `select version from xivo_edge_state`
	sqlLogStamp   = `insert into xivo_edge_state (one, version) values (true, $1) on conflict (one) do update set version = excluded.version`
	sqlLogEnd     = `select %s, %s, %s from xivo_edge_state`
	// One statement, so that the position and the entries are of one instant.
	sqlLogRead = `select %s, %s, %s, s.pruned, r.kind, r.ids
from xivo_edge_state s
left join xivo_edge_revocation r on r.pos >= $1 and r.kind <> 'fence' and %s
order by r.pos`
	// What is told of the pruned entries has to be there before they are gone,
	// and only grows: entries are not as old as their numbers say. Those stay
	// that an entry which is still to come may precede: a reader who has all
	// there is would otherwise be told of a gap, again and again.
	sqlLogPruned = `update xivo_edge_state set pruned = coalesce((
	select max(pos) from xivo_edge_revocation where at < $1 and pos < %s and pos > pruned
), pruned)`
	// The second statement sees entries that the first did not.
	sqlLogPrune = `delete from xivo_edge_revocation where at < $1 and pos <= (select pruned from xivo_edge_state)`
)

// logTables are what ListTables looks for.
var logTables = []string{"xivo_edge_revocation", "xivo_edge_state"}

// InstallLog implements [store.Log].
func (s *Store) InstallLog(ctx context.Context) error {
	return s.call(ctx, "installing the revocation log", migrate, func(ctx context.Context) error {
		if have, err := s.logVersion(ctx, s.db); err != nil || have == s.dialect.LogVersion() {
			return err // nothing is locked for what is there already
		}
		return InTx(ctx, s.db, func(tx *sql.Tx) error {
			if lock := s.dialect.LockSchema(); lock != "" {
				if _, err := tx.ExecContext(ctx, lock); err != nil {
					return err
				}
			}
			have, err := s.logVersion(ctx, tx)
			if err != nil || have == s.dialect.LogVersion() {
				return err
			}
			if have > s.dialect.LogVersion() {
				return fmt.Errorf("%w: the revocation log was installed by a newer version of this program; it works for this one, too, once that has removed it",
					store.ErrSchema)
			}
			if err := s.dialect.CreateLog(ctx, tx); err != nil {
				return err
			}
			_, err = tx.ExecContext(ctx, s.q.logStamp, s.dialect.LogVersion())
			return err
		})
	})
}

// logVersion is that of the installed log, 0 for none.
func (s *Store) logVersion(ctx context.Context, q interface {
	Queryer
	QueryRowContext(ctx context.Context, query string, args ...any) *sql.Row
},
) (version int, err error) {
	found, err := Strings(ctx, q, s.q.listTables, s.dialect.List(logTables))
	if err != nil || len(found) < len(logTables) {
		return 0, err
	}
	err = q.QueryRowContext(ctx, s.q.logVersion).Scan(&version)
	if errors.Is(err, sql.ErrNoRows) {
		return 0, nil
	}
	return version, err
}

// RemoveLog implements [store.Log].
func (s *Store) RemoveLog(ctx context.Context) error {
	return s.call(ctx, "removing the revocation log", migrate, func(ctx context.Context) error {
		return InTx(ctx, s.db, func(tx *sql.Tx) error {
			if lock := s.dialect.LockSchema(); lock != "" {
				if _, err := tx.ExecContext(ctx, lock); err != nil {
					return err
				}
			}
			return s.dialect.DropLog(ctx, tx)
		})
	})
}

// LogEnd implements [store.Log].
func (s *Store) LogEnd(ctx context.Context) (end store.Position, err error) {
	err = s.call(ctx, "finding the end of the revocation log", read, func(ctx context.Context) error {
		err := s.db.QueryRowContext(ctx, s.q.logEnd).Scan(&end.History, &end.At, &end.Seen)
		if errors.Is(err, sql.ErrNoRows) {
			return fmt.Errorf("%w: the revocation log is not installed", store.ErrSchema)
		}
		return err
	})
	return end, err
}

// ReadLog implements [store.Log].
func (s *Store) ReadLog(ctx context.Context, from store.Position) (changes []store.Change, next store.Position, gap bool, err error) {
	err = s.call(ctx, "reading the revocation log", read, func(ctx context.Context) error {
		changes, next, gap = nil, store.Position{}, false
		rows, err := s.db.QueryContext(ctx, s.q.logRead, from.At, from.Seen)
		if err != nil {
			return err
		}
		defer func() { _ = rows.Close() }()
		found := false
		for rows.Next() {
			var pruned int64
			var kind, ids sql.NullString
			if err := rows.Scan(&next.History, &next.At, &next.Seen, &pruned, &kind, &ids); err != nil {
				return err
			}
			// A number of another history says nothing about this one, and one
			// that has not been reached yet is of another.
			other := from.History != "" && from.History != next.History || next.At < from.At
			found, gap = true, other || pruned > 0 && pruned >= from.At
			if kind.Valid {
				changes = append(changes, store.Change{Kind: store.ChangeKind(kind.String), IDs: strings.Fields(ids.String)})
			}
		}
		if err := rows.Err(); err != nil {
			return err
		}
		if !found {
			return fmt.Errorf("%w: the revocation log is not installed", store.ErrSchema)
		}
		return nil
	})
	return changes, next, gap, err
}

// PruneLog implements [store.Log].
func (s *Store) PruneLog(ctx context.Context, before time.Time) (pruned int, err error) {
	err = s.call(ctx, "pruning the revocation log", write, func(ctx context.Context) error {
		pruned = 0
		return InTx(ctx, s.db, func(tx *sql.Tx) error {
			for _, query := range []string{s.q.logPruned, s.q.logPrune} {
				result, err := tx.ExecContext(ctx, query, instantText(before))
				if err != nil {
					return err
				}
				n, err := result.RowsAffected()
				if err != nil {
					return err
				}
				pruned = int(n)
			}
			return nil
		})
	})
	return pruned, err
}

// ListenFunc tells changes as they are committed; see [store.Log].
type ListenFunc func(ctx context.Context, l store.Listener) error

// OnListen gives the store what [Store.Listen] does. It is called before the
// store is used.
func (s *Store) OnListen(f ListenFunc) { s.listen = f }

// Listen implements [store.Log].
func (s *Store) Listen(ctx context.Context, l store.Listener) error {
	if s.listen == nil {
		return fmt.Errorf("listening for revocations: %w", errors.ErrUnsupported)
	}
	if s.closed.Load() {
		return s.fail(ctx, "listening for revocations", errClosed)
	}
	if err := s.listen(ctx, l); err != nil {
		return s.fail(ctx, "listening for revocations", err)
	}
	return nil
}
