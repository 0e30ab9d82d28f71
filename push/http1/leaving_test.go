package http1_test

import (
	"bufio"
	"context"
	"crypto/tls"
	"io"
	"net"
	"runtime"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/solate/medispatcher/internal/sock"
	"github.com/solate/medispatcher/push/http1"
)

// TestServerThatHalfCloses: a server that closes its side after each answer without saying so, and reads on, takes one request in
// vain, and no more.
func TestServerThatHalfCloses(t *testing.T) {
	t.Parallel()
	cert, roots := testCert(t)
	var taken atomic.Int32
	left := make(chan struct{}, 1)
	leave := func(c net.Conn, _ int) {
		br := bufio.NewReader(c)
		for n := 0; ; n++ {
			if req, _ := readRequest(br); req == nil {
				return
			}
			if taken.Add(1); n == 0 {
				io.WriteString(c, okReply)
				c.(interface{ CloseWrite() error }).CloseWrite()
				left <- struct{}{}
			}
		}
	}
	for scheme, handle := range map[string]func(net.Conn, int){
		"http": leave, "https": overTLS(&tls.Config{Certificates: []tls.Certificate{cert}}, leave),
	} {
		s := serve(t, handle)
		var probe syscall.RawConn
		tr := newClient(t, http1.Options{TLSConfig: &tls.Config{RootCAs: roots}, Dial: func(ctx context.Context, network, addr string) (net.Conn, error) {
			c, err := new(net.Dialer).DialContext(ctx, network, addr)
			if err == nil {
				probe, err = c.(*net.TCPConn).SyscallConn()
			}
			return c, err
		}})
		taken.Store(0)
		to := target(t, scheme+"://"+s.addr)
		snd := tr.Sender(t.Context())
		const requests = 20
		for range requests {
			if a, err := snd.Post(&http1.Request{To: to, Body: []byte("x")}, time.Now().Add(soon)); err != nil || a.Status != 200 {
				t.Fatalf("%s: %d, %v", scheme, a.Status, err)
			}
			wait(t, left, "the server to leave")
			for scheme == "http" && sock.Quiet(probe) { // until the end is here; TLS may have read its own already
				runtime.Gosched()
			}
		}
		snd.Release()
		if n := taken.Load(); n > requests+1 {
			t.Errorf("%s: %d requests for %d messages", scheme, n, requests)
		}
	}
}

// TestServerThatHalfClosesLate: the server closes its side a moment after the answer, when a look comes too early. Its second connection
// takes no request in vain any more.
func TestServerThatHalfClosesLate(t *testing.T) {
	t.Parallel()
	var taken atomic.Int32
	s := serve(t, func(c net.Conn, _ int) {
		br := bufio.NewReader(c)
		for n := 0; ; n++ {
			if req, _ := readRequest(br); req == nil {
				return
			}
			if taken.Add(1); n == 0 {
				io.WriteString(c, okReply)
			} else {
				c.(*net.TCPConn).CloseWrite() // the next request is here before the end is
			}
		}
	})
	tr := newClient(t, http1.Options{})
	to := target(t, s.url)
	const requests = 20
	for _, rests := range []bool{false, true} {
		snd := tr.Sender(t.Context())
		for range requests {
			if a, err := snd.Post(&http1.Request{To: to, Body: []byte("x")}, time.Now().Add(soon)); err != nil || a.Status != 200 {
				t.Fatalf("%d, %v", a.Status, err)
			}
			if rests {
				snd.Release()
			}
		}
		snd.Release()
	}
	if n := taken.Load(); n != 2*requests+1 {
		t.Errorf("%d requests for %d messages", n, 2*requests)
	}
	if n := tr.Idle(); n != 0 {
		t.Errorf("%d connections are kept in vain", n)
	}
}

// TestRestartedServerKeepsConnections: a server that took several requests on a connection and then closes one at its second has
// been restarted, and goes on to be asked on the connections that it keeps.
func TestRestartedServerKeepsConnections(t *testing.T) {
	t.Parallel()
	var conns atomic.Int32
	s := serve(t, func(c net.Conn, _ int) {
		br := bufio.NewReader(c)
		left := map[int32]int{1: 2, 2: 1}[conns.Add(1)] // how many requests it takes; 0: all
		for n := 1; ; n++ {
			if req, _ := readRequest(br); req == nil || left > 0 && n > left {
				return
			}
			io.WriteString(c, okReply)
		}
	})
	snd := newClient(t, http1.Options{}).Sender(t.Context())
	defer snd.Release()
	to := target(t, s.url)
	for range 20 {
		if a, err := snd.Post(&http1.Request{To: to, Body: []byte("x")}, time.Now().Add(soon)); err != nil || a.Status != 200 {
			t.Fatalf("%d, %v", a.Status, err)
		}
	}
	if n := conns.Load(); n != 3 {
		t.Errorf("%d connections, want 3", n)
	}
}
