package http1_test

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/solate/medispatcher/push/http1"
)

// echo answers each request with its body.
func echo(c net.Conn, _ int) {
	br := bufio.NewReader(c)
	for {
		req, body := readRequest(br)
		if req == nil {
			return
		}
		fmt.Fprintf(c, "HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s", len(body), body)
	}
}

func TestKeepAlive(t *testing.T) {
	s := serve(t, echo)
	tr := newClient(t, http1.Options{})
	for i := range 20 {
		want := fmt.Sprint("message ", i)
		if _, got := post(t, tr, s.url, want); got != want {
			t.Fatalf("got %q, want %q", got, want)
		}
	}
	wantConns(t, s, 1)
	tr.CloseIdleConnections()
	if tr.Live() != 0 {
		t.Error("connection left open")
	}
	post(t, tr, s.url, "x")
	wantConns(t, s, 2)
}

func TestKeepAliveOff(t *testing.T) {
	s := serve(t, echo)
	tr := newClient(t, http1.Options{MaxIdlePerHost: -1})
	post(t, tr, s.url, "x")
	post(t, tr, s.url, "x")
	wantConns(t, s, 2)
	if tr.Live() != 0 {
		t.Error("connection left open")
	}
}

func TestConcurrent(t *testing.T) {
	const workers, requests, idle = 64, 50, 8
	s := serve(t, echo)
	tr := newClient(t, http1.Options{MaxIdlePerHost: idle})
	to := target(t, s.url)
	var wg sync.WaitGroup
	for w := range workers {
		wg.Go(func() {
			snd := tr.Sender(t.Context())
			defer snd.Release()
			for i := range requests {
				if i%10 == 9 {
					snd.Release()
				}
				want := fmt.Sprintf("%d/%d %s", w, i, strings.Repeat("x", w*i))
				r := &http1.Request{To: to, Body: []byte(want), Keep: 1 << 20, KeepOK: true}
				a, err := snd.Post(r, time.Now().Add(3*soon))
				got := a.Body
				if err != nil || string(got) != want {
					t.Errorf("got %.20q (%v), want %.20q", got, err, want)
				}
			}
		})
	}
	wg.Wait()
	if n := tr.Idle(); n > idle || n == 0 {
		t.Errorf("%d idle connections, want 1 to %d", n, idle)
	}
	if tr.Live() != tr.Idle() {
		t.Errorf("%d connections open, %d idle", tr.Live(), tr.Idle())
	}
}

func TestMaxIdle(t *testing.T) {
	tr := newClient(t, http1.Options{MaxIdlePerHost: 2, MaxIdle: 3})
	var servers []*server
	for range 5 {
		servers = append(servers, serve(t, echo))
		post(t, tr, servers[len(servers)-1].url, "x")
	}
	if n := tr.Live(); n != 3 {
		t.Errorf("%d connections open, want 3", n)
	}
	post(t, tr, servers[4].url, "the newest are kept")
	wantConns(t, servers[4], 1)
	post(t, tr, servers[0].url, "the oldest are not")
	wantConns(t, servers[0], 2)
}

func TestIdleTimeout(t *testing.T) {
	closed := make(chan struct{}, 2)
	handle := func(c net.Conn, n int) {
		echo(c, n)
		closed <- struct{}{}
	}
	a, b := serve(t, handle), serve(t, handle)
	tr := newClient(t, http1.Options{IdleTimeout: 30 * time.Millisecond})
	post(t, tr, a.url, "x")
	post(t, tr, b.url, "x")
	wait(t, closed, "first idle connection to be closed")
	wait(t, closed, "second idle connection to be closed")
	if tr.Live() != 0 || tr.Hosts() != 0 {
		t.Errorf("%d connections, %d hosts left", tr.Live(), tr.Hosts())
	}
	post(t, tr, a.url, "x")
	wantConns(t, a, 2)
	wait(t, closed, "the timer to be set again")
}

// countedConn counts writes. It is still a socket to the stale check.
type countedConn struct {
	*net.TCPConn
	writes *atomic.Int32
}

func (c countedConn) Write(p []byte) (int, error) {
	c.writes.Add(1)
	return c.TCPConn.Write(p)
}

// counting returns a Dial function that counts writes.
func counting(writes *atomic.Int32) func(context.Context, string, string) (net.Conn, error) {
	return func(ctx context.Context, network, addr string) (net.Conn, error) {
		c, err := (&net.Dialer{}).DialContext(ctx, network, addr)
		if err != nil {
			return nil, err
		}
		return countedConn{c.(*net.TCPConn), writes}, nil
	}
}

