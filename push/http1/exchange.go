package http1

import (
	"context"
	"time"
)

// exchange is one request and its response on one connection. It owns the
// connection until finish or abort.
type exchange struct {
	t      *Transport
	c      *conn
	ctx    context.Context //nolint:containedctx // an exchange is one request, and ends with it
	stop   func() bool     // ends the watch on ctx; nil when ctx cannot end
	stream *bodyStream     // the body being written; nil when it was sent at once
	reuse  bool            // both sides agree to keep the connection
}

// finish ends an exchange and pools the connection when that is safe: the
// response was read whole, with nothing after it, and nobody is still about to
// write to the connection or to close it.
func (x *exchange) finish(whole bool) {
	// When stop returns false, the watch is closing the connection now or has
	// done so: it must not reach the pool.
	unwatched := x.stop == nil || x.stop()
	if whole && x.reuse && unwatched && x.c.br.Buffered() == 0 && x.stream.wait() {
		x.t.pool.put(x.c, time.Now())
		return
	}
	x.c.close()
	x.stream.abandon()
}

// abort ends a failed exchange and returns the error to report.
func (x *exchange) abort(op string, err error) error {
	if serr := x.stream.sourceErr(); serr != nil {
		// The caller's own Body failed; that broke the connection.
		op, err = "read request body for", serr
	}
	if x.stop != nil {
		x.stop()
	}
	x.c.close()
	x.stream.abandon()
	return x.t.fail(x.ctx, op, x.c.key.addr, err)
}
