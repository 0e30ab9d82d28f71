package alert

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"strings"
	"sync/atomic"
	"syscall"
	"time"

	"golang.org/x/net/idna"

	"github.com/solate/medispatcher"
)

const (
	// sendWithin bounds one send to one receiver, from connecting to its answer.
	sendWithin = 10 * time.Second
	dialWithin = 5 * time.Second
	// maxAnswer bounds the bytes that are read from one connection.
	maxAnswer = 1 << 20
)

// errDenied is the error of a receiver at a denied address.
var errDenied = errors.New("denied address (MEDIS_DENY_CIDRS and link-local addresses)")

// Network connects to receivers. It refuses denied addresses, ends a connection when a send has taken too
// long, and bounds what is read. The zero Network denies nothing.
//
// The notification library takes no context and sends through http.DefaultTransport. So the program must set
// that to Transport, once, before anything runs. Nothing else in the program may send through it; pushes
// have their own client.
type Network struct {
	denied atomic.Pointer[func(netip.Addr) bool]
	within atomic.Int64                               // one send, in ns; 0: sendWithin
	refuse atomic.Pointer[func(address string) error] // in tests: instead of connecting
}

// limit is how long one send may take.
func (n *Network) limit() time.Duration { return cmp.Or(time.Duration(n.within.Load()), sendWithin) }

// Deny sets which addresses are denied from now on.
func (n *Network) Deny(denied func(netip.Addr) bool) { n.denied.Store(&denied) }

// Dial connects to a receiver. The connection has a deadline, by which the send must be over.
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

// control checks the address that a name was resolved to, so that no name leads to a denied one.
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

// briefConn is a connection that reads a bounded number of bytes.
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

// Transport is for http.DefaultTransport. It keeps no connection for the next request: alerts are few, and
// the deadline of the connection would have passed.
func (n *Network) Transport() *http.Transport {
	return &http.Transport{
		Proxy:                 n.through(http.ProxyFromEnvironment),
		DialContext:           n.Dial,
		DisableKeepAlives:     true,
		TLSHandshakeTimeout:   dialWithin,
		ResponseHeaderTimeout: sendWithin,
	}
}

// through judges an address that stands in a URL before a proxy gets it: control would see that of the proxy alone.
func (n *Network) through(proxy func(*http.Request) (*url.URL, error)) func(*http.Request) (*url.URL, error) {
	return func(r *http.Request) (*url.URL, error) {
		to, err := proxy(r)
		if to == nil || err != nil {
			return to, err
		}
		host := r.URL.Hostname()
		if strings.ContainsFunc(host, func(r rune) bool { return r > '~' }) { // the transport sends it like this
			if host, err = idna.Lookup.ToASCII(host); err != nil {
				return nil, err
			}
		}
		ip, err := netip.ParseAddr(host)
		if err != nil {
			return to, medispatcher.CheckHost(host)
		}
		if denied := n.denied.Load(); denied != nil && (*denied)(ip) {
			return nil, errDenied
		}
		return to, nil
	}
}
