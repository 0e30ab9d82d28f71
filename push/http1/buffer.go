package http1

import (
	"bufio"
	"io"
	"sync"
)

const (
	// bufferSize is how much memory a sender holds. Most requests and answers fit.
	bufferSize = 4 << 10
	// maxPooled is the largest buffer kept for other long requests.
	maxPooled = MaxInline + 16<<10
)

// buffer is what a sender writes from and reads into.
type buffer struct {
	b  [bufferSize]byte
	br *bufio.Reader // for answers that parseHead does not understand; made when there is one
}

var (
	buffers = sync.Pool{New: func() any { return new(buffer) }}
	larger  = sync.Pool{New: func() any { return new([]byte) }}
)

// send writes a request in one go. One that does not fit has a larger buffer meanwhile. Where the connection can, it also reads the
// first n bytes of the answer into b.
func (b *buffer) send(c *conn, r *Request) (n int, writeErr, readErr error) {
	dst := b.b[:0]
	if r.size() > len(b.b) {
		large := larger.Get().(*[]byte)
		dst = (*large)[:0]
		defer func() {
			if cap(dst) <= maxPooled {
				*large = dst
				larger.Put(large)
			}
		}()
	}
	dst = append(r.appendHead(dst), r.Body...)
	if c.quick != nil {
		return c.quick.Exchange(dst, b.b[:])
	}
	_, writeErr = c.rw.Write(dst)
	return 0, writeErr, nil
}

// reader returns a reader of src.
func (b *buffer) reader(src io.Reader) *bufio.Reader {
	if b.br == nil {
		b.br = bufio.NewReaderSize(src, bufferSize)
	} else {
		b.br.Reset(src)
	}
	return b.br
}

// release gives b back for another sender.
func (b *buffer) release() {
	if b.br != nil {
		b.br.Reset(nil)
	}
	buffers.Put(b)
}
