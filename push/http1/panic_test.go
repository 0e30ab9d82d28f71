package http1_test

import (
	"errors"
	"io"
	"net/http"
	"testing"

	"github.com/solate/medispatcher/push/http1"
)

// panicking is a body that panics after so many bytes.
type panicking struct{ left int }

func (p *panicking) Read(b []byte) (int, error) {
	if p.left == 0 {
		panic("in the body")
	}
	n := min(len(b), p.left)
	p.left -= n
	return n, nil
}

// TestPanicWhileStreaming: a long body is written in a goroutine of its own, whose panic is the error of the request. The
// connection is not used again.
func TestPanicWhileStreaming(t *testing.T) {
	t.Parallel()
	s := serve(t, always("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"))
	tr := newTransport(t, http1.Options{})
	req := newRequest(t, http.MethodPost, s.url, "")
	req.Body, req.ContentLength = io.NopCloser(&panicking{100 << 10}), 200<<10
	err := mustFail(t, tr, req)
	if p, ok := errors.AsType[*http1.PanicError](err); !ok || p.Value != "in the body" || len(p.Stack) == 0 {
		t.Errorf("error %v", err)
	}
	post(t, tr, s.url, "x")
	wantConns(t, s, 2)
}
