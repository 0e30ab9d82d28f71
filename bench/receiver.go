package main

import (
	"context"
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"os/signal"
	"syscall"
	"time"

	"github.com/solate/medispatcher"
	"github.com/solate/medispatcher/cmd/medispatcher/loadtest"
)

// load is what is published. The receiver process gets it as a JSON argument.
type load struct {
	Plan  loadtest.Plan
	Run   medispatcher.BenchRun
	Began time.Time
}

// arrivals is what the receiver counted.
type arrivals struct {
	loadtest.Arrivals
	Latency loadtest.Latency
}

// receive runs in the receiver process: it accepts pushes and reports at /stats what came. It is
// a separate process so that its CPU time does not count as that of the client.
func receive(addr, about string) error {
	var l load
	if err := json.Unmarshal([]byte(about), &l); err != nil {
		return err
	}
	worker := loadtest.NewReceiver(l.Run, l.Plan, l.Began)
	mux := http.NewServeMux()
	mux.HandleFunc("GET /stats", func(w http.ResponseWriter, _ *http.Request) {
		_ = json.NewEncoder(w).Encode(arrivals{worker.Count(), worker.Latency()})
	})
	mux.Handle("POST /", worker)
	listener, err := net.Listen("tcp", addr) //nolint:noctx // lives as long as the process
	if err != nil {
		return err
	}
	stop := make(chan os.Signal, 1)
	signal.Notify(stop, syscall.SIGTERM)
	go func() { <-stop; os.Exit(0) }()
	fmt.Println("receiving")
	return http.Serve(listener, mux) //nolint:gosec // a benchmark on the loopback
}

type receiverProcess struct {
	*process
	url string
}

func startReceiver(ctx context.Context, l load) (*receiverProcess, error) {
	self, err := os.Executable()
	if err != nil {
		return nil, err
	}
	about, err := json.Marshal(l)
	if err != nil {
		return nil, err
	}
	addr := freeAddr()
	p, err := start(ctx, exec.CommandContext(ctx, self, "receive", addr, string(about)), "receiving")
	return &receiverProcess{p, "http://" + addr}, err
}

// wait waits until want deliveries have arrived.
func (r *receiverProcess) wait(ctx context.Context, want int64) (a arrivals, err error) {
	deadline := time.Now().Add(2 * time.Minute)
	for {
		if a, err = r.stats(ctx); err != nil || a.Arrived >= want {
			return a, err
		}
		if time.Now().After(deadline) {
			return a, fmt.Errorf("only %d of %d deliveries arrived within two minutes", a.Arrived, want)
		}
		time.Sleep(20 * time.Millisecond)
	}
}

func (r *receiverProcess) stats(ctx context.Context) (a arrivals, err error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, r.url+"/stats", nil)
	if err != nil {
		return a, err
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return a, err
	}
	defer func() { _ = resp.Body.Close() }()
	return a, json.NewDecoder(resp.Body).Decode(&a)
}
