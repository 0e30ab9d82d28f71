package push

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
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

// clientOf is a client whose requests worker answers: what a dispatcher uses, with pipes in place of the network. An error of
// worker breaks the connection. dial, where given, makes something of each new connection, or refuses it.
func clientOf(t testing.TB, worker http.RoundTripper, dial ...func(addr string, c net.Conn) (net.Conn, error)) *http1.Client {
	t.Helper()
	var serving sync.WaitGroup
	client := http1.New(http1.Options{MaxIdlePerHost: 1000, Dial: func(_ context.Context, _, addr string) (conn net.Conn, err error) {
		conn, server := net.Pipe()
		for _, f := range dial {
			if conn, err = f(addr, conn); err != nil {
				return nil, err
			}
		}
		serving.Go(func() { serve(server, worker) })
		return conn, nil
	}})
	t.Cleanup(func() {
		client.Close()
		serving.Wait()
	})
	return client
}

// serve has worker answer the requests of a connection. The context of a request ends when the client leaves.
func serve(conn net.Conn, worker http.RoundTripper) {
	defer conn.Close()
	in := bufio.NewReader(conn)
	for {
		r, err := http.ReadRequest(in)
		if err != nil {
			return
		}
		body := make([]byte, r.ContentLength)
		if _, err := io.ReadFull(r.Body, body); err != nil {
			return
		}
		r.Body = io.NopCloser(bytes.NewReader(body))
		r.URL.Scheme, r.URL.Host = "http", r.Host
		ctx, leave := context.WithCancel(context.Background())
		next := make(chan struct{}) // the next request begins, or the client left
		go func() {
			defer close(next)
			if _, err := in.Peek(1); err != nil {
				leave()
			}
		}()
		if resp, err := worker.RoundTrip(r.WithContext(ctx)); err == nil {
			_, _ = conn.Write(wireOf(resp))
		} else {
			conn.Close()
		}
		<-next
		leave()
	}
}

// wireOf is an answer as a worker sends it.
func wireOf(resp *http.Response) []byte {
	defer resp.Body.Close()
	var b bytes.Buffer
	fmt.Fprintf(&b, "HTTP/1.1 %d Status\r\n", resp.StatusCode)
	_ = resp.Header.Write(&b)
	if resp.StatusCode == http.StatusNoContent || resp.StatusCode == http.StatusNotModified {
		b.WriteString("\r\n")
		return b.Bytes()
	}
	body, _ := io.ReadAll(resp.Body)
	fmt.Fprintf(&b, "Content-Length: %d\r\n\r\n%s", len(body), body)
	return b.Bytes()
}

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
	return p.attempt(snd, st, d, &permit{})
}
