package http1

import (
	"context"
	"crypto/tls"
	"fmt"
	"math/rand/v2"
	"net"
	"strings"
	"time"
)

// acquire returns a connection for key, ready for a request: an idle one that
// is still alive unless fresh is asked for, else a new one.
func (t *Transport) acquire(ctx context.Context, key connKey, fresh bool) (*conn, error) {
	for !fresh {
		c := t.pool.get(key)
		if c == nil {
			break
		}
		c.prepare(ctx, t.opts.MaxResponseHeaderBytes)
		if !c.alive() {
			t.unasked.before(c)
		} else if time.Now().Before(c.expires) {
			c.reused = true
			return c, nil
		}
		c.close()
	}
	c, phase, err := t.dial(ctx, key)
	if err != nil {
		return nil, t.fail(ctx, phase, "connect to", key.addr, err)
	}
	c.prepare(ctx, t.opts.MaxResponseHeaderBytes)
	return c, nil
}

// dial makes a new connection, within DialTimeout and ctx.
func (t *Transport) dial(ctx context.Context, key connKey) (*conn, Phase, error) {
	// ctx may have a deadline but no timer: a connection enforces it (see EndsAtDeadline),
	// and there is none yet.
	until := time.Now().Add(t.opts.DialTimeout)
	if deadline, ok := ctx.Deadline(); ok && deadline.Before(until) {
		until = deadline
	}
	caller := ctx
	ctx, cancel := context.WithDeadline(context.WithoutCancel(caller), until)
	defer context.AfterFunc(caller, cancel)()
	defer cancel()
	defer context.AfterFunc(t.ctx, cancel)()

	raw, err := t.dialRaw(ctx, key.addr)
	if err != nil && IsShortage(err) {
		if idle := t.pool.takeOldest(roomMade); len(idle) > 0 {
			closeAll(idle)
			raw, err = t.dialRaw(ctx, key.addr)
		}
	}
	if err != nil {
		return nil, PhaseConnect, err
	}
	c := newConn(&t.pool, key, raw, raw, t.expiry())
	if key.tls {
		if err := c.handshake(ctx, t.opts.TLSConfig); err != nil {
			raw.Close()
			return nil, PhaseTLS, err
		}
	}
	if !t.pool.add(c) {
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
func (t *Transport) expiry() time.Time {
	age := t.opts.MaxAge
	return time.Now().Add(age - age/5 + rand.N(2*age/5+1))
}

// keepAlive finds a peer that vanished while a connection is idle, and keeps
// the entries of firewalls on the way.
var keepAlive = net.KeepAliveConfig{Enable: true, Idle: 15 * time.Second, Interval: 5 * time.Second, Count: 3}

// dialRaw opens the TCP connection.
func (t *Transport) dialRaw(ctx context.Context, addr string) (net.Conn, error) {
	guard := t.opts.Guard
	if t.opts.Dial == nil {
		d := net.Dialer{KeepAliveConfig: keepAlive}
		if guard != nil {
			d.ControlContext = guard.Control
		}
		return d.DialContext(ctx, "tcp", addr)
	}
	raw, err := t.opts.Dial(ctx, "tcp", addr)
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
func (c *conn) handshake(ctx context.Context, cfg *tls.Config) error {
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
		return fmt.Errorf("TLS handshake: %w", err)
	}
	state := tc.ConnectionState()
	c.rw, c.state = tc, &state
	return nil
}
