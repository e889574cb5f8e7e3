//go:build unix

package pgtest

import (
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"syscall"
	"testing"
	"time"
)

// TestRemoveStale decides by the lock, by the server and by age, in this
// order.
func TestRemoveStale(t *testing.T) {
	t.Parallel()
	base := t.TempDir()
	mk := func(name string, files map[string]string) string {
		dir := filepath.Join(base, name)
		if err := os.MkdirAll(filepath.Join(dir, "data"), 0o700); err != nil {
			t.Fatal(err)
		}
		for file, text := range files {
			if err := os.WriteFile(filepath.Join(dir, file), []byte(text), 0o600); err != nil {
				t.Fatal(err)
			}
		}
		return dir
	}
	mk(homePrefix+"crashed", map[string]string{lockName: "", "data/postmaster.pid": strconv.Itoa(1<<30) + "\n/x\n"})
	mk(homePrefix+"served", map[string]string{lockName: "", "data/postmaster.pid": strconv.Itoa(os.Getpid()) + "\n/x\n"})
	mk(homePrefix+"new", nil)
	mk("unrelated", map[string]string{lockName: ""})
	if err := os.Chtimes(mk(homePrefix+"old", nil), time.Time{}, time.Now().Add(-time.Hour)); err != nil {
		t.Fatal(err)
	}
	lock, err := os.Open(filepath.Join(mk(homePrefix+"owned", map[string]string{lockName: ""}), lockName))
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = lock.Close() }()
	if err := syscall.Flock(int(lock.Fd()), syscall.LOCK_EX); err != nil {
		t.Fatal(err)
	}

	// What has a lock without an owner has had it for a while.
	for _, name := range []string{"crashed", "served"} {
		if err := os.Chtimes(filepath.Join(base, homePrefix+name, lockName), time.Time{}, time.Now().Add(-time.Hour)); err != nil {
			t.Fatal(err)
		}
	}
	removeStale(base)
	var left []string
	entries, err := os.ReadDir(base)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		left = append(left, e.Name())
	}
	if want := []string{"unrelated", homePrefix + "new", homePrefix + "owned", homePrefix + "served"}; !slices.Equal(left, want) {
		t.Errorf("left %q, want %q", left, want)
	}
}

func TestMajorOf(t *testing.T) {
	t.Parallel()
	for bin, want := range map[string]int{"/usr/lib/postgresql/15/bin": 15, "/usr/lib/postgresql/9.6/bin": 0, "bin": 0} {
		if got := majorOf(bin); got != want {
			t.Errorf("majorOf(%q) = %d", bin, got)
		}
	}
}
