package rdb

import (
	"math"
	"strings"
)

// header reads the line at the beginning of an answer, which begins a value: the type of the value, the
// number in the line (-1 if the value is missing), and its length. The length is 0 if there is no such line.
func header(answer string) (kind byte, n, size int) {
	if answer == "" {
		return 0, 0, 0
	}
	kind = answer[0]
	if kind == '+' || kind == '-' || kind == outside {
		end := strings.IndexByte(answer, '\n')
		if end < 2 || answer[end-1] != '\r' {
			return 0, 0, 0
		}
		return kind, 0, end + 1
	}
	at, negative := 1, false
	if len(answer) > 1 && answer[1] == '-' {
		at, negative = 2, true
	}
	digits := at
	for ; at < len(answer) && at < 20 && '0' <= answer[at] && answer[at] <= '9'; at++ {
		n = 10*n + int(answer[at]-'0')
	}
	if at == digits || at+1 >= len(answer) || answer[at] != '\r' || answer[at+1] != '\n' {
		return 0, 0, 0
	}
	if negative {
		n = -n
	}
	if kind == ':' || (kind == '$' || kind == '*') && -1 <= n && n <= math.MaxInt32 {
		return kind, n, at + len("\r\n")
	}
	return 0, 0, 0
}

// walk passes over values.
type walk struct {
	at   int // in the answer
	left int // values that are still to come
	long int // strings that are not among the bytes
}

// over goes on as far as the values in the answer are whole.
func (w *walk) over(answer string) {
	for w.left > 0 {
		kind, n, size := header(answer[w.at:])
		if kind == '$' && n >= 0 {
			size += n + len("\r\n")
		}
		if size == 0 || size > len(answer)-w.at {
			return
		}
		w.at += size
		w.pass(kind, n)
	}
}

// pass counts a value.
func (w *walk) pass(kind byte, n int) {
	w.left--
	if kind == '*' && n > 0 {
		w.left += n
	}
	if kind == outside {
		w.long++
	}
}
