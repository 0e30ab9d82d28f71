package http1_test

import (
	"bufio"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"sync"
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
		name, reply string
		body        string
		reused      bool
	}{
		{"length", okReply, "ok", true},
		{"length 0", "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", "", true},
		{"204", "HTTP/1.1 204 No Content\r\n\r\n", "", true},
		{"304", "HTTP/1.1 304 Not Modified\r\nContent-Length: 9\r\n\r\n", "", true},
		{"204 with length", "HTTP/1.1 204 No Content\r\nContent-Length: 5\r\n\r\n", "", false},
		{"204 chunked", "HTTP/1.1 204 No Content\r\nTransfer-Encoding: chunked\r\n\r\n", "", false},
		{"chunked", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n1;ext=1\r\n!\r\n0\r\n\r\n", "ok!", true},
		{"big", "HTTP/1.1 200 OK\r\nContent-Length: 102400\r\n\r\n" + big, big, true},
		{"big chunked", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n19000\r\n" + big + "\r\n0\r\n\r\n", big, true},
		{"no reason", "HTTP/1.1 200\r\nContent-Length: 2\r\n\r\nok", "ok", true},
		{"500", "HTTP/1.1 500 No\r\nContent-Length: 2\r\n\r\nno", "no", true},
		{"bare LF", "HTTP/1.1 200 OK\nContent-Length: 2\n\nok", "ok", true},
		{"informational", "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\n" + okReply, "ok", true},
		{"many informational", strings.Repeat("HTTP/1.1 102 Processing\r\n\r\n", 2000) + okReply, "ok", true},
		{"Connection: close", "HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 2\r\n\r\nok", "ok", false},
		{"Connection: Foo, Close", "HTTP/1.1 200 OK\r\nConnection: Foo, Close\r\nContent-Length: 2\r\n\r\nok", "ok", false},
		{"HTTP/1.0", "HTTP/1.0 200 OK\r\nContent-Length: 2\r\n\r\nok", "ok", false},
		{"HTTP/1.0 keep-alive", "HTTP/1.0 200 OK\r\nConnection: keep-alive\r\nContent-Length: 2\r\n\r\nok", "ok", true},
		{"extra bytes", okReply + "HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nevil", "ok", false},
		{"extra CRLF", okReply + "\r\n", "ok", false},
		{"extra bytes without body", "HTTP/1.1 204 No Content\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nevil", "", false},
	}
	cert, roots := testCert(t)
	for _, over := range []string{"http://", "https://"} {
		for _, in := range []string{"one piece", "pieces"} {
			for _, by := range []string{"one sender", "two senders"} {
				for _, tt := range tests {
					if in == "pieces" && strings.HasPrefix(tt.name, "extra") {
						continue // what comes later cannot be told from the next answer
					}
					t.Run(over+" in "+in+" by "+by+" "+tt.name, func(t *testing.T) {
						t.Parallel()
						handle := always(tt.reply)
						if in == "pieces" {
							handle = inPieces(tt.reply)
						}
						if over == "https://" {
							handle = overTLS(&tls.Config{Certificates: []tls.Certificate{cert}}, handle)
						}
						s := serve(t, handle)
						c := newClient(t, http1.Options{TLSConfig: &tls.Config{RootCAs: roots}})
						snd := c.Sender(t.Context())
						for range 3 {
							a, err := snd.Post(newRequest(t, over+s.addr, ""), time.Now().Add(soon))
							if string(a.Body) != tt.body || err != nil {
								t.Errorf("body %.40q, %v, want %.40q", a.Body, err, tt.body)
							}
							if by == "two senders" {
								snd.Release()
								snd = c.Sender(t.Context())
							}
						}
						snd.Release()
						want := int32(1)
						if !tt.reused {
							want = 3
						}
						wantConns(t, s, want)
						if !tt.reused && c.Live() != 0 {
							t.Errorf("%d connections left open", c.Live())
						}
					})
				}
			}
		}
	}
}

// inPieces is always, with the start of the reply byte by byte.
func inPieces(reply string) func(net.Conn, int) {
	return func(c net.Conn, _ int) {
		br := bufio.NewReader(c)
		for {
			if req, _ := readRequest(br); req == nil {
				return
			}
			at := min(150, len(reply))
			for i := range at {
				io.WriteString(c, reply[i:i+1])
			}
			io.WriteString(c, reply[at:])
		}
	}
}

func TestUntilEOF(t *testing.T) {
	t.Parallel()
	for _, proto := range []string{"HTTP/1.0", "HTTP/1.1"} {
		s := serve(t, once(proto+" 200 OK\r\n\r\nall of it"))
		tr := newClient(t, http1.Options{})
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
	tr := newClient(t, http1.Options{})
	for range 3 {
		if _, got := post(t, tr, s.url, "x"); got != "ok" {
			t.Errorf("body %q", got)
		}
	}
	wantConns(t, s, 1)
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
			tr := newClient(t, http1.Options{})
			err := mustFail(t, tr, newRequest(t, s.url, "x"))
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
			tr := newClient(t, http1.Options{})
			err := mustFail(t, tr, newRequest(t, s.url, "x"))
			if errors.Is(err, http1.ErrMalformedResponse) || !errors.Is(err, io.EOF) && !errors.Is(err, io.ErrUnexpectedEOF) {
				t.Errorf("error %v", err)
			}
			wantConns(t, s, 1)
		})
	}
}

