package sock

import (
	"bytes"
	"errors"
	"io"
	"net"
	"os"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"golang.org/x/net/nettest"
)

// pair is both ends of a connection. The first is wrapped.
func pair(t testing.TB, network, addr string) (client *Conn, server net.Conn) {
	t.Helper()
	ln, err := net.Listen(network, addr)
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	dialed, err := net.Dial(network, ln.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	if server, err = ln.Accept(); err != nil {
		t.Fatal(err)
	}
	client = Wrap(dialed).(*Conn)
	t.Cleanup(func() { client.Close(); server.Close() })
	return client, server
}

// TestConn: a wrapped connection is a net.Conn like any other.
func TestConn(t *testing.T) {
	for network, addr := range map[string]func(*testing.T) string{
		"tcp":  func(*testing.T) string { return "127.0.0.1:0" },
		"unix": func(t *testing.T) string { return filepath.Join(t.TempDir(), "s") },
	} {
		t.Run(network, func(t *testing.T) {
			nettest.TestConn(t, func() (c1, c2 net.Conn, stop func(), err error) {
				a, b := pair(t, network, addr(t))
				return a, Wrap(b), func() { a.Close(); b.Close() }, nil
			})
		})
	}
}

// TestErrors: errors say what those of package net say.
func TestErrors(t *testing.T) {
	for name, do := range map[string]func(c net.Conn, peer net.Conn) error{
		"read at the deadline": func(c, _ net.Conn) error {
			c.SetDeadline(time.Now().Add(-1))
			_, err := c.Read(make([]byte, 1))
			return err
		},
		"write at the deadline": func(c, _ net.Conn) error {
			c.SetDeadline(time.Now().Add(-1))
			_, err := c.Write([]byte("x"))
			return err
		},
		"read after close": func(c, _ net.Conn) error { c.Close(); _, err := c.Read(make([]byte, 1)); return err },
		"read after a reset": func(c, peer net.Conn) error {
			peer.(*net.TCPConn).SetLinger(0)
			peer.Close()
			_, err := c.Read(make([]byte, 1))
			return err
		},
		"read at the end": func(c, peer net.Conn) error { peer.Close(); _, err := c.Read(make([]byte, 1)); return err },
	} {
		t.Run(name, func(t *testing.T) {
			c, peer := pair(t, "tcp", "127.0.0.1:0")
			plain, other := pair(t, "tcp", "127.0.0.1:0")
			got, want := do(c, peer), do(plain.Conn, other)
			kind := func(err error) string {
				op, _ := errors.AsType[*net.OpError](err)
				var ne net.Error
				if op == nil {
					return err.Error()
				}
				return op.Op + " " + op.Net + " " + op.Err.Error() + map[bool]string{true: " timeout"}[errors.As(err, &ne) && ne.Timeout()]
			}
			if kind(got) != kind(want) {
				t.Errorf("%v, want an error like %v", got, want)
			}
		})
	}
}

// answer reads a request of n bytes and answers.
func answer(t *testing.T, peer net.Conn, n int, with string) {
	go func() {
		got := make([]byte, n)
		if _, err := io.ReadFull(peer, got); err != nil {
			t.Error(err)
		}
		peer.Write([]byte(with))
	}()
}

// TestExchange: a request of any size is written, and the answer read, in the same memory.
func TestExchange(t *testing.T) {
	for _, size := range []int{1, 1000, 16 << 20} { // the last is more than a socket takes at once
		c, peer := pair(t, "tcp", "127.0.0.1:0")
		c.SetDeadline(time.Now().Add(time.Minute))
		for range 3 {
			b := bytes.Repeat([]byte("q"), size)
			answer(t, peer, size, "a")
			if n, werr, rerr := c.Exchange(b, b); n != 1 || b[0] != 'a' || werr != nil || rerr != nil {
				t.Errorf("%d bytes: %d, %v, %v", size, n, werr, rerr)
			}
		}
	}
}

// TestExchangeSeesWhatCameBefore: what the peer did before the request was written is noticed, in time.
func TestExchangeSeesWhatCameBefore(t *testing.T) {
	for name, leave := range map[string]func(net.Conn){
		"half close": func(peer net.Conn) { peer.(*net.TCPConn).CloseWrite() },
		"words":      func(peer net.Conn) { peer.Write([]byte("bye")) },
	} {
		t.Run(name, func(t *testing.T) {
			c, peer := pair(t, "tcp", "127.0.0.1:0")
			c.SetDeadline(time.Now().Add(time.Minute))
			answer(t, peer, 1, "a")
			b := make([]byte, 9)
			if n, werr, rerr := c.Exchange([]byte("q"), b); n != 1 || werr != nil || rerr != nil {
				t.Fatal(n, werr, rerr)
			}
			leave(peer)
			for Quiet(c.raw) { // until it is here
			}
			n, werr, rerr := c.Exchange([]byte("q"), b)
			if werr != nil || (name == "words") != (n == 3) || (name == "half close") != errors.Is(rerr, io.EOF) {
				t.Errorf("%d bytes, %v, %v", n, werr, rerr)
			}
		})
	}
}

// TestExchangeAfterReset: a connection that the peer reset fails at once.
func TestExchangeAfterReset(t *testing.T) {
	c, peer := pair(t, "tcp", "127.0.0.1:0")
	c.SetDeadline(time.Now().Add(time.Minute))
	peer.(*net.TCPConn).SetLinger(0)
	peer.Close()
	for Quiet(c.raw) {
	}
	n, werr, rerr := c.Exchange([]byte("q"), make([]byte, 9))
	if n != 0 || !errors.Is(errors.Join(werr, rerr), syscall.ECONNRESET) && !errors.Is(errors.Join(werr, rerr), syscall.EPIPE) {
		t.Errorf("%d bytes, %v, %v", n, werr, rerr)
	}
}

// TestExchangeTakesItsTime: an answer may take longer than Exchange waits before it looks, and no longer than the deadline.
func TestExchangeTakesItsTime(t *testing.T) {
	t.Parallel()
	c, peer := pair(t, "tcp", "127.0.0.1:0")
	b := make([]byte, 9)
	c.SetDeadline(time.Now().Add(time.Minute))
	go func() {
		peer.Read(make([]byte, 1))
		time.Sleep(lookAfter + slack + 50*time.Millisecond)
		peer.Write([]byte("ab"))
	}()
	if n, werr, rerr := c.Exchange([]byte("q"), b[:1]); n != 1 || werr != nil || rerr != nil {
		t.Fatal(n, werr, rerr)
	}
	time.Sleep(lookAfter + slack) // what is left can be read after the time of Exchange
	if n, err := c.Read(b); n != 1 || err != nil {
		t.Error(n, err)
	}
	for _, within := range []time.Duration{20 * time.Millisecond, 2 * (lookAfter + slack)} {
		start := time.Now()
		c.SetDeadline(start.Add(within))
		if n, _, rerr := c.Exchange([]byte("q"), b); n != 0 || !errors.Is(rerr, os.ErrDeadlineExceeded) || time.Since(start) < within {
			t.Error(n, rerr, time.Since(start))
		}
	}
}

// TestExchangeWithASlowReader: a request that the peer takes up only later than Exchange waits before it looks.
func TestExchangeWithASlowReader(t *testing.T) {
	t.Parallel()
	c, peer := pair(t, "tcp", "127.0.0.1:0")
	c.SetDeadline(time.Now().Add(time.Minute))
	b := make([]byte, 16<<20)
	go func() {
		time.Sleep(lookAfter + slack + 50*time.Millisecond)
		answer(t, peer, len(b), "a")
	}()
	if n, werr, rerr := c.Exchange(b, b); n != 1 || werr != nil || rerr != nil {
		t.Error(n, werr, rerr)
	}
}

// TestExchangeNearTheDeadline: the time after which an exchange before looked is not that of this one.
func TestExchangeNearTheDeadline(t *testing.T) {
	t.Parallel()
	c, peer := pair(t, "tcp", "127.0.0.1:0")
	c.SetDeadline(time.Now().Add(lookAfter + slack + time.Second))
	b := make([]byte, 1)
	for range 2 {
		answer(t, peer, 1, "a")
		if n, werr, rerr := c.Exchange([]byte("q"), b); n != 1 || werr != nil || rerr != nil {
			t.Fatal(n, werr, rerr)
		}
		time.Sleep(lookAfter + slack + 900*time.Millisecond)
	}
}

// stalls is a raw connection whose reads begin late, as in a process that gets no CPU for a moment.
type stalls struct{ syscall.RawConn }

func (s stalls) Read(step func(fd uintptr) bool) error {
	time.Sleep(2 * (lookAfter + slack))
	return s.RawConn.Read(step)
}

// TestExchangeBeginsLate: a request is written, too, if the time after which Exchange looks is over before it begins.
func TestExchangeBeginsLate(t *testing.T) {
	t.Parallel()
	c, peer := pair(t, "tcp", "127.0.0.1:0")
	c.SetDeadline(time.Now().Add(20 * time.Second))
	c.raw = stalls{c.raw}
	got := make(chan int, 1)
	go func() {
		n, _ := peer.Read(make([]byte, 9))
		got <- n
		peer.Write([]byte("a"))
	}()
	b := make([]byte, 1)
	if n, werr, rerr := c.Exchange([]byte("q"), b); n != 1 || werr != nil || rerr != nil {
		t.Errorf("%d bytes, %v, %v", n, werr, rerr)
	}
	peer.Close()
	if n := <-got; n != 1 {
		t.Errorf("the peer got %d bytes of the request", n)
	}
}

// TestLooks: who looks whether a connection is alive gets to see what there is to see.
func TestLooks(t *testing.T) {
	for name, leave := range map[string]func(net.Conn){
		"the end": func(peer net.Conn) { peer.Close() },
		"words":   func(peer net.Conn) { peer.Write([]byte("bye")) },
	} {
		c, peer := pair(t, "tcp", "127.0.0.1:0")
		rc, err := c.SyscallConn()
		if err != nil {
			t.Fatal(err)
		}
		looked := 0
		look := func(uintptr) bool { looked++; return true }
		if err := rc.Read(look); err != nil || looked != 0 {
			t.Errorf("looked at nothing, %v", err)
		}
		leave(peer)
		for Quiet(c.raw) { // until it is here
		}
		if err := rc.Read(look); err != nil || looked != 1 {
			t.Errorf("%s: not seen, %v", name, err)
		}
	}
}

// BenchmarkExchange is a request of 700 bytes and its answer, beside the same with package net.
func BenchmarkExchange(b *testing.B) {
	for _, plain := range []bool{false, true} {
		b.Run(map[bool]string{false: "sock", true: "net"}[plain], func(b *testing.B) {
			c, peer := pair(b, "tcp", "127.0.0.1:0")
			c.SetDeadline(time.Now().Add(time.Hour))
			go func() {
				got := make([]byte, 1024)
				for {
					if n, err := peer.Read(got); err != nil || n == 0 {
						return
					}
					peer.Write(got[:100])
				}
			}()
			buf := make([]byte, 1024)
			for b.Loop() {
				if plain {
					c.Conn.Write(buf[:700])
					c.Conn.Read(buf)
				} else {
					c.Exchange(buf[:700], buf)
				}
			}
		})
	}
}
