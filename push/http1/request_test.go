package http1_test

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strings"
	"sync/atomic"
	"testing"
	"testing/iotest"

	"github.com/solate/medispatcher/push/http1"
)

// recorder serves okReply and sends on what each connection received until the
// end of one header.
func recorder(t *testing.T) (*server, <-chan string) {
	heads := make(chan string, 16)
	return serve(t, func(c net.Conn, _ int) {
		br := bufio.NewReader(c)
		var head strings.Builder
		for {
			line, err := br.ReadString('\n')
			if err != nil {
				return
			}
			head.WriteString(line)
			if line == "\r\n" {
				break
			}
		}
		heads <- head.String()
		io.WriteString(c, okReply)
	}), heads
}

func TestSerialization(t *testing.T) {
	t.Parallel()
	s, heads := recorder(t)
	tr := newTransport(t, http1.Options{})
	req := newRequest(t, "POST", "http://us%40er:p%3Ass@"+s.addr+"/a%20b?c=d#frag", "body")
	req.Host = "example.com"
	req.Header = http.Header{
		"X-Two":             {"1", " 2\t"},
		"content-length":    {"99"},
		"Transfer-encoding": {"chunked"},
		"hOST":              {"evil"},
	}
	do(t, tr, req)
	head := wait(t, heads, "request")
	if want := "POST /a%20b?c=d HTTP/1.1\r\nHost: example.com\r\n"; !strings.HasPrefix(head, want) {
		t.Errorf("head %q does not begin with %q", head, want)
	}
	for _, want := range []string{
		"\r\nX-Two: 1\r\nX-Two: 2\r\n", "\r\nContent-Length: 4\r\n",
		"\r\nAuthorization: Basic dXNAZXI6cDpzcw==\r\n",
	} {
		if !strings.Contains(head, want) {
			t.Errorf("head %q lacks %q", head, want)
		}
	}
	for _, not := range []string{"User-Agent", "Accept-Encoding", "99", "evil", "chunked"} {
		if strings.Contains(head, not) {
			t.Errorf("head %q contains %q", head, not)
		}
	}
	if req.Header.Get("Authorization") != "" {
		t.Error("the request was changed")
	}

	req = newRequest(t, "POST", "http://user@"+s.addr, "")
	req.Header.Set("Authorization", "Bearer x")
	req.Header.Set("User-Agent", "me")
	do(t, tr, req)
	head = wait(t, heads, "request")
	for _, want := range []string{"POST / HTTP/1.1\r\n", "Authorization: Bearer x\r\n", "User-Agent: me\r\n", "Content-Length: 0\r\n"} {
		if !strings.Contains(head, want) {
			t.Errorf("head %q lacks %q", head, want)
		}
	}
	if strings.Contains(head, "Basic") {
		t.Errorf("head %q has two Authorizations", head)
	}
}

