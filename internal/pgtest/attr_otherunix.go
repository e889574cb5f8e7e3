//go:build unix && !linux

package pgtest

import "syscall"

// setDeathSignal does nothing where there is no such signal: the undertaker
// ends the server.
func setDeathSignal(*syscall.SysProcAttr) {}
