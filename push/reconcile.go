package push

import (
	"context"
	"log/slog"
	"time"

	"github.com/solate/medispatcher"
)

// mineLimit bounds the comparison of one channel's entries; the rest comes with the next sweep.
const mineLimit = 5000

// readsOver is the time after which the reads of the first look have most often ended.
const readsOver = 50 * time.Millisecond

// reconcile compares what Redis says this process owns with what it knows to be in
// flight. The difference was taken by a read whose reply was lost: it is given
// back, due at once, the attempt not counted; see inflight.
func (s *sweeper) reconcile(ctx context.Context) {
	var doubtful []*lane
	for _, l := range s.lanes.uncompared() {
		s.compare(ctx, l)
		if !s.giveBack(ctx, l) {
			doubtful = append(doubtful, l)
		}
	}
	if len(doubtful) == 0 || !medispatcher.Sleep(ctx, readsOver) {
		return
	}
	for _, l := range doubtful {
		s.giveBack(ctx, l) // where a read lasts still, the next reconciliation goes on
	}
}

// uncompared lists the lanes that were read since they were last compared.
func (ls *lanes) uncompared() []*lane {
	ls.mu.Lock()
	defer ls.mu.Unlock()
	var lanes []*lane
	for _, l := range ls.touched {
		if l.uncompared() {
			lanes = append(lanes, l)
		}
	}
	return lanes
}

// compare asks Redis what this process owns of one lane, and notes what is not known.
func (s *sweeper) compare(ctx context.Context, l *lane) {
	s.lanes.mu.Lock()
	asked, ok := l.ask()
	s.lanes.mu.Unlock()
	if !ok {
		return
	}
	mine, err := s.queue.Mine(ctx, l.channel, mineLimit)
	s.lanes.mu.Lock()
	defer s.lanes.mu.Unlock()
	if err != nil {
		l.unanswered()
		return
	}
	l.answered(asked, mine)
}

// giveBack gives back what is lost of a lane. It reports false while that is not certain.
func (s *sweeper) giveBack(ctx context.Context, l *lane) bool {
	s.lanes.mu.Lock()
	lost, over := l.lost()
	s.lanes.mu.Unlock()
	if len(lost) == 0 {
		return over
	}
	err := s.queue.Release(ctx, l.channel, lost, false)
	s.lanes.mu.Lock()
	l.gave(lost)
	s.lanes.due[l.channel.Partition].now(l)
	s.lanes.mu.Unlock()
	if err == nil { // else they come into doubt again
		s.news.log(slog.LevelInfo, "entries taken by a lost reply are given back",
			"subscription", l.channel.Subscription, "partition", l.channel.Partition, "count", len(lost))
	}
	return true
}
