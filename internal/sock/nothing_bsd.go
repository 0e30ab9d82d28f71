//go:build darwin || freebsd || netbsd || openbsd || dragonfly

package sock

import "syscall"

// nothingAt reports whether a read would block.
func nothingAt(fd uintptr) bool {
	var b [1]byte
	_, _, err := syscall.Recvfrom(int(fd), b[:], syscall.MSG_PEEK|syscall.MSG_DONTWAIT)
	return err == syscall.EAGAIN || err == syscall.EWOULDBLOCK
}
