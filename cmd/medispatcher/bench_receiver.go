package main

import (
	"io"
	"math/rand/v2"
	"net/http"
	"path"
	"sync"
	"time"

	"github.com/solate/medispatcher"
)

// benchReceiver is the worker of a load test: it counts what arrives.
type benchReceiver struct {
	run     string
	index   map[string]int // subscription → number
	began   time.Time
	delay   time.Duration
	fail    int           // percent
	closing chan struct{} // closed: answer at once, and well

	mu   sync.Mutex
	seen []uint64 // a bit for each message of each subscription
	benchArrivals
	latency latencies
}

// benchArrivals is what arrived.
type benchArrivals struct {
	arrived    int64 // messages at subscriptions, each once
	duplicates int64
	failed     int64 // answers
	last       time.Duration
}

func newBenchReceiver(run medispatcher.BenchRun, f benchFlags) *benchReceiver {
	r := &benchReceiver{
		run: run.Run, index: map[string]int{}, began: time.Now(), delay: f.delay, fail: f.fail, closing: make(chan struct{}),
		seen: make([]uint64, (f.messages*f.subscribers+63)/64),
	}
	for i, id := range run.IDs() {
		r.index[id] = i
	}
	return r
}

// ServeHTTP takes a push.
func (r *benchReceiver) ServeHTTP(w http.ResponseWriter, req *http.Request) {
	var head [benchHead]byte
	_, err := io.ReadFull(req.Body, head[:])
	at := time.Since(r.began)
	if err == nil {
		_, err = io.Copy(io.Discard, req.Body)
	}
	sub, known := r.index[path.Base(req.URL.Path)]
	n, sent, ok := readBenchBody(head[:], r.run)
	place := n*len(r.index) + sub
	if err != nil || !known || !ok || place >= 64*len(r.seen) {
		http.Error(w, "not a message of this load test", http.StatusNotFound)
		return
	}
	fail := r.fail > 0 && rand.IntN(100) < r.fail //nolint:gosec // a load test
	if r.delay > 0 {
		t := time.NewTimer(r.delay)
		defer t.Stop()
		select {
		case <-t.C:
		case <-r.closing:
		case <-req.Context().Done(): // the dispatcher waits no longer
		}
	}
	select {
	case <-r.closing:
		fail = false
	default:
	}
	r.note(place, at, sent, fail)
	if fail {
		http.Error(w, "bench --fail", http.StatusInternalServerError)
		return
	}
	w.WriteHeader(http.StatusNoContent)
}

// note counts an attempt that came at a time.
func (r *benchReceiver) note(place int, at, sent time.Duration, fail bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	word, bit := place/64, uint64(1)<<(place%64)
	switch {
	case fail:
		r.failed++
	case r.seen[word]&bit != 0:
		r.duplicates++
	default:
		r.seen[word] |= bit
		r.arrived++
		r.last = max(r.last, at)
		r.latency.add(at - sent)
	}
}

func (r *benchReceiver) count() benchArrivals {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.benchArrivals
}

// quantiles of the time from publishing to the arrival of the attempt that was taken.
func (r *benchReceiver) quantiles() benchLatency {
	r.mu.Lock()
	defer r.mu.Unlock()
	ms := func(d time.Duration) float64 { return float64(d.Microseconds()) / 1000 }
	return benchLatency{
		ms(r.latency.quantile(0.5)), ms(r.latency.quantile(0.9)), ms(r.latency.quantile(0.99)), ms(r.latency.longest),
	}
}
