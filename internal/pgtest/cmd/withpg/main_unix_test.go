//go:build unix

package main

import (
	"bufio"
	"errors"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"

	"github.com/wazo-edge/xivo-auth/internal/pgtest"
)

// TestMain lets the test binary be withpg itself.
func TestMain(m *testing.M) {
	if os.Getenv("WITHPG_RUN") != "" {
		os.Exit(run(os.Args[1:]))
	}
	os.Exit(m.Run())
}

// withpg prepares a run of the command sh -c script.
func withpg(t *testing.T, env []string, script string) *exec.Cmd {
	t.Helper()
	cmd := exec.Command(os.Args[0], "sh", "-c", script)
	for _, v := range os.Environ() {
		if !strings.HasPrefix(v, pgtest.EnvDSN+"=") {
			cmd.Env = append(cmd.Env, v)
		}
	}
	cmd.Env = append(cmd.Env, append(env, "WITHPG_RUN=1")...)
	return cmd
}

func code(err error) int {
	if exit, ok := errors.AsType[*exec.ExitError](err); ok {
		return exit.ExitCode()
	}
	if err != nil {
		return -1
	}
	return 0
}

func needsServer(t *testing.T) {
	t.Helper()
	pgtest.DSN(t) // skips where there is none
}

func TestStatus(t *testing.T) {
	t.Parallel()
	needsServer(t)
	for script, want := range map[string]int{
		"exit 0":          0,
		"exit 7":          7,
		"kill -TERM $$":   128 + 15,
		"exec /no/where":  127,
		"exit 0 && false": 0,
	} {
		// A server of one's own is not what this is about.
		if got := code(withpg(t, []string{pgtest.EnvDSN + "=unused"}, script).Run()); got != want {
			t.Errorf("%s: status %d, want %d", script, got, want)
		}
	}
}

func TestTrouble(t *testing.T) {
	t.Parallel()
	cmd := exec.Command(os.Args[0], "/no/where")
	cmd.Env = append(os.Environ(), "WITHPG_RUN=1", pgtest.EnvDSN+"=unused")
	if got := code(cmd.Run()); got != exitTrouble {
		t.Errorf("no such command: status %d", got)
	}
	cmd = exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), "WITHPG_RUN=1")
	if got := code(cmd.Run()); got != exitTrouble {
		t.Errorf("no command: status %d", got)
	}
}

// TestSignals stops withpg as make or a terminal would; the command hears of
// it, and the server does not stay.
func TestSignals(t *testing.T) {
	t.Parallel()
	needsServer(t)
	for _, sig := range []syscall.Signal{syscall.SIGTERM, syscall.SIGINT} {
		t.Run(sig.String(), func(t *testing.T) {
			t.Parallel()
			cmd := withpg(t, nil, `trap 'echo heard; exit 42' TERM INT; echo "$`+pgtest.EnvDSN+`"
while :; do sleep 0.1; done`)
			out, err := cmd.StdoutPipe()
			if err != nil {
				t.Fatal(err)
			}
			if err := cmd.Start(); err != nil {
				t.Fatal(err)
			}
			lines := bufio.NewScanner(out)
			if !lines.Scan() {
				t.Fatal("the command did not start")
			}
			dsn := lines.Text()
			if err := cmd.Process.Signal(sig); err != nil {
				t.Fatal(err)
			}
			if !lines.Scan() || lines.Text() != "heard" {
				t.Errorf("the command did not hear: %q", lines.Text())
			}
			if got := code(cmd.Wait()); got != 42 {
				t.Errorf("status %d", got)
			}
			if answers(t, dsn) {
				t.Error("the server outlived withpg")
			}
		})
	}
}
