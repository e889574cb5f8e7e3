package caddymodule

import (
	"bytes"
	"context"
	"io"
	"log/slog"
	"testing"
)

func textHandler(w io.Writer, level slog.Level) slog.Handler {
	return slog.NewTextHandler(w, &slog.HandlerOptions{Level: level, ReplaceAttr: func(_ []string, a slog.Attr) slog.Attr {
		if a.Key == slog.TimeKey {
			return slog.Attr{}
		}
		return a
	}})
}

// Loggers that were derived from a sink before it was redirected write to
// where it leads now, with what they were derived with.
func TestSink_DerivedFollow(t *testing.T) {
	var first, second bytes.Buffer
	s := newSink(textHandler(&first, slog.LevelInfo))
	root := slog.New(s)
	derived := map[string]*slog.Logger{
		"level=INFO msg=root a=1\n":                   root,
		"level=INFO msg=with x=1 a=1\n":               root.With("x", 1),
		"level=INFO msg=group g.a=1\n":                root.WithGroup("g"),
		"level=INFO msg=both x=1 g.y=2 g.a=1\n":       root.With("x", 1).WithGroup("g").With("y", 2),
		"level=INFO msg=deep g.x=1 g.h.y=2 g.h.a=1\n": root.WithGroup("g").With("x", 1).WithGroup("h").With("y", 2),
	}
	msg := func(want string) string {
		return string(bytes.Fields([]byte(want))[1][len("msg="):])
	}
	for _, out := range []*bytes.Buffer{&first, &second} {
		for want, log := range derived {
			out.Reset()
			log.Info(msg(want), "a", 1)
			if got := out.String(); got != want {
				t.Errorf("got %q, want %q", got, want)
			}
		}
		first.Reset()
		s.redirect(textHandler(&second, slog.LevelWarn-4))
	}
	if first.Len() > 0 {
		t.Errorf("the old destination got %q", first.String())
	}
	// So does the level.
	s.redirect(textHandler(&second, slog.LevelError))
	for _, log := range derived {
		if log.Enabled(context.Background(), slog.LevelWarn) || !log.Enabled(context.Background(), slog.LevelError) {
			t.Error("the level is that of the old destination")
		}
	}
}
