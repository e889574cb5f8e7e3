package httpapi_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/wazo-edge/xivo-auth/authsvc/httpapi"
	"github.com/wazo-edge/xivo-auth/authsvc/store"
)

// TestLog_Flood: a storm that is answered 503 does not fill the log, and hides
// nothing else in it.
func TestLog_Flood(t *testing.T) {
	t.Parallel()
	var text bytes.Buffer
	log := httpapi.NewLog(slog.New(slog.NewTextHandler(&text, nil)))
	now := at
	lines := func(n int, err error) string {
		text.Reset()
		for range n {
			httpapi.WriteError(httptest.NewRecorder(), httptest.NewRequest("POST", "/", nil), log, now, err)
		}
		return text.String()
	}
	busy, down := httpapi.Busy(errors.New("queue")), fmt.Errorf("%w: refused", store.ErrUnavailable)
	for _, c := range []struct {
		name  string
		after time.Duration
		err   error
		lines int
		says  string
	}{
		{"the first at once", 0, busy, 1, "more_since_last=0"},
		{"no other soon after", 4 * time.Second, busy, 0, ""},
		{"but of another kind", 0, down, 1, "refused"},
		{"and every one that is a mistake", 0, errors.New("a mistake"), 1000, "level=ERROR"},
		{"later how many there were", time.Second, busy, 1, "more_since_last=1999"},
		{"again", 5 * time.Second, busy, 1, "more_since_last=999"},
		{"when the clock steps back", -time.Hour, busy, 1, "more_since_last=999"},
	} {
		now = now.Add(c.after)
		got := lines(1000, c.err)
		if n := strings.Count(got, "\n"); n != c.lines || !strings.Contains(got, c.says) {
			t.Errorf("%s: %d lines, want %d with %q: %.300s", c.name, n, c.lines, c.says, got)
		}
	}
}

// TestLog_Debug: who asks for everything gets it, and a client that hangs up is
// nobody's business else.
func TestLog_Debug(t *testing.T) {
	t.Parallel()
	var text bytes.Buffer
	log := httpapi.NewLog(slog.New(slog.NewTextHandler(&text, &slog.HandlerOptions{Level: slog.LevelDebug})))
	gone, cancel := context.WithCancel(t.Context())
	cancel()
	for _, ctx := range []context.Context{gone, t.Context(), t.Context(), t.Context()} {
		httpapi.WriteError(httptest.NewRecorder(), httptest.NewRequestWithContext(ctx, "POST", "/", nil), log, at, httpapi.Busy(nil))
	}
	httpapi.WriteError(httptest.NewRecorder(), httptest.NewRequest("POST", "/", nil), log, at, httpapi.Reason(404, "x"))
	if n, warnings := strings.Count(text.String(), "\n"), strings.Count(text.String(), "WARN"); n != 5 || warnings != 1 {
		t.Errorf("%d lines, %d of them warnings: %s", n, warnings, &text)
	}
}
