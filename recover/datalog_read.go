package recover

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
)

// Errors of Reader.Next that concern one line; the next call goes on.
var (
	// ErrForeign: the line is not of a DATA log, as where stdout has other writers.
	ErrForeign = errors.New("is not a line of a DATA log")
	// ErrTorn: the line begins like one of a DATA log and is damaged.
	ErrTorn = errors.New("is damaged: its writer was stopped, the disk was full, or another program wrote into it")
)

// lineStart begins every line that DataLog writes.
var lineStart = []byte(`{"code":"`)

// Reader reads a DATA log.
type Reader struct {
	lines *Lines
	n     int
}

// NewReader reads a DATA log of messages whose bodies have at most maxBody bytes.
func NewReader(r io.Reader, maxBody int64) *Reader {
	return &Reader{lines: NewLines(r, 2*LongestJSON(maxBody))}
}

// N is the number of the line that Next returned last.
func (r *Reader) N() int { return r.n }

// Next returns the next line. What stands before it on its line is left out: many a log
// collector puts a time or a name there. The error is ErrForeign, ErrTorn, ErrLongLine or of the reader: io.EOF at
// the end.
func (r *Reader) Next() (Line, error) {
	for {
		text, err := r.lines.Next()
		if err != nil && !errors.Is(err, ErrLongLine) {
			return Line{}, err
		}
		r.n++
		if err != nil {
			return Line{}, err
		}
		if len(bytes.TrimSpace(text)) > 0 {
			return decodeLine(text)
		}
	}
}

func decodeLine(text []byte) (Line, error) {
	at := bytes.Index(text, lineStart)
	if at < 0 {
		return Line{}, ErrForeign
	}
	var l Line
	err := json.Unmarshal(text[at:], &l)
	switch {
	case codes[l.Code] && err == nil && !l.Time.IsZero():
		return l, nil
	case codes[l.Code] || err != nil && ours(text[at+len(lineStart):]):
		return Line{}, ErrTorn
	}
	return Line{}, ErrForeign
}

// ours reports whether text goes on with a code, or with the beginning of one where it ends early.
func ours(text []byte) bool {
	code, _, whole := bytes.Cut(text, []byte(`"`))
	if whole {
		return codes[Code(code)]
	}
	code = bytes.TrimSpace(code)
	for c := range codes {
		if bytes.HasPrefix([]byte(c), code) {
			return true
		}
	}
	return false
}
