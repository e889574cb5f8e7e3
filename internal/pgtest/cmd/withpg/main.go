// Command withpg runs a command with a private PostgreSQL at hand:
//
//	go run ./internal/pgtest/cmd/withpg go test ./...
//
// It starts one cluster, names it to the command in XIVO_AUTH_TEST_POSTGRES,
// and stops it when the command ends, whose exit status becomes its own
// (128 plus the signal's number when a signal ended it; 125 when the cluster
// or the command could not be started). SIGINT and SIGTERM are passed on to
// the command. If the variable is set already, the server it names is used
// and none is started.
package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"syscall"

	"github.com/wazo-edge/xivo-auth/internal/pgtest"
)

// exitTrouble is what env(1), nice(1) and docker-run(1) answer when they, not
// the command, fail.
const exitTrouble = 125

func main() { os.Exit(run(os.Args[1:])) }

func run(args []string) int {
	if len(args) == 0 {
		fmt.Fprintln(os.Stderr, "usage: withpg command [argument...]")
		return exitTrouble
	}
	// From here on a signal must not end this process before the cluster.
	signals := make(chan os.Signal, 4)
	signal.Notify(signals, os.Interrupt, syscall.SIGTERM)
	defer signal.Stop(signals)

	env := os.Environ()
	if os.Getenv(pgtest.EnvDSN) == "" {
		srv, err := start(signals)
		if err != nil {
			fmt.Fprintln(os.Stderr, "withpg:", err)
			return exitTrouble
		}
		defer func() {
			if err := srv.Stop(); err != nil {
				fmt.Fprintln(os.Stderr, "withpg: stopping the server:", err)
			}
		}()
		env = append(env, pgtest.EnvDSN+"="+srv.DSN)
	}

	cmd := exec.Command(args[0], args[1:]...)
	cmd.Env, cmd.Stdin, cmd.Stdout, cmd.Stderr = env, os.Stdin, os.Stdout, os.Stderr
	if err := cmd.Start(); err != nil {
		fmt.Fprintln(os.Stderr, "withpg:", err)
		return exitTrouble
	}
	done := make(chan error, 1)
	go func() { done <- cmd.Wait() }()
	for {
		select {
		case s := <-signals:
			_ = cmd.Process.Signal(s)
		case err := <-done:
			return status(err)
		}
	}
}

// start starts a cluster unless a signal comes first.
func start(signals <-chan os.Signal) (*pgtest.Server, error) {
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	finished := make(chan struct{})
	defer close(finished)
	go func() {
		select {
		case <-signals:
			cancel()
		case <-finished:
		}
	}()
	return pgtest.Start(ctx)
}

func status(err error) int {
	if err == nil {
		return 0
	}
	var exit *exec.ExitError
	if !errors.As(err, &exit) {
		fmt.Fprintln(os.Stderr, "withpg:", err)
		return exitTrouble
	}
	if ws, ok := exit.Sys().(syscall.WaitStatus); ok && ws.Signaled() {
		return 128 + int(ws.Signal())
	}
	return exit.ExitCode()
}
