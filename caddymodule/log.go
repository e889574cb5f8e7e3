package caddymodule

import (
	"context"
	"log/slog"
	"sync/atomic"
)

// sink is a log handler whose destination can be changed: the service outlives
// the configuration it was made under, and must write to the log of the one in
// force.
type sink struct{ to atomic.Pointer[slog.Handler] }

func newSink(h slog.Handler) *sink {
	s := new(sink)
	s.redirect(h)
	return s
}

func (s *sink) redirect(h slog.Handler) { s.to.Store(&h) }

// Enabled implements [slog.Handler].
func (s *sink) Enabled(ctx context.Context, l slog.Level) bool { return (*s.to.Load()).Enabled(ctx, l) }

// Handle implements [slog.Handler].
func (s *sink) Handle(ctx context.Context, r slog.Record) error { return (*s.to.Load()).Handle(ctx, r) }

// WithAttrs implements [slog.Handler].
func (s *sink) WithAttrs(attrs []slog.Attr) slog.Handler {
	return &derived{s, func(h slog.Handler) slog.Handler { return h.WithAttrs(attrs) }}
}

// WithGroup implements [slog.Handler].
func (s *sink) WithGroup(name string) slog.Handler {
	return &derived{s, func(h slog.Handler) slog.Handler { return h.WithGroup(name) }}
}

// derived is a sink with attributes or a group: they are added anew at every
// record, since where it goes may have changed.
type derived struct {
	*sink
	add func(slog.Handler) slog.Handler
}

// Handle implements [slog.Handler].
func (d *derived) Handle(ctx context.Context, r slog.Record) error {
	return d.add(*d.to.Load()).Handle(ctx, r)
}

// WithAttrs implements [slog.Handler].
func (d *derived) WithAttrs(attrs []slog.Attr) slog.Handler {
	return &derived{d.sink, func(h slog.Handler) slog.Handler { return d.add(h).WithAttrs(attrs) }}
}

// WithGroup implements [slog.Handler].
func (d *derived) WithGroup(name string) slog.Handler {
	return &derived{d.sink, func(h slog.Handler) slog.Handler { return d.add(h).WithGroup(name) }}
}
