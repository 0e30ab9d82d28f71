//go:build linux || darwin || freebsd || netbsd || openbsd || dragonfly

package http1

import (
	"net"
	"syscall"
)

// probe looks at what the kernel has received for an idle connection.
type probe struct {
	conn  syscall.RawConn
	look  func(fd uintptr) bool // p.peek, made once
	buf   [1]byte
	clean bool
}

// newProbe returns a probe of c, nil if c is not a socket.
func newProbe(c net.Conn) *probe {
	sc, ok := c.(syscall.Conn)
	if !ok {
		return nil
	}
	rc, err := sc.SyscallConn()
	if err != nil {
		return nil
	}
	p := &probe{conn: rc}
	p.look = p.peek
	return p
}

// quiet reports whether the connection is open with nothing to read. It does
// not block.
func (p *probe) quiet() bool {
	p.clean = false
	return p.conn.Read(p.look) == nil && p.clean
}

// peek notes whether a read would block. Returning true it never waits.
func (p *probe) peek(fd uintptr) bool {
	_, _, err := syscall.Recvfrom(int(fd), p.buf[:], syscall.MSG_PEEK|syscall.MSG_DONTWAIT)
	p.clean = err == syscall.EAGAIN || err == syscall.EWOULDBLOCK
	return true
}
