package http1_test

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/solate/medispatcher/push/http1"
)

// blockingDial is a Dial function that waits for its context.
func blockingDial(ctx context.Context, _, _ string) (net.Conn, error) {
	<-ctx.Done()
	return nil, ctx.Err()
}

// slowServer is one that is slow at the stage it is named for.
var slowServers = map[string]func(net.Conn, int){
	"reading":        func(c net.Conn, _ int) { io.Copy(io.Discard, c) },
	"header":         trickle("HTTP/1.1 200 OK\r\nX-A: ", "a"),
	"informational":  trickle("", "HTTP/1.1 103 Early Hints\r\nX-A: a"),
	"body":           trickle("HTTP/1.1 200 OK\r\nContent-Length: 1000000\r\n\r\n", "x"),
	"chunks":         trickle("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", "1\r\nx\r\n"),
	"chunk header":   trickle("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1", ";"),
	"body until EOF": trickle("HTTP/1.1 200 OK\r\n\r\n", "x"),
}

// trickle returns a handler that sends start at once and then rest, byte by
// byte and over and over.
func trickle(start, rest string) func(net.Conn, int) {
	return func(c net.Conn, _ int) {
		go io.Copy(io.Discard, c)
		_, err := io.WriteString(c, start)
		for i := 0; err == nil; i++ {
			time.Sleep(2 * time.Millisecond)
			_, err = c.Write([]byte{rest[i%len(rest)]})
		}
	}
}

func TestDeadline(t *testing.T) {
	for name, handle := range slowServers {
		for _, size := range []int{10, 1 << 20} {
			t.Run(fmt.Sprint(name, " ", size), func(t *testing.T) {
				t.Parallel()
				s := serve(t, handle)
				checkDeadline(t, http1.Options{}, s.url, size)
			})
		}
	}
	t.Run("dial", func(t *testing.T) {
		checkDeadline(t, http1.Options{Dial: blockingDial}, "http://127.0.0.1/", 10)
	})
	t.Run("TLS handshake", func(t *testing.T) {
		s := serve(t, slowServers["reading"])
		checkDeadline(t, http1.Options{}, "https://"+s.addr, 10)
	})
	t.Run("server that does not read", func(t *testing.T) {
		s := serve(t, func(net.Conn, int) { <-t.Context().Done() })
		checkDeadline(t, http1.Options{}, s.url, 64<<20)
	})
}

// checkDeadline sends a request with a deadline that must end it.
func checkDeadline(t *testing.T, o http1.Options, url string, size int) {
	tr := newTransport(t, o)
	const limit = 100 * time.Millisecond
	ctx, cancel := context.WithTimeout(context.Background(), limit)
	defer cancel()
	start := time.Now()
	req, _ := http.NewRequestWithContext(ctx, "POST", url, strings.NewReader(strings.Repeat("x", size)))
	err := mustFail(t, tr, req)
	if !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("error %v", err)
	}
	var timeout interface{ Timeout() bool }
	if !errors.As(err, &timeout) || !timeout.Timeout() {
		t.Errorf("not a timeout: %v", err)
	}
	if d := time.Since(start); d > limit+2*time.Second {
		t.Errorf("took %v", d)
	}
	if tr.Live() != 0 {
		t.Error("connection left open")
	}
}

func TestDialTimeout(t *testing.T) {
	tr := newTransport(t, http1.Options{Dial: blockingDial, DialTimeout: 20 * time.Millisecond})
	if err := mustFail(t, tr, newRequest(t, "GET", "http://127.0.0.1/", "")); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("error %v", err)
	}
	s := serve(t, slowServers["reading"])
	tr = newTransport(t, http1.Options{DialTimeout: 20 * time.Millisecond})
	if err := mustFail(t, tr, newRequest(t, "GET", "https://"+s.addr, "")); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("TLS: error %v", err)
	}
}

func TestDeadlinePast(t *testing.T) {
	s := serve(t, echo)
	tr := newTransport(t, http1.Options{})
	ctx, cancel := context.WithDeadline(context.Background(), time.Now().Add(-time.Second))
	defer cancel()
	body := &trackedBody{Reader: strings.NewReader("x")}
	req, _ := http.NewRequestWithContext(ctx, "POST", s.url, body)
	if err := mustFail(t, tr, req); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("error %v", err)
	}
	if !body.closed.Load() {
		t.Error("body not closed")
	}
	wantConns(t, s, 0)
}

