//go:build unix

package pgtest

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"

	"github.com/wazo-edge/xivo-auth/internal/freeport"
)

const (
	startAttempts = 5  // another process may snatch the port we found free
	keptLogLines  = 40 // of the server's log, for error messages
	// readyLine goes on with connections, or read-only connections.
	readyLine = "database system is ready to accept"
)

// settings trade safety against crashes of the machine for speed. A crash of
// the server alone, as [Server.Kill] brings about, loses nothing that was
// committed: the kernel keeps what was written. That is why
// synchronous_commit stays on; without fsync it costs one write(2).
var settings = []string{
	"fsync=off",
	"full_page_writes=off",
	"max_connections=200",
	"shared_buffers=32MB",
	"dynamic_shared_memory_type=mmap", // leaves nothing in /dev/shm
	"autovacuum=off",
	"wal_level=minimal",
	"max_wal_senders=0",
	"log_checkpoints=off",
	"timezone=UTC",
}

// kept holds every server until it is stopped. A test that remembers no more
// than the DSN must not have the collector close the undertaker's input, on
// which that would bury the living.
var kept sync.Map

// Server is a private cluster. Its methods are safe for concurrent use.
type Server struct {
	// DSN connects to the database postgres as the superuser postgres. It
	// stays the same across [Server.Restart].
	DSN string

	bin      string // directory of the binaries
	home     *home
	port     int
	settings []string // beyond those of every server

	mu   sync.Mutex
	proc *process // nil when the server is down
}

// Start creates a cluster and starts it; that takes about a second. The
// settings, name=value each, win over those every server gets. The caller
// stops it, or it ends with the process. [ErrMissing] when there are no
// binaries and the user may not install them.
func Start(ctx context.Context, settings ...string) (*Server, error) {
	bin, err := binaries(ctx)
	if err != nil {
		return nil, err
	}
	return start(ctx, bin, settings, (*Server).initdb)
}

// start runs a server on the data directory that fill makes.
func start(ctx context.Context, bin string, settings []string, fill func(*Server, context.Context) error) (*Server, error) {
	h, err := newHome()
	if err != nil {
		return nil, fmt.Errorf("pgtest: %w", err)
	}
	s := &Server{bin: bin, home: h, settings: settings}
	kept.Store(s, true)
	if err := fill(s, ctx); err != nil {
		return nil, errors.Join(err, s.Stop())
	}
	for range startAttempts {
		if s.port, err = freeport.Pick(); err != nil {
			err = fmt.Errorf("pgtest: %w", err)
			break
		}
		s.DSN = fmt.Sprintf("postgres://postgres@127.0.0.1:%d/postgres?sslmode=disable", s.port)
		if err = s.Restart(ctx); err == nil || ctx.Err() != nil || !strings.Contains(err.Error(), "Address already in use") {
			break
		}
	}
	if err != nil {
		return nil, errors.Join(err, s.Stop())
	}
	return s, nil
}

// Restart starts a server that was killed, on the same port and data, after
// killing it if it still runs, and waits until it accepts connections.
func (s *Server) Restart(ctx context.Context) error {
	if err := s.Kill(); err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	args := []string{"-D", s.home.data(), "-p", strconv.Itoa(s.port), "-h", "127.0.0.1", "-k", s.home.dir}
	for _, setting := range slices.Concat(settings, s.settings) {
		args = append(args, "-c", setting)
	}
	p, err := startProcess(filepath.Join(s.bin, "postgres"), args, s.home.dir)
	if err != nil {
		return fmt.Errorf("pgtest: starting the server: %w", err)
	}
	select {
	case <-p.ready:
		s.home.watch(p.pid)
		s.proc = p
		return nil
	case <-p.done:
		return fmt.Errorf("pgtest: the server ended at start (%w):\n%s", p.err, p.tail())
	case <-ctx.Done():
		p.quit()
		return fmt.Errorf("pgtest: waiting for the server: %w", ctx.Err())
	}
}

// Kill ends the server at once and with it every session, as a crash would,
// and returns when all of it is gone. Killing a server that is down does
// nothing.
func (s *Server) Kill() error { return s.end(syscall.SIGQUIT) }

