package push

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/solate/medispatcher"
	"github.com/solate/medispatcher/push/http1"
)

// BenchmarkDelivery is the time that one delivery takes of this process, from the reply of a read to the
// settled outcome: 3 subscriptions with 32 requests in flight each, a queue that costs nothing, and a worker
// that accepts at once. With conn=none there is no system call.
func BenchmarkDelivery(b *testing.B) {
	b.Run("conn=none", func(b *testing.B) {
		client := http1.New(http1.Options{MaxIdlePerHost: 96, Dial: func(context.Context, string, string) (net.Conn, error) { return new(instant), nil }})
		defer client.Close()
		benchmarkDelivery(b, client, "http://worker/")
	})
	b.Run("conn=tcp", func(b *testing.B) {
		client := http1.New(http1.Options{MaxIdlePerHost: 96})
		defer client.Close()
		benchmarkDelivery(b, client, acceptingWorker(b))
	})
}

// instant is a connection whose server answers every write at once.
type instant struct{ net.Conn }

func (*instant) Write(p []byte) (int, error)      { return len(p), nil }
func (*instant) Read(p []byte) (int, error)       { return copy(p, okAnswer), nil }
func (*instant) Close() error                     { return nil }
func (*instant) RemoteAddr() net.Addr             { return nil }
func (*instant) SetDeadline(time.Time) error      { return nil }
func (*instant) SetReadDeadline(time.Time) error  { return nil }
func (*instant) SetWriteDeadline(time.Time) error { return nil }

const okAnswer = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"

func benchmarkDelivery(b *testing.B, client *http1.Client, url string) {
	q := &endless{left: b.N, done: make(chan struct{})}
	q.unsettled.Store(int64(b.N))
	s := New(Config{Partitions: 1, Client: client, Log: slog.New(slog.DiscardHandler), ShutdownTimeout: time.Second}, q, q)
	var subs []medispatcher.Subscription
	var channels []medispatcher.Channel
	for i := range 3 {
		sub := subscription(fmt.Sprintf("s%d", i))
		sub.URLs, sub.Concurrency = []string{url}, 32
		subs = append(subs, sub)
		channels = append(channels, medispatcher.Channel{Subscription: sub.ID})
	}
	s.Apply(medispatcher.NewSubscriptions(subs...).Since(nil))
	ctx, stop := context.WithCancel(b.Context())
	ended := make(chan error)
	b.ReportAllocs()
	b.ResetTimer()
	go func() { ended <- s.Run(ctx) }()
	s.Ring(channels)
	<-q.done
	b.StopTimer()
	stop()
	if err := <-ended; err != nil {
		b.Error(err)
	}
}

// endless is a queue that has a message for whoever asks, until so many are taken.
type endless struct {
	mu        sync.Mutex
	left      int
	unsettled atomic.Int64
	done      chan struct{} // closed when all are settled
}

var benchBody = make([]byte, 256)

func (q *endless) Read(_ context.Context, wants []medispatcher.Want) ([]medispatcher.Delivery, error) {
	q.mu.Lock()
	defer q.mu.Unlock()
	var out []medispatcher.Delivery
	for _, w := range wants {
		for range min(w.Max, q.left) {
			id := fmt.Sprint(q.left)
			q.left--
			out = append(out, medispatcher.Delivery{Channel: w.Channel, EntryID: id, Attempt: 1, Message: medispatcher.Message{
				ID: id, Topic: "t", Type: "application/json", Body: benchBody,
			}})
		}
	}
	return out, nil
}

func (q *endless) Due(_ context.Context, _ int, wants []medispatcher.Want) ([]medispatcher.Delivery, []time.Duration, error) {
	next := make([]time.Duration, len(wants))
	for i := range next {
		next[i] = -1
	}
	return nil, next, nil
}

func (q *endless) Waiting(context.Context, func() []string) ([]medispatcher.Waiting, error) {
	return nil, nil
}

func (q *endless) Mine(_ context.Context, c []medispatcher.Channel, _ int) []medispatcher.Mine {
	return make([]medispatcher.Mine, len(c))
}

