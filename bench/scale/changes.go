package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"slices"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/solate/medispatcher"
	"github.com/solate/medispatcher/bench/internal/proc"
	"github.com/solate/medispatcher/streams"
)

var changes = row{"changes", "10,000 subscriptions, of which 50 a second are changed while another one gets its messages", measureChanges}

const (
	changedOf       = 10_000
	changesPerSec   = 50
	messagesPerSec  = 200
	changeRounds    = 5 // of each kind, in turn: the machine changes, too
	changeRoundTime = 8 * time.Second
)

// measureChanges compares how long deliveries take while nothing else happens with how long they take while other
// subscriptions are changed, added and removed.
func measureChanges(ctx context.Context, s *site) ([]figure, error) {
	if err := s.startRedis(ctx); err != nil {
		return nil, err
	}
	store, err := s.open(1)
	if err != nil {
		return nil, err
	}
	defer func() { _ = store.Close() }()
	w, err := newStopwatch(ctx)
	if err != nil {
		return nil, err
	}
	defer w.close()
	if err := s.subscribe(ctx, store, changedOf, w.url, 8); err != nil {
		return nil, err
	}
	p, err := s.serve(ctx, s.addr, 1)
	if err != nil {
		return nil, err
	}
	c := &changer{registry: registryOf(store)}
	var calm, busy phase
	for i := range 1 + changeRounds { // the first is a rehearsal
		a, err := s.deliver(ctx, p, store, w, nil)
		if err != nil {
			return nil, err
		}
		b, err := s.deliver(ctx, p, store, w, c)
		if err != nil {
			return nil, err
		}
		if i > 0 {
			calm.add(a)
			busy.add(b)
		}
	}
	n := float64(busy.changes)
	return []figure{
		{what: "p50, against that without changes", value: float64(median(busy.p50)) / float64(median(calm.p50)), unit: "times", most: 1.2},
		{what: "p99, against that without changes", value: float64(median(busy.p99)) / float64(median(calm.p99)), unit: "times", most: 1.2},
		{what: "p50 without changes", value: float64(median(calm.p50).Microseconds()) / 1000, unit: "ms"},
		{what: "p99 without changes", value: float64(median(calm.p99).Microseconds()) / 1000, unit: "ms"},
		{what: "changes made", value: n / (changeRounds * changeRoundTime.Seconds()), unit: "/s", least: 0.9 * changesPerSec},
		{what: "CPU of the dispatcher for a change", value: max(0, 1000*(busy.cpu-calm.cpu).Seconds()/n), unit: "ms"},
		{what: "commands for a change", value: max(0, float64(busy.commands-calm.commands)/n)},
		{what: "memory of the dispatcher at the end, against the beginning", value: float64(busy.memory[len(busy.memory)-1]) / float64(calm.memory[0]), unit: "times"},
	}, nil
}

// phase is what was measured in rounds of one kind.
type phase struct {
	p50, p99 []time.Duration
	cpu      time.Duration // of the dispatcher
	commands int64
	changes  int
	memory   []int64
}

func (p *phase) add(o phase) {
	p.p50, p.p99, p.memory = append(p.p50, o.p50...), append(p.p99, o.p99...), append(p.memory, o.memory...)
	p.cpu, p.commands, p.changes = p.cpu+o.cpu, p.commands+o.commands, p.changes+o.changes
}

func median(list []time.Duration) time.Duration {
	list = slices.Sorted(slices.Values(list))
	return list[len(list)/2]
}

