package http1_test

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/solate/medispatcher/push/http1"
)

// piped returns the options of a client whose connections are pipes to handle. The test waits for it to return.
func piped(tb testing.TB, handle func(net.Conn, int)) http1.Options {
	n := 0
	var handling sync.WaitGroup
	tb.Cleanup(handling.Wait)
	return http1.Options{Dial: func(context.Context, string, string) (net.Conn, error) {
		client, server := net.Pipe()
		n++
		i := n
		handling.Go(func() {
			defer server.Close()
			handle(server, i)
		})
		return client, nil
	}}
}

// blockingDial is a Dial function that waits for its context.
func blockingDial(ctx context.Context, _, _ string) (net.Conn, error) {
	<-ctx.Done()
	return nil, ctx.Err()
}

// mute are servers that fall silent at the phase they are named for, or trickle and never come to an end.
var mute = map[string]func(net.Conn, int){
	"request":               sip,
	"header":                func(c net.Conn, _ int) { io.Copy(io.Discard, c) },
	"header, trickling":     trickle("HTTP/1.1 200 OK\r\nX-A: ", "a"),
	"header, informational": trickle("", "HTTP/1.1 103 Early Hints\r\nX-A: a"),
	"body":                  trickle("HTTP/1.1 500 No\r\nContent-Length: 9\r\n\r\nx", ""),
	"body, trickling":       trickle("HTTP/1.1 500 No\r\nContent-Length: 1000000\r\n\r\n", "x"),
	"body, chunks":          trickle("HTTP/1.1 500 No\r\nTransfer-Encoding: chunked\r\n\r\n", "1\r\nx\r\n"),
	"body, chunk header":    trickle("HTTP/1.1 500 No\r\nTransfer-Encoding: chunked\r\n\r\n1", ";"),
	"body, until EOF":       trickle("HTTP/1.1 500 No\r\n\r\n", "x"),
}

// sip reads a byte now and then: far too slowly for any request.
func sip(c net.Conn, _ int) {
	for err := error(nil); err == nil; time.Sleep(time.Second) {
		_, err = c.Read(make([]byte, 1))
	}
}

// trickle returns a handler that sends start at once and then rest, byte by
// byte and over and over.
func trickle(start, rest string) func(net.Conn, int) {
	return func(c net.Conn, _ int) {
		gone := make(chan struct{})
		go func() { io.Copy(io.Discard, c); close(gone) }()
		_, err := io.WriteString(c, start)
		for i := 0; err == nil && rest != ""; i++ {
			time.Sleep(2 * time.Millisecond)
			_, err = c.Write([]byte{rest[i%len(rest)]})
		}
		<-gone
	}
}

// TestDeadline: a request ends at its deadline, whatever the server does and whatever its phase; the first one of a
// connection exactly then, others up to 100 ms later. No request ends before. Clock and connections are fake.
func TestDeadline(t *testing.T) {
	const limit = 5 * time.Second
	for name, handle := range mute {
		phase, _, _ := strings.Cut(name, ",")
		for _, size := range []int{300, 1 << 20} {
			t.Run(fmt.Sprint(name, " ", size), func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					c := newClient(t, piped(t, handle))
					wantTimeout(t, c, "http://mute/", size, limit, 0, phase)
				})
			})
		}
		if phase == "request" {
			continue
		}
		t.Run(name+" in a streak", func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				c := newClient(t, piped(t, func(c net.Conn, n int) {
					for range 20 {
						if req, _ := readRequest(bufio.NewReader(c)); req == nil {
							return
						}
						time.Sleep(7 * time.Millisecond)
						io.WriteString(c, okReply)
					}
					handle(c, n)
				}))
				snd := c.Sender(t.Context())
				defer snd.Release()
				r := newRequest(t, "http://mute/", "x")
				for range 20 {
					if _, err := snd.Post(r, time.Now().Add(limit)); err != nil {
						t.Fatal(err)
					}
				}
				start := time.Now()
				_, err := snd.Post(r, start.Add(limit))
				checkTimeout(t, err, phase, time.Since(start), limit, 100*time.Millisecond)
			})
		})
	}
	t.Run("connect", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			wantTimeout(t, newClient(t, http1.Options{Dial: blockingDial}), "http://mute/", 1, limit, 0, "connect")
		})
	})
	t.Run("TLS", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			wantTimeout(t, newClient(t, piped(t, mute["header"])), "https://mute/", 1, limit, 0, "TLS")
		})
	})
}

// wantTimeout sends a request that must end at its deadline, and at most late after it.
func wantTimeout(t *testing.T, c *http1.Client, url string, size int, limit, late time.Duration, phase string) {
	t.Helper()
	start := time.Now()
	_, err := try(c, newRequest(t, url, strings.Repeat("x", size)), limit)
	checkTimeout(t, err, phase, time.Since(start), limit, late)
	synctest.Wait()
	if c.Live() != 0 {
		t.Error("connection left open")
	}
}

