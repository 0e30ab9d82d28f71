package http1_test

import (
	"bufio"
	"context"
	"errors"
	"net"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/solate/medispatcher/push/http1"
)

// TestSenderWithoutWorkHoldsNothing: what a sender has given up serves the next one, and a sender goes on where there is
// work for several hosts.
func TestSenderWithoutWorkHoldsNothing(t *testing.T) {
	a, b := serve(t, echo), serve(t, echo)
	c := newClient(t, http1.Options{})
	one, two := c.Sender(t.Context()), c.Sender(t.Context())
	send := func(snd *http1.Sender, s *server) {
		t.Helper()
		if got, err := snd.Post(newRequest(t, s.url, "x"), time.Now().Add(soon)); err != nil || string(got.Body) != "x" {
			t.Fatalf("%q, %v", got.Body, err)
		}
	}
	for range 3 {
		send(one, a)
		send(one, b)
	}
	if c.Live() != 2 {
		t.Errorf("%d connections of one sender to two hosts", c.Live())
	}
	one.Release()
	if c.Idle() != 2 {
		t.Errorf("%d connections idle after the release", c.Idle())
	}
	send(two, b)
	send(two, a)
	two.Release()
	two.Release()
	send(one, a)
	one.Release()
	wantConns(t, a, 1)
	wantConns(t, b, 1)
}

// faulty is a connection that panics when it is written to.
type faulty struct{ net.Conn }

func (faulty) Write([]byte) (int, error) { panic("in Write") }

// TestPanic: a panic in a request goes to the caller, from a goroutine of its own, too. Its connection is not used again,
// and the sender works.
func TestPanic(t *testing.T) {
	t.Parallel()
	for _, size := range []int{1, http1.MaxInline + 1} {
		for _, where := range []string{"Dial", "Write"} {
			for _, release := range []bool{true, false} {
				s := serve(t, echo)
				panics := false
				c := newClient(t, http1.Options{Dial: func(ctx context.Context, network, addr string) (net.Conn, error) {
					if panics && where == "Dial" {
						panic("in Dial")
					}
					conn, err := (&net.Dialer{}).DialContext(ctx, network, addr)
					if panics {
						conn = faulty{conn}
					}
					return conn, err
				}})
				snd := c.Sender(t.Context())
				r := newRequest(t, s.url, strings.Repeat("x", size))
				func() {
					defer func() {
						v := recover()
						if text, _ := v.(string); !strings.HasPrefix(text, "in "+where) {
							t.Errorf("%d bytes: %v", size, v)
						}
					}()
					panics = true
					_, _ = snd.Post(r, time.Now().Add(time.Hour)) // nobody waits for it
				}()
				panics = false
				if release {
					snd.Release()
				}
				if _, err := snd.Post(r, time.Now().Add(soon)); err != nil {
					t.Error(err)
				}
				snd.Release()
				if c.Live() != 1 || c.Idle() != 1 {
					t.Errorf("%d bytes, %s: %d connections, %d idle", size, where, c.Live(), c.Idle())
				}
			}
		}
	}
}

// TestStatusOfARequestThatWasNotSent: the answer to the one before is not taken for its answer.
func TestStatusOfARequestThatWasNotSent(t *testing.T) {
	t.Parallel()
	s := serve(t, always(okReply))
	snd := newClient(t, http1.Options{}).Sender(t.Context())
	defer snd.Release()
	if _, err := snd.Post(newRequest(t, s.url, ""), time.Now().Add(soon)); err != nil || snd.Status() != 200 {
		t.Fatalf("status %d, %v", snd.Status(), err)
	}
	if _, err := snd.Post(newRequest(t, s.url, ""), time.Now()); err == nil || snd.Status() != 0 {
		t.Errorf("status %d, %v", snd.Status(), err)
	}
}

// TestAgeInAStreak: a connection that is never given up grows old, too.
func TestAgeInAStreak(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		conns := 0
		c := newClient(t, piped(t, func(c net.Conn, n int) { conns = n; echo(c, n) }))
		snd := c.Sender(t.Context())
		defer snd.Release()
		for range 50 {
			if _, err := snd.Post(newRequest(t, "http://a/", "x"), time.Now().Add(soon)); err != nil {
				t.Fatal(err)
			}
			time.Sleep(time.Minute)
		}
		if conns < 9 || conns > 17 || c.Live() != 1 {
			t.Errorf("%d connections in 50 minutes, %d now", conns, c.Live())
		}
	})
}

// TestFreshInAStreak: a new connection is made, and the one before is kept for others.
func TestFreshInAStreak(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newClient(t, piped(t, echo))
		snd := c.Sender(t.Context())
		defer snd.Release()
		r := newRequest(t, "http://a/", "x")
		for i, fresh := range []bool{false, true, false, true} {
			r.Fresh = fresh
			if _, err := snd.Post(r, time.Now().Add(soon)); err != nil {
				t.Fatal(err)
			}
			if want := []int{1, 2, 2, 3}[i]; c.Live() != want || c.Idle() != want-1 {
				t.Errorf("request %d: %d connections, %d idle", i, c.Live(), c.Idle())
			}
		}
	})
}

