//go:build unix

package pgtest_test

import (
	"bufio"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

// goneWithin is how long the kernel, the server and the undertaker may take
// to clean up behind a process.
const goneWithin = 30 * time.Second

// TestNothingLeaks ends a process that runs a cluster in the rudest ways and
// then looks for the cluster.
func TestNothingLeaks(t *testing.T) {
	t.Parallel()
	for _, way := range []string{"kill", "panic", "terminate"} {
		t.Run(way, func(t *testing.T) {
			t.Parallel()
			start(t) // skips where there is no server
			cmd := exec.Command(os.Args[0])
			cmd.Env = append(os.Environ(), "PGTEST_LEAK="+way)
			out, err := cmd.StdoutPipe()
			if err != nil {
				t.Fatal(err)
			}
			if err := cmd.Start(); err != nil {
				t.Fatal(err)
			}
			dir, err := bufio.NewReader(out).ReadString('\n')
			dir = strings.TrimSpace(dir)
			if err != nil || !filepath.IsAbs(dir) {
				_ = cmd.Process.Kill()
				t.Fatalf("the child says %q, %v", dir, err)
			}
			pid := postmaster(t, dir)
			switch way {
			case "kill":
				err = cmd.Process.Signal(syscall.SIGKILL)
			case "terminate":
				err = cmd.Process.Signal(syscall.SIGTERM)
			}
			if err != nil {
				t.Error(err)
			}
			_ = cmd.Wait()
			eventually(t, "the server ends", func() bool { return errors.Is(syscall.Kill(pid, 0), syscall.ESRCH) })
			eventually(t, "the files go", func() bool { _, err := os.Stat(dir); return os.IsNotExist(err) })
		})
	}
}

// postmaster reads the server's pid; a panicking child may be gone already.
func postmaster(t *testing.T, dir string) int {
	t.Helper()
	b, err := os.ReadFile(filepath.Join(dir, "data", "postmaster.pid"))
	if err != nil {
		return 1 << 30 // nobody's
	}
	first, _, _ := strings.Cut(string(b), "\n")
	pid, err := strconv.Atoi(first)
	if err != nil {
		t.Fatal(err)
	}
	return pid
}

// eventually asks again and again: nothing tells when another process's
// child is gone.
func eventually(t *testing.T, what string, f func() bool) {
	t.Helper()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for end := time.Now().Add(goneWithin); !f(); <-tick.C {
		if time.Now().After(end) {
			t.Errorf("not within %v: %s", goneWithin, what)
			return
		}
	}
}
