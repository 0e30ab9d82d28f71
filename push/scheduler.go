package push

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"reflect"
	"slices"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/solate/medispatcher"
)

// Config says how a Scheduler works. Transport, Log and the queue are required.
type Config struct {
	Partitions      int
	Env             string // reception environment tag
	UserAgent       string
	Transport       http.RoundTripper // must end a request when its context does
	Log             *slog.Logger
	ShutdownTimeout time.Duration // for what is in flight when Run is told to stop
	MaxInflight     int64         // bytes of message bodies held at once; 512 MiB when zero
	MaxBody         int64         // bytes that the body of a message may have; 1 MiB when zero
	SweepEvery      time.Duration // between the searches for missed doorbells; 5 s when zero
	Events          Events
	Tracer          Tracer // nil: attempts are not traced
}

// Events is told what happened. Its functions must not block; any may be nil.
type Events struct {
	// Dropping: a message is about to be dropped, and this is the last that anybody hears of it. With an
	// error it becomes a dead letter instead. It may take a second or two: only this message waits.
	Dropping func(d *medispatcher.Delivery, s *medispatcher.Settlement) error
	// Settled: an attempt ended and this became of its message.
	Settled func(d *medispatcher.Delivery, s *medispatcher.Settlement)
	// Unsettled: an attempt ended and Redis will never hear of it, because the channel is
	// gone or this process ends before Redis is back.
	Unsettled func(s *medispatcher.Settlement, err error)
	// Gone: a subscriber answered 410 and does not want to be asked again. sub is as it was
	// when the attempt began, and is still in force here.
	Gone func(sub *medispatcher.Subscription)
	// Breaker: a subscription's breaker opened or closed, by what its worker answered or
	// because somebody changed, resumed or removed the subscription.
	Breaker func(sub string, open bool)
	// Short: an attempt could not be made because this machine is short of something. It is made
	// again, and does not count.
	Short func(what string)
}

// Scheduler pushes the messages of every channel.
type Scheduler struct {
	cfg    Config
	queue  *queue
	poster *poster
	settle *settleQueue
	news   *news
	short  *shortage

	mu     sync.Mutex
	budget *budget
	subs   map[string]*subscriber
	lanes  map[medispatcher.Channel]*lane
	// stirred are the subscribers that a doorbell rang for since Stirred was asked.
	stirred []*subscriber
	fresh   []*pump // of each partition
	due     []*pump
	// touched outlives lanes: the consumer of a removed subscription has to leave, too.
	touched map[medispatcher.Channel]*lane

	sweepNow chan struct{}
	workers  sync.WaitGroup
	stopping chan struct{}
	draining bool            // no worker starts any more
	deliver  context.Context //nolint:containedctx // the second of two contexts: it outlives reading by the shutdown timeout
	cut      context.CancelFunc
}

// New makes a scheduler that has nothing to do until Apply.
func New(cfg Config, reader Reader, settler Settler) *Scheduler {
	if cfg.SweepEvery == 0 {
		cfg.SweepEvery = 5 * time.Second
	}
	s := &Scheduler{
		cfg: cfg, queue: &queue{reader, settler},
		poster:   &poster{transport: cfg.Transport, agent: cfg.UserAgent, log: cfg.Log, tracer: cfg.Tracer, warned: map[string]time.Time{}},
		budget:   newBudget(cfg.MaxInflight, cfg.MaxBody),
		subs:     map[string]*subscriber{},
		lanes:    map[medispatcher.Channel]*lane{},
		touched:  map[medispatcher.Channel]*lane{},
		sweepNow: make(chan struct{}, 1), stopping: make(chan struct{}),
	}
	s.news = &news{cfg: &s.cfg}
	s.short = &shortage{cfg: &s.cfg, news: s.news}
	s.settle = newSettleQueue(s.queue, cfg.Partitions, s.news)
	s.settle.done, s.settle.never = s.settled, s.unsettled
	s.deliver, s.cut = context.WithCancel(context.Background())
	for range cfg.Partitions {
		s.fresh = append(s.fresh, newPump())
		s.due = append(s.due, newPump())
	}
	return s
}