// TestBrokenAnswersSayWhatCame: the error of an answer whose head is broken, or breaks off, shows how it began: the status line, if there was one.
func TestBrokenAnswersSayWhatCame(t *testing.T) {
	t.Parallel()
	for reply, want := range map[string]string{
		"HTTP/1.1 503 Service Una":                      `the connection was closed; it began "HTTP/1.1 503 Service Una"`,
		"HTTP/1.1 500 No\r\nContent-Le":                 `the connection was closed; it began "HTTP/1.1 500 No"`,
		"HTTP/1.1 500 No\r\nno colon\r\n\r\n":           `missing colon: "no colon"; it began "HTTP/1.1 500 No"`,
		"HTTP/1.1 2x0 OK\r\n\r\n":                       `malformed HTTP status code "2x0"; it began "HTTP/1.1 2x0 OK"`,
		"\x15\x03\x01":                                  `the connection was closed; it began "\x15\x03\x01"`,
		"+PONG\r\n":                                     `malformed HTTP response "+PONG"`,
		"HTTP/1.1 " + strings.Repeat("9", 300) + "\r\n": `it began "HTTP/1.1 ` + strings.Repeat("9", 91) + `…"`,
		"HTTP/1.1 " + strings.Repeat("é", 100) + "\r\n": `it began "HTTP/1.1 ` + strings.Repeat("é", 45) + `…"`,
	} {
		s := serve(t, once(reply))
		err := mustFail(t, newClient(t, http1.Options{}), newRequest(t, s.url, "x"))
		if !strings.HasSuffix(err.Error(), want) {
			t.Errorf("%q: %v\nwant …%s", reply, err, want)
		}
	}
}

// TestBrokenConnectionsHaveOneText: the error of a connection that breaks is the same for every connection, and no jargon.
func TestBrokenConnectionsHaveOneText(t *testing.T) {
	t.Parallel()
	_, roots := testCert(t)
	const reset, closed = "connection reset by peer", "the connection was closed"
	for _, tt := range []struct {
		scheme, reply string
		reset         bool
		want          string
	}{
		{"http", "", true, "no response from ADDR: " + reset},
		{"http", "", false, "no response from ADDR: " + closed},
		{"http", "HTTP/1.1 500 No\r\nCont", true, "bad response from ADDR: " + reset + `; it began "HTTP/1.1 500 No"`},
		{"http", "HTTP/1.1 500 No\r\nContent-Length: 9\r\n\r\nabc", true, "read response body from ADDR: " + reset},
		{"http", "HTTP/1.1 500 No\r\nContent-Length: 9\r\n\r\nabc", false, "read response body from ADDR: " + closed},
		{"http", "HTTP/1.1 500 No\r\nTransfer-Encoding: chunked\r\n\r\n9\r\nabc", false, "read response body from ADDR: " + closed},
		{"https", "", true, "connect to ADDR: TLS handshake: " + reset},
		{"https", "", false, "connect to ADDR: TLS handshake: " + closed},
	} {
		came := make(chan struct{})
		s := serve(t, func(c net.Conn, _ int) {
			c.Read(make([]byte, 64<<10)) // all of the request, or of the hello: else the close would be a reset
			io.WriteString(c, tt.reply)
			if tt.reply != "" {
				<-came
			}
			if tt.reset {
				c.(*net.TCPConn).SetLinger(0)
			}
		})
		o := http1.Options{TLSConfig: &tls.Config{RootCAs: roots}}
		if tt.reply != "" {
			o.Dial = func(ctx context.Context, network, addr string) (net.Conn, error) {
				c, err := new(net.Dialer).DialContext(ctx, network, addr)
				return &toldConn{c, sync.OnceFunc(func() { close(came) })}, err
			}
		}
		tr := newClient(t, o)
		r := newRequest(t, tt.scheme+"://"+s.addr, "x")
		r.Keep = 100
		err := mustFail(t, tr, r)
		if want := strings.ReplaceAll(tt.want, "ADDR", s.addr); err.Error() != want {
			t.Errorf("%s %q:\n     %v\nwant %s", tt.scheme, tt.reply, err, want)
		}
	}
}

