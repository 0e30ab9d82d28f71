package http1_test

import (
	"bufio"
	"bytes"
	"context"
	"io"
	"net"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/solate/medispatcher/push/http1"
)

// oddReplies are seeds: answers of all kinds.
var oddReplies = []string{
	"", okReply, okReply + okReply, okReply + "evil",
	"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTrailer: X\r\n\r\n2\r\nok\r\n0\r\nX: 1\r\n\r\n",
	"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.0 200 OK\r\n\r\nuntil EOF",
	"HTTP/1.1 204 No Content\r\nContent-Length: 9223372036854775807\r\n\r\n",
	"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nffffffffffffffff\r\n",
	"HTTP/1.1 101 Switching Protocols\r\n\r\n", "HTTP/9.9 999 x\r\n: \r\n\r\n",
	"HTTP/1.0 200\r\nConnection: keep-alive\r\ncontent-length: 02\r\n\r\nok",
	"HTTP/1.1 503 Busy\r\nRETRY-AFTER: 7 \r\nContent-Length:0\r\n\r\n",
	"HTTP/1.1 302 Found\r\nLocation:\thttp://a/\r\nConnection: Close\r\nContent-Length: 2\r\n\r\nok",
	"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 2\r\n\r\nok",
	"HTTP/1.1 200 OK\r\nLocation: \r\nLocation: /x\r\nContent-Length: 2\r\n folded\r\n\r\nok",
	"HTTP/1.1 200 OK\nContent-Length: 2\n\nok\r\n\r\n", "HTTP/1.1 304 No\r\n\r\n", "HTTP/1.1 200\nContent-Length: 2\r\n\r\nok",
	"HTTP/1.1 200 OK\r\nContent-Length : 2\r\n\r\nok", "HTTP/1.1 200 O\rK\r\nA: \x01\r\nContent-Length: 2\r\n\r\nok",
}

// FuzzParseHead: where the quick parser understands an answer, http.ReadResponse understands the same.
func FuzzParseHead(f *testing.F) {
	for _, reply := range oddReplies {
		f.Add([]byte(reply))
	}
	f.Fuzz(func(t *testing.T, reply []byte) {
		a, size, length, closes, ok := http1.ParseHead(reply)
		if !ok {
			return
		}
		in := bytes.NewReader(reply)
		br := bufio.NewReader(in)
		resp, err := http.ReadResponse(br, &http.Request{Method: "POST"})
		if err != nil {
			t.Fatalf("http.ReadResponse: %v", err)
		}
		if at := len(reply) - in.Len() - br.Buffered(); at != size {
			t.Errorf("%d bytes of header, want %d", size, at)
		}
		if a.Status != resp.StatusCode || closes != resp.Close || a.RetryAfter != resp.Header.Get("Retry-After") || a.Location != resp.Header.Get("Location") {
			t.Errorf("%+v, closes %t; want %d, %t, %v", a, closes, resp.StatusCode, resp.Close, resp.Header)
		}
		whole := len(reply) - size
		got, err := io.ReadAll(resp.Body)
		if len(got) != min(length, whole) || (err == nil) != (whole >= length) {
			t.Errorf("body of %d bytes, want %d of %d (%v)", length, len(got), whole, err)
		}
	})
}

// FuzzAppendHead: a server reads what was meant, from whatever a target and header fields were made.
func FuzzAppendHead(f *testing.F) {
	f.Add("http://h/p?q", "a=b", "X-A", "v", "body")
	f.Add("https://u:p@[::1]:1?", "", "Content-Length", "1", "")
	for _, field := range invalidFields {
		f.Add("http://h", "q", field[0], field[1], "x")
	}
	f.Fuzz(func(t *testing.T, raw, query, name, value, body string) {
		u, err := url.Parse(raw)
		if err != nil {
			return
		}
		to, err := http1.NewTarget(u)
		if err != nil {
			return
		}
		head, err := http1.AppendField(nil, name, value)
		sent := err == nil
		if strings.ContainsFunc(query, func(r rune) bool { return r <= ' ' || r >= 0x7f }) {
			query = url.QueryEscape(query)
		}
		r := http1.Request{To: to, Query: query, Head: head, Body: []byte(body)}
		in := bufio.NewReader(strings.NewReader(string(r.AppendHead(nil)) + body))
		req, err := http.ReadRequest(in)
		if err != nil {
			t.Fatalf("%q: %v", r.AppendHead(nil), err)
		}
		got, err := io.ReadAll(req.Body)
		if string(got) != body || err != nil || in.Buffered() != 0 {
			t.Errorf("body %q, %v, %d bytes left", got, err, in.Buffered())
		}
		want := *u
		if query != "" {
			want.RawQuery = strings.TrimPrefix(u.RawQuery+"&"+query, "&")
		}
		if req.Method != "POST" || req.RequestURI != want.RequestURI() || len(req.Header) > 2 {
			t.Errorf("%s %s with %v; want %s", req.Method, req.RequestURI, req.Header, want.RequestURI())
		}
		if sent && (len(req.Header[http.CanonicalHeaderKey(name)]) != 1 || req.Header.Get(name) != strings.Trim(value, " \t")) {
			t.Errorf("%q is %q", name, req.Header.Get(name))
		}
	})
}

// FuzzServer lets a server answer with any bytes and then close, or fall
// silent. The client must return by its deadline, and leave nothing behind. The clock is a fake
// one, so silence costs nothing.
func FuzzServer(f *testing.F) {
	for _, reply := range oddReplies {
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
	c := http1.New(http1.Options{
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
	r := newRequest(t, "http://fuzz.test/", "body")
	if long {
		r.Body = bytes.Repeat([]byte("x"), 100<<10)
	}
	if !reads {
		r.Keep = 0
	}
	snd := c.Sender(t.Context())
	start := time.Now()
	for range 2 {
		a, err := snd.Post(r, time.Now().Add(limit))
		if err == nil && (a.Status < 200 || !reads && len(a.Body) > 0) || len(a.Body) > len(reply) {
			t.Errorf("status %d, body of %d bytes from a reply of %d, %v", a.Status, len(a.Body), len(reply), err)
		}
		if err == nil && !bytes.Contains(bytes.ToLower(reply), []byte("chunked")) && !bytes.Contains(reply, a.Body) {
			t.Errorf("body %q is not from the reply %q", a.Body, reply)
		}
	}
	if d := time.Since(start); d > 2*(limit+100*time.Millisecond) {
		t.Errorf("took %v", d)
	}
	snd.Release()
	if c.Live() != c.Idle() {
		t.Errorf("%d connections open, %d idle", c.Live(), c.Idle())
	}
	c.Close()
	for range dials {
		<-serverDone
	}
}
