package http1_test

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/solate/medispatcher/push/http1"
)

// TestCut: the end of a sender's context, or Close, ends its request at once in each phase, on a new connection and on one
// in use. Others do not notice the former.
func TestCut(t *testing.T) {
	cause := errors.New("shutting down")
	cut := func(c *http1.Client, cancel context.CancelCauseFunc, closes bool) {
		if closes {
			c.Close()
		} else {
			cancel(cause)
		}
	}
	for name, handle := range mute {
		for _, closes := range []bool{false, true} {
			for _, streak := range []int{0, 3} {
				for _, size := range []int{300, 1 << 20} {
					t.Run(fmt.Sprint(name, " closes=", closes, " streak=", streak, " ", size), func(t *testing.T) {
						synctest.Test(t, func(t *testing.T) {
							c := newClient(t, piped(t, func(c net.Conn, n int) {
								if n == 1 {
									echo(c, n)
									return
								}
								br := bufio.NewReader(c)
								for range streak {
									readRequest(br)
									io.WriteString(c, okReply)
								}
								handle(c, n)
							}))
							other := c.Sender(t.Context())
							defer other.Release()
							if _, err := other.Post(newRequest(t, "http://mute/", "x"), time.Now().Add(soon)); err != nil {
								t.Fatal(err)
							}
							ctx, cancel := context.WithCancelCause(t.Context())
							snd := c.Sender(ctx)
							for range streak {
								if _, err := snd.Post(newRequest(t, "http://mute/", "x"), time.Now().Add(soon)); err != nil {
									t.Fatal(err)
								}
							}
							start := time.Now()
							time.AfterFunc(time.Second, func() { cut(c, cancel, closes) })
							_, err := snd.Post(newRequest(t, "http://mute/", strings.Repeat("x", size)), start.Add(time.Minute))
							if closes && !errors.Is(err, http1.ErrClosed) || !closes && (!errors.Is(err, context.Canceled) || !errors.Is(err, cause)) {
								t.Errorf("error %v", err)
							}
							if took := time.Since(start); took != time.Second {
								t.Errorf("took %v", took)
							}
							snd.Release()
							if _, err := other.Post(newRequest(t, "http://mute/", "x"), time.Now().Add(soon)); (err != nil) != closes {
								t.Errorf("another sender: %v", err)
							}
							if n, want := c.Live(), 1; !closes && n != want {
								t.Errorf("%d connections left", n)
							}
						})
					})
				}
			}
		}
	}
}

func TestCutWhileDialling(t *testing.T) {
	for _, url := range []string{"http://mute/", "https://mute/"} {
		synctest.Test(t, func(t *testing.T) {
			o := http1.Options{Dial: blockingDial}
			if url == "https://mute/" {
				o = piped(t, mute["header"])
			}
			for _, closes := range []bool{false, true} {
				c := newClient(t, o)
				ctx, cancel := context.WithCancel(t.Context())
				start := time.Now()
				time.AfterFunc(time.Second, func() {
					if closes {
						c.Close()
					} else {
						cancel()
					}
				})
				_, err := c.Sender(ctx).Post(newRequest(t, url, "x"), start.Add(5*time.Second))
				if want := map[bool]error{true: http1.ErrClosed, false: context.Canceled}[closes]; !errors.Is(err, want) {
					t.Errorf("error %v", err)
				}
				if took := time.Since(start); took != time.Second {
					t.Errorf("took %v", took)
				}
				cancel()
			}
		})
	}
}

// TestCutWhileDiallingAnotherHost: a connection that is made after the end of the context is closed at once.
func TestCutWhileDiallingAnotherHost(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		o := piped(t, func(c net.Conn, n int) {
			if n == 1 {
				echo(c, n)
			} else {
				mute["header"](c, n)
			}
		})
		dial := o.Dial
		o.Dial = func(dialCtx context.Context, network, addr string) (net.Conn, error) {
			if addr == "late:80" { // it does not look at its context
				cancel()
				synctest.Wait()
			}
			return dial(dialCtx, network, addr)
		}
		c := newClient(t, o)
		snd := c.Sender(ctx)
		if _, err := snd.Post(newRequest(t, "http://early/", "x"), time.Now().Add(soon)); err != nil {
			t.Fatal(err)
		}
		start := time.Now()
		if _, err := snd.Post(newRequest(t, "http://late/", "x"), start.Add(soon)); !errors.Is(err, context.Canceled) || time.Since(start) != 0 {
			t.Errorf("error %v after %v", err, time.Since(start))
		}
		snd.Release()
	})
}

// TestCutBetweenRequests closes the connection that a sender holds; a released one is nobody's.
func TestCutBetweenRequests(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newClient(t, piped(t, echo))
		ctx, cancel := context.WithCancel(t.Context())
		held, released := c.Sender(ctx), c.Sender(ctx)
		for _, snd := range []*http1.Sender{held, released} {
			if _, err := snd.Post(newRequest(t, "http://a/", "x"), time.Now().Add(soon)); err != nil {
				t.Fatal(err)
			}
		}
		released.Release()
		cancel()
		synctest.Wait()
		if c.Live() != 1 || c.Idle() != 1 {
			t.Errorf("%d connections, %d idle", c.Live(), c.Idle())
		}
		if _, err := held.Post(newRequest(t, "http://a/", "x"), time.Now().Add(soon)); !errors.Is(err, context.Canceled) {
			t.Errorf("error %v", err)
		}
		held.Release()
		post(t, c, "http://a/", "x")
		if c.Live() != 1 || c.Idle() != 1 {
			t.Errorf("%d connections, %d idle", c.Live(), c.Idle())
		}
	})
}

// TestCutRace cuts requests around the time they end, while others use
// the same connections: none of these may suffer.
func TestCutRace(t *testing.T) {
	s := serve(t, echo)
	c := newClient(t, http1.Options{MaxIdlePerHost: 4})
	to := target(t, s.url)
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
				snd := c.Sender(ctx)
				a, err := snd.Post(&http1.Request{To: to, Body: []byte(want), Keep: 100, KeepOK: true}, time.Now().Add(soon))
				switch {
				case err == nil && string(a.Body) != want:
					t.Errorf("got %q, want %q", a.Body, want)
				case err != nil && (w%2 == 1 || !errors.Is(err, context.Canceled)):
					t.Errorf("worker %d: %v", w, err)
				}
				snd.Release()
				cancel()
			}
		})
	}
	wg.Wait()
	for deadline := time.Now().Add(soon); c.Live() != c.Idle(); time.Sleep(time.Millisecond) { // a cut closes in a goroutine
		if time.Now().After(deadline) {
			t.Fatalf("%d connections open, %d idle", c.Live(), c.Idle())
		}
	}
}
