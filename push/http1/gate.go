package http1

import (
	"bufio"
	"errors"
	"net"
)

// gate stands between a TLS connection and its TCP connection. While it is shut, a read
// returns only what TLS itself has buffered, which the kernel does not know.
type gate struct {
	net.Conn
	shut bool
}

// Read reads, or fails at once when shut.
func (g *gate) Read(p []byte) (int, error) {
	if g.shut {
		return 0, errShut
	}
	return g.Conn.Read(p)
}

// pending reports whether TLS holds data or has seen its end. br reads from it,
// which reads through g.
func (g *gate) pending(br *bufio.Reader) bool {
	g.shut = true
	_, err := br.Peek(1)
	g.shut = false
	return !errors.Is(err, errShut)
}

// shutError is a net.Error that calls itself temporary, else crypto/tls would
// remember it.
type shutError struct{}

var errShut net.Error = shutError{}

func (shutError) Error() string   { return "http1: gate is shut" }
func (shutError) Timeout() bool   { return true }
func (shutError) Temporary() bool { return true }
