package push

import (
	"context"
	"time"
)

// runSweep repairs what hints and replies that were lost left behind: channels
// nobody rang for, retries another dispatcher noted, entries taken unknowingly.
func (s *Scheduler) runSweep(ctx context.Context) error {
	every := time.NewTicker(s.cfg.SweepEvery)
	defer every.Stop()
	for {
		s.reconcile(ctx)
		s.sweep(ctx)
		select {
		case <-ctx.Done():
			return nil
		case <-every.C:
		case <-s.sweepNow:
		}
	}
}

// sweep rings for every channel that has something in it.
func (s *Scheduler) sweep(ctx context.Context) {
	s.mu.Lock()
	ids := make([]string, 0, len(s.subs))
	for id, sub := range s.subs {
		if !sub.settings.sub.Paused {
			ids = append(ids, id)
		}
	}
	s.mu.Unlock()
	waiting, _ := s.queue.Waiting(ctx, ids) // where Redis is away the next sweep looks again
	now := time.Now()
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, w := range waiting {
		l := s.lanes[w.Channel]
		if l == nil {
			continue
		}
		s.ring(l)
		if w.DueIn >= 0 {
			s.due[w.Partition].at(l, now.Add(w.DueIn))
		}
	}
}
