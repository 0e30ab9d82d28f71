package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"os/signal"
	"slices"
	"strconv"
	"sync"
	"syscall"
	"time"
)

// arrivals is what the receiver counted.
type arrivals struct {
	Count    int
	Last     time.Time
	P50, P99 float64 // ms from the time in the body
}

// receive is the receiver's process: it takes POSTs, and tells at /stats what came.
func receive() {
	var mu sync.Mutex
	var count int
	var last time.Time
	latencies := make([]float64, 0, 1<<20)
	mux := http.NewServeMux()
	mux.HandleFunc("GET /stats", func(w http.ResponseWriter, _ *http.Request) {
		mu.Lock()
		s := slices.Sorted(slices.Values(latencies))
		a := arrivals{Count: count, Last: last}
		mu.Unlock()
		if len(s) > 0 {
			a.P50, a.P99 = s[len(s)/2], s[len(s)*99/100]
		}
		_ = json.NewEncoder(w).Encode(a)
	})
	mux.HandleFunc("POST /", func(w http.ResponseWriter, r *http.Request) {
		var head [20]byte
		_, err := io.ReadFull(r.Body, head[:])
		_, _ = io.Copy(io.Discard, r.Body)
		now := time.Now()
		mu.Lock()
		defer mu.Unlock()
		count++
		last = now
		if at, parseErr := strconv.ParseInt(string(head[:]), 10, 64); err == nil && parseErr == nil {
			latencies = append(latencies, float64(now.UnixNano()-at)/1e6)
		}
		w.WriteHeader(http.StatusOK)
	})
	l, err := net.Listen("tcp", os.Args[2]) //nolint:noctx // lives as long as the process
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	stop := make(chan os.Signal, 1)
	signal.Notify(stop, syscall.SIGTERM)
	go func() { <-stop; os.Exit(0) }()
	fmt.Println("receiving")
	_ = http.Serve(l, mux) //nolint:gosec // a benchmark on the loopback
}

type receiverProcess struct {
	*process
	addr string
}

func startReceiver(ctx context.Context) (*receiverProcess, error) {
	self, err := os.Executable()
	if err != nil {
		return nil, err
	}
	addr := freeAddr()
	p, err := start(ctx, exec.CommandContext(ctx, self, "receive", addr), "receiving")
	return &receiverProcess{p, addr}, err
}

// wait waits until so many messages arrived.
func (r *receiverProcess) wait(ctx context.Context, want int) (a arrivals, err error) {
	deadline := time.Now().Add(2 * time.Minute)
	for {
		if a, err = r.stats(ctx); err != nil || a.Count >= want {
			return a, err
		}
		if time.Now().After(deadline) {
			return a, fmt.Errorf("only %d of %d messages arrived", a.Count, want)
		}
		time.Sleep(20 * time.Millisecond)
	}
}

func (r *receiverProcess) stats(ctx context.Context) (a arrivals, err error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+r.addr+"/stats", nil)
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
