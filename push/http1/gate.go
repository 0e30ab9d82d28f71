package http1

import (
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

// pending reads into buf what TLS holds. quiet reports that it holds nothing and has not seen its end.
func (g *gate) pending(tls net.Conn, buf []byte) (n int, quiet bool) {
	g.shut = true
	n, err := tls.Read(buf)
	g.shut = false
	return n, n == 0 && errors.Is(err, errShut)
}

// shutError is a net.Error that calls itself temporary, else crypto/tls would
// remember it.
type shutError struct{}

var errShut net.Error = shutError{}

func (shutError) Error() string   { return "gate is shut" }
func (shutError) Timeout() bool   { return true }
func (shutError) Temporary() bool { return true }
