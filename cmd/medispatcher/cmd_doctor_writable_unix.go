//go:build linux || darwin || freebsd || netbsd || openbsd

package main

import "syscall"

// writable asks for the right to write without opening: a FIFO would wait for its reader.
func writable(path string) error {
	const wOK = 2
	return syscall.Access(path, wOK)
}
