package http1

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"log/slog"
	"net"
	"net/url"
	"time"
)

// Defaults of [Options], used for fields left zero.
const (
	DefaultMaxIdlePerHost         = 64
	DefaultMaxIdle                = 1024
	DefaultIdleTimeout            = 60 * time.Second
	DefaultMaxAge                 = 5 * time.Minute
	DefaultDialTimeout            = 10 * time.Second
	DefaultMaxResponseHeaderBytes = 64 << 10
	DefaultMaxDrain               = 64 << 10
)

// Options configures a [Client]. Fields left zero take their defaults.
type Options struct {
	// MaxIdlePerHost is how many idle connections are kept for one scheme,
	// host and port. Negative turns keep-alive off. Connections in use are not
	// limited here: each sender holds one at most.
	MaxIdlePerHost int

	// MaxIdle is how many idle connections are kept over all hosts; the one
	// unused for longest is closed to make room.
	MaxIdle int

	// IdleTimeout is how long an idle connection is kept.
	IdleTimeout time.Duration

	// MaxAge is how old a connection may grow, give or take a fifth: an older
	// one serves no further request. Names are resolved anew for each new
	// connection, so this is how soon a change of DNS is followed.
	MaxAge time.Duration

	// DialTimeout bounds connecting: name resolution, TCP and TLS handshake
	// together. The request's own deadline holds, too.
	DialTimeout time.Duration

	// TLSConfig is cloned. Certificates are checked unless it says otherwise.
	// ALPN is always http/1.1 and the version at least TLS 1.2.
	TLSConfig *tls.Config

	// Roots, when set, are the authorities that may sign the certificates of servers, instead of those in TLSConfig. They are
	// asked for each handshake, as they may change.
	Roots func() *x509.CertPool

	// Dial replaces the default dialer. It must return soon after ctx is done.
	Dial func(ctx context.Context, network, addr string) (net.Conn, error)

	// Guard, when set, refuses to connect to denied addresses. The default
	// dialer asks it after name resolution and before connecting. With a Dial
	// of your own, only the address of the established connection is checked:
	// hand Guard.Control to your net.Dialer for the same strength.
	Guard *Guard

	// Proxy, when set, is the http:// URL of a proxy through which all connections go, by CONNECT. Guard then judges only
	// addresses that are written in a URL: the proxy resolves names, and Dial is not used.
	Proxy *url.URL

	// MaxResponseHeaderBytes bounds the status line and header of a response,
	// with all informational (1xx) responses before it.
	MaxResponseHeaderBytes int64

	// MaxDrain is how many bytes of a body that nobody wants are read, within
	// some milliseconds, to keep the connection usable. Negative means none.
	MaxDrain int64

	// Log is told of responses nobody asked for. Nil: nobody is.
	Log *slog.Logger
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
	if o.MaxAge <= 0 {
		o.MaxAge = DefaultMaxAge
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
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
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
	if cfg.RootCAs == nil {
		// The system's roots are read from files once. If that first happened during a
		// shortage of file descriptors, no certificate would ever verify.
		_, _ = x509.SystemCertPool()
	}
	if cfg.ClientSessionCache == nil {
		cfg.ClientSessionCache = tls.NewLRUClientSessionCache(0)
	}
	return cfg
}
