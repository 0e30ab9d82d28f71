package alert

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"sync/atomic"
	"syscall"
	"time"
)

const (
	// sendWithin bounds one attempt to send to one receiver, connecting and answering included.
	sendWithin = 10 * time.Second
	dialWithin = 5 * time.Second
	// maxAnswer bounds what a receiver may say on one connection, in bytes.
	maxAnswer = 1 << 20
)

// errDenied is what a receiver at a denied address fails with.
var errDenied = errors.New("denied address (MEDIS_DENY_CIDRS and link-local addresses)")

// Network connects to receivers: not to denied addresses, not for longer than a send may take, and not
// for more than an answer holds. The zero Network denies nothing.
//
// The notification library takes no context and sends through http.DefaultTransport. So the
// program has to put Transport there, once, before anything runs; nothing else of it sends through
// that. (Pushes have a transport of their own.)
type Network struct {
	denied atomic.Pointer[func(netip.Addr) bool]
	within atomic.Int64                               // one send, in ns; 0: sendWithin
	refuse atomic.Pointer[func(address string) error] // in tests: instead of connecting
}

// limit is the time that one send may take.
func (n *Network) limit() time.Duration { return cmp.Or(time.Duration(n.within.Load()), sendWithin) }

// Deny says which addresses are denied, from now on.
func (n *Network) Deny(denied func(netip.Addr) bool) { n.denied.Store(&denied) }

// Dial connects to a receiver. The connection ends by itself when a send has to be over.
func (n *Network) Dial(ctx context.Context, network, address string) (net.Conn, error) {
	if refuse := n.refuse.Load(); refuse != nil {
		return nil, (*refuse)(address)
	}
	d := net.Dialer{Timeout: dialWithin, ControlContext: n.control}
	c, err := d.DialContext(ctx, network, address)
	if err != nil {
		return nil, err
	}
	c.SetDeadline(time.Now().Add(n.limit()))
	return &briefConn{Conn: c, left: maxAnswer}, nil
}

// control sees the address that a name was resolved to, so that no name leads past it.
func (n *Network) control(_ context.Context, _, address string, _ syscall.RawConn) error {
	denied := n.denied.Load()
	if denied == nil {
		return nil
	}
	ap, err := netip.ParseAddrPort(address)
	if err != nil || (*denied)(ap.Addr()) {
		return errDenied
	}
	return nil
}

// briefConn is a connection to somebody who has little to say.
type briefConn struct {
	net.Conn
	left int64
}

func (c *briefConn) Read(b []byte) (int, error) {
	if c.left <= 0 {
		return 0, fmt.Errorf("the answer is longer than %d bytes", maxAnswer)
	}
	n, err := c.Conn.Read(b[:min(int64(len(b)), c.left)])
	c.left -= int64(n)
	return n, err
}

// Transport is for http.DefaultTransport. Each request has a connection of its own: alerts are few,
// and a connection that is kept would outlive its deadline.
func (n *Network) Transport() *http.Transport {
	return &http.Transport{
		Proxy:                 http.ProxyFromEnvironment,
		DialContext:           n.Dial,
		DisableKeepAlives:     true,
		TLSHandshakeTimeout:   dialWithin,
		ResponseHeaderTimeout: sendWithin,
	}
}
