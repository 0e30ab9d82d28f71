package http1

import (
	"bufio"
	"context"
	"crypto/tls"
	"math"
	"net"
	"sync/atomic"
	"time"
)

// connKey says which requests may share a connection.
type connKey struct {
	tls  bool
	addr string // host:port
}

// conn is one connection. Between pool.get and pool.put one request owns it;
// only close may be called by others.
type conn struct {
	key     connKey
	pool    *pool
	raw     net.Conn             // the TCP connection: deadlines, closing
	rw      net.Conn             // raw, or TLS over it
	gate    *gate                // between TLS and raw; nil without TLS
	state   *tls.ConnectionState // nil without TLS
	probe   *probe               // sees what the kernel holds; nil if that is impossible
	br      *bufio.Reader        // reads from the conn itself, see Read
	limit   int64                // bytes that may still be read
	readErr error                // the last error of Read
	reused  bool                 // it has served a request before
	timed   bool                 // raw has a deadline
	expires time.Time            // when it is too old for another request

	closed    atomic.Bool
	closeFunc func() // c.close, made once

	// Fields of the pool, valid while idle.
	idleSince    time.Time
	newer, older *conn
}

// newConn wraps a connection just dialled; rw is raw or TLS over it.
func newConn(p *pool, key connKey, raw, rw net.Conn, expires time.Time) *conn {
	c := &conn{key: key, pool: p, raw: raw, rw: rw, probe: newProbe(raw), expires: expires}
	c.br = bufio.NewReader(c)
	c.closeFunc = c.close
	return c
}

// Read reads from the connection within the limit; it is what br calls.
func (c *conn) Read(p []byte) (int, error) {
	if c.limit <= 0 {
		c.readErr = ErrHeaderTooLarge
		return 0, c.readErr
	}
	if int64(len(p)) > c.limit {
		p = p[:c.limit]
	}
	n, err := c.rw.Read(p)
	if c.limit != math.MaxInt64 {
		c.limit -= int64(n)
	}
	c.readErr = err
	return n, err
}

// prepare makes c ready for a request: its deadline, and the read limit for
// the response header.
func (c *conn) prepare(ctx context.Context, headerLimit int64) {
	c.limit = headerLimit
	deadline, ok := ctx.Deadline()
	if ok || c.timed {
		c.raw.SetDeadline(deadline)
		c.timed = ok
	}
}

// limitRead lets reads last d at most, and never beyond ctx's deadline.
func (c *conn) limitRead(ctx context.Context, d time.Duration) {
	until := time.Now().Add(d)
	if deadline, ok := ctx.Deadline(); ok && deadline.Before(until) {
		until = deadline
	}
	c.raw.SetReadDeadline(until)
	c.timed = true
}

// alive reports whether an idle connection may be used: the peer neither
// closed it nor sent anything. It does not block. The deadline must be set
// before, as a past one fails every check.
func (c *conn) alive() bool {
	if c.closed.Load() || c.br.Buffered() > 0 {
		return false
	}
	if c.gate != nil && c.gate.pending(c.br) {
		return false
	}
	return c.probe == nil || c.probe.quiet()
}

// close closes the connection, without TLS's goodbye as that could block. It
// may be called by anyone, more than once. A connection in the pool must be
// taken out first.
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
