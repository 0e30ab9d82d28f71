package http1_test

import (
	"bytes"
	"context"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/solate/medispatcher/push/http1"
)

// FuzzServer lets a server answer with any bytes and then close, or fall
// silent. The client must return by its deadline, and leave nothing behind. The clock is a fake
// one, so silence costs nothing.
func FuzzServer(f *testing.F) {
	for _, reply := range []string{
		"", okReply, okReply + okReply, okReply + "evil",
		"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTrailer: X\r\n\r\n2\r\nok\r\n0\r\nX: 1\r\n\r\n",
		"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.0 200 OK\r\n\r\nuntil EOF",
		"HTTP/1.1 204 No Content\r\nContent-Length: 9223372036854775807\r\n\r\n",
		"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nffffffffffffffff\r\n",
		"HTTP/1.1 101 Switching Protocols\r\n\r\n", "HTTP/9.9 999 x\r\n: \r\n\r\n",
	} {
		for flags := range byte(8) {
			f.Add([]byte(reply), flags)
		}
	}
	f.Fuzz(func(t *testing.T, reply []byte, flags byte) {
		synctest.Test(t, func(t *testing.T) { fuzzServer(t, reply, flags) })
	})
}

func fuzzServer(t *testing.T, reply []byte, flags byte) {
	closes, reads, long := flags&1 == 0, flags&2 == 0, flags&4 != 0
	const limit = 2 * time.Second
	serverDone := make(chan struct{}, 9)
	dials := 0
	tr := http1.New(http1.Options{
		MaxResponseHeaderBytes: 1 << 10,
		Dial: func(context.Context, string, string) (net.Conn, error) {
			client, server := net.Pipe()
			dials++
			go func() {
				go io.Copy(io.Discard, server)
				server.Write(reply)
				if closes {
					server.Close()
				}
				serverDone <- struct{}{}
			}()
			return client, nil
		},
	})
	body := "body"
	if long {
		body = strings.Repeat("x", 100<<10)
	}
	start := time.Now()
	for range 2 {
		ctx, cancel := context.WithTimeout(context.Background(), limit)
		req, _ := http.NewRequestWithContext(ctx, "POST", "http://fuzz.test/", strings.NewReader(body))
		resp, err := tr.RoundTrip(req)
		if err == nil {
			if resp.StatusCode < 200 || resp.ProtoMajor != 1 {
				t.Errorf("status %q", resp.Status)
			}
			if reads {
				got, _ := io.ReadAll(resp.Body)
				if len(got) > len(reply) || resp.ContentLength > 0 && int64(len(got)) > resp.ContentLength {
					t.Errorf("body of %d bytes from a reply of %d", len(got), len(reply))
				}
				if len(got) > 0 && len(resp.TransferEncoding) == 0 && !bytes.Contains(reply, got) {
					t.Errorf("body %q is not from the reply %q", got, reply)
				}
			}
			resp.Body.Close()
		}
		cancel()
	}
	if d := time.Since(start); d > 2*limit {
		t.Errorf("took %v", d)
	}
	synctest.Wait() // the end of a context closes a connection in a goroutine of its own
	if tr.Live() != tr.Idle() {
		t.Errorf("%d connections open, %d idle", tr.Live(), tr.Idle())
	}
	tr.Close()
	for range dials {
		<-serverDone
	}
}
