package push

import (
	"context"
	"math/rand/v2"
	"time"

	"github.com/solate/medispatcher"
)

// sweepTogether is how many dispatchers sweep at every tick. More of them take turns, so that all together sweep as often as so many would.
const sweepTogether = 8

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
	turn, due := rand.Int64N(1<<32), true
	early := false
	for {
		s.reconcile(ctx, early)
		if due {
			s.sweep(ctx)
		}
		s.lanes.dropIdle()
		early = false
		select {
		case <-ctx.Done():
			return
		case <-every.C:
			turn++
			due = turn%s.turns() == 0
		case <-s.now:
			due = true
		case <-s.lanes.doubtful:
			due, early = false, true
			medispatcher.Sleep(ctx, readsOver) // others may follow
		}
	}
}

// turns: this dispatcher sweeps at one of so many ticks.
func (s *sweeper) turns() int64 {
	if s.cfg.Others == nil {
		return 1
	}
	return 1 + s.cfg.Others()/sweepTogether
}

// sweep rings for every channel that has something in it.
func (s *sweeper) sweep(ctx context.Context) {
	waiting, _ := s.queue.Waiting(ctx, s.lanes.ids) // where Redis is away the next sweep looks again
	s.lanes.found(waiting, time.Now())
}
