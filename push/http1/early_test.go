package http1_test

import (
	"bufio"
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
					tr := newClient(t, http1.Options{})
					start := time.Now()
					r := newRequest(t, s.url, strings.Repeat("x", size))
					if !read {
						r.Keep = 0
					}
					a, got := do(t, tr, r)
					if a.Status != 413 || read && got != "too long" {
						t.Errorf("status %d, body %q", a.Status, got)
					}
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
