package http1_test

import (
	"bufio"
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"io"
	"net"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/solate/medispatcher/push/http1"
)

// testCert returns a certificate for 127.0.0.1 and example.com, and a pool
// that trusts it.
func testCert(t *testing.T) (tls.Certificate, *x509.CertPool) {
	t.Helper()
	srv := httptest.NewTLSServer(nil)
	defer srv.Close()
	roots := x509.NewCertPool()
	roots.AddCert(srv.Certificate())
	return srv.TLS.Certificates[0], roots
}

// overTLS returns a handler that speaks TLS under handle.
func overTLS(cfg *tls.Config, handle func(net.Conn, int)) func(net.Conn, int) {
	return func(c net.Conn, n int) {
		tc := tls.Server(c, cfg)
		if tc.Handshake() == nil {
			handle(tc, n)
			tc.Close()
		}
	}
}

func TestTLS(t *testing.T) {
	t.Parallel()
	cert, roots := testCert(t)
	for _, version := range []uint16{tls.VersionTLS12, tls.VersionTLS13} {
		t.Run(tls.VersionName(version), func(t *testing.T) {
			protos := make(chan string, 9)
			cfg := &tls.Config{
				Certificates: []tls.Certificate{cert}, MinVersion: version, MaxVersion: version, NextProtos: []string{"h2", "http/1.1"},
				VerifyConnection: func(cs tls.ConnectionState) error {
					protos <- cs.NegotiatedProtocol
					return nil
				},
			}
			s := serve(t, overTLS(cfg, echo))
			tr := newClient(t, http1.Options{TLSConfig: &tls.Config{RootCAs: roots}})
			for _, body := range []string{"a", "b", strings.Repeat("c", 300<<10), "d"} {
				if _, got := post(t, tr, "https://"+s.addr, body); got != body {
					t.Errorf("%d bytes, want %d", len(got), len(body))
				}
			}
			wantConns(t, s, 1)
			if got := wait(t, protos, "handshake"); got != "http/1.1" {
				t.Errorf("ALPN %q", got)
			}
		})
	}
}

// TestRootsChange: the authorities are asked for each handshake.
func TestRootsChange(t *testing.T) {
	t.Parallel()
	cert, roots := testCert(t)
	s := serve(t, overTLS(&tls.Config{Certificates: []tls.Certificate{cert}}, echo))
	var now atomic.Pointer[x509.CertPool]
	now.Store(x509.NewCertPool())
	client := newClient(t, http1.Options{Roots: now.Load})
	err := mustFail(t, client, newRequest(t, "https://"+s.addr, "x"))
	if _, unknown := errors.AsType[x509.UnknownAuthorityError](err); !unknown {
		t.Errorf("not trusted yet: %v", err)
	}
	now.Store(roots)
	if _, got := post(t, client, "https://"+s.addr, "a"); got != "a" {
		t.Errorf("trusted: %q", got)
	}
}

func TestTLSRefused(t *testing.T) {
	t.Parallel()
	cert, roots := testCert(t)
	s := serve(t, overTLS(&tls.Config{Certificates: []tls.Certificate{cert}}, echo))
	old := serve(t, overTLS(&tls.Config{Certificates: []tls.Certificate{cert}, MinVersion: tls.VersionTLS10, MaxVersion: tls.VersionTLS11}, echo))
	plain := serve(t, once(okReply))
	trusting := &tls.Config{RootCAs: roots, MinVersion: tls.VersionTLS10}

	err := mustFail(t, newClient(t, http1.Options{}), newRequest(t, "https://"+s.addr, "x"))
	if _, unknown := errors.AsType[x509.UnknownAuthorityError](err); !unknown {
		t.Errorf("untrusted: %v", err)
	}

	wrong := newClient(t, http1.Options{TLSConfig: trusting, Dial: func(ctx context.Context, network, _ string) (net.Conn, error) {
		return (&net.Dialer{}).DialContext(ctx, network, s.addr)
	}})
	var host x509.HostnameError
	if err := mustFail(t, wrong, newRequest(t, "https://wrong.test/", "x")); !errors.As(err, &host) {
		t.Errorf("wrong name: %v", err)
	}
	if _, got := post(t, wrong, "https://example.com/", "x"); got != "x" {
		t.Errorf("right name: %q", got)
	}

	tr := newClient(t, http1.Options{TLSConfig: trusting})
	if err := mustFail(t, tr, newRequest(t, "https://"+old.addr, "x")); http1.PhaseOf(err) != http1.PhaseTLS {
		t.Errorf("TLS 1.1: %v", err)
	}
	mustFail(t, tr, newRequest(t, "https://"+plain.addr, "x"))
	if tr.Live() != 0 {
		t.Error("connection left open")
	}
}

// TestTLSStale has the server say goodbye between requests: in the segment of
// the response, where only crypto/tls sees it, and after.
func TestTLSStale(t *testing.T) {
	t.Parallel()
	cert, roots := testCert(t)
	for name, parting := range map[string]string{"close": "", "evil": okReply} {
		for _, together := range []bool{true, false} {
			t.Run(name, func(t *testing.T) {
				left, leave := make(chan struct{}, 9), make(chan struct{}, 9)
				s := serve(t, func(c net.Conn, _ int) {
					cork := &corkedConn{Conn: c}
					tc := tls.Server(cork, &tls.Config{Certificates: []tls.Certificate{cert}})
					if req, _ := readRequest(bufio.NewReader(tc)); req == nil {
						return
					}
					cork.corked = together
					io.WriteString(tc, okReply)
					if !together {
						<-leave
					}
					if parting != "" {
						io.WriteString(tc, parting)
					} else {
						tc.CloseWrite()
					}
					cork.flush()
					left <- struct{}{}
					io.Copy(io.Discard, c)
				})
				var writes atomic.Int32
				tr := newClient(t, http1.Options{TLSConfig: &tls.Config{RootCAs: roots}, Dial: counting(&writes)})
				for range 3 {
					post(t, tr, "https://"+s.addr, "x")
					leave <- struct{}{}
					wait(t, left, "server to leave")
				}
				wantConns(t, s, 3)
				// Two writes for a handshake, one for a request.
				if n := writes.Load(); n != 9 {
					t.Errorf("%d writes, want 9: dead connections were used", n)
				}
			})
		}
	}
}

// corkedConn holds back what is written while corked.
type corkedConn struct {
	net.Conn
	corked bool
	held   bytes.Buffer
}

func (c *corkedConn) Write(p []byte) (int, error) {
	if c.corked {
		return c.held.Write(p)
	}
	return c.Conn.Write(p)
}

// flush writes what was held back.
func (c *corkedConn) flush() {
	c.corked = false
	c.Conn.SetWriteDeadline(time.Time{}) // tls.Conn.CloseWrite sets a past one
	c.Conn.Write(c.held.Bytes())
	c.held.Reset()
}

// TestTLSConfigKept checks that the caller's configuration is not changed.
func TestTLSConfigKept(t *testing.T) {
	t.Parallel()
	cfg := &tls.Config{NextProtos: []string{"h2"}}
	newClient(t, http1.Options{TLSConfig: cfg})
	if cfg.MinVersion != 0 || cfg.NextProtos[0] != "h2" || cfg.ClientSessionCache != nil {
		t.Errorf("changed: %+v", cfg)
	}
}
