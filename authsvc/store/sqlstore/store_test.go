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
	"testing"
	"time"

	"github.com/wazo-edge/xivo-auth/authsvc/store"
)

// kindError is an error that stubDialect classifies as it says.
type kindError Kind

func (e kindError) Error() string { return fmt.Sprintf("kind %d", int(e)) }

// stubDialect knows kindErrors only; its other methods are not called.
type stubDialect struct {
	Dialect
	single bool
}

func (stubDialect) Rebind(q string) string { return q }
func (stubDialect) ListTables() string     { return "" }
func (stubDialect) LogHistory() string     { return "" }
func (stubDialect) LogEnd() string         { return "" }
func (stubDialect) LogSeen() string        { return "" }
func (stubDialect) LogUnseen() string      { return "" }
func (stubDialect) Clock() string          { return "" }
func (d stubDialect) SingleWriter() bool   { return d.single }
func (stubDialect) Classify(err error) Kind {
	var e kindError
	errors.As(err, &e)
	return Kind(e)
}

// noDriver is a database nobody connects to.
type noDriver struct{}

func (noDriver) Connect(context.Context) (driver.Conn, error) { return nil, errors.New("no driver") }
func (noDriver) Driver() driver.Driver                        { return nil }

func stub(t *testing.T, d stubDialect, o store.Options) *Store {
	t.Helper()
	s := New(sql.OpenDB(noDriver{}), d, o)
	t.Cleanup(func() { _ = s.Close() })
	return s
}

func TestCallRepeats(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name     string
		mode     mode
		kind     Kind
		attempts int
		want     error
	}{
		{"deadlock of a write", write, KindRetry, maxAttempts, store.ErrUnavailable},
		{"deadlock of a read", read, KindRetry, maxAttempts, store.ErrUnavailable},
		{"deadlock of a migration", migrate, KindRetry, maxAttempts, store.ErrUnavailable},
		{"read on a broken connection", read, KindLost, maxAttempts, store.ErrUnavailable},
		{"write on a broken connection", write, KindLost, 1, store.ErrUnavailable},
		{"migration on a broken connection", migrate, KindLost, 1, store.ErrUnavailable},
		{"server down", read, KindUnavailable, 1, store.ErrUnavailable},
		{"conflict", write, KindConflict, 1, store.ErrConflict},
		{"missing row", write, KindNotFound, 1, store.ErrNotFound},
		{"bad value", write, KindInvalid, 1, store.ErrInvalid},
		{"missing table", read, KindSchema, 1, store.ErrSchema},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			s := stub(t, stubDialect{}, store.Options{})
			attempts := 0
			err := s.call(t.Context(), "trying", c.mode, func(context.Context) error {
				attempts++
				return fmt.Errorf("wrapped: %w", kindError(c.kind))
			})
			if attempts != c.attempts || !errors.Is(err, c.want) || !errors.Is(err, kindError(c.kind)) {
				t.Errorf("%d attempts, %v", attempts, err)
			}
			attempts = 0
			err = s.call(t.Context(), "trying", c.mode, func(context.Context) error {
				if attempts++; attempts == 1 {
					return kindError(c.kind)
				}
				return nil
			})
			if (err == nil) != (c.attempts > 1) {
				t.Errorf("after %d attempts: %v", attempts, err)
			}
		})
	}
}

