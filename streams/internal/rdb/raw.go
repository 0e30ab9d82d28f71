package rdb

import (
	"bufio"
	"errors"
	"io"
	"slices"
	"strings"
	"sync"
	"unsafe"

	"github.com/redis/go-redis/v9"
)

// go-redis makes several values of each string in an answer. An answer with messages therefore goes
// to an inbox as it comes from the wire, and a Cursor reads it there. What is kept of it is copied, in
// one piece for each entry. So a message that is held for long holds nothing but itself, and the inbox
// serves again.
//
// The command is a redis.RawWriteToCmd, which writes an answer to an io.Writer piece by piece. That
// alone costs as much as the values. But for a string it hands over its buffered reader of the
// connection. From there on the inbox reads the answer itself, and ends the command with errTaken.
// go-redis takes this for an error that Redis answered, after which a connection is in order.

const (
	// longString is the length from which a string gets memory of its own at once, and is not copied again.
	longString = 16 << 10
	// keepInbox is the largest inbox that is kept for another answer.
	keepInbox = 128 << 10
)

// inbox takes the bytes of one answer.
type inbox struct {
	bytes []byte
	long  []string // strings that are not among the bytes; a line that begins with outside stands for each
}

// outside begins the line of a string that is not among the bytes. RESP has no such type.
const outside = '@'

// errTaken says that the inbox has taken the whole answer.
var errTaken = replyError(redis.Nil, "the answer was taken")

// replyError is an error of the same type as another one. go-redis does not export that of answers.
func replyError[E ~string](_ E, text string) E { return E(text) }

// Write takes a line, or its end. An error of Redis becomes that of the command; otherwise nobody would
// follow a redirection.
func (b *inbox) Write(p []byte) (int, error) {
	switch {
	case len(b.bytes) == 0 && p[0] == '-':
		return 0, replyError(redis.Nil, string(p[1:]))
	case !strings.ContainsRune("+-:$*\r", rune(p[0])):
		return 0, errLength // where it ends is unknown
	}
	b.bytes = append(b.bytes, p...)
	return len(p), nil
}

// ReadFrom takes the first string, and all that follows it.
func (b *inbox) ReadFrom(from io.Reader) (int64, error) {
	if limited, ok := from.(*io.LimitedReader); ok {
		if conn, ok := limited.R.(*bufio.Reader); ok {
			n, err := b.take(conn)
			return int64(n), err
		}
	}
	return 0, errors.New("this version of go-redis does not hand over its reader of the connection")
}

// take reads the answer from the string on whose line was written last. n is how many bytes it read.
func (b *inbox) take(conn *bufio.Reader) (n int, err error) {
	w := walk{left: 1}
	w.over(viewOf(b.bytes)) // up to that line
	for line := b.bytes[w.at:]; ; {
		got, err := b.content(conn, line, &w)
		if n += got; err != nil {
			return n, err
		}
		whole, _ := conn.Peek(conn.Buffered())
		w.at = 0
		w.over(viewOf(whole))
		b.bytes = append(b.bytes, whole[:w.at]...)
		_, _ = conn.Discard(w.at)
		switch n += w.at; {
		case w.long > 0:
			return n, errLength
		case w.left == 0:
			return n, errTaken
		}
		if line, err = conn.ReadSlice('\n'); err != nil {
			return n, err
		}
		b.bytes = append(b.bytes, line...)
		n += len(line)
	}
}

// content takes what follows a line that is the last of the bytes.
func (b *inbox) content(conn *bufio.Reader, line []byte, w *walk) (n int, err error) {
	kind, n, size := header(viewOf(line))
	if size == 0 {
		return 0, errLength
	}
	if w.pass(kind, n); kind != '$' || n < 0 {
		return 0, nil
	}
	var memory []byte
	if n += len("\r\n"); n < longString {
		b.bytes = slices.Grow(b.bytes, n)[:len(b.bytes)+n]
		memory = b.bytes[len(b.bytes)-n:]
	} else {
		b.bytes = append(b.bytes[:len(b.bytes)-len(line)], outside, '\r', '\n')
		memory = make([]byte, n)
		b.long = append(b.long, viewOf(memory[:n-len("\r\n")]))
	}
	return io.ReadFull(conn, memory)
}

// viewOf is a view of bytes that do not change while it is used.
func viewOf(b []byte) string { return unsafe.String(unsafe.SliceData(b), len(b)) }

func newInbox() *inbox { return inboxes.Get().(*inbox) }

var inboxes = sync.Pool{New: func() any { return new(inbox) }}

// emptied reads the answer in an inbox, which then serves for another one.
func emptied[T any](b *inbox, decode func(*Cursor) T) (T, error) {
	c := Cursor{answer: viewOf(b.bytes), long: b.long}
	v := decode(&c)
	if c.err == nil && c.at < len(c.answer) {
		c.err = errLength
	}
	if cap(b.bytes) > keepInbox {
		b.bytes = nil
	}
	b.bytes, b.long = b.bytes[:0], nil
	inboxes.Put(b)
	return v, c.err
}
