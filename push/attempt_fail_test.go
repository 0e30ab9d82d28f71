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

// TestTimeoutNamesItsPhase: the record says how far an attempt had come.
func TestTimeoutNamesItsPhase(t *testing.T) {
	t.Parallel()
	short := func(s *medispatcher.Subscription) { s.Timeout = medispatcher.Duration(time.Second) }
	form := func(s *medispatcher.Subscription) { short(s); s.Encoding = medispatcher.EncodingForm }
	serve := func(change func(*medispatcher.Subscription), answer, want string) func(*testing.T) {
		return func(t *testing.T) {
			t.Parallel()
			push := answeringRaw(t, answer)
			r, s := push(change)
			wantFailed(t, s, want)
			if r.cut {
				t.Error("counted as cut by a shutdown")
			}
		}
	}
	t.Run("no answer", serve(short, "", "timeout: no answer within 1s (waiting for the header)"))
	t.Run("half a header", serve(short, "HTTP/1.1 200 OK\r\nConte", "timeout: no answer within 1s (waiting for the header)"))
	t.Run("only informational", serve(short, "HTTP/1.1 102 Processing\r\n\r\n", "timeout: no answer within 1s (waiting for the header)"))
	t.Run("half a refusal", serve(short, "HTTP/1.1 500 No\r\nContent-Length: 9\r\n\r\nno su",
		"status 500, and its body broke off: timeout: no answer within 1s (reading the body); it began: no su"))
	t.Run("half an answer that is needed", serve(form, "HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n{\"sta",
		"status 200, and its body broke off: timeout: no answer within 1s (reading the body); it began: {\"sta"))
	t.Run("TLS handshake", func(t *testing.T) {
		t.Parallel()
		ln := listen(t)
		_, s := pushingTo(t, newTCP(t), "https://"+ln.Addr().String())(short)
		wantFailed(t, s, "timeout: no answer within 1s (in the TLS handshake)")
	})
	t.Run("connecting", func(t *testing.T) {
		t.Parallel()
		client := http1.New(http1.Options{Dial: func(ctx context.Context, _, _ string) (net.Conn, error) {
			<-ctx.Done()
			return nil, ctx.Err()
		}})
		_, s := pushingTo(t, client, "http://u")(short)
		wantFailed(t, s, "timeout: no answer within 1s (connecting)")
	})
	t.Run("a worker that does not read", func(t *testing.T) {
		t.Parallel()
		sub := subscription("a")
		sub.URLs = []string{"http://" + listen(t).Addr().String()}
		short(&sub)
		d := delivery(nil)
		d.Message.Body = make([]byte, 16<<20) // more than the buffers of two sockets hold
		r := attempt(t, newTCP(t), &poster{}, newSettings(&sub, ""), d)
		wantFailed(t, outcomeOf(&sub, d, &r, time.Now(), 0), "timeout: no answer within 1s (sending the request)")
	})
}

