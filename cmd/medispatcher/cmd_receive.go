package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"sync/atomic"
	"time"

	"github.com/spf13/cobra"

	"github.com/solate/medispatcher/cmd/internal/cli"
	"github.com/solate/medispatcher/cmd/medispatcher/panel"
)

func (a *app) receiveCommand() *cobra.Command {
	var listen string
	cmd := &cobra.Command{
		Use:     "receive",
		GroupID: groupRun,
		Short:   "Run a sample worker that prints what it gets",
		Long: `Run a sample HTTP worker: it takes every message and prints a line for each. Subscribe
its address to see what a subscription would get.`,
		Example: `  medispatcher receive --listen 127.0.0.1:8080
  medispatcher sub put try --topic '>' --url http://127.0.0.1:8080/`,
		Args: cli.NoArgs,
		RunE: a.command(0, func(ctx context.Context, env *environment, _ []string) error {
			r, err := newReceiver(ctx, listen, env.stdout)
			if err != nil {
				return fmt.Errorf("%w; choose another address with --listen", err)
			}
			_, _ = fmt.Fprintf(env.stdout, "receiving on %s\n", r.url())
			return r.run(ctx)
		}),
	}
	cmd.Flags().StringVar(&listen, "listen", "127.0.0.1:8080", "address to listen on")
	return cmd
}

// shownBody is how much of a body the sample receiver prints, in bytes.
const shownBody = 120

// receiver is a sample worker: it takes every message and prints a line for each.
type receiver struct {
	listener net.Listener
	out      io.Writer
	count    atomic.Int64
}

// newReceiver listens at once, so that its address is known.
func newReceiver(ctx context.Context, addr string, out io.Writer) (*receiver, error) {
	l, err := listenAt(ctx, addr)
	if err != nil {
		return nil, err
	}
	return &receiver{listener: l, out: out}, nil
}

func listenAt(ctx context.Context, addr string) (net.Listener, error) {
	var lc net.ListenConfig
	l, err := lc.Listen(ctx, "tcp", addr)
	if err != nil {
		return nil, fmt.Errorf("cannot listen on %s: %w", addr, err)
	}
	return l, nil
}

func (r *receiver) url() string { return "http://" + r.listener.Addr().String() + "/" }

// run serves until ctx ends.
func (r *receiver) run(ctx context.Context) error { return serveUntil(ctx, r.listener, r) }

// serveUntil serves until ctx ends. Requests under way have a second more.
func serveUntil(ctx context.Context, l net.Listener, h http.Handler) error {
	server := panel.Server("", h)
	stop := context.AfterFunc(ctx, func() {
		last, cancel := context.WithTimeout(context.WithoutCancel(ctx), time.Second)
		defer cancel()
		_ = server.Shutdown(last)
	})
	defer stop()
	if err := server.Serve(l); !errors.Is(err, http.ErrServerClosed) {
		return err
	}
	return nil
}

// ServeHTTP takes a push.
func (r *receiver) ServeHTTP(w http.ResponseWriter, req *http.Request) {
	body, err := io.ReadAll(http.MaxBytesReader(w, req.Body, 512<<20))
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	shown := body[:min(len(body), shownBody)]
	more := ""
	if len(shown) < len(body) {
		more = "…"
	}
	h := req.Header
	_, _ = fmt.Fprintf(r.out, "received #%d  %s  %s  attempt %s  %d bytes  %s%s\n", r.count.Add(1),
		cli.Clean(h.Get("medis-topic")), cli.Clean(h.Get("webhook-id")), cli.Clean(h.Get("medis-attempt")), len(body), cli.Clean(string(shown)), more)
	w.WriteHeader(http.StatusNoContent)
}
