package sock

import (
	"errors"
	"io"
	"net"
	"os"
	"sync"
	"syscall"
	"time"
)

const (
	// lookAfter is how long Exchange waits for an answer before it looks for what came before the request, and slack is how much
	// later it may look: setting a deadline for each request would cost as much as the system call that is saved.
	lookAfter = 100 * time.Millisecond
	slack     = 100 * time.Millisecond
)

// Conn is a TCP connection or that of a Unix socket.
type Conn struct {
	net.Conn
	raw syscall.RawConn

	in, out  half
	exchange func(fd uintptr) bool

	mu     sync.Mutex
	readBy time.Time // the deadline of reads, as the caller set it
	early  time.Time // the one in force, if Exchange set it; zero: readBy is
}

// half is one direction. Its mutex is held during a call.
type half struct {
	mu   sync.Mutex
	b    []byte // to write, or to read into
	n    int    // done of it
	err  error
	step func(fd uintptr) bool // made once; false: wait until the socket is ready
}

// Wrap returns a [Conn] over c, or c if it is no socket.
func Wrap(c net.Conn) net.Conn {
	switch c.(type) {
	case *net.TCPConn, *net.UnixConn:
	default:
		return c
	}
	raw, err := c.(syscall.Conn).SyscallConn()
	if err != nil {
		return c
	}
	s := &Conn{Conn: c, raw: raw}
	s.in.step, s.out.step, s.exchange = s.in.read, s.out.write, s.writeAndRead
	return s
}

// Read implements net.Conn.
func (c *Conn) Read(b []byte) (int, error) {
	c.in.mu.Lock()
	defer c.in.mu.Unlock()
	c.noMoreEarly()
	return c.readLocked(b)
}

func (c *Conn) readLocked(b []byte) (int, error) {
	if len(b) == 0 {
		return 0, nil
	}
	c.in.begin(b)
	return c.in.end(c, "read", c.raw.Read(c.in.step))
}

// Write implements net.Conn.
func (c *Conn) Write(b []byte) (int, error) {
	c.out.mu.Lock()
	defer c.out.mu.Unlock()
	return c.writeLocked(b)
}

func (c *Conn) writeLocked(b []byte) (int, error) {
	c.out.begin(b)
	return c.out.end(c, "write", c.raw.Write(c.out.step))
}

// Exchange writes a request and reads the start of its answer into buf. It is Write and then Read with one system call less,
// because it waits until there is something to read. If the peer had already closed the connection or sent something, and does not
// answer, Exchange notices that up to 200 ms late. After a failed write nothing is read. req and buf may share memory.
func (c *Conn) Exchange(req, buf []byte) (n int, writeErr, readErr error) {
	c.in.mu.Lock()
	defer c.in.mu.Unlock()
	c.out.mu.Lock()
	defer c.out.mu.Unlock()
	c.setEarly(time.Now())
	c.out.begin(req)
	c.in.begin(buf)
	err := c.raw.Read(c.exchange)
	sent, writeErr := c.out.end(c, "write", nil)
	n, readErr = c.in.end(c, "read", err)
	if writeErr != nil {
		return 0, writeErr, nil
	}
	switch {
	case n > 0, readErr != nil && (!errors.Is(readErr, os.ErrDeadlineExceeded) || c.noMoreEarly()):
		return n, nil, readErr
	case sent < len(req): // the socket took no more, or it was time to look before anything was written
		if _, writeErr = c.writeLocked(req[sent:]); writeErr != nil {
			return 0, writeErr, nil
		}
		c.noMoreEarly()
	}
	n, readErr = c.readLocked(buf)
	return n, nil, readErr
}

// writeAndRead is a step of Exchange: it writes the first time that it is called, and then reads.
func (c *Conn) writeAndRead(fd uintptr) bool {
	if c.out.b == nil {
		return c.in.read(fd)
	}
	whole := c.out.write(fd)
	c.out.b = nil
	return !whole || c.out.err != nil // then there is nothing to wait for
}

// SetDeadline implements net.Conn.
func (c *Conn) SetDeadline(t time.Time) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.readBy, c.early = t, time.Time{}
	return c.Conn.SetDeadline(t)
}

// SetReadDeadline implements net.Conn.
func (c *Conn) SetReadDeadline(t time.Time) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.readBy, c.early = t, time.Time{}
	return c.Conn.SetReadDeadline(t)
}

// setEarly makes sure that a read ends between lookAfter and slack later, or at its deadline if that is sooner.
func (c *Conn) setEarly(now time.Time) {
	c.mu.Lock()
	defer c.mu.Unlock()
	from := now.Add(lookAfter)
	until := from.Add(slack)
	switch {
	case !c.readBy.IsZero() && c.readBy.Before(until):
		c.noMoreEarlyLocked()
	case c.early.Before(from):
		c.early = until
		_ = c.Conn.SetReadDeadline(until)
	}
}

// noMoreEarly puts the deadline of the caller in force. It reports whether that was in force already.
func (c *Conn) noMoreEarly() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.noMoreEarlyLocked()
}

func (c *Conn) noMoreEarlyLocked() bool {
	if c.early.IsZero() {
		return true
	}
	c.early = time.Time{}
	_ = c.Conn.SetReadDeadline(c.readBy)
	return false
}

func (h *half) begin(b []byte) { h.b, h.n, h.err = b, 0, nil }

// end returns what a call came to. err is that of the wait.
func (h *half) end(c *Conn, op string, err error) (int, error) {
	h.b = nil
	if err == nil {
		err = h.err
	}
	if err == nil || err == io.EOF { //nolint:errorlint // it comes from read
		return h.n, err
	}
	return h.n, c.failed(op, err)
}

// failed returns the error that package net would.
func (c *Conn) failed(op string, err error) error {
	if waited, ok := errors.AsType[*net.OpError](err); ok {
		err = waited.Err
	} else {
		err = os.NewSyscallError(op, err)
	}
	return &net.OpError{Op: op, Net: c.LocalAddr().Network(), Source: c.LocalAddr(), Addr: c.RemoteAddr(), Err: err}
}

func (h *half) read(fd uintptr) bool {
	for {
		n, errno := read(fd, h.b)
		switch errno {
		case 0:
			if h.n = n; n == 0 {
				h.err = io.EOF
			}
			return true
		case syscall.EINTR:
		case syscall.EAGAIN:
			return false
		default:
			h.err = errno
			return true
		}
	}
}

func (h *half) write(fd uintptr) bool {
	for h.n < len(h.b) {
		n, errno := write(fd, h.b[h.n:])
		switch errno {
		case 0:
			h.n += n
		case syscall.EINTR:
		case syscall.EAGAIN:
			return false
		default:
			h.err = errno
			return true
		}
	}
	return true
}

// SyscallConn implements syscall.Conn.
func (c *Conn) SyscallConn() (syscall.RawConn, error) { return looks{c.raw}, nil }

// looks is the raw connection for those who check whether it is alive, as go-redis does before each command. Their own check is
// a call that the scheduler hears of, so it is made only where ours sees something.
type looks struct{ syscall.RawConn }

// Read calls look unless there is nothing to see.
func (l looks) Read(look func(fd uintptr) bool) error {
	return l.RawConn.Read(func(fd uintptr) bool { return nothingAt(fd) || look(fd) })
}
