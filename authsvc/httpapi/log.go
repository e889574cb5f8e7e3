package httpapi

import (
	"log/slog"
	"net/http"
	"sync"
	"time"
)

// busyEvery bounds how often the log tells that the service is busy, or that
// its store is away.
const busyEvery = 5 * time.Second

// Log tells operators of requests that failed. Safe for concurrent use.
type Log struct {
	log *slog.Logger

	mu   sync.Mutex
	busy map[string]*told // by the answer's text, of which there are a few
}

// told is when something was last told, and how often it was not since then.
type told struct {
	at     time.Time
	untold int
}

// NewLog returns a Log that writes to log.
func NewLog(log *slog.Logger) *Log { return &Log{log: log, busy: map[string]*told{}} }

// tell writes down what went wrong with a request.
func (l *Log) tell(r *http.Request, e *Error, now time.Time) {
	// No URL: it may hold a token.
	attrs := []slog.Attr{slog.String("method", r.Method), slog.String("route", r.Pattern), slog.Int("status", e.Status)}
	if e.Status < http.StatusInternalServerError {
		if l.log.Enabled(r.Context(), slog.LevelDebug) {
			// Neither the text nor the details: they may repeat what was sent.
			l.log.LogAttrs(r.Context(), slog.LevelDebug, "request refused", append(attrs, slog.String("error_id", e.id))...)
		}
		return
	}
	attrs = append(attrs, slog.Any("error", e.cause))
	level := slog.LevelError
	switch {
	case r.Context().Err() != nil:
		level = slog.LevelDebug // the client hung up
	case e.Status == http.StatusServiceUnavailable: // not ours to mend
		level = slog.LevelDebug
		if untold, due := l.due(e.text, now); due {
			level = slog.LevelWarn
			attrs = append(attrs, slog.Int("more_since_last", untold))
		}
	}
	l.log.LogAttrs(r.Context(), level, "request failed", attrs...)
}

// due reports whether a 503 of this text is to be told now, and how many were
// not since the last one that was. Anybody can have thousands in a second
// answered so: a storm of logins wrote 150 000 lines, which fills the disk, and
// in which nobody finds anything else.
func (l *Log) due(text string, now time.Time) (untold int, due bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	last := l.busy[text]
	if last == nil {
		last = &told{}
		l.busy[text] = last
	}
	// A clock that stepped back must not silence it for as long.
	if since := now.Sub(last.at); 0 <= since && since < busyEvery {
		last.untold++
		return 0, false
	}
	untold, last.at, last.untold = last.untold, now, 0
	return untold, true
}
