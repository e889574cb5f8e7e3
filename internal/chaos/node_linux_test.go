package chaos

import (
	"os"
	"syscall"
)

// attributes end a node with the thread that started it.
func attributes() *syscall.SysProcAttr { return &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL} }

// suspend stops a process until resume.
func suspend(p *os.Process) (resume func()) {
	_ = p.Signal(syscall.SIGSTOP)
	return func() { _ = p.Signal(syscall.SIGCONT) }
}
