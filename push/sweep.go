package push

import (
	"context"
	"time"
)

// sweeper repairs what hints and replies that were lost left behind: channels
// nobody rang for, retries another dispatcher noted, entries taken unknowingly.
type sweeper struct {
	cfg   *Config
	lanes *lanes
	queue *queue
	news  *news
	now   chan struct{}
}

// run sweeps until ctx ends.
func (s *sweeper) run(ctx context.Context) {
	every := time.NewTicker(s.cfg.SweepEvery)
	defer every.Stop()
	for {
		s.reconcile(ctx)
		s.sweep(ctx)
		s.lanes.dropIdle()
		select {
		case <-ctx.Done():
			return
		case <-every.C:
		case <-s.now:
		}
	}
}

// sweep rings for every channel that has something in it.
func (s *sweeper) sweep(ctx context.Context) {
	waiting, _ := s.queue.Waiting(ctx, s.lanes.ids) // where Redis is away the next sweep looks again
	s.lanes.found(waiting, time.Now())
}
