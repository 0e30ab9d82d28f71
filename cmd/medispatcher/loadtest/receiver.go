package loadtest

import (
	"bytes"
	"io"
	"math/rand/v2"
	"net/http"
	"path"
	"sync"
	"time"

	"github.com/solate/medispatcher"
)

// Receiver is the worker of all subscriptions of a run: it counts what arrives.
type Receiver struct {
	run     string
	index   map[string]int // subscription → number
	began   time.Time
	delay   time.Duration
	answer  []byte
	fail    int           // percent
	closing chan struct{} // closed: it answers 2xx without delay

	mu      sync.Mutex
	seen    []uint64 // a bit for each message of each subscription
	counted Arrivals
	latency latencies
}

// Arrivals is what arrived.
type Arrivals struct {
	Arrived    int64         // messages at subscriptions, each once
	Duplicates int64         // those that came again
	Failed     int64         // failures that the plan asks for
	Last       time.Duration // after the start of the run
}

// NewReceiver is the worker of a run whose publisher counts time from began, too.
func NewReceiver(run medispatcher.BenchRun, p Plan, began time.Time) *Receiver {
	r := &Receiver{
		run: run.Run, index: map[string]int{}, began: began, delay: p.Delay, fail: p.Fail, answer: []byte(p.Answer),
		closing: make(chan struct{}),
		seen:    make([]uint64, (p.Messages*p.Subscribers+63)/64),
	}
	for i, id := range run.IDs() {
		r.index[id] = i
	}
	return r
}

// Close ends delays and failures: what is under way is to end quickly, and well.
func (r *Receiver) Close() { close(r.closing) }

// ServeHTTP takes a push. The last part of the path is the id of the subscription.
func (r *Receiver) ServeHTTP(w http.ResponseWriter, req *http.Request) {
	if req.Header.Get("medis-batch") != "" {
		r.serveBatch(w, req)
		return
	}
	var head [headSize]byte
	_, err := io.ReadFull(req.Body, head[:])
	at := time.Since(r.began)
	if err == nil {
		_, err = io.Copy(io.Discard, req.Body)
	}
	sub, known := r.index[path.Base(req.URL.Path)]
	n, sent, ok := readBody(head[:], r.run)
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
	if len(r.answer) == 0 {
		w.WriteHeader(http.StatusNoContent)
		return
	}
	_, _ = w.Write(r.answer)
}

// bodyField stands before the body of a message in a batch.
var bodyField = []byte(`,"body":`)

// serveBatch takes a batch of an object a line. Its messages never fail.
func (r *Receiver) serveBatch(w http.ResponseWriter, req *http.Request) {
	body, err := io.ReadAll(req.Body)
	at := time.Since(r.began)
	sub, known := r.index[path.Base(req.URL.Path)]
	if err != nil || !known {
		http.Error(w, "not a batch of this load test", http.StatusNotFound)
		return
	}
	for line := range bytes.Lines(body) {
		_, message, _ := bytes.Cut(line, bodyField)
		n, sent, ok := readBody(message, r.run)
		if place := n*len(r.index) + sub; ok && place < 64*len(r.seen) {
			r.note(place, at, sent, false)
		}
	}
	w.WriteHeader(http.StatusNoContent)
}

// note counts an attempt. at and sent are times after the start of the run.
func (r *Receiver) note(place int, at, sent time.Duration, fail bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	word, bit := place/64, uint64(1)<<(place%64)
	switch {
	case fail:
		r.counted.Failed++
	case r.seen[word]&bit != 0:
		r.counted.Duplicates++
	default:
		r.seen[word] |= bit
		r.counted.Arrived++
		r.counted.Last = max(r.counted.Last, at)
		r.latency.add(at - sent)
	}
}

// Count is what arrived so far.
func (r *Receiver) Count() Arrivals {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.counted
}

// Latency is that of what arrived so far.
func (r *Receiver) Latency() Latency {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.latency.summary()
}

// ForgetLatency forgets that of what arrived so far.
func (r *Receiver) ForgetLatency() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.latency = latencies{}
}
