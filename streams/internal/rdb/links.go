package rdb

import (
	"fmt"
	"net"
	"sync"
	"syscall"
	"time"
)

// goneFor is how long no connection is made to a node that left the cluster: what waited for
// one would hang on it again. It is short because the node may be all that is left one day.
const goneFor = 5 * time.Second

// links are the open connections of a client by the node they lead to. A node that hangs
// ends none of them, and who waits for its answer waits for seconds: they are cut here.
type links struct {
	mu   sync.Mutex
	open map[string]map[*link]bool
	gone map[string]time.Time // until when
}

// link is one of them.
type link struct {
	net.Conn
	of   *links
	addr string
}

// rawLink is a link over a bare socket. The pool looks there for whether the other side hung up.
type rawLink struct {
	*link
	syscall.Conn
}

// add notes a connection. It is forgotten when it is closed.
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

// refused is the error of a connection that is not to be made.
func (l *links) refused(addr string) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if time.Now().Before(l.gone[addr]) {
		return fmt.Errorf("%s left the cluster", addr)
	}
	return nil
}

// cutAllBut ends the connections to nodes that are not among these.
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