func (q *endless) Delete(_ context.Context, _ int, done []medispatcher.Settlement) (int64, error) {
	if q.unsettled.Add(-int64(len(done))) == 0 {
		close(q.done)
	}
	return int64(len(done)), nil
}

func (q *endless) Retry(context.Context, int, []medispatcher.Settlement) error { return nil }

func (q *endless) Kill(context.Context, int, []medispatcher.Settlement) error { return nil }

func (q *endless) LeaveChannels(context.Context, []medispatcher.Channel) error { return nil }

func (q *endless) Release(context.Context, medispatcher.Channel, []string, bool) error { return nil }

// acceptingWorker is a lean server in this process: what remains is the client's cost.
func acceptingWorker(b *testing.B) (url string) {
	b.Helper()
	ln, err := (&net.ListenConfig{}).Listen(b.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { ln.Close() })
	go func() {
		for {
			c, err := ln.Accept()
			if err != nil {
				return
			}
			go accept(c)
		}
	}()
	return "http://" + ln.Addr().String() + "/"
}

func accept(c net.Conn) {
	defer c.Close()
	in := bufio.NewReader(c)
	for {
		r, err := http.ReadRequest(in)
		if err != nil {
			return
		}
		_, _ = io.Copy(io.Discard, r.Body)
		_, _ = io.WriteString(c, okAnswer)
	}
}

// BenchmarkAttempt is one attempt without a system call.
func BenchmarkAttempt(b *testing.B) {
	for name, change := range map[string]func(*medispatcher.Subscription, *medispatcher.Delivery){
		"plain":  func(*medispatcher.Subscription, *medispatcher.Delivery) {},
		"signed": func(s *medispatcher.Subscription, _ *medispatcher.Delivery) { s.Secret = vectorSecret },
		"headers": func(_ *medispatcher.Subscription, d *medispatcher.Delivery) {
			d.Message.Headers = map[string]string{"traceparent": "00-1", "X-A": "b"}
		},
		"form": func(s *medispatcher.Subscription, _ *medispatcher.Delivery) { s.Encoding = medispatcher.EncodingForm },
	} {
		b.Run(name, func(b *testing.B) {
			client := http1.New(http1.Options{Dial: func(context.Context, string, string) (net.Conn, error) { return new(instant), nil }})
			defer client.Close()
			sub, d := subscription("a"), delivery(func(d *medispatcher.Delivery) { d.Message.Body = benchBody })
			change(&sub, d)
			st, p, snd := newSettings(&sub, ""), &poster{agent: "medispatcher/1", log: slog.New(slog.DiscardHandler)}, client.Sender(b.Context())
			b.ReportAllocs()
			for b.Loop() {
				if r := p.attempt(snd, st, d, &permit{}); r.status != 200 {
					b.Fatal(r)
				}
			}
			snd.Release()
		})
	}
}

// BenchmarkLoneAttempt is one attempt in a goroutine of its own, as a worker makes it that has one message, with a stack that is deep at
// once and with one that grows.
func BenchmarkLoneAttempt(b *testing.B) {
	for name, begin := range map[string]func(){"deep": deepen, "grows": func() {}} {
		b.Run(name, func(b *testing.B) {
			client := http1.New(http1.Options{Dial: func(context.Context, string, string) (net.Conn, error) { return new(instant), nil }})
			defer client.Close()
			sub := subscription("a")
			d, st, p := delivery(func(d *medispatcher.Delivery) { d.Message.Body = benchBody }), newSettings(&sub, ""), &poster{agent: "medispatcher/1", log: slog.New(slog.DiscardHandler)}
			done := make(chan int)
			b.ReportAllocs()
			for b.Loop() {
				go func() {
					begin()
					snd := client.Sender(b.Context())
					r := p.attempt(snd, st, d, &permit{})
					snd.Release()
					done <- r.status
				}()
				if status := <-done; status != 200 {
					b.Fatal(status)
				}
			}
		})
	}
}
