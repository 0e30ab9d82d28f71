package push

import (
	"bufio"
	"context"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/solate/medispatcher"
	"github.com/solate/medispatcher/push/http1"
)

// FuzzURL: what is accepted as a worker URL is sent, byte for byte as it is stored.
func FuzzURL(f *testing.F) {
	for _, seed := range []string{
		"http://h", "http://h/a%2Fb c?d e#", "http://straße/ü?ö", "http://u:p%2F@h:80/?", "http://[fe80::1%25eth0]:1/a\\b", "HTTP://h:/;a=b/../", "http://h?a/b",
		`http://[::1%25"0]`,
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, raw string) {
		u, err := medispatcher.ParseURL(raw, nil)
		if err != nil {
			if strings.ContainsAny(err.Error(), "\r\n") {
				t.Errorf("the error %q is not one line", err)
			}
			return
		}
		again, err := medispatcher.ParseURL(u.String(), nil)
		if err != nil || again.String() != u.String() {
			t.Fatalf("%q is stored as %q, and that as %v, %v", raw, u, again, err)
		}
		uri, host, err := sent(t, u.String())
		if err != nil {
			t.Fatalf("%q cannot be sent: %v", u, err)
		}
		stored := strings.TrimPrefix(u.String(), u.Scheme+"://")
		if at := strings.IndexAny(stored, "/?"); at >= 0 {
			stored = stored[at:]
		} else {
			stored = ""
		}
		if !strings.HasPrefix(u.Host, "[") && host != u.Host || uri != stored && uri != "/"+stored {
			t.Errorf("%q is sent as %q to %q", u, uri, host)
		}
	})
}

// sent is the request target and the host of a request to a URL.
func sent(t *testing.T, raw string) (uri, host string, err error) {
	t.Helper()
	near, server := net.Pipe()
	client := http1.New(http1.Options{Dial: func(context.Context, string, string) (net.Conn, error) { return near, nil }})
	defer client.Close()
	got := make(chan *http.Request, 1)
	go func() {
		defer func() { _ = server.Close() }()
		req, err := http.ReadRequest(bufio.NewReader(server))
		if err != nil {
			close(got)
			return
		}
		got <- req
		_, _ = server.Write([]byte("HTTP/1.1 204 No Content\r\n\r\n"))
	}()
	plain := "http://" + strings.TrimPrefix(strings.TrimPrefix(raw, "https://"), "http://") // TLS adds nothing here
	st := newSettings(&medispatcher.Subscription{ID: "s", URLs: []string{plain}, Timeout: medispatcher.Duration(time.Minute)}, "")
	if r := attempt(t, client, &poster{}, st, &medispatcher.Delivery{}); r.err != nil {
		return "", "", r.err
	}
	r := <-got
	if r == nil {
		return "", "", net.ErrClosed
	}
	return r.RequestURI, r.Host, nil
}
