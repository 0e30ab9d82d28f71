package http1

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strconv"
	"sync"
)

const (
	// MaxInline is the longest body, in bytes, that is read into memory and
	// sent by the caller's goroutine. It fits the buffers of two sockets, so
	// that writing it does not wait for a server that does not read.
	MaxInline = 64 << 10

	// maxPooled is the largest buffer kept for later requests.
	maxPooled = MaxInline + 16<<10
)

// wire is a request as it goes over the wire: head is sent first, with the
// whole body if that is short; rest streams what is longer.
type wire struct {
	head   []byte
	prefix []byte // the start of a streamed body, read already
	close  bool   // the request says "Connection: close"

	rest   io.ReadCloser // the body to stream; nil for none
	length int64         // bytes in rest, -1 if unknown: then it is chunked
	one    [1]byte       // where readExact looks for more
}

var wires = sync.Pool{New: func() any { return &wire{head: make([]byte, 0, 2<<10)} }}

// getWire returns an empty wire.
func getWire() *wire { return wires.Get().(*wire) }

// release gives w back for another request. A goroutine that streams may
// still read it: then it is left to the garbage collector.
func (w *wire) release() {
	if w.streams() || cap(w.head) > maxPooled {
		return
	}
	*w = wire{head: w.head[:0]}
	wires.Put(w)
}

// build checks and serialises req. Unless it fails, req.Body is closed or is
// rest.
func (w *wire) build(req *http.Request) (connKey, error) {
	key, err := targetOf(req)
	if err != nil {
		return key, err
	}
	if err := w.appendHead(req); err != nil {
		return key, err
	}
	return key, w.appendBody(req)
}

// appendBody appends the framing headers and, if short, the body.
func (w *wire) appendBody(req *http.Request) error {
	n := req.ContentLength
	switch {
	case req.Body == nil && n > 0:
		return invalidf("ContentLength is %d but Body is nil", n)
	case req.Body == nil || req.Body == http.NoBody:
		if req.Method == "POST" || req.Method == "PUT" || req.Method == "PATCH" {
			w.appendLength(0)
		}
		w.endHead()
		return closeBody(req)
	case n <= 0: // -1 and 0 both mean unknown, see http.Request
		return w.appendUnknown(req)
	case n > MaxInline:
		w.appendLength(n)
		w.endHead()
		w.rest, w.length = req.Body, n
		return nil
	}
	w.appendLength(n)
	w.endHead()
	start := len(w.head)
	w.head = slices.Grow(w.head, int(n))[:start+int(n)]
	if err := w.readExact(req.Body, w.head[start:]); err != nil {
		return err
	}
	return closeBody(req)
}

// appendUnknown handles a body of unknown length. If it proves short, its
// length is sent after all.
func (w *wire) appendUnknown(req *http.Request) error {
	short, err := io.ReadAll(io.LimitReader(req.Body, MaxInline))
	if err != nil {
		return fmt.Errorf("http1: read request body: %w", err)
	}
	if len(short) < MaxInline {
		w.appendLength(int64(len(short)))
		w.endHead()
		w.head = append(w.head, short...)
		return closeBody(req)
	}
	w.head = append(w.head, "Transfer-Encoding: chunked\r\n"...)
	w.endHead()
	w.prefix, w.rest, w.length = short, req.Body, -1
	return nil
}

// readExact fills buf from body, and checks that body ends there.
func (w *wire) readExact(body io.Reader, buf []byte) error {
	n, err := io.ReadFull(body, buf)
	if err == io.EOF || err == io.ErrUnexpectedEOF {
		return invalidf("ContentLength is %d but Body holds %d bytes", len(buf), n)
	}
	if err != nil {
		return fmt.Errorf("http1: read request body: %w", err)
	}
	switch _, err := io.ReadFull(body, w.one[:]); err {
	case io.EOF:
		return nil
	case nil:
		return invalidf("ContentLength is %d but Body is longer", len(buf))
	default:
		return fmt.Errorf("http1: read request body: %w", err)
	}
}

// streams tells whether a part of the body is not in head.
func (w *wire) streams() bool { return w.rest != nil }

// closeStream closes the body to stream, for a request that is not sent.
func (w *wire) closeStream() {
	if w.rest != nil {
		w.rest.Close()
	}
}

// replayable tells whether the request can be sent again.
func (w *wire) replayable(req *http.Request) bool {
	return !w.streams() || req.GetBody != nil
}

// rewind makes w ready to be sent again.
func (w *wire) rewind(req *http.Request) error {
	if !w.streams() {
		return nil
	}
	body, err := req.GetBody()
	if err != nil {
		return err
	}
	if body == nil {
		return errors.New("GetBody returned no body")
	}
	w.prefix, w.rest = nil, body
	return nil
}

// appendLength appends a Content-Length header.
func (w *wire) appendLength(n int64) {
	w.head = append(w.head, "Content-Length: "...)
	w.head = strconv.AppendInt(w.head, n, 10)
	w.head = append(w.head, "\r\n"...)
}

// endHead ends the header.
func (w *wire) endHead() { w.head = append(w.head, "\r\n"...) }

// closeBody closes the request's body, if it has one.
func closeBody(req *http.Request) error {
	if req.Body == nil {
		return nil
	}
	return req.Body.Close()
}
