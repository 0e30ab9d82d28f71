package http1

import (
	"bufio"
	"fmt"
	"io"
	"net/http/httputil"
	"runtime/debug"
	"sync"
	"time"
)

// streamGrace is how long a finished response waits for its request to be
// written whole, before the connection is given up. Usually the writer is
// done and has merely not been scheduled yet.
const streamGrace = 50 * time.Millisecond

// bodyStream writes a long request body in its own goroutine. Its methods may
// be called on nil, which stands for a request sent already.
type bodyStream struct {
	body      io.ReadCloser
	closeOnce sync.Once
	done      chan struct{} // closed when the goroutine ends

	// Valid once done is closed.
	err    error // anything that kept the request from being sent whole
	source error // the part of err that the caller's Body caused
}

// startStream begins to send w on c. Neither is changed before it ends.
func startStream(c *conn, w *wire) *bodyStream {
	s := &bodyStream{body: w.rest, done: make(chan struct{})}
	src := &source{r: w.rest}
	length, head, prefix := w.length, w.head, w.prefix
	go func() {
		s.err = sendGuarded(c.rw, head, prefix, src, length)
		s.source = src.err
		s.closeBody()
		close(s.done)
		if s.source != nil {
			c.close() // nobody can finish this request: wake the reader
		}
	}()
	return s
}

// PanicError is a panic of the goroutine that writes a long body, as the error of its request.
type PanicError struct {
	Value any
	Stack []byte // of that goroutine
}

func (e *PanicError) Error() string { return fmt.Sprintf("panic: %v", e.Value) }

// sendGuarded is send, whose panic is an error of the caller's Body.
func sendGuarded(dst io.Writer, head, prefix []byte, src *source, length int64) (err error) {
	defer func() {
		if v := recover(); v != nil {
			err = &PanicError{v, debug.Stack()}
			src.err = err
		}
	}()
	return send(dst, head, prefix, src, length)
}

// send writes head and body to dst.
func send(dst io.Writer, head, prefix []byte, src *source, length int64) error {
	out := bufio.NewWriterSize(dst, 32<<10)
	out.Write(head) // out remembers errors
	if length < 0 {
		chunks := httputil.NewChunkedWriter(out)
		_, _ = chunks.Write(prefix) // out remembers errors
		if _, err := io.Copy(chunks, src); err != nil {
			return err
		}
		chunks.Close()
		out.WriteString("\r\n") // no trailers
		return out.Flush()
	}
	// The last byte is held back until the body is known to end there: the
	// server must not take the start of a longer one for the whole.
	n, err := io.Copy(out, io.LimitReader(src, length-1))
	if err != nil {
		return err
	}
	last, err := lastByte(src, n, length)
	if err != nil {
		src.err = err
		return err
	}
	out.WriteByte(last)
	return out.Flush()
}

// lastByte reads the last of length bytes from src after n were read, and
// checks that there are no more.
func lastByte(src io.Reader, n, length int64) (byte, error) {
	var end [2]byte
	more, err := io.ReadFull(src, end[:])
	switch n += int64(more); {
	case err != nil && err != io.EOF && err != io.ErrUnexpectedEOF:
		return 0, fmt.Errorf("read: %w", err)
	case n < length:
		return 0, invalidf("ContentLength is %d but Body holds %d bytes", length, n)
	case n > length:
		return 0, invalidf("ContentLength is %d but Body is longer", length)
	}
	return end[0], nil
}

// wait reports whether the request was sent whole; it gives the writer
// streamGrace to end.
func (s *bodyStream) wait() bool {
	if s == nil {
		return true
	}
	grace := time.NewTimer(streamGrace)
	defer grace.Stop()
	select {
	case <-s.done:
		return s.err == nil
	case <-grace.C:
		return false
	}
}

// sent reports whether the request was written whole by now.
func (s *bodyStream) sent() bool {
	if s == nil {
		return true
	}
	select {
	case <-s.done:
		return s.err == nil
	default:
		return false
	}
}

// sourceErr returns the error of the caller's Body, if that was what failed.
func (s *bodyStream) sourceErr() error {
	if s == nil {
		return nil
	}
	select {
	case <-s.done:
		return s.source
	default:
		return nil
	}
}

// abandon makes the writer end; its connection is closed already.
func (s *bodyStream) abandon() {
	if s != nil {
		s.closeBody() // it may be waiting for the caller's Body
	}
}

// closeBody closes the caller's Body, once.
func (s *bodyStream) closeBody() { s.closeOnce.Do(func() { s.body.Close() }) }

// source reads the caller's Body and remembers its error, to tell it from
// those of the connection.
type source struct {
	r   io.Reader
	err error
}

// Read implements io.Reader.
func (s *source) Read(p []byte) (int, error) {
	n, err := s.r.Read(p)
	if err != nil && err != io.EOF {
		s.err = err
	}
	return n, err
}
