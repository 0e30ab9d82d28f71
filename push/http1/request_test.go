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
	"testing"

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

// fields appends header fields, name and value in turn.
func fields(tb testing.TB, pairs ...string) (head []byte) {
	tb.Helper()
	var err error
	for i := 0; i < len(pairs); i += 2 {
		if head, err = http1.AppendField(head, pairs[i], pairs[i+1]); err != nil {
			tb.Fatal(err)
		}
	}
	return head
}

func TestSerialization(t *testing.T) {
	t.Parallel()
	s, heads := recorder(t)
	c := newClient(t, http1.Options{})
	for _, tt := range []struct{ path, query, want string }{
		{"", "", "/"},
		{"/a%20b?c=d#frag", "", "/a%20b?c=d"},
		{"/a", "e=f", "/a?e=f"},
		{"/a?", "e=f", "/a?e=f"},
		{"/a?c=d", "e=f", "/a?c=d&e=f"},
		{"?c", "e", "/?c&e"},
	} {
		r := newRequest(t, "http://us%40er:secret@"+s.addr+tt.path, "body")
		r.Query, r.Head = tt.query, fields(t, "X-Two", "1", "x-two", " 2\t")
		do(t, c, r)
		want := "POST " + tt.want + " HTTP/1.1\r\nHost: " + s.addr + "\r\nX-Two: 1\r\nx-two: 2\r\nContent-Length: 4\r\n\r\n"
		if got := wait(t, heads, "request"); got != want {
			t.Errorf("got  %q\nwant %q", got, want)
		}
	}
}

// invalidFields are header fields that would end early, hide others or tell the server a wrong length.
var invalidFields = map[string][2]string{
	"CRLF in value":     {"X-A", "a\r\nX-Evil: 1"},
	"LF in value":       {"X-A", "a\nb"},
	"CR in value":       {"X-A", "a\rb"},
	"NUL in value":      {"X-A", "a\x00b"},
	"DEL in value":      {"X-A", "a\x7f"},
	"CRLF in name":      {"X-A\r\nX-B", "v"},
	"space in name":     {"X A", "v"},
	"colon in name":     {"X:A", "v"},
	"empty name":        {"", "v"},
	"UTF-8 in name":     {"X-é", "v"},
	"Host":              {"hOST", "Evil"},
	"Content-Length":    {"content-length", "99"},
	"Transfer-Encoding": {"Transfer-encoding", "chunked"},
	"Trailer":           {"Trailer", "X"},
	"Connection":        {"connection", "close"},
}

func TestInvalidFields(t *testing.T) {
	t.Parallel()
	for name, f := range invalidFields {
		dst, err := http1.AppendField([]byte("before"), f[0], f[1])
		if !errors.Is(err, http1.ErrInvalidRequest) || string(dst) != "before" {
			t.Errorf("%s: %q, error %v", name, dst, err)
		} else if strings.Contains(err.Error(), "Evil") {
			t.Errorf("%s: the error quotes the value: %v", name, err)
		}
	}
}

func TestInvalidTargets(t *testing.T) {
	t.Parallel()
	tests := map[string]func(*url.URL){
		"CRLF in host":        func(u *url.URL) { u.Host = "a\r\nX: b" },
		"slash in host":       func(u *url.URL) { u.Host = "a/b" },
		"CRLF in query":       func(u *url.URL) { u.RawQuery = "a\r\nb" },
		"space in query":      func(u *url.URL) { u.RawQuery = "a b" },
		"CRLF in opaque":      func(u *url.URL) { u.Opaque = "/a\r\nb" },
		"relative path":       func(u *url.URL) { u.Path = "a" },
		"no host":             func(u *url.URL) { u.Host = "" },
		"only a port":         func(u *url.URL) { u.Host = ":80" },
		"host that is no URL": func(u *url.URL) { u.Host = "bücher.example" },
		"scheme":              func(u *url.URL) { u.Scheme = "ftp" },
	}
	for name, change := range tests {
		u := &url.URL{Scheme: "http", Host: "h", Path: "/"}
		change(u)
		if to, err := http1.NewTarget(u); !errors.Is(err, http1.ErrInvalidRequest) || to != nil {
			t.Errorf("%s: %v, error %v", name, to, err)
		}
	}
	if _, err := http1.NewTarget(nil); !errors.Is(err, http1.ErrInvalidRequest) {
		t.Errorf("no URL: %v", err)
	}
	s := serve(t, echo)
	r := newRequest(t, s.url, "x")
	for _, r.Query = range []string{"a b", "a\r\nX: b"} {
		if err := mustFail(t, newClient(t, http1.Options{}), r); !errors.Is(err, http1.ErrInvalidRequest) {
			t.Errorf("query %q: %v", r.Query, err)
		}
	}
	wantConns(t, s, 0)
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
		c := newClient(t, http1.Options{Dial: func(_ context.Context, network, addr string) (net.Conn, error) {
			got = network + " " + addr
			return nil, errDial
		}})
		if err := mustFail(t, c, newRequest(t, rawURL, "")); !errors.Is(err, errDial) {
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
	c := newClient(t, http1.Options{Dial: func(ctx context.Context, network, _ string) (net.Conn, error) {
		return (&net.Dialer{}).DialContext(ctx, network, s.addr)
	}})
	post(t, c, "http://[fe80::1%25lo]:99/", "")
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
	c := newClient(t, http1.Options{})
	if _, got := post(t, c, "http://"+ln.Addr().String(), ""); got != ln.Addr().String() {
		t.Errorf("Host %q", got)
	}
}

// TestBodies sends bodies of all lengths with one sender, over the limit of one write and back.
func TestBodies(t *testing.T) {
	t.Parallel()
	s := serve(t, echo)
	c := newClient(t, http1.Options{})
	for _, size := range []int{0, 1, 256, 5000, http1.MaxInline - 1, http1.MaxInline, http1.MaxInline + 1, 900 << 10, 2} {
		want := string(bytes.Repeat([]byte("0123456789abcdef"), size/16+1)[:size])
		if _, got := post(t, c, s.url, want); got != want {
			t.Errorf("got %d bytes, want %d", len(got), size)
		}
	}
	wantConns(t, s, 1)
}
