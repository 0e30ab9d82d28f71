//go:build linux && race

package sock

import "syscall"

// The race detector knows that what a program writes to a socket happens before it is read, but only of these calls.

func read(fd uintptr, b []byte) (int, error)  { return syscall.Read(int(fd), b) }
func write(fd uintptr, b []byte) (int, error) { return syscall.Write(int(fd), b) }
