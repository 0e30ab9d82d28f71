package push

import (
	"bufio"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/solate/medispatcher"
	"github.com/solate/medispatcher/push/http1"
)

// newTCP is a client as a dispatcher has it.
func newTCP(t *testing.T) *http1.Client {
	t.Helper()
	client := http1.New(http1.Options{})
	t.Cleanup(client.Close)
	return client
}

// pushes makes one attempt after another by changed subscriptions, with one sender, and settles the outcome.
type pushes func(change func(*medispatcher.Subscription)) (result, medispatcher.Settlement)

// serving starts a server; what it returns pushes to it.
func serving(t *testing.T, client *http1.Client, handle http.HandlerFunc) pushes {
	t.Helper()
	srv := httptest.NewServer(handle)
	t.Cleanup(srv.Close)
	return pushingTo(t, client, srv.URL+"/worker?x=1")
}

func pushingTo(t *testing.T, client *http1.Client, url string) pushes {
	t.Helper()
	p := &poster{agent: "medispatcher/1", log: slog.New(slog.DiscardHandler)}
	snd := client.Sender(t.Context())
	t.Cleanup(snd.Release)
	return func(change func(*medispatcher.Subscription)) (result, medispatcher.Settlement) {
		sub := subscription("a")
		sub.URLs = []string{url}
		if change != nil {
			change(&sub)
		}
		d := delivery(nil)
		r := p.attempt(snd, newSettings(&sub, ""), d, &permit{})
		return r, outcomeOf(&sub, d, &r, time.Now(), 0)
	}
}

// wantFailed checks that a push failed for a reason that its record names.
func wantFailed(t *testing.T, s medispatcher.Settlement, reason string) {
	t.Helper()
	if s.Outcome != medispatcher.Failed || s.Failure == nil || !strings.Contains(s.Failure.LastError, reason) {
		t.Errorf("settled as %s, %+v; want failed with %q", s.Outcome, s.Failure, reason)
	}
}

func TestPushArrives(t *testing.T) {
	var got string
	push := serving(t, newTCP(t), func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		got = fmt.Sprintf("%s %s %s %s %s %s %d", r.Method, r.URL, body, r.Header.Get("webhook-id"), r.Header.Get("medis-topic"), r.UserAgent(), r.ContentLength)
		w.WriteHeader(http.StatusAccepted)
		io.WriteString(w, "thanks")
	})
	r, s := push(nil)
	if s.Outcome != medispatcher.Sent || s.Status != 202 || string(s.Answer) != "thanks" || r.took <= 0 {
		t.Errorf("%+v settled as %s", r, s.Outcome)
	}
	if want := `POST /worker?x=1 {"order":42} 0-1700000000123-0 order.created medispatcher/1 12`; got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
}

func TestRedirectIsNotFollowed(t *testing.T) {
	t.Parallel()
	var requests atomic.Int32
	push := serving(t, newTCP(t), func(w http.ResponseWriter, _ *http.Request) {
		requests.Add(1)
		w.Header().Set("Location", "https://u:hunter2@new.example/hook?token=hunter2")
		w.WriteHeader(http.StatusTemporaryRedirect)
		io.WriteString(w, "go to https://u:hunter2@new.example/hook?token=hunter2")
	})
	_, s := push(nil)
	wantFailed(t, s, "status 307, and redirects are not followed; Location: https://new.example/hook?token=********")
	if strings.Contains(s.Failure.LastError, "hunter2") {
		t.Errorf("the record shows a secret: %s", s.Failure.LastError)
	}
	if n := requests.Load(); n != 1 {
		t.Errorf("%d requests", n)
	}
}

func TestStartOfTheAnswerIsKept(t *testing.T) {
	t.Parallel()
	push := serving(t, newTCP(t), func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(http.StatusUnprocessableEntity)
		io.WriteString(w, "no such order\n"+strings.Repeat("x", 30<<10))
	})
	_, s := push(nil)
	wantFailed(t, s, "status 422: no such order\nxxx")
	if len(s.Answer) != keptAnswer || s.Status != 422 || len(s.Failure.LastError) > maxErrorText+len("…") {
		t.Errorf("%d bytes kept, %d of them in the record", len(s.Answer), len(s.Failure.LastError))
	}
}

// TestAnswerIsReadUpToItsLimit: the subscriber writes for as long as anybody reads.
func TestAnswerIsReadUpToItsLimit(t *testing.T) {
	t.Parallel()
	for _, encoding := range []string{medispatcher.EncodingJSON, medispatcher.EncodingForm, medispatcher.EncodingCloudEvents} {
		ended := make(chan struct{}, 1)
		push := serving(t, newTCP(t), func(w http.ResponseWriter, _ *http.Request) {
			defer func() { ended <- struct{}{} }()
			io.WriteString(w, `{"status":1,"more":"`)
			for chunk := strings.Repeat("x", 4096); ; {
				if _, err := io.WriteString(w, chunk); err != nil {
					return
				}
			}
		})
		r, s := push(func(s *medispatcher.Subscription) {
			s.Encoding, s.Timeout = encoding, medispatcher.Duration(30*time.Second)
		})
		if encoding != medispatcher.EncodingForm && s.Outcome != medispatcher.Sent {
			t.Errorf("%s: settled as %s, want sent by its status", encoding, s.Outcome)
		}
		if encoding == medispatcher.EncodingForm {
			wantFailed(t, s, `status 200: {"status":1,`) // not the whole of the JSON
		}
		if len(r.answer) > maxAnswer {
			t.Errorf("%d bytes kept", len(r.answer))
		}
		<-ended // the connection is closed: nobody reads on
	}
}

func TestFormAnswerIsReadWhole(t *testing.T) {
	t.Parallel()
	push := serving(t, newTCP(t), func(w http.ResponseWriter, _ *http.Request) {
		io.WriteString(w, `{"log":"`+strings.Repeat("x", 60<<10)+`","status":"1"}`)
	})
	if _, s := push(func(s *medispatcher.Subscription) { s.Encoding = medispatcher.EncodingForm }); s.Outcome != medispatcher.Sent {
		t.Errorf("settled as %s, %+v", s.Outcome, s.Failure)
	}
}

func TestConnectionIsUsedAgain(t *testing.T) {
	t.Parallel()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	body := strings.Repeat("x", 40<<10)
	// In one write: the rest of an answer has 20 ms, which a server that comes back to it may miss on a busy machine.
	answer := []byte("HTTP/1.1 500 Internal Server Error\r\nContent-Length: " + strconv.Itoa(len(body)) + "\r\n\r\n" + body)
	var connections atomic.Int32
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			connections.Add(1)
			go func() {
				defer c.Close()
				for in := bufio.NewReader(c); ; {
					r, err := http.ReadRequest(in)
					if err != nil {
						return
					}
					io.Copy(io.Discard, r.Body)
					if _, err := c.Write(answer); err != nil {
						return
					}
				}
			}()
		}
	}()
	push := pushingTo(t, newTCP(t), "http://"+l.Addr().String())
	for range 5 {
		_, s := push(nil)
		wantFailed(t, s, "status 500")
	}
	if n := connections.Load(); n != 1 {
		t.Errorf("%d connections for 5 pushes that failed", n)
	}
}