func checkTimeout(t *testing.T, err error, phase string, took, limit, late time.Duration) {
	t.Helper()
	if !errors.Is(err, context.DeadlineExceeded) || string(http1.PhaseOf(err)) != phase {
		t.Errorf("error %v in phase %q", err, http1.PhaseOf(err))
	}
	var timeout interface{ Timeout() bool }
	if !errors.As(err, &timeout) || !timeout.Timeout() {
		t.Errorf("not a timeout: %v", err)
	}
	if took < limit || took > limit+late {
		t.Errorf("took %v, want %v and up to %v more", took, limit, late)
	}
}

// TestDeadlinesOfAStreak: requests of one connection have deadlines of their own, nearer or farther than those before.
func TestDeadlinesOfAStreak(t *testing.T) {
	limits := []time.Duration{time.Minute, time.Second, 10 * time.Millisecond, time.Minute, 300 * time.Millisecond, time.Second}
	for last := 1; last < len(limits); last++ {
		synctest.Test(t, func(t *testing.T) {
			c := newClient(t, piped(t, func(c net.Conn, _ int) {
				for range last {
					readRequest(bufio.NewReader(c))
					io.WriteString(c, okReply)
				}
				mute["header"](c, 0)
			}))
			snd := c.Sender(t.Context())
			defer snd.Release()
			r := newRequest(t, "http://mute/", "x")
			for _, limit := range limits[:last] {
				if _, err := snd.Post(r, time.Now().Add(limit)); err != nil {
					t.Fatal(err)
				}
			}
			start := time.Now()
			_, err := snd.Post(r, start.Add(limits[last]))
			checkTimeout(t, err, "header", time.Since(start), limits[last], 100*time.Millisecond)
		})
	}
}

// TestSlowAnswerInTime: an answer that comes just before the deadline is never missed, however many requests came before.
func TestSlowAnswerInTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const limit = 40 * time.Millisecond
		c := newClient(t, piped(t, func(c net.Conn, _ int) {
			br := bufio.NewReader(c)
			for {
				if req, _ := readRequest(br); req == nil {
					return
				}
				time.Sleep(limit - 1)
				io.WriteString(c, okReply)
			}
		}))
		snd := c.Sender(t.Context())
		defer snd.Release()
		for range 50 {
			if _, err := snd.Post(newRequest(t, "http://slow/", "x"), time.Now().Add(limit)); err != nil {
				t.Fatal(err)
			}
		}
	})
}

func TestDialTimeout(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const limit = 3 * time.Second
		c := newClient(t, http1.Options{Dial: blockingDial, DialTimeout: limit})
		start := time.Now()
		checkTimeout(t, mustFail(t, c, newRequest(t, "http://mute/", "")), "connect", time.Since(start), limit, 0)
		o := piped(t, mute["header"])
		o.DialTimeout = limit
		start = time.Now()
		checkTimeout(t, mustFail(t, newClient(t, o), newRequest(t, "https://mute/", "")), "TLS", time.Since(start), limit, 0)
	})
}

func TestDeadlinePast(t *testing.T) {
	s := serve(t, echo)
	if _, err := try(newClient(t, http1.Options{}), newRequest(t, s.url, "x"), 0); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("error %v", err)
	}
	wantConns(t, s, 0)
}

// TestOldDeadline reuses connections whose last deadline has passed.
func TestOldDeadline(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newClient(t, piped(t, echo))
		snd := c.Sender(t.Context())
		defer snd.Release()
		for i := range 6 {
			if _, err := snd.Post(newRequest(t, "http://a/", "x"), time.Now().Add(30*time.Millisecond)); err != nil {
				t.Error(err)
			}
			if i%2 == 0 {
				snd.Release()
			}
			time.Sleep(time.Second) // the deadline passes
		}
		if n := c.Live(); n != 1 {
			t.Errorf("%d connections", n)
		}
	})
}

// TestDrainIsShort: what nobody wants of an answer is not waited for.
func TestDrainIsShort(t *testing.T) {
	for name, handle := range mute {
		if !strings.HasPrefix(name, "body") {
			continue
		}
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				c := newClient(t, piped(t, handle))
				r := newRequest(t, "http://mute/", "x")
				r.Keep = 0
				start := time.Now()
				if a, err := try(c, r, soon); a.Status != http.StatusInternalServerError || err != nil {
					t.Errorf("status %d, %v", a.Status, err)
				}
				if d := time.Since(start); d > 20*time.Millisecond {
					t.Errorf("took %v", d)
				}
			})
		})
	}
}
