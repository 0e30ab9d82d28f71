package rdb

import (
	"context"
	"crypto/tls"
	"fmt"
	"net"
	"time"

	"github.com/solate/medispatcher/internal/certwhy"
	"github.com/solate/medispatcher/internal/sock"
)

// keepAlive finds a Redis that vanished, and keeps the entries of firewalls on the way.
var keepAlive = net.KeepAliveConfig{Enable: true, Idle: 30 * time.Second, Interval: 5 * time.Second, Count: 3}

// dialer dials as go-redis does by itself, but makes connections of package sock.
func dialer(cfg *tls.Config, roots Roots) func(ctx context.Context, network, addr string) (net.Conn, error) {
	d := net.Dialer{KeepAliveConfig: keepAlive}
	return func(ctx context.Context, network, addr string) (net.Conn, error) {
		ctx, cancel := context.WithTimeout(ctx, dialTimeout)
		defer cancel()
		dialed, err := d.DialContext(ctx, network, addr)
		if err != nil {
			return nil, err
		}
		conn := sock.Wrap(dialed)
		if cfg == nil {
			return conn, nil
		}
		own := cfg.Clone()
		if own.ServerName == "" {
			own.ServerName, _, _ = net.SplitHostPort(addr)
		}
		if roots != nil {
			own.RootCAs = roots()
		}
		secure := tls.Client(conn, own)
		if err := secure.HandshakeContext(ctx); err != nil {
			conn.Close()
			if why := certwhy.Problem(err); why != "" {
				err = fmt.Errorf("TLS handshake: %s: %w", why, err)
			}
			return nil, err
		}
		return secure, nil
	}
}
