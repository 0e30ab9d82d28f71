package http1

import (
	"errors"
	"net"
)

// gate stands between a TLS connection and its TCP connection. Shut, it lets
// one see what TLS has buffered itself: the kernel knows nothing of that.
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

// pending reports whether tlsConn, which reads through g, holds data or has
// seen its end.
func (g *gate) pending(tlsConn net.Conn) bool {
	var b [1]byte
	g.shut = true
	_, err := tlsConn.Read(b[:])
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
