package sqlstore

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"syscall"
	"unicode/utf8"

	"github.com/wazo-edge/xivo-auth/authsvc/store"
)

var errClosed = errors.New("the store is closed")

// sqlClosedText is how database/sql, which exports no value for it, says that
// the pool was closed.
const sqlClosedText = "sql: database is closed"

// sentinels are the errors of the contract, which pass through unchanged.
var sentinels = []error{
	store.ErrNotFound, store.ErrConflict, store.ErrInvalid, store.ErrSchema, store.ErrUnavailable, store.ErrLimit,
	store.ErrHasChildren, store.ErrDescendant,
}

// fail translates err, the outcome of op under ctx, into the contract's
// errors. Neither the arguments nor the statement get into the text.
func (s *Store) fail(ctx context.Context, op string, err error) error {
	for _, sentinel := range sentinels {
		if errors.Is(err, sentinel) {
			return fmt.Errorf("%s: %w", op, err)
		}
	}
	switch kind := s.classify(err); kind {
	case KindNotFound:
		return fmt.Errorf("%s: %w: %w", op, store.ErrNotFound, err)
	case KindConflict:
		return fmt.Errorf("%s: %w: %w", op, store.ErrConflict, err)
	case KindInvalid:
		return fmt.Errorf("%s: %w: %w", op, store.ErrInvalid, err)
	case KindSchema:
		return fmt.Errorf("%s: %w: %w", op, store.ErrSchema, err)
	default:
		// A driver interrupted by its context fails in any of a dozen ways;
		// the caller is told the one true reason beside it.
		if ctxErr := ctx.Err(); ctxErr != nil && !errors.Is(err, ctxErr) {
			return fmt.Errorf("%s: %w: %w: %w", op, store.ErrUnavailable, ctxErr, err)
		}
		if kind != KindOther || ctx.Err() != nil {
			return fmt.Errorf("%s: %w: %w", op, store.ErrUnavailable, err)
		}
		return fmt.Errorf("%s: %w", op, err)
	}
}

// Classify tells what an error of the driver means, for dialects that talk to
// other servers than the store's own.
func (s *Store) Classify(err error) Kind { return s.classify(err) }

// classify handles what all drivers share before it asks the dialect.
func (s *Store) classify(err error) Kind {
	switch {
	case errors.Is(err, sql.ErrNoRows):
		return KindNotFound
	case errors.Is(err, context.Canceled), errors.Is(err, context.DeadlineExceeded),
		errors.Is(err, errClosed), err.Error() == sqlClosedText:
		return KindUnavailable
	}
	if kind := s.dialect.Classify(err); kind != KindOther {
		return kind
	}
	return classifyNet(err)
}

func classifyNet(err error) Kind {
	var netErr net.Error
	switch {
	case errors.Is(err, driver.ErrBadConn), errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF),
		errors.Is(err, syscall.ECONNRESET), errors.Is(err, syscall.EPIPE):
		return KindLost
	case errors.Is(err, sql.ErrConnDone), errors.Is(err, sql.ErrTxDone),
		errors.Is(err, net.ErrClosed), errors.As(err, &netErr):
		return KindUnavailable
	}
	return KindOther
}

// searchable reports whether a row could hold s at all. Postgres refuses text
// with a NUL or broken UTF-8 as an error of the statement; for a lookup the
// plain truth is that no such row exists.
func searchable(s string) bool {
	return utf8.ValidString(s) && strings.IndexByte(s, 0) < 0
}

// notFound is the answer to a lookup of text that is not [searchable].
func notFound(op string) error { return fmt.Errorf("%s: %w", op, store.ErrNotFound) }

// storable reports the first of the named values, given as name, value, name,
// value…, that no row can hold.
func storable(op string, named ...string) error {
	for i := 0; i+1 < len(named); i += 2 {
		if !searchable(named[i+1]) {
			return fmt.Errorf("%s: %w: %s is not UTF-8 text without NUL", op, store.ErrInvalid, named[i])
		}
	}
	return nil
}

// null turns "" into NULL.
func null(s string) any {
	if s == "" {
		return nil
	}
	return s
}
