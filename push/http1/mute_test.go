package http1_test

import (
	"bufio"
	"context"
	"errors"
	"io"
	"net"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/solate/medispatcher/push/http1"
)

// mutable starts a server whose connections can be made mute: those that are open stay open, take
// what they are sent, and never answer again.
func mutable(tb testing.TB) (s *server, mute func()) {
	var mu sync.Mutex
	last, silent := 0, 0
	s = serve(tb, func(c net.Conn, n int) {
		mu.Lock()
		last = max(last, n)
		mu.Unlock()
		br := bufio.NewReader(c)
		for {
			if req, _ := readRequest(br); req == nil {
				return
			}
			mu.Lock()
			dead := n <= silent
			mu.Unlock()
			if !dead {
				io.WriteString(c, okReply)
			}
		}
	})
	return s, func() {
		mu.Lock()
		defer mu.Unlock()
		silent = last
	}
}

// TestMutePool: the peer of pooled connections is gone, and new ones work. One request finds out.
func TestMutePool(t *testing.T) {
	s, mute := mutable(t)
	other := serve(t, echo)
	tr := newClient(t, http1.Options{})
	fill(t, tr, other.url, 1)
	fill(t, tr, s.url, 5)
	mute()
	if _, err := try(tr, newRequest(t, s.url, "x"), 50*time.Millisecond); !errors.Is(err, context.DeadlineExceeded) || http1.PhaseOf(err) != http1.PhaseHeader {
		t.Errorf("error %v in phase %q", err, http1.PhaseOf(err))
	}
	if n := tr.Idle(); n != 1 {
		t.Errorf("%d idle connections, want that of the other host alone", n)
	}
	post(t, tr, s.url, "x")
	wantConns(t, s, 6)
	wantConns(t, other, 1)
}

// TestTimeoutOfANewConnection says nothing about those that are idle.
func TestTimeoutOfANewConnection(t *testing.T) {
	s, _ := mutable(t)
	slow := make(chan struct{})
	tr := newClient(t, http1.Options{})
	fill(t, tr, s.url, 2)
	hang := serve(t, func(c net.Conn, _ int) { readRequest(bufio.NewReader(c)); <-slow })
	defer close(slow)
	if _, err := try(tr, newRequest(t, hang.url, "x"), 50*time.Millisecond); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("error %v", err)
	}
	if n := tr.Idle(); n != 2 {
		t.Errorf("%d idle connections, want 2", n)
	}
}

func TestFresh(t *testing.T) {
	s, mute := mutable(t)
	tr := newClient(t, http1.Options{})
	fill(t, tr, s.url, 2)
	mute()
	r := newRequest(t, s.url, "x")
	r.Fresh = true
	do(t, tr, r)
	wantConns(t, s, 3)
	post(t, tr, s.url, "x") // on the connection that has just worked
	wantConns(t, s, 3)
}

func TestMaxAge(t *testing.T) {
	s := serve(t, echo)
	const age = 50 * time.Millisecond
	tr := newClient(t, http1.Options{MaxAge: age})
	start := time.Now()
	for time.Since(start) < 10*age {
		post(t, tr, s.url, "x")
	}
	if n := s.conns.Load(); n < 3 || n > 13 {
		t.Errorf("%d connections in ten times the age of one", n)
	}
	post(t, tr, s.url, "x")
	before := s.conns.Load()
	time.Sleep(2 * age) // too old by then, and idle
	post(t, tr, s.url, "x")
	if s.conns.Load() != before+1 {
		t.Error("an idle connection was used beyond its age")
	}
}

// TestNameIsResolvedAnew: a name that moves to another address is followed once connections are too old.
func TestNameIsResolvedAnew(t *testing.T) {
	a, b := serve(t, echo), serve(t, echo)
	var at atomic.Pointer[server]
	at.Store(a)
	tr := newClient(t, http1.Options{MaxAge: 20 * time.Millisecond, Dial: func(ctx context.Context, network, _ string) (net.Conn, error) {
		return (&net.Dialer{}).DialContext(ctx, network, at.Load().addr)
	}})
	post(t, tr, "http://worker.example", "x")
	at.Store(b)
	for end := time.Now().Add(soon); b.conns.Load() == 0; {
		post(t, tr, "http://worker.example", "x")
		if time.Now().After(end) {
			t.Fatal("the old address is asked for ever")
		}
	}
}

// Test408 has a server give up connections with a 408. On a reused one it came unasked, and the request goes
// out again; what a new one gets is the response.
func Test408(t *testing.T) {
	const reply = "HTTP/1.1 408 Request Timeout\r\nContent-Length: 4\r\n\r\nlate"
	big := strings.Repeat("x", 200<<10)
	for _, tt := range []struct {
		name, body string
		from       int // connection from which on nothing is answered with 408
		status     int
		conns      int32
	}{
		{name: "once", body: "second", from: 2, status: 200, conns: 2},
		{name: "twice", body: "second", from: 3, status: 408, conns: 2},
		{name: "long", body: big, from: 2, status: 200, conns: 2},
	} {
		t.Run(tt.name, func(t *testing.T) {
			s := serve(t, func(c net.Conn, n int) {
				br := bufio.NewReader(c)
				for {
					req, body := readRequest(br)
					switch {
					case req == nil:
						return
					case req.URL.Path == "/first" || n >= tt.from:
						io.WriteString(c, okReply)
					default:
						io.WriteString(c, reply)
					}
					if req.URL.Path == "/second" && body != tt.body {
						t.Errorf("body of %d bytes", len(body))
					}
				}
			})
			tr := newClient(t, http1.Options{})
			post(t, tr, s.url+"/first", "x")
			if a, _ := post(t, tr, s.url+"/second", tt.body); a.Status != tt.status {
				t.Errorf("status %d, want %d", a.Status, tt.status)
			}
			wantConns(t, s, tt.conns)
		})
	}
	t.Run("new connection", func(t *testing.T) {
		s := serve(t, always(reply))
		if a, got := post(t, newClient(t, http1.Options{}), s.url, "x"); a.Status != 408 || got != "late" {
			t.Errorf("status %d, %q", a.Status, got)
		}
		wantConns(t, s, 1)
	})
}

// TestFreshAtAFullServer: a server that has as many connections as it takes resets a new one. One that rests here gives way to the next.
func TestFreshAtAFullServer(t *testing.T) {
	var open atomic.Int32
	left := make(chan struct{}, 2)
	s := serve(t, func(c net.Conn, n int) {
		if open.Load() >= 2 {
			return
		}
		open.Add(1)
		echo(c, n)
		open.Add(-1)
		left <- struct{}{}
	})
	tr := newClient(t, http1.Options{})
	fill(t, tr, s.url, 2)
	r := newRequest(t, s.url, "x")
	r.Fresh = true
	mustFail(t, tr, r)
	if n := tr.Idle(); n != 1 {
		t.Fatalf("%d idle connections, want 1", n)
	}
	<-left
	do(t, tr, r)
}
