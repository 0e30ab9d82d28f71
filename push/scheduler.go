package push

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/solate/medispatcher"
)

// Scheduler pushes the messages of every channel.
type Scheduler struct {
	cfg     Config
	queue   *queue
	lanes   *lanes
	workers *workers
	settle  *settleQueue
	short   *shortage
	fresh   []*freshReader // of each partition
	sweeper *sweeper
	news    *news
}

// New makes a scheduler that has nothing to do until Apply.
func New(cfg Config, reader Reader, settler Settler) *Scheduler {
	if cfg.SweepEvery == 0 {
		cfg.SweepEvery = 5 * time.Second
	}
	s := &Scheduler{cfg: cfg, queue: &queue{reader, settler}, lanes: newLanes(cfg.Partitions, newBudget(cfg.MaxInflight, cfg.MaxBody))}
	s.lanes.env, s.lanes.tell, s.lanes.turned = cfg.Env, cfg.Events.Others, s.breakerChangedLocked
	s.news = &news{cfg: &s.cfg}
	s.short = &shortage{cfg: &s.cfg, news: s.news}
	s.settle = newSettleQueue(s.queue, cfg.Partitions, s.news)
	s.workers = &workers{
		cfg: &s.cfg, lanes: s.lanes, short: s.short, settle: s.settle,
		poster:   &poster{agent: cfg.UserAgent, log: cfg.Log, tracer: cfg.Tracer, warned: map[string]time.Time{}},
		stopping: make(chan struct{}),
	}
	s.workers.deliver, s.workers.cut = context.WithCancel(context.Background())
	s.settle.done, s.settle.stuck, s.settle.never = s.workers.settled, s.workers.stuck, s.workers.unsettled
	for p := range cfg.Partitions {
		s.fresh = append(s.fresh, &freshReader{p, s.lanes, s.queue, s.settle, s.workers, s.news})
	}
	s.sweeper = &sweeper{cfg: &s.cfg, lanes: s.lanes, queue: s.queue, news: s.news, now: make(chan struct{}, 1)}
	return s
}

// Held lists the breakers that are open, the oldest first.
func (s *Scheduler) Held() []medispatcher.Breaker { return s.lanes.held() }

// Ring says that channels have new messages.
func (s *Scheduler) Ring(channels []medispatcher.Channel) { s.lanes.ring(channels) }

// Hand says that a step is about to write so many new messages to channels of one partition, with bodies of largest bytes at
// most. For channels that are idle here it returns how many the step is to read at once, and took, which must be told what it
// read. It is nil if the step is to read nothing.
func (s *Scheduler) Hand(copies []medispatcher.Want, largest int) (wants []medispatcher.Want, took func([]medispatcher.Delivery, error)) {
	if len(copies) == 0 {
		return nil, nil
	}
	return s.fresh[copies[0].Partition].hand(copies, int64(largest))
}

// RingDue says that messages of channels became due before their time.
func (s *Scheduler) RingDue(channels []medispatcher.Channel) { s.lanes.ringDue(channels) }

// Stirred lists the subscriptions that had something to do since the last call, in any dispatcher:
// doorbells ring for what is new, and the sweep for whatever is in a channel.
func (s *Scheduler) Stirred() []string { return s.lanes.takeStirred() }

// Sweep has every channel looked at now.
func (s *Scheduler) Sweep() { signal(s.sweeper.now) }

// Inflight is the number of requests and unsettled outcomes at this moment.
func (s *Scheduler) Inflight() int { return s.lanes.inflight() }

// Bodies is how many bytes of bodies this process holds or is about to read, and how many it may.
func (s *Scheduler) Bodies() (bytes, limit int64) { return s.lanes.bodies() }

// Shortage is what this machine was short of within the last minute, and since when; empty: of nothing.
func (s *Scheduler) Shortage() (what string, since time.Time) { return s.short.state(time.Now()) }

// settleGrace is the time after the deadline in which the messages whose requests were cut are released.
const settleGrace = 2 * time.Second

// Run pushes until ctx ends. Then reading stops, requests in flight end and are
// settled, and what could not be started is released; all that within the
// shutdown timeout, past which the requests are cut and an error is returned.
func (s *Scheduler) Run(ctx context.Context) error {
	loops := s.readers(ctx)
	settling, stopSettling := context.WithCancel(context.WithoutCancel(ctx))
	var settlers sync.WaitGroup
	for p := range s.cfg.Partitions {
		settlers.Go(func() { s.settle.run(settling, p) })
	}

	<-ctx.Done()
	deadline := time.Now().Add(s.cfg.ShutdownTimeout)
	s.lanes.leave()
	close(s.workers.stopping)
	loops.Wait()
	var err error
	if n, late := s.workers.stop(deadline); late {
		err = fmt.Errorf("%d requests were still in flight after the shutdown timeout of %s: cut and released; raise MEDIS_SHUTDOWN_TIMEOUT above the longest subscription timeout", n, s.cfg.ShutdownTimeout)
	}
	stopSettling()
	settlers.Wait()
	last, cancel := context.WithDeadline(context.WithoutCancel(ctx), deadline.Add(settleGrace))
	defer cancel()
	err = errors.Join(err, s.settle.flushAll(last), s.leave(last))
	s.news.wait(last)
	return err
}

// readers starts the loops that find work, until ctx ends: two for each partition, and the sweep. Beside them runs the one that notices
// when the process was frozen.
func (s *Scheduler) readers(ctx context.Context) *sync.WaitGroup {
	var loops sync.WaitGroup
	for p := range s.cfg.Partitions {
		due := &dueReader{p, s.lanes, s.queue, s.settle, s.workers, s.news}
		loops.Go(func() { s.fresh[p].run(ctx) })
		loops.Go(func() { due.run(ctx) })
	}
	loops.Go(func() { s.sweeper.run(ctx) })
	loops.Go(func() { s.lanes.run(ctx) })
	return &loops
}

// leave removes this process's consumer from every channel it read.
func (s *Scheduler) leave(ctx context.Context) error {
	var g errgroup.Group
	g.SetLimit(8)
	touched, idle := s.lanes.channels()
	for chunk := range slices.Chunk(touched, mineLanes) {
		for i, mine := range s.queue.Mine(ctx, chunk, mineLimit) {
			if mine.Err == nil && len(mine.EntryIDs) == 0 {
				idle = append(idle, chunk[i])
				continue
			}
			g.Go(func() error {
				if mine.Err != nil {
					return mine.Err
				}
				return s.queue.Release(ctx, chunk[i], mine.EntryIDs, true)
			})
		}
	}
	for chunk := range slices.Chunk(idle, mineLanes) {
		g.Go(func() error { return s.queue.LeaveChannels(ctx, chunk) })
	}
	return g.Wait()
}

func signal(c chan struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}
