package http1_test

import (
	"bufio"
	"bytes"
	"context"
	"io"
	"net"
	"net/http"
	"net/url"
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

// newClient returns a Client closed with the test.
func newClient(tb testing.TB, o http1.Options) *http1.Client {
	c := http1.New(o)
	tb.Cleanup(c.Close)
	return c
}

// target returns the Target of a URL.
func target(tb testing.TB, raw string) *http1.Target {
	tb.Helper()
	u, err := url.Parse(raw)
	if err != nil {
		tb.Fatal(err)
	}
	to, err := http1.NewTarget(u)
	if err != nil {
		tb.Fatal(err)
	}
	return to
}

// newRequest returns a request that wants the whole answer.
func newRequest(tb testing.TB, url, body string) *http1.Request {
	tb.Helper()
	return &http1.Request{To: target(tb, url), Body: []byte(body), Keep: 1 << 20, KeepOK: true}
}

// do sends r with a sender of its own, and returns the answer with its body.
func do(tb testing.TB, c *http1.Client, r *http1.Request) (http1.Answer, string) {
	tb.Helper()
	a, err := try(c, r, soon)
	if err != nil {
		tb.Fatalf("Post: %v", err)
	}
	return a, string(a.Body)
}

// post sends body to a URL.
func post(tb testing.TB, c *http1.Client, url, body string) (http1.Answer, string) {
	tb.Helper()
	return do(tb, c, newRequest(tb, url, body))
}

// try sends r with a sender of its own, within limit.
func try(c *http1.Client, r *http1.Request, limit time.Duration) (http1.Answer, error) {
	s := c.Sender(context.Background())
	defer s.Release()
	a, err := s.Post(r, time.Now().Add(limit))
	a.Body, a.Start = bytes.Clone(a.Body), bytes.Clone(a.Start)
	return a, err
}

// mustFail sends r and returns the error.
func mustFail(tb testing.TB, c *http1.Client, r *http1.Request) error {
	tb.Helper()
	a, err := try(c, r, soon)
	if err == nil {
		tb.Fatalf("no error, status %d", a.Status)
	}
	return err
}

// fill leaves n idle connections in the pool.
func fill(tb testing.TB, c *http1.Client, url string, n int) {
	tb.Helper()
	before := c.Idle()
	var senders []*http1.Sender
	for range n {
		s := c.Sender(tb.Context())
		if _, err := s.Post(newRequest(tb, url, "x"), time.Now().Add(soon)); err != nil {
			tb.Fatal(err)
		}
		senders = append(senders, s)
	}
	for _, s := range senders {
		s.Release()
	}
	if got := c.Idle() - before; got != n {
		tb.Fatalf("%d idle connections, want %d", got, n)
	}
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