// TestOldDeadline reuses a connection whose last deadline has passed, also for
// a request that has none.
func TestOldDeadline(t *testing.T) {
	s := serve(t, echo)
	tr := newTransport(t, http1.Options{})
	short := 30 * time.Millisecond
	ctx, cancel := context.WithTimeout(context.Background(), short)
	defer cancel()
	do(t, tr, newRequest(t, "POST", s.url, "x").WithContext(ctx))
	<-ctx.Done()
	for range 2 {
		do(t, tr, newRequest(t, "POST", s.url, "x").WithContext(context.Background()))
	}
	do(t, tr, newRequest(t, "POST", s.url, "x"))
	wantConns(t, s, 1)
}

func TestCancel(t *testing.T) {
	for name, reply := range map[string]string{
		"before header": "",
		"in header":     "HTTP/1.1 200 OK\r\nX",
		"in body":       "HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n12345",
	} {
		t.Run(name, func(t *testing.T) {
			got, gone := make(chan struct{}), make(chan struct{})
			s := serve(t, func(c net.Conn, n int) {
				if n > 1 {
					echo(c, n)
					return
				}
				br := bufio.NewReader(c)
				readRequest(br)
				io.WriteString(c, reply)
				close(got)
				br.ReadByte()
				close(gone)
			})
			tr := newTransport(t, http1.Options{})
			cause := errors.New("shutting down")
			ctx, cancel := context.WithCancelCause(context.Background())
			go func() {
				<-got
				cancel(cause)
			}()
			req, _ := http.NewRequestWithContext(ctx, "POST", s.url, strings.NewReader("x"))
			if err := mustFail(t, tr, req); !errors.Is(err, context.Canceled) || !errors.Is(err, cause) {
				t.Errorf("error %v", err)
			}
			wait(t, gone, "connection to be closed")
			for range 3 {
				if _, body := post(t, tr, s.url, "next"); body != "next" {
					t.Errorf("body %q", body)
				}
			}
			wantConns(t, s, 2)
		})
	}
}

func TestCancelDial(t *testing.T) {
	dialling := make(chan struct{})
	tr := newTransport(t, http1.Options{Dial: func(ctx context.Context, n, a string) (net.Conn, error) {
		close(dialling)
		return blockingDial(ctx, n, a)
	}})
	ctx, cancel := context.WithCancel(context.Background())
	go func() {
		<-dialling
		cancel()
	}()
	req, _ := http.NewRequestWithContext(ctx, "GET", "http://127.0.0.1/", nil)
	if err := mustFail(t, tr, req); !errors.Is(err, context.Canceled) {
		t.Errorf("error %v", err)
	}
}

// TestAbandonedBody does not close a body: the end of the context must.
func TestAbandonedBody(t *testing.T) {
	gone := make(chan struct{})
	s := serve(t, func(c net.Conn, _ int) {
		br := bufio.NewReader(c)
		readRequest(br)
		io.WriteString(c, "HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n12345")
		br.ReadByte()
		close(gone)
	})
	tr := newTransport(t, http1.Options{})
	ctx, cancel := context.WithCancel(context.Background())
	req, _ := http.NewRequestWithContext(ctx, "GET", s.url, nil)
	if _, err := tr.RoundTrip(req); err != nil {
		t.Fatal(err)
	}
	cancel()
	wait(t, gone, "connection to be closed")
	if tr.Live() != 0 {
		t.Error("connection left open")
	}
}

// TestCancelBeforeEOF cancels when the response is in memory already: reading
// it may succeed, but the connection is closed and must not be pooled.
func TestCancelBeforeEOF(t *testing.T) {
	gone := make(chan struct{}, 1)
	s := serve(t, func(c net.Conn, n int) {
		echo(c, n)
		gone <- struct{}{}
	})
	tr := newTransport(t, http1.Options{})
	ctx, cancel := context.WithCancel(context.Background())
	resp, err := tr.RoundTrip(newRequest(t, "POST", s.url, "x").WithContext(ctx))
	if err != nil {
		t.Fatal(err)
	}
	cancel()
	wait(t, gone, "connection to be closed")
	io.ReadAll(resp.Body)
	resp.Body.Close()
	if tr.Idle() != 0 || tr.Live() != 0 {
		t.Errorf("%d connections idle, %d open", tr.Idle(), tr.Live())
	}
}

