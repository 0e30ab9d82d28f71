package recover

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"regexp"
	"strings"
)

// Errors of Reader.Next that are about one line. The next call goes on behind it.
var (
	// ErrForeign: the line is not from a DATA log. Other programs may write to the same stdout.
	ErrForeign = errors.New("is not a line of a DATA log")
	// ErrTorn: the line begins like one of a DATA log, but is damaged.
	ErrTorn = errors.New("is damaged: its writer was killed, the disk was full, or another program wrote into it")
)

// lineStart is how every line begins.
var lineStart = []byte(`{"code":"`)

// Reader reads a DATA log.
type Reader struct {
	lines *Lines
	n     int
}

// NewReader makes a Reader of a DATA log whose messages have at most maxBody bytes of body.
func NewReader(r io.Reader, maxBody int64) *Reader {
	return &Reader{lines: NewLines(r, 2*LongestJSON(maxBody))}
}

// N is the number of the line that Next returned last.
func (r *Reader) N() int { return r.n }

// Next returns the next line. It skips text before the JSON object: log collectors put a time or a name
// there. The error is ErrForeign, ErrTorn or ErrLongLine, or that of the reader, io.EOF at the end.
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
		return decodeAltered(text)
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

// altered finds the code in a line that another program wrote anew, perhaps as a string in JSON of its own.
var altered = regexp.MustCompile(`\\*"code\\*"\s*:\s*\\*"([A-Z]+)\\*"`)

// decodeAltered reads a line whose fields are in another order or have spaces between them, or which is the value of a field, as container
// engines write it. One that cannot be read is not passed over: it may be the only copy of a message.
func decodeAltered(text []byte) (Line, error) {
	found, from := altered.FindSubmatch(text), bytes.IndexByte(text, '{')
	if found == nil || from < 0 || !codes[Code(found[1])] || !bytes.Contains(text, []byte("message")) && !bytes.Contains(text, []byte("raw")) {
		return Line{}, ErrForeign
	}
	var l Line
	if json.Unmarshal(text[from:], &l) == nil && codes[l.Code] && !l.Time.IsZero() {
		return l, nil
	}
	var fields map[string]any
	if json.Unmarshal(text[from:], &fields) == nil {
		for _, value := range fields {
			if inner, is := value.(string); is && strings.Contains(inner, string(lineStart)) {
				return decodeLine([]byte(inner))
			}
		}
	}
	return Line{}, ErrTorn
}

// ours reports whether text begins with a code, or is the beginning of one because the line was cut.
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
