//go:build linux

package main

import (
	"os"
	"testing"
	"time"
)

// TestCPUOf: the time of a process is what getrusage says of this one, and there
// is none of a process that is not there.
func TestCPUOf(t *testing.T) {
	t.Parallel()
	before := ownCPU()
	for ownCPU() == before { // some work
	}
	got, err := cpuOf(os.Getpid())
	if after := ownCPU(); err != nil || got < before || got > after+time.Millisecond {
		t.Errorf("%s, %v; want it from %s to %s", got, err, before, after)
	}
	if _, err := cpuOf(1 << 22); err == nil {
		t.Error("a process that cannot be has no error")
	}
}

func TestParseRSS(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name, text string
		want       int64
	}{
		{"plain", "Name:\tx\nVmHWM:\t  200 kB\nVmRSS:\t  100 kB\nRssAnon:\t 1 kB\n", 100 << 10},
		{"a zombie has none", "Name:\tx\nState:\tZ\n", 0},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			if got := parseRSS([]byte(c.text)); got != c.want {
				t.Errorf("%d, want %d", got, c.want)
			}
		})
	}
}

// TestProc: what the kernel of this machine writes can be read.
func TestProc(t *testing.T) {
	t.Parallel()
	if _, err := cpuOf(os.Getpid()); err != nil {
		t.Error(err)
	}
	text, err := os.ReadFile("/proc/self/status")
	if err != nil || parseRSS(text) < 1<<20 {
		t.Errorf("%d bytes resident, %v", parseRSS(text), err)
	}
}
