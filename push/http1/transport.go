package http1

import (
	"context"
	"errors"
	"net/http"
	"time"
)

// afterWriteError is how long to wait for a response after the request could
// not be written. The response is already there or will never come.
const afterWriteError = time.Second

// Transport is an HTTP/1.1 client with a pool of keep-alive connections. Build
// it with [New]; it is safe for concurrent use.
type Transport struct {
	opts    Options
	pool    pool
	unasked unasked

	// ctx ends dials in progress when the transport is closed.
	ctx    context.Context //nolint:containedctx // the transport's own life
	cancel context.CancelFunc
}

var _ http.RoundTripper = (*Transport)(nil)

// New returns a Transport. It starts nothing: no goroutine runs while no
// request does.
func New(o Options) *Transport {
	t := &Transport{opts: o.withDefaults()}
	t.pool.init(t.opts)
	t.unasked.log = t.opts.Log
	t.ctx, t.cancel = context.WithCancel(context.Background())
	return t
}

// RoundTrip sends req and returns once the response header has come. The
// response Body must be closed; it takes one reader, and the deadline of
// req.Context goes on to hold for it.
//
// Errors satisfy errors.Is with context.DeadlineExceeded or context.Canceled
// when req.Context ended the request, and with [ErrClosed],
// [ErrInvalidRequest], [ErrDenied], [ErrHeaderTooLarge] or
// [ErrMalformedResponse] where these apply. [PhaseOf] tells how far the request
// had come, and [IsShortage] whether this machine is to blame.
func (t *Transport) RoundTrip(req *http.Request) (*http.Response, error) {
	w := getWire()
	defer w.release()

	ctx := req.Context()
	key, err := w.build(req)
	if err != nil {
		_ = closeBody(req)
		return nil, err
	}
	if ctx.Err() != nil || t.isClosed() {
		w.closeStream()
		return nil, t.fail(ctx, PhaseConnect, "send to", key.addr, ErrClosed)
	}

	resp, again, err := t.try(ctx, req, w, key, IsFresh(ctx))
	if !again {
		return resp, err
	}
	if rerr := w.rewind(req); rerr != nil {
		return nil, &opError{phase: PhaseRequest, op: "resend to", addr: key.addr, err: errors.Join(rerr, err)}
	}
	resp, _, err = t.try(ctx, req, w, key, true)
	return resp, err
}

// try sends the request on one connection, always a new one if fresh. again
// tells that it may be sent once more because the connection was a reused one
// and dead.
func (t *Transport) try(ctx context.Context, req *http.Request, w *wire, key connKey, fresh bool) (resp *http.Response, again bool, err error) {
	c, err := t.acquire(ctx, key, fresh)
	if err != nil {
		w.closeStream()
		return nil, false, err
	}

	x := exchange{t: t, c: c, ctx: ctx}
	if ctx.Done() != nil {
		// Closing, not a past deadline: a closed connection cannot be mistaken
		// for a usable one, and an abandoned Body leaks nothing.
		x.stop = context.AfterFunc(ctx, c.closeFunc)
	}

	defer func() {
		if v := recover(); v != nil { // the connection is in a state that nobody knows
			_ = x.abort(PhaseRequest, "send to", nil)
			panic(v)
		}
	}()
	var werr error
	if w.streams() {
		x.stream = startStream(c, w)
	} else if _, werr = c.rw.Write(w.head); werr != nil {
		// The server may have answered and closed before it read everything.
		c.limitRead(ctx, afterWriteError)
	}

	if _, err = c.br.Peek(1); err != nil {
		again = (peerGone(err) || peerGone(werr)) && x.repeatable(w, req)
		if c.reused && timedOut(ctx, err) {
			// The network path to the peer may be broken, and the other idle
			// connections use the same path.
			closeAll(t.pool.takeHost(key))
		}
		phase := PhaseHeader
		if werr != nil {
			phase, err = PhaseRequest, werr
		} else if !x.stream.sent() {
			phase = PhaseRequest
		}
		return nil, again, x.abort(phase, "no response from", err)
	}
	resp, err = c.readResponse(req)
	if err != nil {
		return nil, false, x.abort(PhaseHeader, "bad response from", err)
	}
	if resp.StatusCode == http.StatusRequestTimeout && x.repeatable(w, req) {
		// The server gave up an idle connection at the moment it was used.
		return nil, true, x.abort(PhaseHeader, "idle for too long for", errors.New(resp.Status))
	}

	x.reuse = werr == nil && !resp.Close && !w.close && reusable(resp)
	if resp.Body == http.NoBody {
		x.finish(true)
		return resp, false, nil
	}
	resp.Body = &body{exchange: x, src: resp.Body, left: resp.ContentLength}
	return resp, false, nil
}

// CloseIdleConnections closes the connections no request uses now.
// net/http's Client finds it by this name.
func (t *Transport) CloseIdleConnections() {
	closeAll(t.pool.takeIdle())
}

// Close closes all connections, those in use included: their requests fail
// with [ErrClosed], as do later ones. It may be called more than once.
func (t *Transport) Close() {
	conns := t.pool.shut()
	t.cancel()
	closeAll(conns)
}

// EndsAtDeadline marks a transport that keeps the deadline of a request's context by
// itself, on the connection, so that the context needs no timer.
func (t *Transport) EndsAtDeadline() {}

// isClosed reports whether Close was called.
func (t *Transport) isClosed() bool { return t.ctx.Err() != nil }
