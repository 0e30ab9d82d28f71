package push

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/solate/medispatcher"
	"github.com/solate/medispatcher/push/http1"
)

// logged is what a fixture logs.
type logged struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *logged) Write(b []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(b)
}

func (l *logged) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

func (f *fixture) logs() *logged {
	l := &logged{}
	f.s.cfg.Log = slog.New(slog.NewTextHandler(l, nil))
	return l
}

// try makes one attempt.
func (f *fixture) try(st *settings, d *medispatcher.Delivery) (result, medispatcher.Settlement) {
	snd := f.s.cfg.Client.Sender(f.t.Context())
	defer snd.Release()
	w := &worker{workers: f.s.workers, snd: snd}
	b := batchOf(&job{Delivery: *d}, nil)
	b.settings = st
	w.post(b)
	return b.result, w.decide(st, d, &b.result, 0)
}

// poison is a connection that panics where a message is sent that says so.
type poison struct{ net.Conn }

func (p poison) Write(b []byte) (int, error) {
	r, err := http.ReadRequest(bufio.NewReader(bytes.NewReader(b)))
	if err == nil && r.Header.Get("medis-topic") == "poison" {
		panic("at " + r.Header.Get("webhook-id"))
	}
	return p.Conn.Write(b)
}

// poisoned is a client with such connections.
func (f *fixture) poisoned() *http1.Client {
	return clientOf(f.t, f.w, func(_ string, c net.Conn) (net.Conn, error) { return poison{c}, nil })
}

// TestPanicIsACountedAttempt: messages that make an attempt panic become dead letters with a record that says so. Nobody else is
// stopped or blamed, neither by the breaker nor by the counts.
func TestPanicIsACountedAttempt(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		sub := subscription("a")
		sub.MaxRetries, sub.Concurrency, sub.RetryCoefficient = 3, 2, medispatcher.Duration(time.Second)
		f := newFixture(t, sub)
		f.s.cfg.Client = f.poisoned()
		logs, before := f.logs(), medispatcher.Panics()
		var panicked atomic.Int64
		f.s.cfg.Events.Settled = func(_ *medispatcher.Delivery, s *medispatcher.Settlement) {
			if s.Panicked {
				panicked.Add(1)
			}
		}
		stop := f.run()
		c := medispatcher.Channel{Subscription: "a"}
		for range 20 { // enough to open a breaker
			f.q.Put(c, medispatcher.Message{Topic: "poison", Body: []byte("{}")})
		}
		f.put("a", 20)
		time.Sleep(time.Minute)
		f.wantLeft("a", "map[dead:20]")
		if n := len(f.w.of("a")); n != 20 {
			t.Errorf("%d good deliveries, want 20", n)
		}
		if _, breakers := f.told(); len(breakers) > 0 {
			t.Errorf("breakers %v", breakers)
		}
		if n := medispatcher.Panics() - before; n != 80 || panicked.Load() != 80 {
			t.Errorf("%d panics, %d told of, want 4 of each message", n, panicked.Load())
		}
		for _, want := range []string{"panicked", "id=0-1-0", "push.poison.Write", "attempt=4"} {
			if !strings.Contains(logs.String(), want) {
				t.Errorf("the log does not have %q", want)
			}
		}
		f.ok(stop())
		f.wantNothingHeld()
	})
}

// TestPanicIsRecorded: in the failure record, without a target.
func TestPanicIsRecorded(t *testing.T) {
	t.Parallel()
	f := newFixture(t, subscription("a"))
	f.s.cfg.Client = f.poisoned()
	st := newSettings(f.applied["a"], "")
	for name, d := range map[string]medispatcher.Delivery{
		"sending": {Attempt: 3, Message: medispatcher.Message{ID: "m", Topic: "poison"}},
		"reading": {Attempt: 3, Message: medispatcher.Message{ID: "m", Topic: "t"}, Broken: medispatcher.Guard(func() { panic("at m") })},
	} {
		_, out := f.try(st, &d)
		if out.Outcome != medispatcher.Failed || !out.Panicked || out.Failure.Attempts != 3 || out.Failure.LastError != "medispatcher panicked: at m" || out.Failure.Target != "" {
			t.Errorf("%s: %+v, %+v", name, out, out.Failure)
		}
	}
}

// TestPanicBlamesNoTarget: of two URLs neither is passed over for it.
func TestPanicBlamesNoTarget(t *testing.T) {
	t.Parallel()
	sub := subscription("a")
	sub.URLs = []string{"http://one/", "http://two/"}
	f := newFixture(t, sub)
	f.s.cfg.Client = f.poisoned()
	st := newSettings(&sub, "")
	for range 2 {
		_, _ = f.try(st, &medispatcher.Delivery{Attempt: 1, Message: medispatcher.Message{ID: "m", Topic: "poison"}})
	}
	for _, target := range st.ways().targets.urls {
		if !target.avoid.IsZero() {
			t.Errorf("%s is avoided", target.redacted)
		}
	}
}

