package http1

import (
	"context"
	"crypto/tls"
	"fmt"
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
		if c.alive() {
			c.reused = true
			return c, nil
		}
		c.close()
	}
	c, err := t.dial(ctx, key)
	if err != nil {
		return nil, t.fail(ctx, "connect to", key.addr, err)
	}
	c.prepare(ctx, t.opts.MaxResponseHeaderBytes)
	return c, nil
}

// dial makes a new connection, within DialTimeout and ctx.
func (t *Transport) dial(ctx context.Context, key connKey) (*conn, error) {
	// A timer of its own: ctx may be one that ends its deadline by itself only where a
	// connection is there to keep it, see EndsAtDeadline.
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
	if err != nil {
		return nil, err
	}
	c := newConn(&t.pool, key, raw, raw)
	if key.tls {
		if err := c.handshake(ctx, t.opts.TLSConfig); err != nil {
			raw.Close()
			return nil, err
		}
	}
	if !t.pool.add(c) {
		raw.Close()
		return nil, ErrClosed
	}
	return c, nil
}

// dialRaw opens the TCP connection.
func (t *Transport) dialRaw(ctx context.Context, addr string) (net.Conn, error) {
	guard := t.opts.Guard
	if t.opts.Dial == nil {
		var d net.Dialer
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
