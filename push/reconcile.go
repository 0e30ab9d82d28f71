package push

import (
	"context"
	"log/slog"
	"slices"
	"time"

	"github.com/solate/medispatcher"
)

// mineLanes is the most lanes that are compared in one round trip.
const mineLanes = 100

// mineLimit bounds the comparison of one channel's entries; the rest comes with the next sweep.
const mineLimit = 5000

// readsOver is how long to wait for reads that were under way at the first look; most have ended by then.
const readsOver = 50 * time.Millisecond

// reconcile compares what Redis says this process owns with what it knows to be in
// flight. A read whose reply was lost took the difference: it is released, due at once, the attempt not counted; see inflight.
// early: it is sooner than a sweep, because a read was doubtful.
func (s *sweeper) reconcile(ctx context.Context, early bool) {
	var doubtful []*lane
	for chunk := range slices.Chunk(s.lanes.uncompared(), mineLanes) {
		s.compare(ctx, chunk, early)
		for _, l := range chunk {
			if !s.release(ctx, l) {
				doubtful = append(doubtful, l)
			}
		}
	}
	if len(doubtful) == 0 || !medispatcher.Sleep(ctx, readsOver) {
		return
	}
	for _, l := range doubtful {
		s.release(ctx, l) // if a read is still under way, the next reconciliation looks again
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

// compare asks Redis what this process owns of some lanes, and notes what is not known.
func (s *sweeper) compare(ctx context.Context, lanes []*lane, early bool) {
	var asked []comparison
	var channels []medispatcher.Channel
	s.lanes.mu.Lock()
	lanes = slices.DeleteFunc(slices.Clone(lanes), func(l *lane) bool {
		c, ok := l.ask()
		if c.early = early; ok {
			asked, channels = append(asked, c), append(channels, l.channel)
		}
		return !ok
	})
	s.lanes.mu.Unlock()
	if len(lanes) == 0 {
		return
	}
	mine := s.queue.Mine(ctx, channels, mineLimit)
	s.lanes.mu.Lock()
	defer s.lanes.mu.Unlock()
	for i, l := range lanes {
		if mine[i].Err != nil {
			l.unanswered()
			continue
		}
		l.answered(asked[i], mine[i].EntryIDs)
	}
}

// release releases what is lost of a lane. It reports false while that is not certain.
func (s *sweeper) release(ctx context.Context, l *lane) bool {
	s.lanes.mu.Lock()
	lost, over := l.lost()
	s.lanes.mu.Unlock()
	if len(lost) == 0 {
		return over
	}
	err := s.queue.Release(ctx, l.channel, lost, false)
	s.lanes.mu.Lock()
	l.released(lost)
	s.lanes.due[l.channel.Partition].now(l)
	s.lanes.mu.Unlock()
	if err == nil { // else the next comparison finds them again
		s.news.log(slog.LevelInfo, "entries taken by a lost reply are released",
			"subscription", l.channel.Subscription, "partition", l.channel.Partition, "count", len(lost))
	}
	return true
}
