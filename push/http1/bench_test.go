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

// benchParallel is the number of requests in flight in BenchmarkRoundTrip.
const benchParallel = 96

// BenchmarkRoundTrip compares Transport with net/http's, tuned, on POSTs of
// 256 bytes to a server in the same process: net/http's, which costs about as
// much as a client, and a lean one, which leaves the client's cost to see.
func BenchmarkRoundTrip(b *testing.B) {
	std := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		io.Copy(io.Discard, r.Body)
		w.Write([]byte("ok"))
	}))
	defer std.Close()
	lean := serve(b, func(c net.Conn, _ int) {
		reply := []byte("HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\n" +
			"Date: Mon, 23 Nov 2026 06:40:31 GMT\r\nContent-Length: 2\r\n\r\nok")
		buf := make([]byte, 4096) // a request fits, and comes in one piece
		for {
			if _, err := c.Read(buf); err != nil {
				return
			}
			c.Write(reply)
		}
	})

	for _, server := range []struct{ name, url string }{{"std", std.URL}, {"lean", lean.url}} {
		b.Run("server="+server.name+"/client=http1", func(b *testing.B) {
			t := http1.New(http1.Options{MaxIdlePerHost: benchParallel})
			defer t.Close()
			benchmark(b, t, server.url)
		})
		b.Run("server="+server.name+"/client=nethttp", func(b *testing.B) {
			t := &http.Transport{
				MaxIdleConns:        benchParallel,
				MaxIdleConnsPerHost: benchParallel,
				DisableCompression:  true,
			}
			defer t.CloseIdleConnections()
			benchmark(b, t, server.url)
		})
	}
}

// benchmark sends b.N requests through rt.
func benchmark(b *testing.B, rt http.RoundTripper, url string) {
	payload := bytes.Repeat([]byte("x"), 256)
	header := http.Header{
		"User-Agent":   {"medispatcher/1"},
		"Content-Type": {"application/json"},
		"Accept":       {"application/json"},
	}
	for i := range 7 {
		header.Set(fmt.Sprintf("X-Message-%d", i), "0123456789abcdef")
	}
	b.ReportAllocs()
	b.ResetTimer()
	start := cpuTime()
	defer func() { b.ReportMetric(float64(cpuTime()-start)/float64(b.N), "cpu-ns/op") }()
	b.SetParallelism(benchParallel / 2) // times GOMAXPROCS, 2 here
	b.RunParallel(func(pb *testing.PB) {
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