// Apply puts a set of subscriptions in force. What is in flight is not disturbed.
func (s *Scheduler) Apply(subs map[string]medispatcher.Subscription) {
	s.mu.Lock()
	defer s.mu.Unlock()
	search := false
	for id, sub := range subs {
		had := s.subs[id]
		if had != nil && reflect.DeepEqual(had.settings.sub, sub) {
			continue // what its URLs did lately is remembered
		}
		st := newSettings(sub, s.cfg.Env)
		if had == nil {
			had = s.subscriber(id)
			s.newBreaker(had, sub)
			search = true
		} else if had.settings.sub.Paused && !sub.Paused {
			search = true
			s.newBreaker(had, sub) // somebody thinks that it works again
		} else if !slices.Equal(had.settings.sub.URLs, sub.URLs) {
			s.newBreaker(had, sub)
		}
		had.apply(st)
		s.startAhead(had)
		s.offer(had)
	}
	for id, sub := range s.subs {
		if _, ok := subs[id]; !ok {
			sub.removed = true
			s.replaced(id, sub.breaker)
			delete(s.subs, id)
			for _, l := range sub.lanes {
				delete(s.lanes, l.channel)
			}
		}
	}
	s.stirred = slices.DeleteFunc(s.stirred, func(sub *subscriber) bool { return sub.removed })
	if search {
		signal(s.sweepNow)
	}
}

// Held lists the breakers that are open, the oldest first.
func (s *Scheduler) Held() []medispatcher.Breaker {
	s.mu.Lock()
	defer s.mu.Unlock()
	var held []medispatcher.Breaker
	for id, sub := range s.subs {
		if sub.breaker.open() {
			held = append(held, medispatcher.Breaker{Subscription: id, Since: sub.breaker.since.UTC().Truncate(time.Millisecond)})
		}
	}
	slices.SortFunc(held, func(a, b medispatcher.Breaker) int {
		return cmp.Or(a.Since.Compare(b.Since), cmp.Compare(a.Subscription, b.Subscription))
	})
	return held
}

func signal(c chan struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}

// Ring says that channels have new messages.
func (s *Scheduler) Ring(channels []medispatcher.Channel) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, c := range channels {
		if l := s.lanes[c]; l != nil {
			s.ring(l)
		}
	}
}

// RingDue says that messages of channels became due before their time.
func (s *Scheduler) RingDue(channels []medispatcher.Channel) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, c := range channels {
		if l := s.lanes[c]; l != nil {
			s.due[c.Partition].now(l)
		}
	}
}

// Stirred lists the subscriptions that had something to do since the last call, in any dispatcher:
// doorbells ring for what is new, and the sweep for whatever is in a channel.
func (s *Scheduler) Stirred() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	ids := make([]string, 0, len(s.stirred))
	for _, sub := range s.stirred {
		sub.stirred = false
		ids = append(ids, sub.settings.sub.ID)
	}
	clear(s.stirred)
	s.stirred = s.stirred[:0]
	return ids
}

// Sweep has every channel looked at now.
func (s *Scheduler) Sweep() { signal(s.sweepNow) }

func (s *Scheduler) ring(l *lane) {
	l.active, l.rung = true, true
	if !l.sub.stirred {
		l.sub.stirred = true
		s.stirred = append(s.stirred, l.sub)
	}
	if !l.fresh.underWay && l.live() && l.sub.room() > 0 {
		s.fresh[l.channel.Partition].now(l)
	}
}

// offer queues the lanes of a subscription that may have got slots.
func (s *Scheduler) offer(sub *subscriber) {
	for _, l := range sub.lanes {
		if l.active {
			s.ring(l)
		}
		// A lane without due messages costs one look at an empty set.
		if l.touched && l.live() && sub.retry.free() > 0 {
			s.due[l.channel.Partition].now(l)
		}
	}
}

// Shortage is what this machine was short of within the last minute, and since when; empty: of nothing.
func (s *Scheduler) Shortage() (what string, since time.Time) { return s.short.state(time.Now()) }

// Inflight is the number of requests and unsettled outcomes at this moment.
func (s *Scheduler) Inflight() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	n := 0
	for _, l := range s.touched {
		n += len(l.entries)
	}
	return n
}

