package http1

import (
	"context"
	"crypto/tls"
	"net"
	"time"
)

// Defaults of [Options], used for fields left zero.
const (
	DefaultMaxIdlePerHost         = 64
	DefaultMaxIdle                = 1024
	DefaultIdleTimeout            = 60 * time.Second
	DefaultDialTimeout            = 10 * time.Second
	DefaultMaxResponseHeaderBytes = 64 << 10
	DefaultMaxDrain               = 64 << 10
)

// Options configures a [Transport]. Fields left zero take their defaults.
type Options struct {
	// MaxIdlePerHost is how many idle connections are kept for one scheme,
	// host and port. Negative turns keep-alive off. Connections in use are not
	// limited here: their number is the caller's concurrency.
	MaxIdlePerHost int

	// MaxIdle is how many idle connections are kept over all hosts; the one
	// unused for longest is closed to make room.
	MaxIdle int

	// IdleTimeout is how long an idle connection is kept.
	IdleTimeout time.Duration

	// DialTimeout bounds connecting: name resolution, TCP and TLS handshake
	// together. The request's own deadline holds too.
	DialTimeout time.Duration

	// TLSConfig is cloned. Certificates are checked unless it says otherwise.
	// ALPN is always http/1.1 and the version at least TLS 1.2.
	TLSConfig *tls.Config

	// Dial replaces the default dialer. It must return soon after ctx is done.
	Dial func(ctx context.Context, network, addr string) (net.Conn, error)

	// Guard, when set, refuses to connect to denied addresses. The default
	// dialer asks it after name resolution and before connecting. With a Dial
	// of your own, only the address of the established connection is checked:
	// hand Guard.Control to your net.Dialer for the same strength.
	Guard *Guard

	// MaxResponseHeaderBytes bounds the status line and header of a response,
	// with all informational (1xx) responses before it.
	MaxResponseHeaderBytes int64

	// MaxDrain is how many bytes of an unread response body Close reads to
	// keep the connection usable. Negative means none.
	MaxDrain int64
}

// withDefaults returns o with zero fields replaced.
func (o Options) withDefaults() Options {
	if o.MaxIdlePerHost == 0 {
		o.MaxIdlePerHost = DefaultMaxIdlePerHost
	}
	if o.MaxIdle <= 0 {
		o.MaxIdle = max(DefaultMaxIdle, o.MaxIdlePerHost)
	}
	if o.IdleTimeout <= 0 {
		o.IdleTimeout = DefaultIdleTimeout
	}
	if o.DialTimeout <= 0 {
		o.DialTimeout = DefaultDialTimeout
	}
	if o.MaxResponseHeaderBytes <= 0 {
		o.MaxResponseHeaderBytes = DefaultMaxResponseHeaderBytes
	}
	if o.MaxDrain == 0 {
		o.MaxDrain = DefaultMaxDrain
	}
	o.TLSConfig = tlsConfig(o.TLSConfig)
	return o
}

// tlsConfig returns a copy of base made fit for HTTP/1.1.
func tlsConfig(base *tls.Config) *tls.Config {
	cfg := &tls.Config{}
	if base != nil {
		cfg = base.Clone()
	}
	cfg.NextProtos = []string{"http/1.1"}
	cfg.MinVersion = max(cfg.MinVersion, tls.VersionTLS12)
	if cfg.ClientSessionCache == nil {
		cfg.ClientSessionCache = tls.NewLRUClientSessionCache(0)
	}
	return cfg
}