// ends notes how spans end.
type ends struct{ said []string }

func (e *ends) Attempt(*medispatcher.Delivery, string, http.Header) func(int, string) {
	return func(status int, problem string) { e.said = append(e.said, fmt.Sprint(status, " ", problem)) }
}

func TestPanicEndsTheSpan(t *testing.T) {
	t.Parallel()
	f := newFixture(t, subscription("a"))
	var e ends
	f.s.cfg.Client, f.s.workers.poster.tracer = f.poisoned(), &e
	_, _ = f.try(newSettings(f.applied["a"], ""), &medispatcher.Delivery{Attempt: 1, Message: medispatcher.Message{ID: "m", Topic: "poison"}})
	if fmt.Sprint(e.said) != "[0 medispatcher panicked]" {
		t.Errorf("the span ended with %q", e.said)
	}
}

// breaking is a connection that panics after the header of an answer.
type breaking struct {
	net.Conn
	status string
	reads  int
	closed bool
}

func (b *breaking) Write(p []byte) (int, error) { return len(p), nil }

func (b *breaking) Read(p []byte) (int, error) {
	if b.reads++; b.reads > 1 {
		panic("reading")
	}
	return copy(p, "HTTP/1.1 "+b.status+"\r\nContent-Length: 9\r\n\r\nhalf"), nil
}

func (b *breaking) Close() error { b.closed = true; return b.Conn.Close() }

// client is a client with that connection.
func (b *breaking) client(t *testing.T) *http1.Client {
	t.Helper()
	return clientOf(t, nil, func(_ string, c net.Conn) (net.Conn, error) { b.Conn = c; return b, nil })
}

// TestPanicGivesTheConnectionUp: nobody uses it again.
func TestPanicGivesTheConnectionUp(t *testing.T) {
	t.Parallel()
	f := newFixture(t, subscription("a"))
	b := &breaking{status: "500 No"}
	f.s.cfg.Client = b.client(t)
	_, out := f.try(newSettings(f.applied["a"], ""), &medispatcher.Delivery{Attempt: 1, Message: medispatcher.Message{ID: "m"}})
	if !b.closed || !out.Panicked {
		t.Errorf("closed %t, panicked %t", b.closed, out.Panicked)
	}
}

// TestPanicOfWhoIsTold: a panic of an event handler does not change what becomes of the message.
func TestPanicOfWhoIsTold(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		f := newFixture(t, subscription("a"))
		logs := f.logs()
		f.s.cfg.Events.Settled = func(*medispatcher.Delivery, *medispatcher.Settlement) { panic("in a handler") }
		stop := f.run()
		f.put("a", 5)
		time.Sleep(time.Second)
		f.wantLeft("a", "map[]")
		if n := f.q.Count("sent:a"); n != 5 || !strings.Contains(logs.String(), "in a handler") {
			t.Errorf("%d sent, logs\n%s", n, logs)
		}
		f.ok(stop())
	})
}

// brokenReader gives messages that could not be read.
type brokenReader struct{ Reader }

func (r brokenReader) Read(ctx context.Context, w []medispatcher.Want) ([]medispatcher.Delivery, error) {
	list, err := r.Reader.Read(ctx, w)
	for i := range list {
		list[i].Broken = &medispatcher.PanicError{Value: "index out of range"}
	}
	return list, err
}

// TestBrokenEntry: an entry that cannot be read fails as an attempt and stops nothing.
func TestBrokenEntry(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		sub := subscription("a")
		sub.MaxRetries = 0
		f := newFixture(t, sub)
		f.s.queue.Reader = brokenReader{f.s.queue.Reader}
		stop := f.run()
		f.put("a", 3)
		time.Sleep(time.Second)
		f.wantLeft("a", "map[dead:3]")
		if n := len(f.w.of("a")); n != 0 {
			t.Errorf("%d requests", n)
		}
		f.ok(stop())
	})
}

// TestPanicAfterTheAnswer: the message is delivered, whatever happens to the rest of the answer.
func TestPanicAfterTheAnswer(t *testing.T) {
	t.Parallel()
	f := newFixture(t, subscription("a"))
	b := &breaking{status: "200 OK"}
	f.s.cfg.Client = b.client(t)
	_, out := f.try(newSettings(f.applied["a"], ""), &medispatcher.Delivery{Attempt: 1, Message: medispatcher.Message{ID: "m"}})
	if out.Outcome != medispatcher.Sent || out.Panicked || !b.closed {
		t.Errorf("%+v, closed %t", out, b.closed)
	}
}