// Run pushes until ctx ends. Then reading stops, requests in flight end and are
// settled, and what could not be started is given back; all that within the
// shutdown timeout, past which the requests are cut and an error is returned.
func (s *Scheduler) Run(ctx context.Context) error {
	g, loops := errgroup.WithContext(ctx)
	for p := range s.cfg.Partitions {
		g.Go(func() error { return s.runFresh(loops, p) })
		g.Go(func() error { return s.runDue(loops, p) })
	}
	g.Go(func() error { return s.runSweep(loops) })
	settling, stopSettling := context.WithCancel(context.WithoutCancel(ctx))
	var settlers errgroup.Group
	for p := range s.cfg.Partitions {
		settlers.Go(func() error { s.settle.run(settling, p); return nil })
	}

	<-loops.Done()
	deadline := time.Now().Add(s.cfg.ShutdownTimeout)
	close(s.stopping)
	err := g.Wait()
	s.mu.Lock()
	s.draining = true
	s.mu.Unlock()
	err = errors.Join(err, s.drain(deadline))
	s.cut()
	stopSettling()
	_ = settlers.Wait()
	last, cancel := context.WithDeadline(context.WithoutCancel(ctx), deadline.Add(settleGrace))
	defer cancel()
	err = errors.Join(err, s.settle.flushAll(last), s.leave(last))
	s.news.wait(last)
	return err
}

// settleGrace is the time behind the deadline in which the requests that were cut are given back.
const settleGrace = 2 * time.Second

// drain waits for the requests in flight, and cuts them at the deadline.
func (s *Scheduler) drain(deadline time.Time) error {
	done := make(chan struct{})
	go func() { s.workers.Wait(); close(done) }()
	timer := time.NewTimer(time.Until(deadline))
	defer timer.Stop()
	select {
	case <-done:
		return nil
	case <-timer.C:
	}
	n := s.Inflight()
	s.cut()
	<-done
	return fmt.Errorf("%d requests were still in flight after the shutdown timeout of %s: cut and given back; raise MEDIS_SHUTDOWN_TIMEOUT above the longest subscription timeout", n, s.cfg.ShutdownTimeout)
}

// leave removes this process's consumer from every channel it read.
func (s *Scheduler) leave(ctx context.Context) error {
	s.mu.Lock()
	channels := make([]medispatcher.Channel, 0, len(s.touched))
	for c := range s.touched {
		channels = append(channels, c)
	}
	s.mu.Unlock()
	var g errgroup.Group
	g.SetLimit(8)
	for _, c := range channels {
		g.Go(func() error {
			mine, err := s.queue.Mine(ctx, c, mineLimit)
			if err != nil {
				return err
			}
			return s.queue.Release(ctx, c, mine, true)
		})
	}
	return g.Wait()
}

// freed queues the lanes of a subscription after one of its slots became free.
func (s *Scheduler) freed(sub *subscriber) {
	for _, l := range sub.lanes {
		s.gather(l)
		if l.dueWaits && l.live() && sub.retry.free() > 0 {
			l.dueWaits = false
			s.due[l.channel.Partition].now(l)
		}
	}
}

// gather queues a lane that has room. While a subscription is busy, room gathers for
// a moment, so that a read is worth its cost.
func (s *Scheduler) gather(l *lane) {
	room, pump := l.sub.room(), s.fresh[l.channel.Partition]
	switch {
	case !l.active || l.fresh.underWay || !l.live() || room == 0:
	case room >= l.sub.window()/gatherShare:
		pump.now(l)
	default:
		pump.at(l, time.Now().Add(gatherFor))
	}
}

const (
	gatherShare = 2 // of the window has to be free for a read at once
	gatherFor   = time.Millisecond
)

func (s *Scheduler) unsettled(out *medispatcher.Settlement, err error) {
	if s.cfg.Events.Unsettled != nil {
		s.cfg.Events.Unsettled(out, err)
	}
}

// settled forgets entries whose outcome Redis has, and notes when failed ones are due.
func (s *Scheduler) settled(done []medispatcher.Settlement) {
	now := time.Now()
	s.mu.Lock()
	defer s.mu.Unlock()
	for i := range done {
		l := s.touched[done[i].Channel]
		if l == nil {
			continue
		}
		if h, known := l.inflight.settled(done[i].EntryID); known {
			s.budget.hold(l.sub, h.from, -h.bytes)
		}
		s.startEarly(l, &done[i], now)
		if o := done[i].Outcome; o == medispatcher.Failed || o == medispatcher.Released && !l.sub.removed {
			s.due[l.channel.Partition].at(l, now.Add(done[i].Delay))
		}
	}
	s.callNext(now)
}

// callNext has a subscription that waits for room for too long look again.
func (s *Scheduler) callNext(now time.Time) {
	if next := s.budget.next(now); next != nil {
		s.offer(next)
	}
}
