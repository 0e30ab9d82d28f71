package recover

import (
	"bufio"
	"errors"
	"io"
)

// ErrLongLine reports that a line is longer than the limit. Lines skipped it.
var ErrLongLine = errors.New("is longer than MEDIS_MAX_BODY allows")

// Lines reads lines of bounded length.
type Lines struct {
	r       *bufio.Reader
	longest int64
	buf     []byte
}

// NewLines makes a Lines for lines of at most longest bytes, line breaks included.
func NewLines(r io.Reader, longest int64) *Lines {
	return &Lines{r: bufio.NewReaderSize(r, 64<<10), longest: longest}
}

// Next returns the next line, with its line break if it has one. The slice is valid until the next call. The
// error is ErrLongLine, after which the next call goes on, or that of the reader, io.EOF at the end.
func (l *Lines) Next() ([]byte, error) {
	l.buf = l.buf[:0]
	if cap(l.buf) > 1<<20 {
		l.buf = nil // do not hold the memory of one long line
	}
	long := false
	for {
		part, err := l.r.ReadSlice('\n')
		if long = long || int64(len(l.buf)+len(part)) > l.longest; long {
			l.buf = nil
		} else {
			l.buf = append(l.buf, part...)
		}
		switch {
		case errors.Is(err, bufio.ErrBufferFull):
			continue
		case err != nil && (!errors.Is(err, io.EOF) || len(l.buf) == 0 && !long):
			return nil, err
		case long:
			return nil, ErrLongLine
		}
		return l.buf, nil
	}
}