// Shutdown ends the server as an operator does: sessions are told, transactions
// rolled back, a checkpoint written. Otherwise it is like [Server.Kill].
func (s *Server) Shutdown() error { return s.end(syscall.SIGINT) }

// Crash kills the server's main process with SIGKILL, which its sessions notice
// by themselves: the next start has to recover. A segment of shared memory
// stays behind until then. Otherwise it is like [Server.Kill].
func (s *Server) Crash() error { return s.end(syscall.SIGKILL) }

func (s *Server) end(with syscall.Signal) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.proc != nil {
		s.proc.end(with)
		s.proc = nil
	}
	return nil
}

// Stop ends the server and removes its files. The server cannot be used
// again; stopping twice does nothing.
func (s *Server) Stop() error {
	defer kept.Delete(s)
	return errors.Join(s.Kill(), s.home.remove())
}

func (s *Server) initdb(ctx context.Context) error {
	return s.run(ctx, "initdb", "--pgdata="+s.home.data(), "--username=postgres",
		"--auth=trust", "--encoding=UTF8", "--locale=C.UTF-8", "--no-sync")
}

// run runs one of the server's programs as the server's user.
func (s *Server) run(ctx context.Context, program string, args ...string) error {
	cmd := exec.CommandContext(ctx, filepath.Join(s.bin, program), args...)
	cmd.Dir, cmd.Env, cmd.SysProcAttr = s.home.dir, environment(), initAttr()
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("pgtest: %s: %w\n%s", program, err, out)
	}
	return nil
}

func environment() []string {
	return []string{"PATH=" + os.Getenv("PATH"), "LC_ALL=C.UTF-8", "TZ=UTC"}
}

// process is one run of the server.
type process struct {
	pid   int
	ready chan struct{} // closed once connections are accepted
	done  chan struct{} // closed once the process is gone and err is set
	err   error

	mu  sync.Mutex
	log []string
}

// startProcess starts the server from a thread that lives as long as it: the
// kernel's parent-death signal fires when the thread that forked ends, not
// the process, and Go ends idle threads as it likes.
func startProcess(path string, args []string, dir string) (*process, error) {
	p := &process{ready: make(chan struct{}), done: make(chan struct{})}
	cmd := exec.Command(path, args...)
	cmd.Dir, cmd.Env, cmd.SysProcAttr = dir, environment(), childAttr()
	stderr, err := cmd.StderrPipe()
	if err != nil {
		return nil, err
	}
	started := make(chan error)
	go func() {
		runtime.LockOSThread() // never unlocked: the thread ends with the goroutine
		err := cmd.Start()
		if err == nil {
			p.pid = cmd.Process.Pid
		}
		started <- err
		if err != nil {
			return
		}
		p.read(stderr)
		p.err = cmd.Wait()
		close(p.done)
	}()
	if err := <-started; err != nil {
		return nil, err
	}
	return p, nil
}

// read drains the log, so that the server never blocks on it, until every
// process of the cluster has closed it.
func (p *process) read(log io.Reader) {
	lines := bufio.NewScanner(log)
	lines.Buffer(nil, 1<<20)
	ready := false
	for lines.Scan() {
		line := lines.Text()
		p.mu.Lock()
		if p.log = append(p.log, line); len(p.log) > keptLogLines {
			p.log = p.log[1:]
		}
		p.mu.Unlock()
		if !ready && strings.Contains(line, readyLine) {
			ready = true
			close(p.ready)
		}
	}
	_, _ = io.Copy(io.Discard, log) // after a line beyond all bounds
}

func (p *process) tail() string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return strings.Join(p.log, "\n")
}

// quit asks for Postgres' immediate shutdown, which ends all its processes
// without a checkpoint, and waits for it. SIGKILL would leave busy sessions
// and shared memory behind.
func (p *process) quit() { p.end(syscall.SIGQUIT) }

// end signals it and waits until all of it is gone.
func (p *process) end(with syscall.Signal) {
	_ = syscall.Kill(p.pid, with)
	<-p.done
}
