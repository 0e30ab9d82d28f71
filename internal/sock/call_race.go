//go:build linux && race

package sock

import (
	"errors"
	"syscall"
)

// The race detector knows that what a program writes to a socket happens before it is read, but only of these calls.

func read(fd uintptr, b []byte) (int, syscall.Errno)  { return numbered(syscall.Read(int(fd), b)) }
func write(fd uintptr, b []byte) (int, syscall.Errno) { return numbered(syscall.Write(int(fd), b)) }

func numbered(n int, err error) (int, syscall.Errno) {
	errno, _ := errors.AsType[syscall.Errno](err)
	return n, errno
}
