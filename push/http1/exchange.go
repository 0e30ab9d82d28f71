package http1

import (
	"context"
	"net/http"
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

// repeatable reports whether the request may be sent once more: the connection
// was a reused one, and nothing but its end ended the exchange.
func (x *exchange) repeatable(w *wire, req *http.Request) bool {
	return x.c.reused && x.ctx.Err() == nil && !x.t.isClosed() &&
		x.stream.sourceErr() == nil && w.replayable(req)
}

// finish ends an exchange and pools the connection when that is safe: the
// response was read whole, with nothing after it, and nobody is still about to
// write to the connection or to close it.
func (x *exchange) finish(whole bool) {
	// When stop returns false, the watch is closing the connection now or has
	// done so: it must not reach the pool.
	unwatched := x.stop == nil || x.stop()
	if whole && x.reuse && unwatched && x.c.br.Buffered() == 0 && x.stream.wait() {
		if now := time.Now(); now.Before(x.c.expires) {
			x.t.pool.put(x.c, now)
			return
		}
	} else if whole {
		x.t.unasked.behind(x.c)
	}
	x.c.close()
	x.stream.abandon()
}

// abort ends a failed exchange and returns the error to report.
func (x *exchange) abort(phase Phase, op string, err error) error {
	if serr := x.stream.sourceErr(); serr != nil {
		// The caller's own Body failed; that broke the connection.
		phase, op, err = PhaseRequest, "read request body for", serr
	}
	if x.stop != nil {
		x.stop()
	}
	x.c.close()
	x.stream.abandon()
	return x.t.fail(x.ctx, phase, op, x.c.key.addr, err)
}
