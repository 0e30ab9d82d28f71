package http1

import (
	"net"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/solate/medispatcher/internal/sock"
)

// connKey says which requests may share a connection.
type connKey struct {
	tls  bool
	addr string // host:port
}

// conn is one connection. One sender owns it unless it is in the pool; only close may be called by others.
type conn struct {
	key     connKey
	pool    *pool
	raw     net.Conn        // the TCP connection: deadlines, closing
	rw      net.Conn        // raw, or TLS over it
	gate    *gate           // between TLS and raw; nil without TLS
	probe   syscall.RawConn // to see what the kernel holds; nil if raw is no socket
	quick   exchanger       // raw, where it can do more; nil with TLS
	expires time.Time       // when it is too old for another request
	until   time.Time       // its deadline
	used    time.Time       // when its last answer had come; zero: it has served no request
	served  int             // requests

	closed atomic.Bool

	// Fields of the pool, valid while idle.
	idleSince    time.Time
	newer, older *conn
}

// exchanger is a connection that can write a request and read the start of an answer in one go; see package sock.
type exchanger interface {
	Exchange(req, buf []byte) (n int, writeErr, readErr error)
}

// newConn takes over a TCP connection that has just been dialed.
func newConn(key connKey, dialed net.Conn, of *pool, expires time.Time) *conn {
	raw := sock.Wrap(dialed)
	c := &conn{key: key, pool: of, raw: raw, rw: raw, expires: expires}
	if s, ok := dialed.(syscall.Conn); ok {
		c.probe, _ = s.SyscallConn()
	}
	if !key.tls {
		c.quick, _ = raw.(exchanger)
	}
	return c
}

// slack is how late a deadline may be. Setting one costs as much as building a request, so a connection in steady use
// sets it once in that time.
const slack = 100 * time.Millisecond

// end sets the deadline of the connection.
func (c *conn) end(at time.Time) {
	c.until = at
	c.raw.SetDeadline(at)
}

// endWithin makes sure that the connection's deadline is not before at, and at most slack after it.
func (c *conn) endWithin(at time.Time) {
	if c.until.Before(at) || c.until.Sub(at) > slack {
		c.end(at.Add(slack))
	}
}

// hurry lets what remains last d at most, and not beyond the deadline.
func (c *conn) hurry(d time.Duration) {
	if at := time.Now().Add(d); at.Before(c.until) {
		c.end(at)
	}
}

// alive reports whether a connection that rests may be used: the peer neither closed it nor sent anything. It does not
// block. What TLS holds is always looked at, what the kernel holds if look is set. The deadline must be set before, as a past
// one fails every check. n bytes that TLS held are in buf.
func (c *conn) alive(buf []byte, look bool) (n int, ok bool) {
	if c.closed.Load() {
		return 0, false
	}
	if c.gate != nil {
		if n, quiet := c.gate.pending(c.rw, buf); !quiet {
			return n, false
		}
	}
	return 0, !look || c.probe == nil || sock.Quiet(c.probe)
}

// close closes the connection, without TLS's goodbye as that could block. It may be called by anyone, more than once. A
// connection in the pool must be taken out first.
func (c *conn) close() {
	if c.closed.Swap(true) {
		return
	}
	c.pool.forget(c)
	c.raw.Close()
}

// closeAll closes conns.
func closeAll(conns []*conn) {
	for _, c := range conns {
		c.close()
	}
}
