package http1_test

import (
	"bufio"
	"context"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/solate/medispatcher/push/http1"
)

// soon bounds waits for what should happen at once.
const soon = 10 * time.Second

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// server is a TCP server whose connections are handled by the test.
type server struct {
	url   string
	addr  string
	conns atomic.Int32 // accepted so far
}

// serve starts a server. handle gets each connection and its number, from 1;
// the connection is closed when it returns or the test ends.
func serve(tb testing.TB, handle func(c net.Conn, n int)) *server {
	tb.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		tb.Fatal(err)
	}
	s := &server{url: "http://" + ln.Addr().String(), addr: ln.Addr().String()}
	var mu sync.Mutex
	var open []net.Conn
	var wg sync.WaitGroup
	wg.Go(func() {
		for {
			c, err := ln.Accept()
			if err != nil {
				return
			}
			n := int(s.conns.Add(1))
			mu.Lock()
			open = append(open, c)
			mu.Unlock()
			wg.Go(func() {
				defer c.Close()
				handle(c, n)
			})
		}
	})
	tb.Cleanup(func() {
		ln.Close()
		mu.Lock()
		for _, c := range open {
			c.Close()
		}
		mu.Unlock()
		wg.Wait()
	})
	return s
}

// readRequest reads one request with its body; nil when the client is gone.
func readRequest(br *bufio.Reader) (*http.Request, string) {
	req, err := http.ReadRequest(br)
	if err != nil {
		return nil, ""
	}
	body, err := io.ReadAll(req.Body)
	if err != nil {
		return nil, ""
	}
	return req, string(body)
}

// always returns a handler that answers each request with reply.
func always(reply string) func(net.Conn, int) {
	return func(c net.Conn, _ int) {
		br := bufio.NewReader(c)
		for {
			if req, _ := readRequest(br); req == nil {
				return
			}
			io.WriteString(c, reply)
		}
	}
}

// once returns a handler that answers one request with reply and closes.
func once(reply string) func(net.Conn, int) {
	return func(c net.Conn, _ int) {
		if req, _ := readRequest(bufio.NewReader(c)); req != nil {
			io.WriteString(c, reply)
		}
	}
}

const okReply = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"

// newTransport returns a Transport closed with the test.
func newTransport(tb testing.TB, o http1.Options) *http1.Transport {
	t := http1.New(o)
	tb.Cleanup(t.Close)
	return t
}

// newRequest returns a request that lasts until the test ends, or soon.
func newRequest(tb testing.TB, method, url, body string) *http.Request {
	tb.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), soon)
	tb.Cleanup(cancel)
	var r io.Reader
	if body != "" {
		r = strings.NewReader(body)
	}
	req, err := http.NewRequestWithContext(ctx, method, url, r)
	if err != nil {
		tb.Fatal(err)
	}
	return req
}

// post sends body and returns the response, read and closed, with its body.
func post(tb testing.TB, rt http.RoundTripper, url, body string) (*http.Response, string) {
	tb.Helper()
	return do(tb, rt, newRequest(tb, "POST", url, body))
}

// do sends req and returns the response, read and closed, with its body.
func do(tb testing.TB, rt http.RoundTripper, req *http.Request) (*http.Response, string) {
	tb.Helper()
	resp, err := rt.RoundTrip(req)
	if err != nil {
		tb.Fatalf("RoundTrip: %v", err)
	}
	defer resp.Body.Close()
	got, err := io.ReadAll(resp.Body)
	if err != nil {
		tb.Fatalf("read body: %v", err)
	}
	return resp, string(got)
}

// mustFail sends req and returns the error, of RoundTrip or of the body.
func mustFail(tb testing.TB, rt http.RoundTripper, req *http.Request) error {
	tb.Helper()
	resp, err := rt.RoundTrip(req)
	if err == nil {
		_, err = io.ReadAll(resp.Body)
		resp.Body.Close()
	}
	if err == nil {
		tb.Fatalf("no error, status %s", resp.Status)
	}
	return err
}

// wait waits for ch to be closed or sent to.
func wait[T any](tb testing.TB, ch <-chan T, what string) T {
	tb.Helper()
	select {
	case v := <-ch:
		return v
	case <-time.After(soon):
		tb.Fatalf("waited in vain for %s", what)
		panic("unreachable")
	}
}

// wantConns checks how many connections the server accepted.
func wantConns(tb testing.TB, s *server, want int32) {
	tb.Helper()
	if got := s.conns.Load(); got != want {
		tb.Errorf("%d connections accepted, want %d", got, want)
	}
}
