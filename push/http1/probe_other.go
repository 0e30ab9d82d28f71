//go:build !(linux || darwin || freebsd || netbsd || openbsd || dragonfly)

package http1

import "net"

// probe is not available here: a connection proves dead only when it is used.
type probe struct{}

// newProbe returns nil.
func newProbe(net.Conn) *probe { return nil }

// quiet is never called.
func (*probe) quiet() bool { return true }
