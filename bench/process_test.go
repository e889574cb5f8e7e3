//go:build linux

package main

import (
	"os"
	"testing"
	"time"
)

func TestParseStat(t *testing.T) {
	t.Parallel()
	const rest = " S 1 2 3 0 -1 4194304 100 0 0 0 250 50 0 0 20 0 9 0 1000 1 1 1"
	for _, c := range []struct {
		name, text string
		want       time.Duration
		fails      bool
	}{
		{"plain", "42 (xivo-auth)" + rest, 3 * time.Second, false},
		{"a name with spaces and parentheses", "42 (a (b) 1 2 3)" + rest, 3 * time.Second, false},
		{"cut", "42 (xivo-auth) S 1 2 3", 0, true},
		{"no numbers", "42 (x) S 1 2 3 0 -1 4194304 100 0 0 0 a b 0 0", 0, true},
		{"nothing", "", 0, true},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			got, err := parseStat([]byte(c.text))
			if got != c.want || (err != nil) != c.fails {
				t.Errorf("%s, %v", got, err)
			}
		})
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
