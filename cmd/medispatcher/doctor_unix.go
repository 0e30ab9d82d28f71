//go:build linux || darwin || freebsd || netbsd || openbsd

package main

import (
	"math"
	"syscall"
)

// writable asks for the right to write without opening: a FIFO would wait for its reader.
func writable(path string) error {
	const wOK = 2
	return syscall.Access(path, wOK)
}

// openFiles is how many files this process may have open, sockets included.
func openFiles() int {
	var limit syscall.Rlimit
	if syscall.Getrlimit(syscall.RLIMIT_NOFILE, &limit) != nil || uint64(limit.Cur) > math.MaxInt32 { //nolint:unconvert // signed on some systems
		return math.MaxInt32
	}
	return int(limit.Cur) //nolint:gosec // small
}
