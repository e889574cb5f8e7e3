//go:build unix

package pgtest

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"
)

const (
	homePrefix = "xivo-pgtest-"
	lockName   = "owner.lock"
	// maxHome leaves room for the socket's name in the 104 to 108 bytes a
	// socket's path may have.
	maxHome = 80
	// unlockedAge is the age at which a directory without a lock is not just
	// being made.
	unlockedAge = 10 * time.Minute
)

// undertaker waits until its input ends, as it does however its parent ends,
// then for the server (which it signals should the kernel not have), and
// removes the files. It reads the pid of each server that is started.
const undertaker = `
while read -r p; do pid=$p; done
f=$1/data/postmaster.pid
n=0
while [ -e "$f" ] && [ "$n" -lt 100 ]; do
	[ "$n" -eq 10 ] && [ "$(head -n 1 "$f")" = "$pid" ] && kill -QUIT "$pid"
	sleep 0.1
	n=$((n + 1))
done
rm -rf -- "$1"
`

// home is the directory of a cluster, alive as long as its lock is held.
type home struct {
	dir  string
	lock *os.File

	pids io.WriteCloser // the undertaker's input
	cmd  *exec.Cmd
	once sync.Once
	err  error
}

// newHome makes a directory that the server's user owns.
func newHome() (*home, error) {
	base := tempBase()
	removeStale(base)
	dir, err := os.MkdirTemp(base, homePrefix)
	if err != nil {
		return nil, err
	}
	h := &home{dir: dir}
	if err := h.occupy(); err != nil {
		return nil, errors.Join(err, os.RemoveAll(dir))
	}
	return h, nil
}

func (h *home) occupy() (err error) {
	if h.lock, err = os.OpenFile(filepath.Join(h.dir, lockName), os.O_RDWR|os.O_CREATE, 0o600); err != nil {
		return err
	}
	if err := syscall.Flock(int(h.lock.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err != nil {
		return err
	}
	if cred := initAttr().Credential; cred != nil {
		if err := os.Chown(h.dir, int(cred.Uid), int(cred.Gid)); err != nil {
			return err
		}
	}
	h.cmd = exec.Command("/bin/sh", "-c", undertaker, "sh", h.dir)
	// A session of its own keeps it out of reach of the terminal's Ctrl-C.
	h.cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	h.cmd.Dir = "/" // it must not pin the directory of a test
	if h.pids, err = h.cmd.StdinPipe(); err != nil {
		return err
	}
	return h.cmd.Start()
}

func (h *home) data() string { return filepath.Join(h.dir, "data") }

// watch tells the undertaker about a server.
func (h *home) watch(pid int) { _, _ = fmt.Fprintln(h.pids, pid) }

// remove removes the files of a cluster that is down. Further calls return
// the same error.
func (h *home) remove() error {
	h.once.Do(func() {
		h.err = os.RemoveAll(h.dir)
		h.err = errors.Join(h.err, h.pids.Close(), h.cmd.Wait(), h.lock.Close())
	})
	return h.err
}

// tempBase is the directory for temporary files, or /tmp when the server's
// user cannot get there or a socket's path would be too long.
func tempBase() string {
	base, err := filepath.Abs(os.TempDir())
	if err != nil || len(base) > maxHome-len(homePrefix)-10 {
		return "/tmp"
	}
	if initAttr().Credential == nil {
		return base
	}
	for dir := base; ; dir = filepath.Dir(dir) {
		info, err := os.Stat(dir)
		if err != nil || info.Mode().Perm()&0o001 == 0 {
			return "/tmp"
		}
		if dir == filepath.Dir(dir) {
			return base
		}
	}
}

// removeStale removes directories whose owner is gone without a trace, as
// after a power failure. It fails silently: they are someone else's, or the
// next start will try again.
func removeStale(base string) {
	dirs, _ := filepath.Glob(filepath.Join(base, homePrefix+"*"))
	for _, dir := range dirs {
		if stale(dir) {
			_ = os.RemoveAll(dir)
		}
	}
}

func stale(dir string) bool {
	lock, err := os.OpenFile(filepath.Join(dir, lockName), os.O_RDWR, 0)
	if errors.Is(err, fs.ErrNotExist) {
		info, err := os.Stat(dir)
		return err == nil && time.Since(info.ModTime()) > unlockedAge
	}
	if err != nil {
		return false
	}
	if info, err := lock.Stat(); err != nil || time.Since(info.ModTime()) <= unlockedAge {
		_ = lock.Close() // its owner may be about to take it
		return false
	}
	defer func() { _ = lock.Close() }()
	if syscall.Flock(int(lock.Fd()), syscall.LOCK_EX|syscall.LOCK_NB) != nil {
		return false
	}
	return !serverRuns(dir)
}

// serverRuns reports whether the process that the directory's pid file names
// exists: a server that is still going down, or one the undertaker waits for.
func serverRuns(dir string) bool {
	b, err := os.ReadFile(filepath.Join(dir, "data", "postmaster.pid"))
	if err != nil {
		return false
	}
	first, _, _ := strings.Cut(string(b), "\n")
	pid, err := strconv.Atoi(first)
	return err == nil && pid > 0 && !errors.Is(syscall.Kill(pid, 0), syscall.ESRCH)
}
