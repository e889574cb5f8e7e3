package config_test

import (
	"bytes"
	"log/slog"
	"runtime"
	"strings"
	"testing"

	"github.com/wazo-edge/xivo-auth/authsvc/config"
)

func TestLog(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		level slog.Level
		as    string // what a debug message is written as
	}{
		{slog.LevelDebug, "level=DEBUG msg=detail"},
		{slog.LevelInfo, "level=INFO msg=detail"},
		{slog.LevelWarn, "level=WARN msg=detail"},
		{slog.LevelError, "level=ERROR msg=detail"},
	} {
		t.Run(c.level.String(), func(t *testing.T) {
			t.Parallel()
			var out bytes.Buffer
			var s config.Switches
			log := slog.New(s.Log(slog.NewTextHandler(&out, &slog.HandlerOptions{Level: c.level}))).With("a", 1).WithGroup("g")
			for _, on := range []bool{false, true, false} {
				s.SetDebug(on)
				out.Reset()
				log.Debug("detail", "b", 2)
				written := on || c.level == slog.LevelDebug
				if log.Enabled(t.Context(), slog.LevelDebug) != written || strings.Contains(out.String(), c.as) != written {
					t.Errorf("debug %t: %q", on, out.String())
				}
				if lifted := on && c.level != slog.LevelDebug; strings.Contains(out.String(), "level_was=DEBUG") != lifted {
					t.Errorf("debug %t: the level it had: %q", on, out.String())
				}
				out.Reset()
				log.Error("trouble")
				if !strings.Contains(out.String(), "level=ERROR msg=trouble a=1") || strings.Contains(out.String(), "level_was") {
					t.Errorf("debug %t: %q", on, out.String())
				}
			}
		})
	}
}

// It is the process's, so no other test is to turn it meanwhile.
func TestProfiling(t *testing.T) {
	var s config.Switches
	for _, on := range []bool{true, true, false, false} {
		s.SetProfiling(on)
		if sampled := runtime.SetMutexProfileFraction(-1) > 0; sampled != on || s.Profiling() != on {
			t.Errorf("profiling %t: sampled %t", on, sampled)
		}
	}
}
