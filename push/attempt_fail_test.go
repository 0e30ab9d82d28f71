package push

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/solate/medispatcher"
	"github.com/solate/medispatcher/push/http1"
)

// gone waits until the client has left; the server sees that once it has the whole body.
func gone(r *http.Request) {
	io.Copy(io.Discard, r.Body)
	<-r.Context().Done()
}

func TestHangingSubscriberTimesOut(t *testing.T) {
	hang := func(start string) func(t *testing.T, p *poster) {
		return func(t *testing.T, p *poster) {
			push := serving(t, p, func(w http.ResponseWriter, r *http.Request) {
				if start != "" {
					io.WriteString(w, start)
					http.NewResponseController(w).Flush()
				}
				gone(r)
			})
			r, s := push(func(s *medispatcher.Subscription) { s.Timeout = medispatcher.Duration(50 * time.Millisecond) })
			wantFailed(t, s, "timeout: no complete answer within 50ms")
			if r.cut {
				t.Error("counted as cut by a shutdown")
			}
		}
	}
	t.Run("before the answer", func(t *testing.T) { eachTransport(t, hang("")) })
	t.Run("inside the answer", func(t *testing.T) { eachTransport(t, hang("almost")) })
	t.Run("TLS handshake", func(t *testing.T) {
		eachTransport(t, func(t *testing.T, p *poster) {
			ln := listen(t)
			push := pushingTo(t, p, "https://"+ln.Addr().String())
			_, s := push(func(s *medispatcher.Subscription) { s.Timeout = medispatcher.Duration(50 * time.Millisecond) })
			wantFailed(t, s, "timeout: no complete answer within 50ms")
		})
	})
}

// listen accepts nothing: the kernel alone does.
func listen(t *testing.T) net.Listener {
	t.Helper()
	ln, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { ln.Close() })
	return ln
}

func TestShutdownCutsARequest(t *testing.T) {
	eachTransport(t, func(t *testing.T, p *poster) {
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		srv := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
			cancel()
			gone(r)
		}))
		defer srv.Close()
		sub := subscription("a")
		sub.URLs = []string{srv.URL}
		d := delivery(nil)
		r := p.attempt(ctx, newSettings(sub, ""), d)
		if s := settle(&sub, d, &r, time.Now(), 0); s.Outcome != medispatcher.Released || !r.cut {
			t.Errorf("%+v settled as %s, want released", r, s.Outcome)
		}
	})
}

// TestShortAnswer: a success whose answer breaks off may be a proxy's, not the worker's.
func TestShortAnswer(t *testing.T) {
	eachTransport(t, func(t *testing.T, p *poster) {
		answer := ""
		push := serving(t, p, func(w http.ResponseWriter, r *http.Request) {
			io.Copy(io.Discard, r.Body)
			c, rw, err := http.NewResponseController(w).Hijack()
			if err != nil {
				t.Error(err)
				return
			}
			defer c.Close()
			io.WriteString(rw, answer)
			rw.Flush()
		})
		answer = "HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nonly this"
		_, s := push(nil)
		wantFailed(t, s, "EOF")
		answer = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n"
		_, s = push(nil)
		wantFailed(t, s, "EOF")
		answer = "HTTP/1.1 204 No Content\r\nConnection: close\r\n\r\n"
		if _, s = push(nil); s.Outcome != medispatcher.Sent {
			t.Errorf("no answer needed: settled as %s, %+v", s.Outcome, s.Failure)
		}
		answer = "HTTP/1.0 200 OK\r\n\r\ntill the end"
		if r, s := push(nil); s.Outcome != medispatcher.Sent || string(r.answer) != "till the end" {
			t.Errorf("no length: settled as %s, %+v, answer %q", s.Outcome, s.Failure, r.answer)
		}
	})
}

func TestNobodyListens(t *testing.T) {
	eachTransport(t, func(t *testing.T, p *poster) {
		ln := listen(t)
		ln.Close()
		push := pushingTo(t, p, "http://u:hunter2@"+ln.Addr().String())
		_, s := push(nil)
		wantFailed(t, s, "connection refused")
		if text := fmt.Sprint(*s.Failure); strings.Contains(text, "hunter2") {
			t.Errorf("the record shows the password: %s", text)
		}
	})
}

func TestWorkerThatDoesNotSpeakHTTP(t *testing.T) {
	eachTransport(t, func(t *testing.T, p *poster) {
		ln := listen(t)
		done := make(chan struct{})
		t.Cleanup(func() { ln.Close(); <-done })
		go func() {
			defer close(done)
			c, err := ln.Accept()
			if err != nil {
				return
			}
			defer c.Close()
			_, _ = bufio.NewReader(c).ReadString('}')
			io.WriteString(c, "+PONG\r\n")
		}()
		_, s := pushingTo(t, p, "http://"+ln.Addr().String())(nil)
		wantFailed(t, s, "malformed")
	})
}

func TestDeniedAddressFailsLikeAnyOther(t *testing.T) {
	tr := http1.New(http1.Options{Guard: http1.NewGuard([]netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")})})
	t.Cleanup(func() { tr.Close() })
	p := &poster{transport: tr}
	push := serving(t, p, func(http.ResponseWriter, *http.Request) { t.Error("a request arrived") })
	_, s := push(nil)
	wantFailed(t, s, "denied address")
}
