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
// that accepts at once. With transport=none no request is sent, which leaves the scheduler's own cost.
func BenchmarkDelivery(b *testing.B) {
	b.Run("transport=none", func(b *testing.B) {
		accepted := roundTrip(func(r *http.Request) (*http.Response, error) {
			return &http.Response{StatusCode: http.StatusOK, Body: http.NoBody, Request: r}, nil
		})
		benchmarkDelivery(b, accepted, "http://worker/")
	})
	b.Run("transport=http1", func(b *testing.B) {
		transport := http1.New(http1.Options{MaxIdlePerHost: 96})
		defer transport.Close()
		benchmarkDelivery(b, transport, acceptingWorker(b))
	})
}

func benchmarkDelivery(b *testing.B, transport http.RoundTripper, url string) {
	q := &endless{left: b.N, done: make(chan struct{})}
	q.unsettled.Store(int64(b.N))
	s := New(Config{Partitions: 1, Transport: transport, Log: slog.New(slog.DiscardHandler), ShutdownTimeout: time.Second}, q, q)
	subs := map[string]medispatcher.Subscription{}
	var channels []medispatcher.Channel
	for i := range 3 {
		sub := subscription(fmt.Sprintf("s%d", i))
		sub.URLs, sub.Concurrency = []string{url}, 32
		subs[sub.ID] = sub
		channels = append(channels, medispatcher.Channel{Subscription: sub.ID})
	}
	s.Apply(subs)
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

func (q *endless) Waiting(context.Context, []string) ([]medispatcher.Waiting, error) { return nil, nil }

func (q *endless) Mine(context.Context, medispatcher.Channel, int) ([]string, error) { return nil, nil }

func (q *endless) Delete(_ context.Context, _ int, done []medispatcher.Settlement) (int64, error) {
	if q.unsettled.Add(-int64(len(done))) == 0 {
		close(q.done)
	}
	return int64(len(done)), nil
}

func (q *endless) Retry(context.Context, int, []medispatcher.Settlement) error { return nil }

func (q *endless) Kill(context.Context, int, []medispatcher.Settlement) error { return nil }

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
		_, _ = io.WriteString(c, "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")
	}
}
