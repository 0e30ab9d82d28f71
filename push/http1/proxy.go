package http1

import (
	"bufio"
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"strings"
)

// maxProxyAnswer bounds the header with which a proxy answers CONNECT, in bytes.
const maxProxyAnswer = 16 << 10

// CheckProxy says what is wrong with the URL of a proxy. It never quotes the URL, which may hold a password.
func CheckProxy(raw string) (*url.URL, error) {
	u, err := url.Parse(raw)
	if err != nil || u.Scheme != "http" || u.Hostname() == "" || u.Port() == "" || strings.Trim(u.Path, "/") != "" || u.RawQuery != "" || u.Fragment != "" {
		return nil, fmt.Errorf("is not the URL of a proxy; write http://host:port or http://user:password@host:port")
	}
	return u, nil
}

// ProxyError is why a proxy opened no tunnel.
type ProxyError struct {
	Addr string
	// Own tells that the proxy is at fault, whoever the server is: it cannot be reached, or does not know who asks. A proxy that does not
	// answer in time, or not by HTTP, may be waiting for the server.
	Own bool
	err error
}

// Error implements error.
func (e *ProxyError) Error() string { return "proxy " + e.Addr + ": " + e.err.Error() }

// Unwrap returns the cause.
func (e *ProxyError) Unwrap() error { return e.err }

// dialProxy opens a tunnel to addr through the proxy. The guard judges an address that is written in addr. A name is
// resolved by the proxy, and what it may stand for is the proxy's to judge.
func (cl *Client) dialProxy(ctx context.Context, addr string) (net.Conn, error) {
	proxy := cl.opts.Proxy
	host, _, err := net.SplitHostPort(addr)
	if err != nil {
		return nil, err
	}
	if ip, err := netip.ParseAddr(host); err == nil && cl.opts.Guard != nil {
		if err := cl.opts.Guard.check(ip); err != nil {
			return nil, err
		}
	}
	d := net.Dialer{KeepAliveConfig: keepAlive}
	raw, err := cl.dialHost(ctx, &d, proxy.Host)
	if err != nil {
		return nil, &ProxyError{proxy.Host, true, fmt.Errorf("it cannot be reached: %w", err)}
	}
	// Cut the connection when ctx ends: neither write nor read asks it.
	stop := context.AfterFunc(ctx, func() { _ = raw.Close() })
	err = connect(raw, proxy, addr)
	if !stop() && err == nil {
		err = ctx.Err()
	}
	if err != nil {
		_ = raw.Close()
		if ctx.Err() != nil {
			err = ctx.Err()
		}
		return nil, &ProxyError{proxy.Host, errors.Is(err, errLogin), err}
	}
	return raw, nil
}

// errLogin means that a proxy wants to know who asks, or does not believe it.
var errLogin = errors.New("it refuses the user and password in its URL, or that there are none")

// connect asks a proxy for a tunnel.
func connect(raw net.Conn, proxy *url.URL, addr string) error {
	ask := "CONNECT " + addr + " HTTP/1.1\r\nHost: " + addr + "\r\n"
	if u := proxy.User; u != nil {
		password, _ := u.Password()
		ask += "Proxy-Authorization: Basic " + base64.StdEncoding.EncodeToString([]byte(u.Username()+":"+password)) + "\r\n"
	}
	if _, err := raw.Write([]byte(ask + "\r\n")); err != nil {
		return err
	}
	// Byte by byte: what follows the header is of the tunnel.
	one := bufio.NewReader(&single{conn: raw})
	resp, err := http.ReadResponse(one, &http.Request{Method: http.MethodConnect}) //nolint:bodyclose // what follows is the tunnel, or the connection is closed
	if err != nil {
		return fmt.Errorf("no answer to CONNECT: %w", plain(err))
	}
	why := fmt.Errorf("it answered %.100q to CONNECT", resp.Status)
	switch code := resp.StatusCode; {
	case code/100 == 2:
		return nil
	case code == http.StatusProxyAuthRequired:
		return fmt.Errorf("%w: %w", errLogin, why)
	case code == http.StatusForbidden:
		return fmt.Errorf("it does not allow this server: %w", why)
	case code == http.StatusBadGateway, code == http.StatusServiceUnavailable, code == http.StatusGatewayTimeout:
		return fmt.Errorf("it does not reach this server: %w", why)
	}
	return why
}

// single reads one byte at a time, and not more than a header may have.
type single struct {
	conn net.Conn
	n    int
}

func (s *single) Read(p []byte) (int, error) {
	if s.n++; s.n > maxProxyAnswer {
		return 0, ErrHeaderTooLarge
	}
	return s.conn.Read(p[:1])
}
