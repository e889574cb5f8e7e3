package main

import (
	"fmt"
	"os"
	"syscall"
	"time"
)

func deathSignal() *syscall.SysProcAttr { return &syscall.SysProcAttr{Pdeathsig: syscall.SIGTERM} }

func cpuOf(pid int) (time.Duration, error) {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return 0, fmt.Errorf("reading the CPU time of a process: %w", err)
	}
	return parseStat(text)
}

// ownCPU is what this process has spent on a core.
func ownCPU() time.Duration {
	var u syscall.Rusage
	_ = syscall.Getrusage(syscall.RUSAGE_SELF, &u) // never fails with valid arguments
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}
