package http1_test

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/solate/medispatcher/push/http1"
)

// readHead reads the request header but not the body.
func readHead(br *bufio.Reader) bool {
	for {
		line, err := br.ReadString('\n')
		if err != nil {
			return false
		}
		if line == "\r\n" {
			return true
		}
	}
}

// TestEarlyResponse has the server answer without reading the body.
func TestEarlyResponse(t *testing.T) {
	const reply = "HTTP/1.1 413 Too Large\r\nContent-Length: 8\r\n\r\ntoo long"
	for _, size := range []int{100, 60 << 10, 1 << 20, 16 << 20} {
		for _, closes := range []bool{true, false} {
			for _, read := range []bool{true, false} {
				t.Run(fmt.Sprintf("%d closes=%t read=%t", size, closes, read), func(t *testing.T) {
					gone := make(chan struct{})
					s := serve(t, func(c net.Conn, _ int) {
						br := bufio.NewReaderSize(c, 512)
						if !readHead(br) {
							return
						}
						io.WriteString(c, reply)
						if !closes {
							<-gone
						}
					})
					defer close(gone)
					tr := newTransport(t, http1.Options{})
					start := time.Now()
					resp, err := tr.RoundTrip(newRequest(t, "POST", s.url, strings.Repeat("x", size)))
					if err != nil {
						t.Fatal(err)
					}
					if resp.StatusCode != 413 {
						t.Errorf("status %d", resp.StatusCode)
					}
					if read {
						if got, err := io.ReadAll(resp.Body); string(got) != "too long" || err != nil {
							t.Errorf("body %q, %v", got, err)
						}
					}
					resp.Body.Close()
					if d := time.Since(start); d > soon/2 {
						t.Errorf("took %v", d)
					}
					if size > 8<<20 && tr.Live() != 0 {
						t.Error("a connection with half a request on it was kept")
					}
				})
			}
		}
	}
}

// TestBlockedBody has a body that blocks: it must not outlast the request.
func TestBlockedBody(t *testing.T) {
	s := serve(t, func(c net.Conn, _ int) {
		readHead(bufio.NewReader(c))
		io.WriteString(c, "HTTP/1.1 403 No\r\nContent-Length: 0\r\n\r\n")
		io.Copy(io.Discard, c)
	})
	tr := newTransport(t, http1.Options{})
	r, w := io.Pipe()
	written := make(chan error, 1)
	go func() {
		_, err := w.Write(make([]byte, 100<<10))
		for err == nil {
			_, err = w.Write([]byte("x")) // never ends by itself
			time.Sleep(time.Millisecond)
		}
		written <- err
	}()
	req := newRequest(t, "POST", s.url, "")
	req.Body, req.ContentLength = r, -1
	if resp, _ := do(t, tr, req); resp.StatusCode != 403 {
		t.Errorf("status %d", resp.StatusCode)
	}
	if err := wait(t, written, "body to be closed"); !errors.Is(err, io.ErrClosedPipe) {
		t.Errorf("writer got %v", err)
	}
}