// answeringRaw starts a server that answers each request with the bytes of answer and then does
// nothing; what it returns pushes to it.
func answeringRaw(t *testing.T, answer string) func(change func(*medispatcher.Subscription)) (result, medispatcher.Settlement) {
	t.Helper()
	return serving(t, newTCP(t), func(w http.ResponseWriter, r *http.Request) {
		io.Copy(io.Discard, r.Body)
		c, rw, err := http.NewResponseController(w).Hijack()
		if err != nil {
			t.Error(err)
			return
		}
		defer c.Close()
		io.WriteString(rw, answer)
		rw.Flush()
		_, _ = c.Read(make([]byte, 1)) // until the client leaves
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
	t.Parallel()
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
	snd := newTCP(t).Sender(ctx)
	defer snd.Release()
	r := (&poster{}).attempt(snd, newSettings(&sub, ""), d, &permit{})
	if s := outcomeOf(&sub, d, &r, time.Now(), 0); s.Outcome != medispatcher.Released || !r.cut {
		t.Errorf("%+v settled as %s, want released", r, s.Outcome)
	}
}

// TestSuccessIsDecidedByTheHeader: whatever becomes of the body of a 2xx, the message was taken. It
// is not read for longer than its rest takes to arrive, far less than the timeout.
func TestSuccessIsDecidedByTheHeader(t *testing.T) {
	chunked := "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
	for name, answer := range map[string]string{
		"whole":                 "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok",
		"no body comes":         "HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n",
		"half a body":           "HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nonly this",
		"a chunk is missing":    chunked + "5\r\nhello\r\n",
		"half a chunk":          chunked + "5\r\nhel",
		"no chunk":              chunked + "nonsense\r\n",
		"half a trailer":        chunked + "2\r\nok\r\n0\r\nX-Sum: 4",
		"no trailer":            chunked + "2\r\nok\r\n0\r\nno colon\r\n\r\n",
		"not gzip":              "HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: 2\r\n\r\nok",
		"204 with a body":       "HTTP/1.1 204 No Content\r\nContent-Length: 5\r\n\r\nhello",
		"205":                   "HTTP/1.1 205 Reset Content\r\nContent-Length: 0\r\n\r\n",
		"till the end":          "HTTP/1.0 200 OK\r\n\r\ntill the end",
		"connection close":      "HTTP/1.1 201 Created\r\nConnection: close\r\nContent-Length: 100\r\n\r\nhalf",
		"informational before":  "HTTP/1.1 103 Early Hints\r\n\r\nHTTP/1.1 202 Accepted\r\nContent-Length: 9\r\n\r\n",
		"larger than announced": "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok, and more",
		"two answers":           "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nokHTTP/1.1 500 No\r\nContent-Length: 2\r\n\r\nno",
	} {
		t.Run(name, func(t *testing.T) {
			r, s := answeringRaw(t, answer)(func(s *medispatcher.Subscription) { s.Timeout = medispatcher.Duration(30 * time.Second) })
			if s.Outcome != medispatcher.Sent || r.took > 20*time.Second {
				t.Errorf("settled as %s after %s, %+v", s.Outcome, r.took, s.Failure)
			}
		})
	}
}

// TestTricklingAnswer: a worker that sends a byte now and then, for ever, after its 200 does not hold the slot.
func TestTricklingAnswer(t *testing.T) {
	push := serving(t, newTCP(t), func(w http.ResponseWriter, r *http.Request) {
		io.Copy(io.Discard, r.Body)
		for r.Context().Err() == nil {
			io.WriteString(w, ".")
			http.NewResponseController(w).Flush()
			time.Sleep(time.Millisecond) // the trickle
		}
	})
	r, s := push(func(s *medispatcher.Subscription) { s.Timeout = medispatcher.Duration(30 * time.Second) })
	if s.Outcome != medispatcher.Sent || r.took > 20*time.Second {
		t.Errorf("settled as %s after %s, %+v", s.Outcome, r.took, s.Failure)
	}
}

// TestAnswerThatIsNeededBreaksOff: the record has the status, and what came of the body.
func TestAnswerThatIsNeededBreaksOff(t *testing.T) {
	t.Parallel()
	answer := ""
	push := serving(t, newTCP(t), func(w http.ResponseWriter, r *http.Request) {
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
	answer = "HTTP/1.1 500 No\r\nContent-Length: 100\r\n\r\nno such"
	_, s := push(nil)
	wantFailed(t, s, "status 500, and its body broke off: ")
	wantFailed(t, s, "the connection was closed; it began: no such")
	answer = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\n{\"sta\r\n"
	_, s = push(func(s *medispatcher.Subscription) { s.Encoding = medispatcher.EncodingForm })
	wantFailed(t, s, "status 200, and its body broke off: ")
	answer = "HTTP/1.1 503 Busy\r\nRetry-After: 3600\r\nContent-Length: 100\r\n\r\n"
	if _, s = push(nil); s.Delay != time.Hour {
		t.Errorf("the delay is %s; want the Retry-After of an answer that broke off", s.Delay)
	}
	answer = "HTTP/1.1 410 Gone\r\nContent-Length: 100\r\n\r\n"
	if r, _ := push(nil); !r.gone() {
		t.Error("a 410 whose body broke off is none")
	}
}

func TestNobodyListens(t *testing.T) {
	t.Parallel()
	ln := listen(t)
	ln.Close()
	push := pushingTo(t, newTCP(t), "http://u:hunter2@"+ln.Addr().String())
	_, s := push(nil)
	wantFailed(t, s, "connection refused")
	if text := fmt.Sprint(*s.Failure); strings.Contains(text, "hunter2") {
		t.Errorf("the record shows the password: %s", text)
	}
}

func TestWorkerThatDoesNotSpeakHTTP(t *testing.T) {
	t.Parallel()
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
	_, s := pushingTo(t, newTCP(t), "http://"+ln.Addr().String())(nil)
	wantFailed(t, s, "malformed")
}

func TestDeniedAddressFailsLikeAnyOther(t *testing.T) {
	t.Parallel()
	tr := http1.New(http1.Options{Guard: http1.NewGuard([]netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")})})
	t.Cleanup(func() { tr.Close() })
	push := serving(t, tr, func(http.ResponseWriter, *http.Request) { t.Error("a request arrived") })
	_, s := push(nil)
	wantFailed(t, s, "denied address")
}