// toldConn tells that something was read.
type toldConn struct {
	net.Conn
	tell func()
}

func (c *toldConn) Read(p []byte) (int, error) {
	n, err := c.Conn.Read(p)
	if n > 0 {
		c.tell()
	}
	return n, err
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
			tr := newClient(t, http1.Options{MaxResponseHeaderBytes: 10000})
			if err := mustFail(t, tr, newRequest(t, s.url, "x")); !errors.Is(err, http1.ErrHeaderTooLarge) {
				t.Errorf("error %v", err)
			}
			if tr.Live() != 0 {
				t.Error("connection left open")
			}
		})
	}
	t.Run("in one piece", func(t *testing.T) {
		s := serve(t, once("HTTP/1.1 200 OK\r\nX-A: "+strings.Repeat("a", 100)+"\r\nContent-Length: 0\r\n\r\n"))
		err := mustFail(t, newClient(t, http1.Options{MaxResponseHeaderBytes: 100}), newRequest(t, s.url, "x"))
		if !errors.Is(err, http1.ErrHeaderTooLarge) {
			t.Errorf("error %v", err)
		}
	})
	// As long as it may be, and a byte longer.
	for more, want := range []error{nil, http1.ErrHeaderTooLarge} {
		const start, end = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nX-A: ", "\r\n\r\n"
		long := strings.Repeat("a", http1.DefaultMaxResponseHeaderBytes-len(start)-len(end)+more)
		s := serve(t, always(start+long+end+"ok"))
		if a, err := try(newClient(t, http1.Options{}), newRequest(t, s.url, "x"), soon); !errors.Is(err, want) || want == nil && string(a.Body) != "ok" {
			t.Errorf("%d bytes too many: %v", more, err)
		}
	}
	// The limit is for the header only.
	s := serve(t, always("HTTP/1.1 200 OK\r\nContent-Length: 50000\r\n\r\n"+strings.Repeat("x", 50000)))
	tr := newClient(t, http1.Options{MaxResponseHeaderBytes: 100})
	for range 2 {
		if _, got := post(t, tr, s.url, "x"); len(got) != 50000 {
			t.Errorf("%d bytes", len(got))
		}
	}
	wantConns(t, s, 1)
}

// TestUnreadBody has answers whose bodies nobody wants.
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
		{"above the limit", 100 << 10, false, http1.Options{MaxDrain: 1000}, false},
		{"no draining", 100 << 10, false, http1.Options{MaxDrain: -1}, false},
		{"stalled", 100, true, http1.Options{}, false},
	}
	for i := range 2 * len(tests) {
		tt, chunked := tests[i/2], i%2 == 0
		body := strings.Repeat("0123456789", tt.size/10)
		t.Run(fmt.Sprint(tt.name, " chunked=", chunked), func(t *testing.T) {
			s := serve(t, func(c net.Conn, _ int) {
				br := bufio.NewReader(c)
				for {
					if req, _ := readRequest(br); req == nil {
						return
					}
					reply := fmt.Sprintf("HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n", tt.size) + body
					if chunked {
						reply = fmt.Sprintf("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n%x\r\n%s\r\n0\r\n\r\n", tt.size, body)
					}
					if tt.stall {
						reply = reply[:len(reply)-5] // the last chunk, or some of the body
					}
					io.WriteString(c, reply)
				}
			})
			tr := newClient(t, tt.opts)
			for range 2 {
				start := time.Now()
				r := newRequest(t, s.url, "x")
				r.KeepOK = false
				if a, got := do(t, tr, r); a.Status != 200 || got != "" {
					t.Errorf("status %d, body %q", a.Status, got)
				} else if start := string(a.Start); !strings.HasPrefix(body, start) || tt.reused && len(start) != min(tt.size, 1<<10) {
					t.Errorf("the start has %d bytes: %q", len(start), start)
				}
				if d := time.Since(start); d > 5*time.Second {
					t.Errorf("Post took %v", d)
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

func TestKnownLengthNotDrained(t *testing.T) {
	// The server never sends what it announces: Close must not wait for it.
	s := serve(t, always("HTTP/1.1 200 OK\r\nContent-Length: 1000000\r\n\r\nx"))
	tr := newClient(t, http1.Options{})
	start := time.Now()
	r := newRequest(t, s.url, "x")
	r.KeepOK = false
	do(t, tr, r)
	if d := time.Since(start); d > soon/2 {
		t.Errorf("Post took %v", d)
	}
	if tr.Live() != 0 {
		t.Error("connection left open")
	}
}