// deliver publishes for one round, while c, unless it is nil, changes subscriptions.
func (s *site) deliver(ctx context.Context, p *proc.Process, store *streams.Store, w *stopwatch, c *changer) (phase, error) {
	var found phase
	began, had, err := s.spent(ctx, p)
	if err != nil {
		return found, err
	}
	redis, err := s.redis.Used()
	if err != nil {
		return found, err
	}
	var made atomic.Int64
	var g errgroup.Group
	g.Go(func() error {
		return atRate(ctx, messagesPerSec, func(int) error {
			_, err := store.Publish(ctx, medispatcher.Message{Topic: "topic.0", Body: strconv.AppendInt(nil, time.Now().UnixNano(), 10)})
			return err
		})
	})
	if c != nil {
		g.Go(func() error {
			return atRate(ctx, changesPerSec, func(int) error {
				// At a steady rate each change would meet a message at the moment when it is published.
				if err := pause(ctx, rand.N(time.Second/changesPerSec)); err != nil {
					return err
				}
				made.Add(1)
				return c.change(ctx)
			})
		})
	}
	if err := g.Wait(); err != nil {
		return found, err
	}
	found.changes = int(made.Load())
	if err := pause(ctx, time.Second); err != nil {
		return found, err
	}
	ended, has, err := s.spent(ctx, p)
	if err != nil {
		return found, err
	}
	redisNow, err := s.redis.Used()
	if err != nil {
		return found, err
	}
	used, err := p.Used()
	if err != nil {
		return found, err
	}
	took := w.take()
	if most := int(messagesPerSec * changeRoundTime.Seconds()); len(took) < most*9/10 {
		return found, fmt.Errorf("%d of %d messages arrived", len(took), most)
	}
	slices.Sort(took)
	found.p50, found.p99 = []time.Duration{took[len(took)/2]}, []time.Duration{took[len(took)*99/100]}
	found.cpu = ended - began - (redisNow.CPU - redis.CPU)
	found.commands, found.memory = total(has)-total(had), []int64{used.Now}
	return found, nil
}

// atRate calls do at a steady rate for one round, whatever the calls take.
func atRate(ctx context.Context, perSecond int, do func(i int) error) error {
	every := time.Second / time.Duration(perSecond)
	began := time.Now()
	var g errgroup.Group
	for i := range int(changeRoundTime / every) {
		if err := pause(ctx, time.Until(began.Add(time.Duration(i)*every))); err != nil {
			return err
		}
		g.Go(func() error { return do(i) })
	}
	return g.Wait()
}

// changer changes other subscriptions: most changes are of a setting, some of a topic; some add or remove one.
type changer struct {
	registry *streams.Registry
	mu       sync.Mutex
	n        int
}

func (c *changer) change(ctx context.Context) error {
	c.mu.Lock()
	c.n++
	n := c.n
	c.mu.Unlock()
	id, topic := fmt.Sprintf("sub-%d", 1+n%(changedOf-1)), fmt.Sprintf("topic.%d", 1+n%(changedOf-1))
	switch n % 10 {
	case 0:
		topic = fmt.Sprintf("topic.%d.*", n)
	case 1:
		id, topic = fmt.Sprintf("more-%d", n), fmt.Sprintf("more.%d", n)
	case 2:
		if n > 10 {
			return c.registry.Remove(ctx, fmt.Sprintf("more-%d", n-11), "")
		}
	}
	doc, err := json.Marshal(map[string]any{"topic": topic, "urls": []string{"http://127.0.0.1:9/"}, "concurrency": 1 + n%8})
	if err == nil {
		_, _, _, err = c.registry.Put(ctx, id, doc, "")
	}
	return err
}

// stopwatch is a worker that notes how old each message is, by its body.
type stopwatch struct {
	server *http.Server
	url    string

	mu   sync.Mutex
	took []time.Duration
}

func newStopwatch(ctx context.Context) (*stopwatch, error) {
	l, err := (&net.ListenConfig{}).Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	w := &stopwatch{url: "http://" + l.Addr().String() + "/"}
	w.server = &http.Server{Handler: w} //nolint:gosec // a benchmark on the loopback
	go func() { _ = w.server.Serve(l) }()
	return w, nil
}

func (w *stopwatch) close() { _ = w.server.Close() }

func (w *stopwatch) ServeHTTP(_ http.ResponseWriter, r *http.Request) {
	body, _ := io.ReadAll(r.Body)
	if published, err := strconv.ParseInt(string(body), 10, 64); err == nil {
		w.mu.Lock()
		w.took = append(w.took, time.Since(time.Unix(0, published)))
		w.mu.Unlock()
	}
}

// take returns what was noted since the last call.
func (w *stopwatch) take() []time.Duration {
	w.mu.Lock()
	defer w.mu.Unlock()
	took := w.took
	w.took = nil
	return took
}
