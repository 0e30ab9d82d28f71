package http1

import (
	"context"
	"net"
	"net/netip"
)

// Client sends POSTs over HTTP/1.1 on pooled keep-alive connections. Build it with [New]; it is safe for concurrent use.
type Client struct {
	opts    Options
	pool    pool
	unasked unasked
	lookup  func(ctx context.Context, network, host string) ([]netip.Addr, error)

	// ctx ends dials in progress when the client is closed.
	ctx    context.Context //nolint:containedctx // the client's own life
	cancel context.CancelFunc
}

// New returns a Client. It starts nothing: no goroutine runs while no request does.
func New(o Options) *Client {
	cl := &Client{opts: o.withDefaults(), lookup: net.DefaultResolver.LookupNetIP}
	cl.pool.init(cl.opts)
	cl.unasked.log = cl.opts.Log
	cl.ctx, cl.cancel = context.WithCancel(context.Background())
	return cl
}

// Sender returns a Sender whose connection is closed at once when ctx ends.
func (cl *Client) Sender(ctx context.Context) *Sender { return &Sender{client: cl, ctx: ctx} }

// CloseIdleConnections closes the connections that no sender holds.
func (cl *Client) CloseIdleConnections() { closeAll(cl.pool.takeIdle()) }

// Close closes all connections, those in use included: their requests fail with [ErrClosed], as do later ones. It may be
// called more than once.
func (cl *Client) Close() {
	conns := cl.pool.shut()
	cl.cancel()
	closeAll(conns)
}

// isClosed reports whether Close was called.
func (cl *Client) isClosed() bool { return cl.ctx.Err() != nil }
