//go:build unix

package pgtest

import (
	"os"
	"os/user"
	"strconv"
	"sync"
	"syscall"
)

// childAttr are the attributes of the server's process: a session of its own,
// a user that is not root (as whom it refuses to run), and on Linux a signal
// when the thread that started it ends.
func childAttr() *syscall.SysProcAttr {
	attr := &syscall.SysProcAttr{Setsid: true, Credential: serverUser()}
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