func TestInvalidRequests(t *testing.T) {
	t.Parallel()
	var dials atomic.Int32
	tr := newTransport(t, http1.Options{Dial: func(context.Context, string, string) (net.Conn, error) {
		dials.Add(1)
		return nil, errors.New("dialled")
	}})
	header := func(k, v string) func(*http.Request) {
		return func(r *http.Request) { r.Header[k] = []string{v} }
	}
	tests := map[string]func(*http.Request){
		"CRLF in value":       header("X-A", "a\r\nX-Evil: 1"),
		"LF in value":         header("X-A", "a\nb"),
		"CR in value":         header("X-A", "a\rb"),
		"NUL in value":        header("X-A", "a\x00b"),
		"DEL in value":        header("X-A", "a\x7f"),
		"CRLF in User-Agent":  header("User-Agent", "a\r\nb"),
		"CRLF in name":        header("X-A\r\nX-B", "v"),
		"space in name":       header("X A", "v"),
		"colon in name":       header("X:A", "v"),
		"empty name":          header("", "v"),
		"UTF-8 in name":       header("X-é", "v"),
		"space in method":     func(r *http.Request) { r.Method = "GET /evil" },
		"CRLF in method":      func(r *http.Request) { r.Method = "GET\r\n" },
		"CONNECT":             func(r *http.Request) { r.Method = "CONNECT" },
		"CRLF in host":        func(r *http.Request) { r.Host = "a\r\nX: b" },
		"slash in host":       func(r *http.Request) { r.Host = "a/b" },
		"CRLF in query":       func(r *http.Request) { r.URL.RawQuery = "a\r\nb" },
		"space in query":      func(r *http.Request) { r.URL.RawQuery = "a b" },
		"CRLF in opaque":      func(r *http.Request) { r.URL.Opaque = "/a\r\nb" },
		"relative path":       func(r *http.Request) { r.URL.Path = "a" },
		"no host":             func(r *http.Request) { r.URL.Host = "" },
		"only a port":         func(r *http.Request) { r.URL.Host = ":80" },
		"UTF-8 in URL host":   func(r *http.Request) { r.URL.Host = "bücher.example" },
		"scheme":              func(r *http.Request) { r.URL.Scheme = "ftp" },
		"no URL":              func(r *http.Request) { r.URL = nil },
		"trailer":             func(r *http.Request) { r.Trailer = http.Header{"X": nil} },
		"body too short":      func(r *http.Request) { r.ContentLength = 5 },
		"body too long":       func(r *http.Request) { r.ContentLength = 3 },
		"length without body": func(r *http.Request) { r.Body = nil },
	}
	for name, change := range tests {
		t.Run(name, func(t *testing.T) {
			body := &trackedBody{Reader: strings.NewReader("body")}
			req := newRequest(t, "POST", "http://127.0.0.1/", "body")
			req.Body = body
			change(req)
			err := mustFail(t, tr, req)
			if !errors.Is(err, http1.ErrInvalidRequest) {
				t.Errorf("error %v", err)
			}
			if strings.Contains(err.Error(), "Evil") {
				t.Errorf("error quotes the value: %v", err)
			}
			if req.Body != nil && !body.closed.Load() {
				t.Error("body not closed")
			}
		})
	}
	if n := dials.Load(); n != 0 {
		t.Errorf("%d dials for invalid requests", n)
	}
}

// trackedBody notes that it was closed.
type trackedBody struct {
	io.Reader
	closed atomic.Bool
}

func (b *trackedBody) Close() error {
	b.closed.Store(true)
	return nil
}

func TestDefaultPorts(t *testing.T) {
	t.Parallel()
	tests := map[string]string{
		"http://example.com":        "example.com:80",
		"https://example.com/":      "example.com:443",
		"http://example.com:":       "example.com:80",
		"http://[::1]/":             "[::1]:80",
		"https://[::1]:8443/":       "[::1]:8443",
		"http://[fe80::1%25lo]/":    "[fe80::1%lo]:80",
		"http://user@example.com:1": "example.com:1",
	}
	for rawURL, want := range tests {
		var got string
		errDial := errors.New("enough")
		tr := newTransport(t, http1.Options{Dial: func(_ context.Context, network, addr string) (net.Conn, error) {
			got = network + " " + addr
			return nil, errDial
		}})
		if err := mustFail(t, tr, newRequest(t, "GET", rawURL, "")); !errors.Is(err, errDial) {
			t.Errorf("%s: error %v", rawURL, err)
		}
		if got != "tcp "+want {
			t.Errorf("%s dials %q, want %q", rawURL, got, want)
		}
	}
}

func TestZoneNotSent(t *testing.T) {
	t.Parallel()
	s, heads := recorder(t)
	tr := newTransport(t, http1.Options{Dial: func(ctx context.Context, network, _ string) (net.Conn, error) {
		return (&net.Dialer{}).DialContext(ctx, network, s.addr)
	}})
	post(t, tr, "http://[fe80::1%25lo]:99/", "")
	if head := wait(t, heads, "request"); !strings.Contains(head, "\r\nHost: [fe80::1]:99\r\n") {
		t.Errorf("head %q", head)
	}
}

func TestIPv6(t *testing.T) {
	t.Parallel()
	ln, err := net.Listen("tcp", "[::1]:0")
	if err != nil {
		t.Skip("no IPv6 here: ", err)
	}
	srv := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { fmt.Fprint(w, r.Host) })}
	go srv.Serve(ln)
	defer srv.Close()
	tr := newTransport(t, http1.Options{})
	if _, got := post(t, tr, "http://"+ln.Addr().String(), ""); got != ln.Addr().String() {
		t.Errorf("Host %q", got)
	}
}