func TestStale(t *testing.T) {
	for name, parting := range map[string]string{
		"closed":          "",
		"408 then closed": "HTTP/1.1 408 Request Timeout\r\nContent-Length: 0\r\n\r\n",
	} {
		t.Run(name, func(t *testing.T) {
			const rounds = 5
			left := make(chan struct{}, 1)
			leave := make(chan struct{}, 1)
			s := serve(t, func(c net.Conn, _ int) {
				if req, _ := readRequest(bufio.NewReader(c)); req == nil {
					return
				}
				io.WriteString(c, okReply)
				select {
				case <-leave:
				case <-t.Context().Done():
				}
				io.WriteString(c, parting)
				c.Close()
				left <- struct{}{}
			})
			var writes atomic.Int32
			tr := newClient(t, http1.Options{Dial: counting(&writes)})
			for range rounds {
				if a, _ := post(t, tr, s.url, "x"); a.Status != 200 {
					t.Fatalf("status %d: the parting words were taken for the response", a.Status)
				}
				if tr.Idle() != 1 {
					t.Fatal("connection not kept: nothing is tested")
				}
				leave <- struct{}{}
				wait(t, left, "server to close")
			}
			if n := writes.Load(); n != rounds {
				t.Errorf("%d requests written, want %d: dead connections were used", n, rounds)
			}
			wantConns(t, s, rounds)
		})
	}
}

// TestResetOnReuse has the server kill a reused connection when it has read
// the second request: the check before use cannot see it.
func TestResetOnReuse(t *testing.T) {
	big := strings.Repeat("x", 200<<10)
	tests := []struct {
		name, body string
		partial    string // written before the connection is killed
		killAll    bool   // the fresh connection too
		wantErr    bool
		deliveries int32 // of the second message
		conns      int32
	}{
		{name: "short", body: "second", deliveries: 2, conns: 2},
		{name: "no body", body: "", deliveries: 2, conns: 2},
		{name: "long", body: big, deliveries: 2, conns: 2},
		{name: "a byte came", body: "second", partial: "H", wantErr: true, deliveries: 1, conns: 1},
		{name: "only once", body: "second", killAll: true, wantErr: true, deliveries: 2, conns: 2},
	}
	for _, tt := range tests {
		for _, reset := range []bool{true, false} {
			t.Run(fmt.Sprintf("%s reset=%t", tt.name, reset), func(t *testing.T) {
				var deliveries atomic.Int32
				s := serve(t, func(c net.Conn, _ int) {
					br := bufio.NewReader(c)
					for i := 0; ; i++ {
						req, body := readRequest(br)
						if req == nil {
							return
						}
						if req.URL.Path == "/second" {
							if body != tt.body {
								t.Errorf("body of %d bytes", len(body))
							}
							deliveries.Add(1)
							if i == 1 || tt.killAll {
								io.WriteString(c, tt.partial)
								if reset && tt.partial == "" {
									c.(*net.TCPConn).SetLinger(0)
								}
								return
							}
						}
						io.WriteString(c, okReply)
					}
				})
				tr := newClient(t, http1.Options{})
				snd := tr.Sender(t.Context())
				defer snd.Release()
				if _, err := snd.Post(newRequest(t, s.url+"/first", "x"), time.Now().Add(soon)); err != nil {
					t.Fatal(err)
				}
				_, err := snd.Post(newRequest(t, s.url+"/second", tt.body), time.Now().Add(soon))
				if (err != nil) != tt.wantErr {
					t.Errorf("error %v", err)
				}
				if n := deliveries.Load(); n != tt.deliveries {
					t.Errorf("%d deliveries, want %d", n, tt.deliveries)
				}
				wantConns(t, s, tt.conns)
			})
		}
	}
}

// TestResendIsFresh has two idle connections that both die when used: the
// second attempt must not fall for the other one.
func TestResendIsFresh(t *testing.T) {
	s := serve(t, func(c net.Conn, _ int) {
		br := bufio.NewReader(c)
		readRequest(br)
		io.WriteString(c, okReply)
		readRequest(br)
	})
	tr := newClient(t, http1.Options{})
	fill(t, tr, s.url, 2)
	post(t, tr, s.url, "x")
	wantConns(t, s, 3)
}

func TestFreshFailureNotRetried(t *testing.T) {
	s := serve(t, func(c net.Conn, _ int) {
		readRequest(bufio.NewReader(c))
		c.(*net.TCPConn).SetLinger(0)
	})
	tr := newClient(t, http1.Options{})
	if err := mustFail(t, tr, newRequest(t, s.url, "x")); !isReset(err) {
		t.Errorf("error %v", err)
	}
	wantConns(t, s, 1)
}

// isReset tells whether the peer broke the connection.
func isReset(err error) bool {
	return errors.Is(err, syscall.ECONNRESET) || errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF)
}

// TestUnsolicited has the server send bytes while the connection is idle.
func TestUnsolicited(t *testing.T) {
	next, sent := make(chan struct{}), make(chan struct{})
	s := serve(t, func(c net.Conn, _ int) {
		br := bufio.NewReader(c)
		for {
			if req, _ := readRequest(br); req == nil {
				return
			}
			io.WriteString(c, okReply)
			if _, more := <-next; !more {
				return
			}
			io.WriteString(c, "HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nevil")
			sent <- struct{}{}
		}
	})
	defer close(next)
	tr := newClient(t, http1.Options{})
	post(t, tr, s.url, "x")
	next <- struct{}{}
	wait(t, sent, "unsolicited bytes")
	if _, got := post(t, tr, s.url, "x"); got != "ok" {
		t.Errorf("got %q", got)
	}
	wantConns(t, s, 2)
}
