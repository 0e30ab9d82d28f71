package http1_test

import (
	"bufio"
	"errors"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/solate/medispatcher/push/http1"
)

// TestResponses checks what is made of a response, and whether the connection
// serves a second request.
func TestResponses(t *testing.T) {
	t.Parallel()
	big := strings.Repeat("x", 100<<10)
	tests := []struct {
		name, method, reply string
		body                string
		reused              bool
	}{
		{"length", "POST", okReply, "ok", true},
		{"length 0", "POST", "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", "", true},
		{"204", "POST", "HTTP/1.1 204 No Content\r\n\r\n", "", true},
		{"304", "GET", "HTTP/1.1 304 Not Modified\r\nContent-Length: 9\r\n\r\n", "", true},
		{"HEAD", "HEAD", "HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n", "", true},
		{"204 with length", "POST", "HTTP/1.1 204 No Content\r\nContent-Length: 5\r\n\r\n", "", false},
		{"204 chunked", "POST", "HTTP/1.1 204 No Content\r\nTransfer-Encoding: chunked\r\n\r\n", "", false},
		{"chunked", "POST", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n1;ext=1\r\n!\r\n0\r\n\r\n", "ok!", true},
		{"big", "POST", "HTTP/1.1 200 OK\r\nContent-Length: 102400\r\n\r\n" + big, big, true},
		{"big chunked", "POST", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n19000\r\n" + big + "\r\n0\r\n\r\n", big, true},
		{"no reason", "POST", "HTTP/1.1 200\r\nContent-Length: 2\r\n\r\nok", "ok", true},
		{"500", "POST", "HTTP/1.1 500 No\r\nContent-Length: 2\r\n\r\nno", "no", true},
		{"bare LF", "POST", "HTTP/1.1 200 OK\nContent-Length: 2\n\nok", "ok", true},
		{"informational", "POST", "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\n" + okReply, "ok", true},
		{"many informational", "POST", strings.Repeat("HTTP/1.1 102 Processing\r\n\r\n", 2000) + okReply, "ok", true},
		{"Connection: close", "POST", "HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 2\r\n\r\nok", "ok", false},
		{"Connection: Foo, Close", "POST", "HTTP/1.1 200 OK\r\nConnection: Foo, Close\r\nContent-Length: 2\r\n\r\nok", "ok", false},
		{"HTTP/1.0", "POST", "HTTP/1.0 200 OK\r\nContent-Length: 2\r\n\r\nok", "ok", false},
		{"HTTP/1.0 keep-alive", "POST", "HTTP/1.0 200 OK\r\nConnection: keep-alive\r\nContent-Length: 2\r\n\r\nok", "ok", true},
		{"extra bytes", "POST", okReply + "HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nevil", "ok", false},
		{"extra CRLF", "POST", okReply + "\r\n", "ok", false},
		{"extra bytes without body", "POST", "HTTP/1.1 204 No Content\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nevil", "", false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			s := serve(t, always(tt.reply))
			tr := newTransport(t, http1.Options{})
			want := int32(1)
			if !tt.reused {
				want = 2
			}
			for range 2 {
				if _, got := do(t, tr, newRequest(t, tt.method, s.url, "")); got != tt.body {
					t.Errorf("body %.40q, want %.40q", got, tt.body)
				}
			}
			wantConns(t, s, want)
			if !tt.reused && tr.Live() != 0 {
				t.Errorf("%d connections left open", tr.Live())
			}
		})
	}
}

func TestUntilEOF(t *testing.T) {
	t.Parallel()
	for _, proto := range []string{"HTTP/1.0", "HTTP/1.1"} {
		s := serve(t, once(proto+" 200 OK\r\n\r\nall of it"))
		tr := newTransport(t, http1.Options{})
		if _, got := post(t, tr, s.url, "x"); got != "all of it" {
			t.Errorf("%s: body %q", proto, got)
		}
		if tr.Live() != 0 {
			t.Error("connection left open")
		}
	}
}

func TestTrailers(t *testing.T) {
	t.Parallel()
	s := serve(t, always("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTrailer: X-Sum\r\n\r\n2\r\nok\r\n0\r\nX-Sum: 42\r\n\r\n"))
	tr := newTransport(t, http1.Options{})
	for range 3 {
		resp, got := post(t, tr, s.url, "x")
		if got != "ok" || resp.Trailer.Get("X-Sum") != "42" {
			t.Errorf("body %q, trailer %v", got, resp.Trailer)
		}
	}
	wantConns(t, s, 1)
}

func TestRequestConnectionClose(t *testing.T) {
	t.Parallel()
	s := serve(t, always(okReply))
	tr := newTransport(t, http1.Options{})
	req := newRequest(t, "POST", s.url, "x")
	req.Close = true
	do(t, tr, req)
	req = newRequest(t, "POST", s.url, "x")
	req.Header.Set("Connection", "x, CLOSE")
	do(t, tr, req)
	wantConns(t, s, 2)
	if tr.Live() != 0 {
		t.Error("connection left open")
	}
}

func TestMalformedResponses(t *testing.T) {
	t.Parallel()
	long := strings.Repeat("y", 20<<10)
	for name, reply := range map[string]string{
		"garbage":          "\x00\x01\x02 garbage\r\n\r\n",
		"long garbage":     long + "\r\n\r\n",
		"SSH":              "SSH-2.0-OpenSSH_9.6\r\n",
		"bad status":       "HTTP/1.1 2x0 OK\r\n\r\n",
		"status 42":        "HTTP/1.1 042 OK\r\n\r\n",
		"HTTP/2":           "HTTP/2.0 200 OK\r\n\r\n",
		"bad header":       "HTTP/1.1 200 OK\r\nno colon\r\n\r\n",
		"two lengths":      "HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nok",
		"negative length":  "HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n",
		"unknown encoding": "HTTP/1.1 200 OK\r\nTransfer-Encoding: zip\r\n\r\n",
		"switching":        "HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\nConnection: Upgrade\r\n\r\n",
	} {
		t.Run(name, func(t *testing.T) {
			s := serve(t, once(reply))
			tr := newTransport(t, http1.Options{})
			err := mustFail(t, tr, newRequest(t, "POST", s.url, "x"))
			if !errors.Is(err, http1.ErrMalformedResponse) {
				t.Errorf("error %v", err)
			}
			if len(err.Error()) > 500 {
				t.Errorf("error of %d bytes", len(err.Error()))
			}
			wantConns(t, s, 1)
			if tr.Live() != 0 {
				t.Error("connection left open")
			}
		})
	}
}

func TestTruncated(t *testing.T) {
	t.Parallel()
	for name, reply := range map[string]string{
		"nothing":    "",
		"status":     "HTTP/1.1 200",
		"header":     "HTTP/1.1 200 OK\r\nContent-Le",
		"body":       "HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nok",
		"chunk":      "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n9\r\nok",
		"last chunk": "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n",
	} {
		t.Run(name, func(t *testing.T) {
			s := serve(t, once(reply))
			tr := newTransport(t, http1.Options{})
			err := mustFail(t, tr, newRequest(t, "POST", s.url, "x"))
			if errors.Is(err, http1.ErrMalformedResponse) || !errors.Is(err, io.EOF) && !errors.Is(err, io.ErrUnexpectedEOF) {
				t.Errorf("error %v", err)
			}
			wantConns(t, s, 1)
		})
	}
}

func TestHeaderTooLarge(t *testing.T) {
	endless := func(start, more string) func(net.Conn, int) {
		return func(c net.Conn, _ int) {
			readRequest(bufio.NewReader(c))
			_, err := io.WriteString(c, start)
			for err == nil {
				_, err = io.WriteString(c, more)
			}
		}
	}
	for name, handle := range map[string]func(net.Conn, int){
		"lines":         endless("HTTP/1.1 200 OK\r\n", "X-A: "+strings.Repeat("a", 90)+"\r\n"),
		"one line":      endless("HTTP/1.1 200 OK\r\nX-A: ", strings.Repeat("a", 100)),
		"status line":   endless("HTTP/1.1 200 ", strings.Repeat("a", 100)),
		"informational": endless("HTTP/1.1 103 Early Hints\r\n", "X-A: "+strings.Repeat("a", 90)+"\r\n"),
		"flood of them": endless("", "HTTP/1.1 100 Continue\r\n\r\n"),
	} {
		t.Run(name, func(t *testing.T) {
			s := serve(t, handle)
			tr := newTransport(t, http1.Options{MaxResponseHeaderBytes: 10000})
			if err := mustFail(t, tr, newRequest(t, "POST", s.url, "x")); !errors.Is(err, http1.ErrHeaderTooLarge) {
				t.Errorf("error %v", err)
			}
			if tr.Live() != 0 {
				t.Error("connection left open")
			}
		})
	}
	// The limit is for the header only.
	s := serve(t, always("HTTP/1.1 200 OK\r\nContent-Length: 50000\r\n\r\n"+strings.Repeat("x", 50000)))
	tr := newTransport(t, http1.Options{MaxResponseHeaderBytes: 100})
	for range 2 {
		if _, got := post(t, tr, s.url, "x"); len(got) != 50000 {
			t.Errorf("%d bytes", len(got))
		}
	}
	wantConns(t, s, 1)
}

// TestUnreadBody closes bodies before their end.
func TestUnreadBody(t *testing.T) {
	tests := []struct {
		name   string
		size   int // of the body, sent at once
		stall  bool
		opts   http1.Options
		reused bool
	}{
		{"small", 100, false, http1.Options{}, true},
		{"more than buffered", 50 << 10, false, http1.Options{}, true},
		{"exactly the limit", 1000, false, http1.Options{MaxDrain: 1000}, true},
		{"above the limit", 1001, false, http1.Options{MaxDrain: 1000}, false},
		{"no draining", 100, false, http1.Options{MaxDrain: -1}, false},
		{"stalled", 100, true, http1.Options{}, false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			s := serve(t, func(c net.Conn, _ int) {
				br := bufio.NewReader(c)
				for {
					if req, _ := readRequest(br); req == nil {
						return
					}
					head := "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
					io.WriteString(c, head)
					cw := bufio.NewWriter(c)
					io.WriteString(cw, hexLen(tt.size)+"\r\n"+strings.Repeat("x", tt.size)+"\r\n")
					if !tt.stall {
						io.WriteString(cw, "0\r\n\r\n")
					}
					cw.Flush()
				}
			})
			tr := newTransport(t, tt.opts)
			for range 2 {
				resp, err := tr.RoundTrip(newRequest(t, "POST", s.url, "x"))
				if err != nil {
					t.Fatal(err)
				}
				start := time.Now()
				resp.Body.Close()
				resp.Body.Close()
				if d := time.Since(start); d > 5*time.Second {
					t.Errorf("Close took %v", d)
				}
				if _, err := resp.Body.Read(make([]byte, 1)); !errors.Is(err, http.ErrBodyReadAfterClose) {
					t.Errorf("Read after Close: %v", err)
				}
			}
			want := int32(2)
			if tt.reused {
				want = 1
			}
			wantConns(t, s, want)
		})
	}
}

