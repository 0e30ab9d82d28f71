package rdb

import (
	"fmt"
	"net"
	"sync"
	"syscall"
	"time"
)

// goneFor is how long the client may not connect to a node that left the cluster. Otherwise a
// command that waited for a connection would hang on that node again. It is short, because the node
// may come back and be the only one left.
const goneFor = 5 * time.Second

// links are the open connections of a client, by address of the node. A node that hangs does not
// close its connections, and commands would wait seconds for its answers. So they are cut here.
type links struct {
	mu   sync.Mutex
	open map[string]map[*link]bool
	gone map[string]time.Time // until when
}

// link is one connection.
type link struct {
	net.Conn
	of   *links
	addr string
}

// rawLink is a link over a bare socket. The pool of go-redis needs the socket to see whether the
// other side closed the connection.
type rawLink struct {
	*link
	syscall.Conn
}

// add registers a connection until it is closed.
func (l *links) add(addr string, conn net.Conn) net.Conn {
	at := &link{Conn: conn, of: l, addr: addr}
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.open == nil {
		l.open = map[string]map[*link]bool{}
	}
	if l.open[addr] == nil {
		l.open[addr] = map[*link]bool{}
	}
	l.open[addr][at] = true
	if raw, ok := conn.(syscall.Conn); ok {
		return rawLink{at, raw}
	}
	return at
}

// Close is part of net.Conn.
func (c *link) Close() error {
	c.of.mu.Lock()
	delete(c.of.open[c.addr], c)
	if len(c.of.open[c.addr]) == 0 {
		delete(c.of.open, c.addr)
	}
	c.of.mu.Unlock()
	return c.Conn.Close()
}

// refused is the error if the client may not connect to addr now.
func (l *links) refused(addr string) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if time.Now().Before(l.gone[addr]) {
		return fmt.Errorf("%s left the cluster", addr)
	}
	return nil
}

// cutAllBut closes the connections to all nodes that are not in known.
func (l *links) cutAllBut(known map[string]bool) {
	var cut []*link
	l.mu.Lock()
	if l.gone == nil {
		l.gone = map[string]time.Time{}
	}
	for addr := range known {
		delete(l.gone, addr)
	}
	for addr, open := range l.open {
		if known[addr] {
			continue
		}
		l.gone[addr] = time.Now().Add(goneFor)
		for at := range open {
			cut = append(cut, at)
		}
	}
	l.mu.Unlock()
	for _, at := range cut {
		_ = at.Close() // whoever uses it gets an error
	}
}
