package config

import (
	"context"
	"log/slog"
	"runtime"
	"sync/atomic"
)

// Switches are what can be turned while the service runs. They are this
// process's, and off when it starts. Safe for concurrent use; the zero value
// is ready.
type Switches struct{ debug, profiling atomic.Bool }

// Debug reports whether everything is logged, whatever the level of the log.
func (s *Switches) Debug() bool { return s.debug.Load() }

// SetDebug turns that on or off.
func (s *Switches) SetDebug(on bool) { s.debug.Store(on) }

// Profiling reports whether the process samples where it waits.
func (s *Switches) Profiling() bool { return s.profiling.Load() }

const (
	mutexFraction = 100    // one of so many contended locks is sampled
	blockRate     = 10_000 // one sample for so many nanoseconds of waiting
)

// SetProfiling turns the sampling of locks and waiting on or off, of which
// [runtime/pprof] has profiles then. CPU and heap need no switch.
func (s *Switches) SetProfiling(on bool) {
	if s.profiling.Swap(on) == on {
		return // leave alone what others of the process may have set
	}
	if on {
		runtime.SetMutexProfileFraction(mutexFraction)
		runtime.SetBlockProfileRate(blockRate)
	} else {
		runtime.SetMutexProfileFraction(0)
		runtime.SetBlockProfileRate(0)
	}
}

// Log makes a log handler write everything while the debug switch is on.
// Records that it would leave out get the lowest level that it writes, and
// their own in the attribute "level_was": a level that an operator's logger is
// made with cannot be changed from here.
func (s *Switches) Log(h slog.Handler) slog.Handler { return &lifted{h, s} }

type lifted struct {
	slog.Handler
	switches *Switches
}

// Enabled implements [slog.Handler].
func (l *lifted) Enabled(ctx context.Context, level slog.Level) bool {
	return l.Handler.Enabled(ctx, level) || level >= slog.LevelDebug && l.switches.Debug()
}

// Handle implements [slog.Handler].
func (l *lifted) Handle(ctx context.Context, r slog.Record) error {
	if !l.Handler.Enabled(ctx, r.Level) {
		for _, level := range []slog.Level{slog.LevelInfo, slog.LevelWarn, slog.LevelError} {
			if level > r.Level && l.Handler.Enabled(ctx, level) {
				r = r.Clone()
				r.AddAttrs(slog.String("level_was", r.Level.String()))
				r.Level = level
				break
			}
		}
	}
	return l.Handler.Handle(ctx, r)
}

// WithAttrs implements [slog.Handler].
func (l *lifted) WithAttrs(attrs []slog.Attr) slog.Handler {
	return &lifted{l.Handler.WithAttrs(attrs), l.switches}
}

// WithGroup implements [slog.Handler].
func (l *lifted) WithGroup(name string) slog.Handler {
	return &lifted{l.Handler.WithGroup(name), l.switches}
}