// hexLen returns n as the length of a chunk.
func hexLen(n int) string {
	const digits = "0123456789abcdef"
	if n < 16 {
		return digits[n : n+1]
	}
	return hexLen(n/16) + digits[n%16:n%16+1]
}

func TestKnownLengthNotDrained(t *testing.T) {
	// The server never sends what it announces: Close must not wait for it.
	s := serve(t, always("HTTP/1.1 200 OK\r\nContent-Length: 1000000\r\n\r\nx"))
	tr := newTransport(t, http1.Options{})
	resp, err := tr.RoundTrip(newRequest(t, "POST", s.url, "x"))
	if err != nil {
		t.Fatal(err)
	}
	start := time.Now()
	resp.Body.Close()
	if d := time.Since(start); d > 400*time.Millisecond {
		t.Errorf("Close took %v", d)
	}
	if tr.Live() != 0 {
		t.Error("connection left open")
	}
}

func TestBodyAfterEOF(t *testing.T) {
	t.Parallel()
	s := serve(t, always(okReply))
	tr := newTransport(t, http1.Options{})
	resp, err := tr.RoundTrip(newRequest(t, "POST", s.url, "x"))
	if err != nil {
		t.Fatal(err)
	}
	io.ReadAll(resp.Body)
	post(t, tr, s.url, "the connection belongs to another now")
	for range 2 {
		if n, err := resp.Body.Read(make([]byte, 9)); n != 0 || err != io.EOF {
			t.Errorf("Read after EOF: %d, %v", n, err)
		}
	}
	resp.Body.Close()
	post(t, tr, s.url, "x")
	wantConns(t, s, 1)
}
