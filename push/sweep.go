package push

import (
	"context"
	"time"
)

// mineLimit bounds the comparison of one channel's entries; the rest comes with the next sweep.
const mineLimit = 5000

// runSweep repairs what hints and replies that were lost left behind: channels
// nobody rang for, retries another dispatcher noted, entries taken unknowingly.
func (s *Scheduler) runSweep(ctx context.Context) error {
	every := time.NewTicker(s.cfg.SweepEvery)
	defer every.Stop()
	for {
		s.sweep(ctx)
		s.reconcile(ctx)
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
	waiting, err := s.reader.Waiting(ctx, ids)
	if err != nil {
		return // Redis is away; the next sweep looks again
	}
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

// reconcile compares what Redis says this process owns with what it knows to be in
// flight. The difference was taken by a read whose reply was lost: it is given
// back, due at once, the attempt not counted.
func (s *Scheduler) reconcile(ctx context.Context) {
	for _, l := range s.comparable() {
		s.mu.Lock()
		reads := l.reads
		s.mu.Unlock()
		mine, err := s.reader.Mine(ctx, l.channel, mineLimit)
		if err != nil {
			continue
		}
		lost, sure := s.unknown(l, mine, reads)
		if !sure {
			continue
		}
		if len(lost) > 0 {
			if err := s.settle.settler.Release(ctx, l.channel, lost, false); err != nil {
				continue
			}
			s.cfg.Log.Info("entries taken by a lost reply are given back",
				"subscription", l.channel.Subscription, "partition", l.channel.Partition, "count", len(lost))
		}
		s.mu.Lock()
		if l.reads == reads {
			// An entry in flight may be ours a second time, by a lost reply: look once more.
			l.suspect, l.compared = l.suspect && len(mine) > len(lost), reads
		}
		if len(lost) > 0 {
			s.due[l.channel.Partition].now(l)
		}
		s.mu.Unlock()
	}
}

// comparable lists the lanes that were read since they were last compared.
func (s *Scheduler) comparable() []*lane {
	s.mu.Lock()
	defer s.mu.Unlock()
	var lanes []*lane
	for _, l := range s.touched {
		if l.reads != l.compared || l.suspect {
			lanes = append(lanes, l)
		}
	}
	return lanes
}

// unknown lists those of mine that are not in flight. It is sure only when no read
// was under way meanwhile, whose entries it could not know.
func (s *Scheduler) unknown(l *lane, mine []string, reads int) (lost []string, sure bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if l.reading || l.dueReading || l.reads != reads {
		return nil, false
	}
	for _, id := range mine {
		if _, ok := l.inflight[id]; !ok {
			lost = append(lost, id)
		}
	}
	return lost, true
}
