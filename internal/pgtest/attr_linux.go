package pgtest

import "syscall"

// setDeathSignal has the kernel send what asks Postgres for its immediate
// shutdown.
func setDeathSignal(attr *syscall.SysProcAttr) { attr.Pdeathsig = syscall.SIGQUIT }
