//go:build unix

package pgtest

import (
	"os"
	"os/user"
	"strconv"
	"sync"
	"syscall"
)

// initAttr are the attributes of the process that makes the data directory: a
// session of its own, and a user that is not root (as whom it refuses to run).
func initAttr() *syscall.SysProcAttr {
	return &syscall.SysProcAttr{Setsid: true, Credential: serverUser()}
}

// childAttr are those of the server: on Linux it gets a signal, too, when the
// thread that started it ends, which must therefore be locked.
func childAttr() *syscall.SysProcAttr {
	attr := initAttr()
	setDeathSignal(attr)
	return attr
}

// serverUser is nil unless this process is root's.
var serverUser = sync.OnceValue(func() *syscall.Credential {
	if os.Geteuid() != 0 {
		return nil
	}
	for _, name := range []string{"postgres", "nobody"} {
		u, err := user.Lookup(name)
		if err != nil {
			continue
		}
		uid, err1 := strconv.ParseUint(u.Uid, 10, 32)
		gid, err2 := strconv.ParseUint(u.Gid, 10, 32)
		if err1 == nil && err2 == nil {
			return &syscall.Credential{Uid: uint32(uid), Gid: uint32(gid)}
		}
	}
	return nil // the server will say what is wrong
})
