package main

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/solate/medispatcher"
	"github.com/solate/medispatcher/bench/internal/proc"
	"github.com/solate/medispatcher/streams"
)

// manyDispatchers is the most dispatchers of the row.
const manyDispatchers = 32

var dispatchers = row{"dispatchers", "one Redis, and 1 to 32 dispatchers", func(ctx context.Context, s *site) ([]figure, error) {
	var figures []figure
	var one herd
	for _, n := range []int{1, 2, 8, manyDispatchers} {
		h, err := measureHerd(ctx, s, n)
		if err != nil {
			return nil, fmt.Errorf("%d dispatchers: %w", n, err)
		}
		if n == 1 {
			one = h
		}
		figures = append(figures, h.figures(n, &one)...)
		s.stop()
		s.running = nil
	}
	return figures, nil
}}

const (
	lightSubs     = 20
	lightRate     = 200 // messages a second
	lightFor      = 10 * time.Second
	largeRate     = 50
	largeFor      = 5 * time.Second
	largeBody     = 100 << 10 // the step that copies it leaves it to a read
	herdIdleFor   = 20 * time.Second
	herdSettles   = 8 * time.Second // until all have heard of all, and every sweep of the start is over
	busyAnswer    = 200 * time.Millisecond
	busySlots     = 4
	busyFor       = 4 * time.Second // what all slots together need for the burst
	herdPatience  = time.Minute
	perDispatcher = int(busyFor/busyAnswer) * busySlots // messages of the burst
)

// herd is what was measured of some dispatchers.
type herd struct {
	idle     float64 // commands a second and dispatcher
	idleCPU  float64 // % of a core of all dispatchers and Redis
	light    float64 // commands a delivery, where each subscription has time
	p50, p99 time.Duration
	large    float64 // commands a delivery of large messages
	busy     float64 // commands a delivery of one subscription that needs all slots
	share    float64 // of the rate that the slots of all dispatchers allow
}

func (h *herd) figures(n int, one *herd) []figure {
	of := func(what string) string { return fmt.Sprintf("%d: %s", n, what) }
	list := []figure{
		{what: of("idle commands of a dispatcher"), value: h.idle, unit: "/s", most: 1.2 * one.idle},
		{what: of("idle CPU of all"), value: h.idleCPU, unit: "% of a core"},
		{what: of("commands a delivery"), value: h.light, unit: "", most: 1.2 * one.light},
		{what: of("from XADD to the worker, p50"), value: ms(h.p50), unit: "ms", most: 2},
		{what: of("from XADD to the worker, p99"), value: ms(h.p99), unit: "ms"},
		{what: of("commands a delivery of 100 KiB"), value: h.large, unit: "", most: 1.2 * one.large},
		{what: of("commands a delivery, one busy subscription"), value: h.busy, unit: "", most: 1.2 * one.busy},
		{what: of("of the rate that all slots allow"), value: h.share, unit: "", least: 0.8},
	}
	return list
}

func ms(d time.Duration) float64 { return float64(d.Microseconds()) / 1000 }

func measureHerd(ctx context.Context, s *site, n int) (h herd, err error) {
	if err := s.startRedis(ctx); err != nil {
		return h, err
	}
	store, err := s.open(1)
	if err != nil {
		return h, err
	}
	defer func() { _ = store.Close() }()
	w, err := startWorker(ctx)
	if err != nil {
		return h, err
	}
	defer w.stop()
	if err := s.subscribe(ctx, store, lightSubs, w.url, busySlots); err != nil {
		return h, err
	}
	var all []*proc.Process
	for range n {
		p, err := s.serve(ctx, s.addr, 1)
		if err != nil {
			return h, err
		}
		all = append(all, p)
	}
	// Every channel was used before, by somebody.
	if _, err := w.light(ctx, store, lightRate, time.Second, 0); err != nil {
		return h, err
	}
	if err := pause(ctx, herdSettles); err != nil {
		return h, err
	}
	cpu := func() (sum time.Duration) {
		for _, p := range append([]*proc.Process{s.redis}, all...) {
			u, _ := p.Used() // of a process that ended; the deliveries will tell
			sum += u.CPU
		}
		return sum
	}

	c := counter{s: s}
	used := cpu()
	if err := pause(c.begin(ctx), herdIdleFor); err != nil {
		return h, err
	}
	perSecond := c.end(ctx) / herdIdleFor.Seconds()
	h.idleCPU = 100 * (cpu() - used).Seconds() / herdIdleFor.Seconds()
	h.idle = perSecond / float64(n)

	began := time.Now()
	each := func(deliveries int) float64 {
		n := (c.end(ctx) - perSecond*time.Since(began).Seconds()) / float64(deliveries)
		tellMost(c, deliveries)
		began = time.Now()
		return n
	}
	took, err := w.light(c.begin(ctx), store, lightRate, lightFor, 0)
	if err != nil {
		return h, err
	}
	h.light = each(len(took))
	slices.Sort(took)
	h.p50, h.p99 = took[len(took)/2], took[len(took)*99/100]
	if took, err = w.light(c.begin(ctx), store, largeRate, largeFor, largeBody); err != nil {
		return h, err
	}
	h.large = each(len(took))

	w.setAnswer(busyAnswer)
	messages := n * perDispatcher
	if err := w.burst(c.begin(ctx), store, messages); err != nil {
		return h, err
	}
	spent := w.last.Sub(began) + busyAnswer
	h.busy = each(messages)
	h.share = busyFor.Seconds() / spent.Seconds()
	return h, c.err
}