// silentContext has a deadline but never says that it has passed.
type silentContext struct {
	context.Context
	deadline time.Time
}

func (c silentContext) Deadline() (time.Time, bool) { return c.deadline, true }

// TestConnDeadline checks that the connection has a deadline of its own.
func TestConnDeadline(t *testing.T) {
	s := serve(t, slowServers["reading"])
	tr := newTransport(t, http1.Options{})
	ctx := silentContext{context.Background(), time.Now().Add(50 * time.Millisecond)}
	if err := mustFail(t, tr, newRequest(t, "POST", s.url, "x").WithContext(ctx)); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("error %v", err)
	}
}

// TestCancelRace cancels requests around the time they end, while others use
// the same connections: none of these may suffer.
func TestCancelRace(t *testing.T) {
	s := serve(t, echo)
	tr := newTransport(t, http1.Options{MaxIdlePerHost: 4})
	var wg sync.WaitGroup
	for w := range 8 {
		wg.Go(func() {
			for i := range 400 {
				ctx, cancel := context.WithCancel(context.Background())
				if w%2 == 0 {
					go func() {
						for range rand.IntN(2000) {
						}
						cancel()
					}()
				}
				want := fmt.Sprintf("%d/%d", w, i)
				req, _ := http.NewRequestWithContext(ctx, "POST", s.url, strings.NewReader(want))
				resp, err := tr.RoundTrip(req)
				var got []byte
				if err == nil {
					got, err = io.ReadAll(resp.Body)
					resp.Body.Close()
				}
				switch {
				case err == nil && string(got) != want:
					t.Errorf("got %q, want %q", got, want)
				case err != nil && (w%2 == 1 || !errors.Is(err, context.Canceled)):
					t.Errorf("worker %d: %v", w, err)
				}
				cancel()
			}
		})
	}
	wg.Wait()
	if tr.Live() != tr.Idle() {
		t.Errorf("%d connections open, %d idle", tr.Live(), tr.Idle())
	}
}

func TestCloseInFlight(t *testing.T) {
	for name, reply := range map[string]string{
		"before header": "",
		"in body":       "HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n12345",
	} {
		for _, size := range []int{1, 1 << 20} {
			t.Run(fmt.Sprint(name, " ", size), func(t *testing.T) {
				got := make(chan struct{})
				s := serve(t, func(c net.Conn, n int) {
					br := bufio.NewReader(c)
					if n == 1 {
						echo(c, n)
						return
					}
					readRequest(br)
					io.WriteString(c, reply)
					close(got)
					br.ReadByte()
				})
				tr := http1.New(http1.Options{})
				// One connection idle, one in use.
				first, err := tr.RoundTrip(newRequest(t, "POST", s.url, "x"))
				if err != nil {
					t.Fatal(err)
				}
				go func() {
					<-got
					tr.Close()
				}()
				err = mustFail(t, tr, newRequest(t, "POST", s.url, strings.Repeat("x", size)))
				if !errors.Is(err, http1.ErrClosed) {
					t.Errorf("error %v", err)
				}
				first.Body.Close()
				if err := mustFail(t, tr, newRequest(t, "POST", s.url, "x")); !errors.Is(err, http1.ErrClosed) {
					t.Errorf("after Close: %v", err)
				}
				if tr.Live() != 0 || tr.Idle() != 0 {
					t.Error("connections left open")
				}
				tr.Close()
			})
		}
	}
	t.Run("dial", func(t *testing.T) {
		dialling := make(chan struct{})
		tr := http1.New(http1.Options{Dial: func(ctx context.Context, n, a string) (net.Conn, error) {
			close(dialling)
			return blockingDial(ctx, n, a)
		}})
		go func() {
			<-dialling
			tr.Close()
		}()
		if err := mustFail(t, tr, newRequest(t, "GET", "http://127.0.0.1/", "")); !errors.Is(err, http1.ErrClosed) {
			t.Errorf("error %v", err)
		}
	})
}
