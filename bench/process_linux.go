package main

import (
	"fmt"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

func deathSignal() *syscall.SysProcAttr { return &syscall.SysProcAttr{Pdeathsig: syscall.SIGTERM} }

// cpuOf is what a process has spent on cores, those of its threads that are gone
// included, to the nanosecond: the times in /proc come in ticks of 10 ms.
func cpuOf(pid int) (time.Duration, error) {
	const sched = 2 // CPUCLOCK_SCHED; clock_getcpuclockid(3) makes the same id
	var at unix.Timespec
	if err := unix.ClockGettime(int32(^pid<<3|sched), &at); err != nil {
		return 0, fmt.Errorf("reading the CPU time of a process: %w", err)
	}
	return time.Duration(at.Nano()), nil
}

// ownCPU is what this process has spent on a core.
func ownCPU() time.Duration {
	var u syscall.Rusage
	_ = syscall.Getrusage(syscall.RUSAGE_SELF, &u) // never fails with valid arguments
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}
