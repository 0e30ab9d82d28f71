package http1

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"math"
	"net/http"
	"strings"
)

// odd is an answer that parseHead does not understand. It is read by http.ReadResponse: chunked, informational first, long,
// in pieces, or broken.
type odd struct {
	start []byte // what was read before
	rw    io.Reader
	left  int64 // bytes that may still be read
	err   error // the last error of rw

	br   *bufio.Reader
	resp *http.Response
}

// post is the request that an answer belongs to, as far as that matters for reading it.
var post = &http.Request{Method: http.MethodPost}

// readOdd reads the header of an answer, of which n bytes were read before, over informational ones: as many as the limits on
// header bytes and time allow.
func readOdd(buf *buffer, n int, rw io.Reader, limit int64) (h head, o *odd, err error) {
	o = &odd{start: buf.b[:n], rw: rw, left: limit}
	o.br = buf.reader(o)
	for {
		resp, err := http.ReadResponse(o.br, post) //nolint:bodyclose // closing would read to the end
		if err != nil {
			return h, o, began(o.parseError(err), buf.b[:n])
		}
		switch code := resp.StatusCode; {
		case resp.ProtoMajor != 1 || code < 100:
			return h, o, malformedf("%s", shorten(fmt.Sprintf("%q %q", resp.Proto, resp.Status)))
		case code == http.StatusSwitchingProtocols:
			return h, o, malformedf("protocol switched unasked")
		case code >= 200:
			o.left, o.resp = math.MaxInt64, resp
			h.Status, h.RetryAfter, h.Location, h.parsed = code, resp.Header.Get("Retry-After"), resp.Header.Get("Location"), resp.Header
			// A 204 has no body. One that announces it may be followed by bytes that would look like the next answer.
			h.closes = resp.Close || code == http.StatusNoContent && (len(resp.TransferEncoding) > 0 || len(resp.Header["Content-Length"]) > 0)
			return h, o, nil
		}
	}
}

// Read reads the answer within the limit; it is what br calls.
func (o *odd) Read(p []byte) (n int, err error) {
	if o.left <= 0 {
		o.err = ErrHeaderTooLarge
		return 0, o.err
	}
	p = p[:min(int64(len(p)), o.left)]
	if len(o.start) > 0 {
		n = copy(p, o.start)
		o.start = o.start[n:]
	} else {
		n, o.err = o.rw.Read(p)
	}
	if o.left != math.MaxInt64 {
		o.left -= int64(n)
	}
	return n, o.err
}

// parseError returns why reading the header failed: the connection's own error
// if it had one, else ErrMalformedResponse.
func (o *odd) parseError(err error) error {
	switch {
	case errors.Is(o.err, io.EOF):
		return plain(io.ErrUnexpectedEOF)
	case o.err != nil:
		return plain(o.err)
	}
	// The parser quotes what it read, which may be long.
	return malformedf("%s", shorten(err.Error()))
}

// began adds to an error how the answer began, unless it says so.
func began(err error, answer []byte) error {
	line, _, _ := bytes.Cut(answer, []byte("\n"))
	shown := fmt.Sprintf("%q", cut(string(bytes.TrimRight(line, "\r")), 100))
	if strings.Contains(err.Error(), strings.TrimSuffix(shown, CutMark+`"`)) {
		return err
	}
	return fmt.Errorf("%w; it began %s", err, shown)
}

// body reads the body into the answer, of which keep bytes are wanted and the rest is drained within limits. whole reports
// whether its end was reached.
func (o *odd) body(c *conn, a *Answer, keep int, limit int64) (whole bool, err error) {
	if keep > 0 {
		a.Body, err = io.ReadAll(io.LimitReader(o.resp.Body, int64(keep)))
		if err != nil || len(a.Body) < keep {
			return err == nil, err
		}
	}
	rest := o.resp.ContentLength - int64(keep) // negative: unknown
	if limit < 0 || rest > limit {
		return false, nil
	}
	if rest < 0 || int64(o.br.Buffered()) < rest {
		c.hurry(drainTime)
	}
	drained := 0
	if keep == 0 {
		a.Start = make([]byte, min(maxStart, limit+1))
		for drained < len(a.Start) && err == nil {
			var m int
			m, err = o.resp.Body.Read(a.Start[drained:])
			drained += m
		}
		if a.Start = a.Start[:drained]; err != nil {
			return errors.Is(err, io.EOF), nil
		}
	}
	// One more than may be drained, to meet the end if it is there.
	_, err = io.CopyN(io.Discard, o.resp.Body, limit+1-int64(drained))
	return errors.Is(err, io.EOF), nil
}

// behind is what came behind the answer.
func (o *odd) behind() []byte {
	more, _ := o.br.Peek(o.br.Buffered())
	if len(more) == 0 {
		return o.start
	}
	return more
}
