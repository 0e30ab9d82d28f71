package http1

import "strconv"

// MaxInline is the longest body, in bytes, that is sent in one write with its header, by the caller's goroutine. It
// fits the buffers of two sockets, so that writing it does not wait for a server that does not read.
const MaxInline = 64 << 10

// Request is one POST.
type Request struct {
	To    *Target
	Query string // added to the query of the URL; escaped
	Head  []byte // header fields made by AppendField; Content-Length is added
	Body  []byte
	Fresh bool // use a new connection, whatever is idle: to find out whether the server can be reached

	// Made is called when a connection was made for the request, before that is sent. Nil: nobody is told.
	Made func()

	// Keep is how many bytes of the answer's body are wanted. They have until the deadline, and if they do not all arrive
	// that is an error. A 2xx decides by its status, so its body is wanted only if KeepOK is set.
	Keep   int
	KeepOK bool
}

// keep is how many bytes of the body are wanted of an answer with that status.
func (r *Request) keep(status int) int {
	if status >= 200 && status <= 299 && !r.KeepOK {
		return 0
	}
	return r.Keep
}

// appendHead appends the request up to its body.
func (r *Request) appendHead(b []byte) []byte {
	b = append(b, r.To.line...)
	if r.Query != "" {
		b = append(b, r.To.join...)
		b = append(b, r.Query...)
	}
	b = append(b, r.To.rest...)
	b = append(b, r.Head...)
	b = append(b, "Content-Length: "...)
	b = strconv.AppendInt(b, int64(len(r.Body)), 10)
	return append(b, "\r\n\r\n"...)
}

// size is not less than the bytes of the whole request.
func (r *Request) size() int {
	return len(r.To.line) + len(r.Query) + len(r.To.rest) + len(r.Head) + len("?Content-Length: 00000\r\n\r\n") + len(r.Body)
}
