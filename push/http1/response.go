package http1

import (
	"errors"
	"fmt"
	"io"
	"math"
	"net/http"
	"sync"
	"time"
)

const (
	// maxDrainTime bounds reading the rest of a response nobody wants. The bytes sent
	// with the header are there, and the rest arrives within moments. Waiting longer would cost
	// the caller more than a new connection.
	maxDrainTime = 20 * time.Millisecond
)

// readResponse reads the response header, over informational responses: as many
// as the limits on header bytes and time allow.
func (c *conn) readResponse(req *http.Request) (*http.Response, error) {
	for {
		resp, err := http.ReadResponse(c.br, req)
		if err != nil {
			return nil, c.parseError(err)
		}
		switch code := resp.StatusCode; {
		case resp.ProtoMajor != 1 || code < 100:
			return nil, malformedf("%s", shorten(fmt.Sprintf("%q %q", resp.Proto, resp.Status)))
		case code == http.StatusSwitchingProtocols:
			return nil, malformedf("protocol switched unasked")
		case code >= 200:
			c.limit = math.MaxInt64
			resp.TLS = c.state
			return resp, nil
		}
	}
}

// parseError returns why reading the header failed: the connection's own error
// if it had one, else ErrMalformedResponse.
func (c *conn) parseError(err error) error {
	switch {
	case errors.Is(c.readErr, io.EOF):
		return io.ErrUnexpectedEOF
	case c.readErr != nil:
		return c.readErr
	}
	// The parser quotes what it read, which may be long.
	return malformedf("%s", shorten(err.Error()))
}

// shorten cuts text from a server to a length fit for a log.
func shorten(s string) string {
	const limit = 200
	if len(s) <= limit {
		return s
	}
	return s[:limit] + "..."
}

// reusable reports whether the end of resp is certain, given keep-alive.
func reusable(resp *http.Response) bool {
	// A 204 has no body. One that announces it may be followed by bytes that
	// would look like the next response.
	return resp.StatusCode != http.StatusNoContent ||
		len(resp.TransferEncoding) == 0 && len(resp.Header["Content-Length"]) == 0
}

// body is the Body of a response: it gives the connection back when read or
// closed. Close waits for a Read in progress; to interrupt that, cancel the
// request's context.
type body struct {
	exchange

	mu     sync.Mutex
	src    io.Reader // frames the body; nil once the exchange is over
	left   int64     // bytes to come, negative if unknown
	err    error     // what ended the body, io.EOF if all is well
	closed bool
}

// Read implements io.Reader.
func (b *body) Read(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.closed {
		return 0, http.ErrBodyReadAfterClose
	}
	if b.err != nil {
		return 0, b.err
	}
	n, err := b.src.Read(p)
	if b.left > 0 {
		b.left -= int64(n)
	}
	switch {
	case err == io.EOF:
		b.end(true)
		b.err = err
	case err != nil:
		b.src = nil
		b.err = b.abort(PhaseBody, "read response body from", err)
	}
	return n, b.err
}

// Close ends the exchange. What was not read is drained within limits, or else
// the connection closed. It never fails.
func (b *body) Close() error {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.closed {
		return nil
	}
	b.closed = true
	if b.src != nil {
		b.end(b.drain())
	}
	return nil
}

// end gives up the connection.
func (b *body) end(whole bool) {
	b.src = nil
	b.finish(whole)
}

// drain reads the rest of the body, and reports whether it reached the end
// soon enough. It reads even if the connection is closed afterwards:
// closing it with bytes unread would reset it while the server is still writing.
func (b *body) drain() bool {
	limit := b.t.opts.MaxDrain
	if limit < 0 || b.left > limit {
		return false
	}
	if int64(b.c.br.Buffered()) < b.left || b.left < 0 {
		b.c.limitRead(b.ctx, maxDrainTime)
	}
	// One more than may be drained, to meet the end if it is there.
	_, err := io.CopyN(io.Discard, b.src, limit+1)
	return errors.Is(err, io.EOF)
}
