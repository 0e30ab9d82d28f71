package sock

import "syscall"

// Quiet reports whether a connection is open with nothing to read. It does not block. Where nobody can look, it is taken to be.
func Quiet(c syscall.RawConn) bool {
	quiet := false
	err := c.Read(func(fd uintptr) bool {
		quiet = nothingAt(fd)
		return true
	})
	return err == nil && quiet
}
