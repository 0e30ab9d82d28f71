//go:build linux || darwin || freebsd || netbsd || openbsd

package daemon

import (
	"math"
	"syscall"
)

// OpenFiles is how many files this process may have open, sockets included.
func OpenFiles() int {
	var limit syscall.Rlimit
	if syscall.Getrlimit(syscall.RLIMIT_NOFILE, &limit) != nil || uint64(limit.Cur) > math.MaxInt32 { //nolint:unconvert // signed on some systems
		return math.MaxInt32
	}
	return int(limit.Cur) //nolint:gosec // small
}
