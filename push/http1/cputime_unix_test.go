//go:build linux || darwin || freebsd || netbsd || openbsd || dragonfly

package http1_test

import "syscall"

// cpuTime returns the CPU time this process has used, in ns. Unlike the time
// that passes, it depends little on what else the machine does.
func cpuTime() int64 {
	var u syscall.Rusage
	if syscall.Getrusage(syscall.RUSAGE_SELF, &u) != nil {
		return 0
	}
	return syscall.TimevalToNsec(u.Utime) + syscall.TimevalToNsec(u.Stime)
}