// counter counts commands.
type counter struct {
	s             *site
	before, after map[string]int64
	err           error
}

func (c *counter) begin(ctx context.Context) context.Context {
	c.before, c.err = c.s.commands(ctx)
	return ctx
}

// end is how many there were since begin.
func (c *counter) end(ctx context.Context) float64 {
	c.after, c.err = c.s.commands(ctx)
	return float64(total(c.after) - total(c.before))
}

func tellMost(c counter, deliveries int) {
	for name, n := range c.after {
		if each := float64(n-c.before[name]) / float64(deliveries); each >= 0.05 {
			fmt.Fprintf(os.Stderr, "    %-20s %.2f a delivery\n", name, each)
		}
	}
}

// worker is a subscriber that notes when each message came. The body of a message is its number.
type worker struct {
	url    string
	server *http.Server

	mu     sync.Mutex
	answer time.Duration
	came   map[int]time.Time
	last   time.Time
	news   chan struct{}
	next   int
}

func startWorker(ctx context.Context) (*worker, error) {
	w := &worker{came: map[int]time.Time{}, news: make(chan struct{}, 1)}
	l, err := (&net.ListenConfig{}).Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	w.url = "http://" + l.Addr().String() + "/"
	w.server = &http.Server{Handler: w} //nolint:gosec // a benchmark on the loopback
	go func() { _ = w.server.Serve(l) }()
	return w, nil
}

func (w *worker) stop() { _ = w.server.Close() }

func (w *worker) setAnswer(after time.Duration) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.answer = after
}

func (w *worker) ServeHTTP(_ http.ResponseWriter, r *http.Request) {
	at := time.Now()
	body, _ := io.ReadAll(r.Body)
	n, _ := strconv.Atoi(strings.TrimSpace(string(body)))
	w.mu.Lock()
	if _, again := w.came[n]; !again {
		w.came[n], w.last = at, at
	}
	answer := w.answer
	w.mu.Unlock()
	select {
	case w.news <- struct{}{}:
	default:
	}
	time.Sleep(answer)
}

// message is the next one to the subscription with this number.
func (w *worker) message(sub, size int) medispatcher.Message {
	w.next++
	return medispatcher.Message{Topic: fmt.Sprintf("topic.%d", sub), Body: fmt.Appendf(nil, "%-*d", size, w.next)}
}

// light publishes messages one by one, each to the next subscription, and returns how long each was on its way.
func (w *worker) light(ctx context.Context, store *streams.Store, rate int, d time.Duration, size int) (took []time.Duration, err error) {
	began := time.Now()
	sent := map[int]time.Time{}
	for i := range int(d.Seconds() * float64(rate)) {
		if err := pause(ctx, time.Until(began.Add(time.Second*time.Duration(i)/time.Duration(rate)))); err != nil {
			return nil, err
		}
		m := w.message(i%lightSubs, size)
		sent[w.next] = time.Now()
		if _, err := store.PublishAll(ctx, []medispatcher.Message{m}); err != nil {
			return nil, err
		}
	}
	if err := w.await(ctx); err != nil {
		return nil, err
	}
	for n, at := range sent {
		took = append(took, w.came[n].Sub(at))
	}
	return took, nil
}

// burst publishes messages to one subscription at once.
func (w *worker) burst(ctx context.Context, store *streams.Store, n int) error {
	var batch []medispatcher.Message
	for range n {
		batch = append(batch, w.message(0, 0))
	}
	if _, err := store.PublishAll(ctx, batch); err != nil {
		return err
	}
	return w.await(ctx)
}

// await waits until all that was published has come.
func (w *worker) await(ctx context.Context) error {
	late := time.After(herdPatience)
	for {
		w.mu.Lock()
		n := len(w.came)
		w.mu.Unlock()
		if n == w.next {
			return pause(ctx, time.Second) // until Redis has the outcomes
		}
		select {
		case <-w.news:
		case <-late:
			return fmt.Errorf("%d of %d messages came within %s", n, w.next, herdPatience)
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}