// TestErrorsNameNoSecrets: host and port are enough.
func TestErrorsNameNoSecrets(t *testing.T) {
	t.Parallel()
	c := newClient(t, http1.Options{Dial: func(context.Context, string, string) (net.Conn, error) { return nil, errors.New("refused") }})
	err := mustFail(t, c, newRequest(t, "http://u:hunter2@h:1/hunter2?hunter2", "hunter2"))
	if got := err.Error(); got != "connect to h:1: refused" {
		t.Errorf("error %q", got)
	}
}

// TestRefusedIsShort: an error of the system says each thing once. The address is that of the worker, and of its name where that is one.
func TestRefusedIsShort(t *testing.T) {
	t.Parallel()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	addr := ln.Addr().String()
	_, port, _ := net.SplitHostPort(addr)
	_ = ln.Close()
	c := newClient(t, http1.Options{})
	for host, want := range map[string]string{addr: addr + ": ", "localhost:" + port: "localhost:" + port + " ("} {
		err := mustFail(t, c, newRequest(t, "http://"+host+"/", ""))
		if got := err.Error(); !strings.HasPrefix(got, "connect to "+want) || strings.Contains(got, "dial") || strings.Count(got, addr) > 1 {
			t.Errorf("error %q", got)
		}
		if _, ok := errors.AsType[*net.OpError](err); !ok {
			t.Errorf("the cause is gone: %v", err)
		}
	}
}

// TestHalfClose: a server that closes its side after the answer, and goes on reading, gets the next request elsewhere.
func TestHalfClose(t *testing.T) {
	s := serve(t, func(c net.Conn, _ int) {
		br := bufio.NewReader(c)
		for {
			if req, _ := readRequest(br); req == nil {
				return
			}
			_, _ = c.Write([]byte(okReply))
			_ = c.(*net.TCPConn).CloseWrite()
		}
	})
	c := newClient(t, http1.Options{})
	snd := c.Sender(t.Context())
	defer snd.Release()
	for range 3 {
		if a, err := snd.Post(newRequest(t, s.url, "x"), time.Now().Add(soon)); err != nil || a.Status != http.StatusOK {
			t.Errorf("status %d, %v", a.Status, err)
		}
	}
	wantConns(t, s, 3)
}

// TestResetInTheBody: a reset in the middle of a body that is wanted is an error with the status; of one that is not, none.
func TestResetInTheBody(t *testing.T) {
	for _, keep := range []int{0, 100} {
		s := serve(t, func(c net.Conn, _ int) {
			readRequest(bufio.NewReader(c))
			_, _ = c.Write([]byte("HTTP/1.1 500 No\r\nContent-Length: 9\r\nRetry-After: 7\r\n\r\nno"))
			_ = c.(*net.TCPConn).SetLinger(0)
		})
		c := newClient(t, http1.Options{})
		r := newRequest(t, s.url, "x")
		r.Keep = keep
		a, err := try(c, r, soon)
		if a.Status != 500 || a.RetryAfter != "7" || (err != nil) != (keep > 0) || err != nil && http1.PhaseOf(err) != http1.PhaseBody {
			t.Errorf("keep %d: %+v, %v", keep, a, err)
		}
		if c.Live() != 0 {
			t.Error("connection left open")
		}
	}
}

// TestRest: a connection that a sender holds is looked at when it has rested. What came meanwhile is no answer.
func TestRest(t *testing.T) {
	next, sent := make(chan struct{}), make(chan struct{})
	s := serve(t, func(c net.Conn, n int) {
		br := bufio.NewReader(c)
		for i := 0; ; i++ {
			if req, _ := readRequest(br); req == nil {
				return
			}
			_, _ = c.Write([]byte(okReply))
			if n == 1 && i == 0 {
				<-next
				_, _ = c.Write([]byte("HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nevil"))
				close(sent)
			}
		}
	})
	log := &logged{}
	c := newClient(t, http1.Options{Log: log.logger()})
	snd := c.Sender(t.Context())
	defer snd.Release()
	for range 3 {
		a, err := snd.Post(newRequest(t, s.url, "x"), time.Now().Add(soon))
		if err != nil || string(a.Body) != "ok" {
			t.Errorf("%q, %v", a.Body, err)
		}
		if s.conns.Load() == 1 {
			close(next)
			wait(t, sent, "what nobody asked for")
			time.Sleep(10 * time.Millisecond) // the rest
		}
	}
	wantConns(t, s, 2)
	if len(log.lines()) != 1 {
		t.Errorf("told %v", log.lines())
	}
}

// refuser is a connection that takes no request, and answers.
type refuser struct{ net.Conn }

func (refuser) Write([]byte) (int, error)  { return 0, errors.New("broken pipe") }
func (refuser) Read(p []byte) (int, error) { return copy(p, okReply), nil }

// TestAnswerToHalfARequest counts, and its connection is not used again.
func TestAnswerToHalfARequest(t *testing.T) {
	dials := 0
	c := newClient(t, http1.Options{Dial: func(context.Context, string, string) (net.Conn, error) {
		dials++
		conn, _ := net.Pipe()
		return refuser{conn}, nil
	}})
	for range 2 {
		if _, got := post(t, c, "http://a/", "x"); got != "ok" {
			t.Errorf("body %q", got)
		}
	}
	if dials != 2 || c.Live() != 0 {
		t.Errorf("%d connections made, %d left open", dials, c.Live())
	}
}
