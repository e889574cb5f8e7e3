//go:build unix

package pgtest

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
)

// installLock keeps test processes from installing at the same time.
const installLock = "xivo-pgtest-install.lock"

// clusterConf keeps Debian's package from creating and starting a cluster of
// its own. It is written only if absent.
const clusterConf = "/etc/postgresql-common/createcluster.conf"

// binaries finds, or as root installs, the directory of initdb and postgres.
func binaries(ctx context.Context) (string, error) {
	if dir, ok := findBinaries(); ok {
		return dir, nil
	}
	if os.Geteuid() != 0 {
		return "", ErrMissing
	}
	return install(ctx)
}

// findBinaries looks in PATH, then where distributions put every version.
func findBinaries() (string, bool) {
	dirs := filepath.SplitList(os.Getenv("PATH"))
	versions, _ := filepath.Glob("/usr/lib/postgresql/*/bin")
	slices.SortFunc(versions, func(a, b string) int { return majorOf(b) - majorOf(a) })
	dirs = append(append(dirs, versions...), "/usr/local/bin", "/usr/local/pgsql/bin")
	for _, dir := range dirs {
		initdb, err := exec.LookPath(filepath.Join(dir, "initdb"))
		if err != nil || !filepath.IsAbs(initdb) {
			continue
		}
		// Through a link the server would look for its files beside it.
		if initdb, err = filepath.EvalSymlinks(initdb); err != nil {
			continue
		}
		if _, err := exec.LookPath(filepath.Join(filepath.Dir(initdb), "postgres")); err == nil {
			return filepath.Dir(initdb), true
		}
	}
	return "", false
}

// majorOf reads 15 out of /usr/lib/postgresql/15/bin, 0 if it cannot.
func majorOf(bin string) int {
	n, _ := strconv.Atoi(filepath.Base(filepath.Dir(bin)))
	return n
}

func install(ctx context.Context) (string, error) {
	if _, err := exec.LookPath("apt-get"); err != nil {
		return "", ErrMissing
	}
	lock, err := os.OpenFile(filepath.Join(os.TempDir(), installLock), os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return "", fmt.Errorf("pgtest: %w", err)
	}
	defer func() { _ = lock.Close() }()
	if err := syscall.Flock(int(lock.Fd()), syscall.LOCK_EX); err != nil {
		return "", fmt.Errorf("pgtest: %w", err)
	}
	if dir, ok := findBinaries(); ok { // another process was faster
		return dir, nil
	}
	if err := writeNew(clusterConf, "create_main_cluster = false\n"); err != nil {
		return "", fmt.Errorf("pgtest: %w", err)
	}
	for _, args := range [][]string{
		{"update", "-qq"},
		{"install", "-qq", "--no-install-recommends", "-o", "Dpkg::Options::=--force-confold", "postgresql"},
	} {
		cmd := exec.CommandContext(ctx, "apt-get", append([]string{"-o", "DPkg::Lock::Timeout=300", "-y"}, args...)...)
		cmd.Env = append(os.Environ(), "DEBIAN_FRONTEND=noninteractive")
		if out, err := cmd.CombinedOutput(); err != nil {
			return "", fmt.Errorf("pgtest: apt-get %s: %w\n%s", strings.Join(args, " "), err, out)
		}
	}
	if dir, ok := findBinaries(); ok {
		return dir, nil
	}
	return "", ErrMissing
}

func writeNew(name, text string) error {
	if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
		return err
	}
	f, err := os.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o644)
	if errors.Is(err, fs.ErrExist) {
		return nil
	}
	if err != nil {
		return err
	}
	_, err = f.WriteString(text)
	return errors.Join(err, f.Close())
}
