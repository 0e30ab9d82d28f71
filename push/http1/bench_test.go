package http1_test

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/solate/medispatcher/push/http1"
)

// benchParallel is the number of requests in flight in BenchmarkPost.
const benchParallel = 96

const benchReply = "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\n" +
	"Date: Mon, 23 Nov 2026 06:40:31 GMT\r\nContent-Length: 2\r\n\r\nok"

// benchRequest is a POST of 256 bytes with ten header fields.
func benchRequest(b *testing.B, url string) *http1.Request {
	pairs := []string{"User-Agent", "medispatcher/1", "Content-Type", "application/json", "Accept", "application/json"}
	for i := range 7 {
		pairs = append(pairs, fmt.Sprintf("X-Message-%d", i), "0123456789abcdef")
	}
	return &http1.Request{To: target(b, url), Head: fields(b, pairs...), Body: bytes.Repeat([]byte("x"), 256)}
}

// leanServer answers at once and without looking, which leaves the client's cost to see.
func leanServer(b *testing.B) *server {
	return serve(b, func(c net.Conn, _ int) {
		buf := make([]byte, 4096) // a request fits, and comes in one piece
		for {
			if _, err := c.Read(buf); err != nil {
				return
			}
			io.WriteString(c, benchReply)
		}
	})
}

// BenchmarkPost compares senders with net/http's Transport, tuned, on POSTs of
// 256 bytes to a server in the same process: net/http's, which costs about as
// much as a client, and a lean one. A sender has one URL, or two in turn; "released" gives its connection up after each
// request.
func BenchmarkPost(b *testing.B) {
	std := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		io.Copy(io.Discard, r.Body)
		w.Write([]byte("ok"))
	}))
	defer std.Close()
	lean, other := leanServer(b), leanServer(b)
	for _, bb := range []struct {
		name    string
		urls    []string
		release bool
	}{
		{"server=std/client=http1", []string{std.URL}, false},
		{"server=lean/client=http1", []string{lean.url}, false},
		{"server=lean/client=http1-two", []string{lean.url, other.url}, false},
		{"server=lean/client=http1-released", []string{lean.url}, true},
	} {
		b.Run(bb.name, func(b *testing.B) {
			c := http1.New(http1.Options{MaxIdlePerHost: benchParallel})
			defer c.Close()
			var requests []*http1.Request
			for _, url := range bb.urls {
				requests = append(requests, benchRequest(b, url))
			}
			inParallel(b, func(pb *testing.PB) {
				snd := c.Sender(b.Context())
				defer snd.Release()
				for i := 0; pb.Next(); i++ {
					if _, err := snd.Post(requests[i%len(requests)], time.Now().Add(10*time.Second)); err != nil {
						b.Error(err)
						return
					}
					if bb.release {
						snd.Release()
					}
				}
			})
		})
	}
	for name, url := range map[string]string{"std": std.URL, "lean": lean.url} {
		b.Run("server="+name+"/client=nethttp", func(b *testing.B) {
			t := &http.Transport{MaxIdleConns: benchParallel, MaxIdleConnsPerHost: benchParallel, DisableCompression: true}
			defer t.CloseIdleConnections()
			benchmarkNetHTTP(b, t, url)
		})
	}
}

// inParallel runs body in so many goroutines as there are to be requests in flight, and reports the CPU time.
func inParallel(b *testing.B, body func(*testing.PB)) {
	b.Helper()
	b.ReportAllocs()
	b.ResetTimer()
	start := cpuTime()
	defer func() { b.ReportMetric(float64(cpuTime()-start)/float64(b.N), "cpu-ns/op") }()
	b.SetParallelism(benchParallel / 2) // times GOMAXPROCS, 2 here
	b.RunParallel(body)
}

func benchmarkNetHTTP(b *testing.B, rt http.RoundTripper, url string) {
	payload := bytes.Repeat([]byte("x"), 256)
	header := http.Header{"User-Agent": {"medispatcher/1"}, "Content-Type": {"application/json"}, "Accept": {"application/json"}}
	for i := range 7 {
		header.Set(fmt.Sprintf("X-Message-%d", i), "0123456789abcdef")
	}
	inParallel(b, func(pb *testing.PB) {
		for pb.Next() {
			ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
			req, _ := http.NewRequestWithContext(ctx, "POST", url, bytes.NewReader(payload))
			req.Header = header
			resp, err := rt.RoundTrip(req)
			if err != nil {
				b.Error(err)
				cancel()
				return
			}
			io.Copy(io.Discard, resp.Body)
			resp.Body.Close()
			cancel()
		}
	})
}

// instant is a connection whose server answers every write at once: what remains is the client's own cost.
type instant struct {
	net.Conn
	reply []byte
	n     int
}

func (c *instant) Write(p []byte) (int, error)      { c.n = 0; return len(p), nil }
func (c *instant) Read(p []byte) (int, error)       { n := copy(p, c.reply[c.n:]); c.n += n; return n, nil }
func (c *instant) Close() error                     { return nil }
func (c *instant) RemoteAddr() net.Addr             { return nil }
func (c *instant) SetDeadline(time.Time) error      { return nil }
func (c *instant) SetReadDeadline(time.Time) error  { return nil }
func (c *instant) SetWriteDeadline(time.Time) error { return nil }

// BenchmarkAttempt is a whole request without a system call.
func BenchmarkAttempt(b *testing.B) {
	for name, reply := range map[string]string{
		"length": benchReply, "204": "HTTP/1.1 204 No Content\r\nDate: Mon, 23 Nov 2026 06:40:31 GMT\r\n\r\n",
		"chunked": "HTTP/1.1 200 OK\r\nDate: Mon, 23 Nov 2026 06:40:31 GMT\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n",
	} {
		b.Run(name, func(b *testing.B) {
			c := http1.New(http1.Options{Dial: func(context.Context, string, string) (net.Conn, error) {
				return &instant{reply: []byte(reply)}, nil
			}})
			defer c.Close()
			r := benchRequest(b, "http://instant/")
			snd := c.Sender(b.Context())
			b.ReportAllocs()
			for b.Loop() {
				if a, err := snd.Post(r, time.Now().Add(time.Second)); err != nil || a.Status/100 != 2 {
					b.Fatal(a, err)
				}
			}
			snd.Release()
		})
	}
}

func BenchmarkAppendHead(b *testing.B) {
	r := benchRequest(b, "http://worker.example/hook?x=1")
	buf := make([]byte, 0, 4096)
	b.ReportAllocs()
	for b.Loop() {
		buf = r.AppendHead(buf[:0])
	}
}

func BenchmarkAppendField(b *testing.B) {
	buf := make([]byte, 0, 4096)
	b.ReportAllocs()
	for b.Loop() {
		buf, _ = http1.AppendField(buf[:0], "Webhook-Id", "0-1700000000123-0")
	}
}

func BenchmarkParseHead(b *testing.B) {
	reply := []byte(benchReply)
	b.ReportAllocs()
	for b.Loop() {
		if _, _, _, _, ok := http1.ParseHead(reply); !ok {
			b.Fatal("not understood")
		}
	}
}
