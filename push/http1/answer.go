package http1

import (
	"bufio"
	"bytes"
	"net/http"
	"net/textproto"
	"strings"
	"unicode/utf8"
)

// Answer is what a server answered. Body, Start and Header are valid until the sender's next Post or Release.
type Answer struct {
	Status     int
	Body       []byte // as much as the request wanted
	Start      []byte // of a body of which nothing was wanted: what came of its first maxStart bytes, without waiting for more
	RetryAfter string // the header Retry-After
	Location   string // the header Location

	raw    []byte      // the header as it came, if parseHead understood it
	parsed http.Header // or else the fields
}

// maxStart bounds Answer.Start, in bytes.
const maxStart = 1 << 10

// Header is all of the header. It is made here: nearly nobody asks.
func (a *Answer) Header() http.Header {
	if a.raw == nil {
		return a.parsed
	}
	_, fields, _ := bytes.Cut(a.raw, []byte("\r\n"))
	h, err := textproto.NewReader(bufio.NewReader(bytes.NewReader(fields))).ReadMIMEHeader()
	if err != nil { // parseHead understood it
		return nil
	}
	return http.Header(h)
}

// head is the header of an answer.
type head struct {
	Answer
	size   int  // bytes of the header
	length int  // bytes of the body
	closes bool // the server closes the connection after it
}

var endOfHead = []byte("\r\n\r\n")

// parseHead reads the header at the start of b. It understands a final answer with one Content-Length, or none where
// there is no body. For all else, a header that is not whole among it, ok is false and http.ReadResponse decides. Where
// ok is true both agree.
func parseHead(b []byte) (h head, ok bool) {
	end := bytes.Index(b, endOfHead)
	if end < len("HTTP/1.1 200") || string(b[:7]) != "HTTP/1." || b[7]|1 != '1' || b[8] != ' ' {
		return h, false
	}
	h.size = end + len(endOfHead)
	for _, c := range b[9:12] {
		if c < '0' || c > '9' {
			return h, false
		}
		h.Status = h.Status*10 + int(c-'0')
	}
	line, rest, ok := cutLine(b[12 : end+2])
	if !ok || len(line) > 0 && line[0] != ' ' || h.Status < 200 {
		return h, false
	}
	h.length = -1
	var connection []byte
	for len(rest) > 0 {
		if line, rest, ok = cutLine(rest); !ok || !h.field(line, &connection) {
			return h, false
		}
	}
	h.closes = is(connection, "close") || b[7] == '0' && connection == nil
	if h.Status == 204 || h.Status == 304 {
		if h.length >= 0 { // bytes may follow that look like the next answer
			return h, false
		}
		h.length = 0
	}
	return h, h.length >= 0
}

// cutLine cuts b after its first line. It reports false for a line that does not end in CRLF.
func cutLine(b []byte) (line, rest []byte, ok bool) {
	at := bytes.IndexByte(b, '\n')
	if at < 1 || b[at-1] != '\r' {
		return nil, nil, false
	}
	return b[:at-1], b[at+1:], true
}

// field notes a header field. It reports false for one that it does not understand, a continued one among them.
func (h *head) field(line []byte, connection *[]byte) bool {
	colon := bytes.IndexByte(line, ':')
	if colon < 1 || !all(line[:colon], tokenByte) || !all(line[colon+1:], valueByte) {
		return false
	}
	name, value := line[:colon], textproto.TrimBytes(line[colon+1:])
	switch len(name) {
	case len("Location"):
		if is(name, "Location") {
			return set(&h.Location, value)
		}
	case len("Connection"):
		if is(name, "Connection") {
			if *connection != nil || !is(value, "close") && !is(value, "keep-alive") {
				return false
			}
			*connection = value
		}
	case len("Retry-After"):
		if is(name, "Retry-After") {
			return set(&h.RetryAfter, value)
		}
	case len("Content-Length"):
		if is(name, "Content-Length") {
			return h.length < 0 && h.setLength(value)
		}
	case len("Transfer-Encoding"):
		return !is(name, "Transfer-Encoding")
	}
	return true
}

// set notes the value of a field, unless that is empty or there was one before.
func set(field *string, value []byte) bool {
	if *field != "" || len(value) == 0 {
		return false
	}
	*field = string(value)
	return true
}

// setLength notes a Content-Length, unless it is no number that fits.
func (h *head) setLength(value []byte) bool {
	if len(value) == 0 || len(value) > 9 {
		return false
	}
	n := 0
	for _, c := range value {
		if c < '0' || c > '9' {
			return false
		}
		n = n*10 + int(c-'0')
	}
	h.length = n
	return true
}

// is reports whether b is s, in any case.
func is(b []byte, s string) bool { return len(b) == len(s) && strings.EqualFold(string(b), s) }

// CutMark is behind text from a server that was cut.
const CutMark = "…"

// shorten cuts text from a server to a length fit for a log.
func shorten(s string) string { return cut(s, 200) }

// cut cuts a text to so many bytes, but not within a character.
func cut(s string, most int) string {
	if len(s) <= most {
		return s
	}
	for most > 0 && !utf8.RuneStart(s[most]) {
		most--
	}
	return s[:most] + CutMark
}
