package http1

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"math/rand/v2"
	"net"
	"strings"
	"time"

	"github.com/solate/medispatcher/internal/certwhy"
)

// dial makes a new connection, within DialTimeout, the deadline and ctx.
func (cl *Client) dial(ctx context.Context, key connKey, deadline time.Time) (*conn, Phase, error) {
	if until := time.Now().Add(cl.opts.DialTimeout); until.Before(deadline) {
		deadline = until
	}
	ctx, cancel := context.WithDeadline(ctx, deadline)
	defer cancel()
	defer context.AfterFunc(cl.ctx, cancel)()

	raw, err := cl.dialRaw(ctx, key.addr)
	if err != nil && IsShortage(err) {
		if idle := cl.pool.takeOldest(roomMade); len(idle) > 0 {
			closeAll(idle)
			raw, err = cl.dialRaw(ctx, key.addr)
		}
	}
	if err != nil {
		return nil, PhaseConnect, err
	}
	c := newConn(key, raw, &cl.pool, cl.expiry())
	if key.tls {
		if err := c.handshake(ctx, cl.opts.TLSConfig, cl.opts.Roots); err != nil {
			raw.Close()
			return nil, PhaseTLS, err
		}
	}
	if !cl.pool.add(c) {
		raw.Close()
		return nil, PhaseConnect, ErrClosed
	}
	return c, "", nil
}

// roomMade is how many idle connections are closed if this machine is short
// of something for a new one. Looking up a name takes a few descriptors.
const roomMade = 8

// expiry is when a connection made now is too old. It varies, so that connections
// made together do not expire together.
func (cl *Client) expiry() time.Time {
	age := cl.opts.MaxAge
	return time.Now().Add(age - age/5 + rand.N(2*age/5+1))
}

// keepAlive finds a peer that vanished while a connection is idle, and keeps
// the entries of firewalls on the way.
var keepAlive = net.KeepAliveConfig{Enable: true, Idle: 15 * time.Second, Interval: 5 * time.Second, Count: 3}

// dialRaw opens the TCP connection.
func (cl *Client) dialRaw(ctx context.Context, addr string) (net.Conn, error) {
	if cl.opts.Proxy != nil {
		return cl.dialProxy(ctx, addr)
	}
	guard := cl.opts.Guard
	if cl.opts.Dial == nil {
		d := net.Dialer{KeepAliveConfig: keepAlive}
		if guard != nil {
			d.ControlContext = guard.Control
		}
		return cl.dialHost(ctx, &d, addr)
	}
	raw, err := cl.opts.Dial(ctx, "tcp", addr)
	if err != nil {
		return nil, err
	}
	if remote, ok := raw.RemoteAddr().(*net.TCPAddr); ok && guard != nil {
		if err := guard.check(remote.AddrPort().Addr()); err != nil {
			raw.Close()
			return nil, err
		}
	}
	return raw, nil
}

// handshake puts TLS on c.
func (c *conn) handshake(ctx context.Context, cfg *tls.Config, roots func() *x509.CertPool) error {
	if roots != nil {
		cfg = cfg.Clone()
		cfg.RootCAs = roots()
	}
	if cfg.ServerName == "" {
		host, _, err := net.SplitHostPort(c.key.addr)
		if err != nil {
			return err
		}
		host, _, _ = strings.Cut(host, "%") // no certificate names a zone
		cfg = cfg.Clone()
		cfg.ServerName = host
	}
	c.gate = &gate{Conn: c.raw}
	tc := tls.Client(c.gate, cfg)
	if err := tc.HandshakeContext(ctx); err != nil {
		if why := certwhy.Problem(err); why != "" {
			return fmt.Errorf("TLS handshake: %s: %w", why, err)
		}
		return fmt.Errorf("TLS handshake: %w", plain(err))
	}
	c.rw = tc
	return nil
}
