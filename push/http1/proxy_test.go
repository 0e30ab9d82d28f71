package http1_test

import (
	"bufio"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/solate/medispatcher/push/http1"
)

// proxy is one that opens tunnels, to where names say, and answers answer instead if that is set.
func proxy(t *testing.T, names map[string]string, answer string) (*url.URL, *atomic.Pointer[http.Header]) {
	t.Helper()
	var asked atomic.Pointer[http.Header]
	s := serve(t, func(c net.Conn, _ int) {
		in := bufio.NewReader(c)
		req, err := http.ReadRequest(in)
		if err != nil || req.Method != http.MethodConnect {
			return
		}
		h := req.Header.Clone()
		h.Set("Connect", req.RequestURI)
		asked.Store(&h)
		if answer != "" {
			_, _ = io.WriteString(c, answer)
			return
		}
		to := req.RequestURI
		if other, known := names[to]; known {
			to = other
		}
		up, err := (&net.Dialer{}).DialContext(t.Context(), "tcp", to)
		if err != nil {
			_, _ = io.WriteString(c, "HTTP/1.1 502 Bad Gateway\r\n\r\n")
			return
		}
		defer up.Close()
		_, _ = io.WriteString(c, "HTTP/1.1 200 Connection established\r\nX: y\r\n\r\n")
		go func() { _, _ = io.Copy(up, in); up.Close() }()
		_, _ = io.Copy(c, up)
	})
	u, err := http1.CheckProxy("http://ann:p%40ss@" + s.addr)
	if err != nil {
		t.Fatal(err)
	}
	return u, &asked
}

func TestProxy(t *testing.T) {
	t.Parallel()
	cert, roots := testCert(t)
	plain := serve(t, echo)
	secure := serve(t, overTLS(&tls.Config{Certificates: []tls.Certificate{cert}}, echo))
	to, asked := proxy(t, map[string]string{"example.com:443": secure.addr, "worker.test:80": plain.addr}, "")
	cl := newClient(t, http1.Options{Proxy: to, TLSConfig: &tls.Config{RootCAs: roots}, Guard: http1.NewGuard(nil)})
	for _, url := range []string{"http://worker.test/", "https://example.com/"} { // names that only the proxy can resolve
		for _, body := range []string{"a", strings.Repeat("b", 300<<10)} {
			if _, got := post(t, cl, url, body); got != body {
				t.Errorf("%s: %d bytes, want %d", url, len(got), len(body))
			}
		}
	}
	if h := *asked.Load(); h.Get("Proxy-Authorization") != "Basic YW5uOnBAc3M=" || h.Get("Connect") != "example.com:443" {
		t.Errorf("asked with %v", h)
	}
	wantConns(t, plain, 1)

	// An address that stands in the URL is judged here, a name by the proxy.
	guarded := newClient(t, http1.Options{Proxy: to, Guard: http1.NewGuard([]netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")})})
	if err := mustFail(t, guarded, newRequest(t, "http://127.0.0.1:1/", "x")); !errors.Is(err, http1.ErrDenied) {
		t.Errorf("a denied address: %v", err)
	}
}

func TestProxyRefuses(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		answer, says string
		own          bool
	}{
		"forbidden":   {"HTTP/1.1 403 Forbidden\r\n\r\n", `it does not allow this server: it answered "403 Forbidden" to CONNECT`, false},
		"unreachable": {"HTTP/1.1 502 Bad Gateway\r\n\r\n", `it does not reach this server: it answered "502 Bad Gateway" to CONNECT`, false},
		"no HTTP":     {"SSH-2.0-OpenSSH\r\n\r\n", "no answer to CONNECT", false},
		"an endless":  {"HTTP/1.1 200 OK\r\nX: " + strings.Repeat("x", 100<<10), "no answer to CONNECT", false},
		"broken off":  {"HTTP/1.1 200", "no answer to CONNECT", false},
		"proxy login": {"HTTP/1.1 407 Proxy Authentication Required\r\n\r\n", "it refuses the user and password in its URL, or that there are none: it answered \"407 Proxy", true},
		"away":        {"", "it cannot be reached: ", true},
	} {
		to, _ := proxy(t, nil, test.answer)
		if test.answer == "" {
			to.Host = closedPort(t)
		}
		cl := newClient(t, http1.Options{Proxy: to})
		err := mustFail(t, cl, newRequest(t, "http://worker.test/", "x"))
		if http1.PhaseOf(err) != http1.PhaseConnect || !strings.Contains(err.Error(), test.says) || strings.Contains(err.Error(), "p@ss") || !strings.Contains(err.Error(), "proxy "+to.Host) {
			t.Errorf("%s: %v", name, err)
		}
		if via, ok := errors.AsType[*http1.ProxyError](err); !ok || via.Own != test.own || via.Addr != to.Host {
			t.Errorf("%s: %+v", name, via)
		}
		if cl.Live() != 0 {
			t.Errorf("%s: a connection is left", name)
		}
	}
	for _, bad := range []string{"", "proxy:3128", "https://h:1", "http://h", "http://h:1/x", "http://h:1?x", "socks5://h:1", "http://u:hush@h"} {
		if _, err := http1.CheckProxy(bad); err == nil || strings.Contains(err.Error(), "hush") {
			t.Errorf("%q: %v", bad, err)
		}
	}
}

// closedPort is an address at which nobody listens.
func closedPort(t *testing.T) string {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	return ln.Addr().String()
}
