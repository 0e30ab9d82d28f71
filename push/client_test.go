package push

import (
	"bytes"
	"context"
	"errors"
	"io"
	"log"
	"maps"
	"net"
	"net/http"
	"sync"
	"testing"

	"github.com/solate/medispatcher"
	"github.com/solate/medispatcher/push/http1"
)

// roundTrip answers requests by a function.
type roundTrip func(*http.Request) (*http.Response, error)

func (f roundTrip) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

// clientOf is a client whose requests worker answers: what a dispatcher uses, with pipes to an HTTP server in place of the
// network. An error of worker breaks the connection. dial, where given, makes something of each new connection, or refuses it.
func clientOf(t testing.TB, worker http.RoundTripper, dial ...func(addr string, c net.Conn) (net.Conn, error)) *http1.Client {
	t.Helper()
	ln := &pipes{conns: make(chan net.Conn), closed: make(chan struct{})}
	srv := &http.Server{Handler: handlerOf(worker), ErrorLog: log.New(io.Discard, "", 0)}
	var serving sync.WaitGroup
	serving.Go(func() { _ = srv.Serve(ln) })
	client := http1.New(http1.Options{MaxIdlePerHost: 1000, Dial: func(_ context.Context, _, addr string) (net.Conn, error) {
		client, server := net.Pipe()
		conn := net.Conn(client)
		for _, f := range dial {
			var err error
			if conn, err = f(addr, conn); err != nil {
				return nil, err
			}
		}
		select {
		case ln.conns <- server:
			return conn, nil
		case <-ln.closed:
			return nil, net.ErrClosed
		}
	}})
	t.Cleanup(func() {
		client.Close()
		_ = srv.Close()
		serving.Wait()
	})
	return client
}

// handlerOf has worker answer the requests of a server.
func handlerOf(worker http.RoundTripper) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body) // the server sees that a client has left once it has the whole body
		if err != nil {
			panic(http.ErrAbortHandler)
		}
		r.Body = io.NopCloser(bytes.NewReader(body))
		r.URL.Scheme, r.URL.Host = "http", r.Host
		resp, err := worker.RoundTrip(r)
		if err != nil {
			panic(http.ErrAbortHandler)
		}
		defer resp.Body.Close()
		maps.Copy(w.Header(), resp.Header)
		w.WriteHeader(resp.StatusCode)
		_, _ = io.Copy(w, resp.Body)
	}
}

// pipes is a listener for connections that are made here.
type pipes struct {
	conns  chan net.Conn
	once   sync.Once
	closed chan struct{}
}

func (p *pipes) Accept() (net.Conn, error) {
	select {
	case c := <-p.conns:
		return c, nil
	case <-p.closed:
		return nil, net.ErrClosed
	}
}

func (p *pipes) Close() error { p.once.Do(func() { close(p.closed) }); return nil }

func (p *pipes) Addr() net.Addr { return &net.UnixAddr{Name: "pipes"} }

// refusing is a client that cannot connect.
func refusing(t testing.TB, err error) *http1.Client {
	t.Helper()
	return clientOf(t, nil, func(string, net.Conn) (net.Conn, error) { return nil, err })
}

var errRefused = errors.New("connection refused")

// attempt makes one attempt with a sender of its own.
func attempt(t testing.TB, client *http1.Client, p *poster, st *settings, d *medispatcher.Delivery) result {
	t.Helper()
	snd := client.Sender(t.Context())
	defer snd.Release()
	return p.attempt(snd, st, d, false)
}
