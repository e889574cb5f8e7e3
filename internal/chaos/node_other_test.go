//go:build !linux

package chaos

import (
	"os"
	"syscall"
)

func attributes() *syscall.SysProcAttr { return nil }

// suspend does nothing: not every system can stop a process.
func suspend(*os.Process) (resume func()) { return func() {} }