// TestBodies sends bodies of all lengths and ways to give them.
func TestBodies(t *testing.T) {
	t.Parallel()
	type received struct {
		body, encoding string
		length         int64
	}
	seen := make(chan received, 1)
	s := serve(t, func(c net.Conn, _ int) {
		br := bufio.NewReader(c)
		for {
			req, body := readRequest(br)
			if req == nil {
				return
			}
			seen <- received{body, strings.Join(req.TransferEncoding, ","), req.ContentLength}
			io.WriteString(c, okReply)
		}
	})
	tr := newTransport(t, http1.Options{})
	for _, size := range []int{1, 256, 5000, 64<<10 - 1, 64 << 10, 64<<10 + 1, 3 << 20} {
		for _, known := range []bool{true, false} {
			t.Run(fmt.Sprintf("%d known=%t", size, known), func(t *testing.T) {
				data := string(bytes.Repeat([]byte("0123456789abcdef"), size/16+1)[:size])
				req := newRequest(t, "POST", s.url, data)
				body := &trackedBody{Reader: iotest.HalfReader(strings.NewReader(data))}
				req.Body = body
				if !known {
					req.ContentLength = -1
				}
				do(t, tr, req)
				got := wait(t, seen, "request")
				if got.body != data {
					t.Errorf("got %d bytes, want %d", len(got.body), size)
				}
				if chunked := got.encoding == "chunked"; chunked != (!known && size >= 64<<10) {
					t.Errorf("encoding %q, length %d", got.encoding, got.length)
				}
				if !body.closed.Load() {
					t.Error("body not closed")
				}
			})
		}
	}
	wantConns(t, s, 1)
}

func TestBodyFails(t *testing.T) {
	t.Parallel()
	s := serve(t, always(okReply))
	tr := newTransport(t, http1.Options{})
	errBody := errors.New("disk on fire")
	for _, good := range []int{0, 10, 1 << 20} {
		for _, length := range []int64{-1, 20, 2 << 20} {
			body := &trackedBody{Reader: io.MultiReader(strings.NewReader(strings.Repeat("x", good)), iotest.ErrReader(errBody))}
			req := newRequest(t, "POST", s.url, "")
			req.Body, req.ContentLength = body, length
			err := mustFail(t, tr, req)
			if !errors.Is(err, errBody) && !errors.Is(err, http1.ErrInvalidRequest) {
				t.Errorf("%d good bytes, length %d: %v", good, length, err)
			}
			if !body.closed.Load() {
				t.Error("body not closed")
			}
		}
	}
	for _, wrong := range []int64{100 << 10, 300 << 10} {
		req := newRequest(t, "POST", s.url, strings.Repeat("x", 200<<10))
		req.ContentLength = wrong
		if err := mustFail(t, tr, req); !errors.Is(err, http1.ErrInvalidRequest) {
			t.Errorf("length %d for 200 KiB: %v", wrong, err)
		}
	}
	if tr.Idle() != 0 {
		t.Error("a connection was kept after half a request")
	}
	post(t, tr, s.url, "fine")
}

func TestWithHTTPClient(t *testing.T) {
	s := serve(t, func(c net.Conn, _ int) {
		br := bufio.NewReader(c)
		for {
			req, _ := readRequest(br)
			if req == nil {
				return
			}
			if req.URL.Path == "/old" {
				io.WriteString(c, "HTTP/1.1 307 Moved\r\nLocation: /new\r\nContent-Length: 0\r\n\r\n")
				continue
			}
			io.WriteString(c, okReply)
		}
	})
	client := &http.Client{Transport: newTransport(t, http1.Options{}), Timeout: soon}
	resp, err := client.Post(s.url+"/old", "text/plain", strings.NewReader("body"))
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
	if got := resp.Request.URL.Path; got != "/new" {
		t.Errorf("ended at %s", got)
	}
	client.CloseIdleConnections()
	if n := client.Transport.(*http1.Transport).Live(); n != 0 {
		t.Errorf("%d connections left", n)
	}
	_, err = client.Get("http://127.0.0.1:1/secret?token=x")
	var uerr *url.Error
	if !errors.As(err, &uerr) || uerr.Timeout() {
		t.Errorf("refused: %v", err)
	}
}