func TestFailClassifies(t *testing.T) {
	t.Parallel()
	s := stub(t, stubDialect{}, store.Options{})
	for _, c := range []struct{ err, want error }{
		{sql.ErrNoRows, store.ErrNotFound},
		{fmt.Errorf("x: %w", store.ErrConflict), store.ErrConflict},
		{context.Canceled, store.ErrUnavailable},
		{context.DeadlineExceeded, store.ErrUnavailable},
		{driver.ErrBadConn, store.ErrUnavailable},
		{sql.ErrConnDone, store.ErrUnavailable},
		{sql.ErrTxDone, store.ErrUnavailable},
		{io.EOF, store.ErrUnavailable},
		{io.ErrUnexpectedEOF, store.ErrUnavailable},
		{net.ErrClosed, store.ErrUnavailable},
		{&net.OpError{Op: "dial", Err: syscall.ECONNREFUSED}, store.ErrUnavailable},
		{&net.DNSError{Err: "no such host"}, store.ErrUnavailable},
		{syscall.ECONNRESET, store.ErrUnavailable},
		{errors.New(sqlClosedText), store.ErrUnavailable},
	} {
		err := s.fail(t.Context(), "doing it", c.err)
		if !errors.Is(err, c.want) || !errors.Is(err, c.err) || !strings.HasPrefix(err.Error(), "doing it: ") {
			t.Errorf("%v became %v", c.err, err)
		}
	}
	unknown := errors.New("unheard of")
	err := s.fail(t.Context(), "doing it", unknown)
	for _, sentinel := range sentinels {
		if errors.Is(err, sentinel) {
			t.Errorf("an unknown error became %v", sentinel)
		}
	}
}

// A driver whose context ended fails as it pleases; a definite answer that
// came in time stays one.
func TestFailAfterContext(t *testing.T) {
	t.Parallel()
	s := stub(t, stubDialect{}, store.Options{})
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	err := s.fail(ctx, "doing it", errors.New("interrupted"))
	if !errors.Is(err, store.ErrUnavailable) || !errors.Is(err, context.Canceled) {
		t.Errorf("an interrupted driver: %v", err)
	}
	if err := s.fail(ctx, "doing it", sql.ErrNoRows); !errors.Is(err, store.ErrNotFound) {
		t.Errorf("no rows, in time: %v", err)
	}
}

// Writers of a database that takes one at a time wait in line, and leave the
// line when their context ends. Readers do not.
func TestSingleWriter(t *testing.T) {
	t.Parallel()
	s := stub(t, stubDialect{single: true}, store.Options{Timeout: time.Minute})
	inside, leave := make(chan struct{}), make(chan struct{})
	first := make(chan error)
	go func() {
		first <- s.call(t.Context(), "first", write, func(context.Context) error {
			close(inside)
			<-leave
			return nil
		})
	}()
	<-inside
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
	defer cancel()
	err := s.call(ctx, "second", write, func(context.Context) error { t.Error("two writers"); return nil })
	if !errors.Is(err, store.ErrUnavailable) || !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("second writer: %v", err)
	}
	if err := s.call(t.Context(), "reader", read, func(context.Context) error { return nil }); err != nil {
		t.Errorf("reader: %v", err)
	}
	close(leave)
	if err := <-first; err != nil {
		t.Error(err)
	}
	if err := s.call(t.Context(), "third", migrate, func(context.Context) error { return nil }); err != nil {
		t.Errorf("third: %v", err)
	}
}

func TestTimeouts(t *testing.T) {
	t.Parallel()
	s := stub(t, stubDialect{}, store.Options{Timeout: time.Hour})
	for m, want := range map[mode]time.Duration{read: time.Hour, write: time.Hour, migrate: migrateFactor * time.Hour} {
		_ = s.call(t.Context(), "measuring", m, func(ctx context.Context) error {
			deadline, _ := ctx.Deadline()
			if d := time.Until(deadline); d > want || d < want-time.Minute {
				t.Errorf("mode %d: %v, want %v", m, d, want)
			}
			return nil
		})
	}
}

func TestSearchable(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]bool{
		"": true, "a": true, "é\n\x01\ufffd": true, "\x00": false, "a\x00": false, "\xff": false, "\xed\xa0\x80": false,
	} {
		if searchable(text) != want {
			t.Errorf("searchable(%q) = %v", text, !want)
		}
	}
}

func TestMarkEnded(t *testing.T) {
	t.Parallel()
	ended := []store.EndedToken{{SessionUUID: "b"}, {SessionUUID: "a"}, {SessionUUID: "b"}, {SessionUUID: "c", SessionEnded: true}}
	MarkEnded(ended, []string{"x", "b"})
	for i, want := range []bool{true, false, true, true} {
		if ended[i].SessionEnded != want {
			t.Errorf("%d: %v", i, !want)
		}
	}
}
