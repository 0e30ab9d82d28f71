package main

import (
	"context"
	"crypto/tls"
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"os"
	"strings"

	"golang.org/x/sync/errgroup"

	"github.com/solate/medispatcher/bench/internal/proc"
	"github.com/solate/medispatcher/cmd/medispatcher/loadtest"
)

// arrivals is what the receiver counted.
type arrivals struct {
	loadtest.Arrivals
	Latency loadtest.Latency
}

// receive accepts requests. At a second address it reports what came. It is what people have: a plain
// handler of net/http that reads the body and answers.
func receive(l load) error {
	worker := loadtest.NewReceiver(l.Run, l.Plan, l.Began)
	asked := http.NewServeMux()
	asked.HandleFunc("GET /stats", func(w http.ResponseWriter, _ *http.Request) {
		_ = json.NewEncoder(w).Encode(arrivals{worker.Count(), worker.Latency()})
	})
	asked.HandleFunc("POST /forget", func(http.ResponseWriter, *http.Request) { worker.ForgetLatency() })
	mux := http.NewServeMux()
	mux.Handle("POST /", worker)
	mux.HandleFunc("POST /alert", func(http.ResponseWriter, *http.Request) {})

	scheme := "http"
	server := &http.Server{Handler: mux} //nolint:gosec // a benchmark on the loopback
	if l.Cert != "" {
		scheme = "https"
		server.TLSNextProto = map[string]func(*http.Server, *tls.Conn, http.Handler){} // no HTTP/2: all speak the same
	}
	work, err := net.Listen("tcp", "127.0.0.1:0") //nolint:noctx // lives as long as the process
	if err != nil {
		return err
	}
	ask, err := net.Listen("tcp", "127.0.0.1:0") //nolint:noctx // as above
	if err != nil {
		return err
	}
	fmt.Printf("receiving %s://%s http://%s\n", scheme, work.Addr(), ask.Addr())
	var g errgroup.Group
	g.Go(func() error { return http.Serve(ask, asked) }) //nolint:gosec // a benchmark on the loopback
	g.Go(func() error {
		if l.Cert != "" {
			return server.ServeTLS(work, l.Cert, l.Key)
		}
		return server.Serve(work)
	})
	return g.Wait()
}

// receiver is a running receiver process.
type receiver struct {
	*proc.Process
	work, ask string // URLs
}

func startReceiver(ctx context.Context, l load) (*receiver, error) {
	self, err := os.Executable()
	if err != nil {
		return nil, err
	}
	p, err := proc.Start(ctx, l.child(ctx, self, "receive"), "receiving ")
	if err != nil {
		return nil, err
	}
	urls := strings.Fields(p.ReadyLine())
	return &receiver{p, urls[1], urls[2]}, nil
}

func (r *receiver) stats(ctx context.Context) (a arrivals, err error) {
	resp, err := r.request(ctx, http.MethodGet, "/stats")
	if err != nil {
		return a, err
	}
	defer func() { _ = resp.Body.Close() }()
	return a, json.NewDecoder(resp.Body).Decode(&a)
}

func (r *receiver) forgetLatency(ctx context.Context) error {
	resp, err := r.request(ctx, http.MethodPost, "/forget")
	if err != nil {
		return err
	}
	return resp.Body.Close()
}

func (r *receiver) request(ctx context.Context, method, path string) (*http.Response, error) {
	req, err := http.NewRequestWithContext(ctx, method, r.ask+path, nil)
	if err != nil {
		return nil, err
	}
	return http.DefaultClient.Do(req)
}
