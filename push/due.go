package push

import (
	"context"
	"log/slog"
	"time"

	"github.com/solate/medispatcher"
)

// runDue takes messages whose next attempt is due, for free retry slots, until ctx
// ends. It is apart from runFresh so that neither kind waits for the other.
func (s *Scheduler) runDue(ctx context.Context, p int) error {
	pump := s.due[p]
	work := context.WithoutCancel(ctx)
	var back medispatcher.Backoff
	for {
		s.mu.Lock()
		next := pump.next(time.Now())
		s.mu.Unlock()
		if !pump.await(ctx, next) {
			return nil
		}
		if s.settle.full() {
			medispatcher.Sleep(ctx, fullPause)
			continue
		}
		wants := s.reserveDue(pump)
		if len(wants) == 0 {
			continue
		}
		if err := s.takeDue(work, p, pump, wants); err != nil {
			if back.Failures() == 0 {
				s.news.log(slog.LevelWarn, "due messages wait", "partition", p, "error", err)
			}
			back.Wait(ctx)
			continue
		}
		back.Reset()
	}
}

func (s *Scheduler) reserveDue(pump *pump) []want {
	now := time.Now()
	s.mu.Lock()
	defer s.mu.Unlock()
	var wants []want
	for _, l := range pump.take(now, lanesPerRead) {
		if !l.live() {
			continue // resuming sweeps
		}
		n, at := l.sub.allowed(min(l.sub.retry.free(), maxRead), now)
		switch {
		case !at.IsZero():
			pump.at(l, at)
		case n == 0:
			l.dueWaits = true // for a retry slot, or for the end of a probe
		default:
			g := s.budget.grant(l.sub, n, now)
			if g.n == 0 {
				pump.at(l, s.budget.again(l.sub, now))
				continue
			}
			s.callNext(now)
			l.sub.retry.used += g.n
			l.sub.breaker.probing = l.sub.breaker.open()
			l.touched = true
			l.due.begin()
			s.touched[l.channel] = l
			wants = append(wants, want{l, g})
		}
	}
	return wants
}

func (s *Scheduler) takeDue(ctx context.Context, p int, pump *pump, wants []want) error {
	asked := make([]medispatcher.Want, len(wants))
	for i, w := range wants {
		asked[i] = medispatcher.Want{Channel: w.lane.channel, Max: w.n}
	}
	deliveries, next, err := s.queue.Due(ctx, p, asked)
	now := time.Now()
	s.mu.Lock()
	defer s.mu.Unlock()
	from := s.arrived(wants, deliveries)
	got := make(map[*lane]int, len(wants))
	for _, d := range deliveries {
		l := s.touched[d.Channel]
		if l.givenBack(d.EntryID) {
			continue
		}
		if _, unsettled := l.entries[d.EntryID]; unsettled {
			// The step that settled the attempt before was run, and its reply is on its way or
			// lost. Until it is known here, nobody could tell the two attempts apart.
			got[l]++
			l.early[d.EntryID] = early{d, s.take(l, &d, from[l])}
			continue
		}
		got[l]++
		l.took(d.EntryID, s.take(l, &d, from[l]))
		s.start(l, d, &l.sub.retry, l.sub.turn(now))
	}
	for i, w := range wants {
		l := w.lane
		l.due.end()
		l.forgetGiven()
		l.sub.retry.used -= w.n - got[l]
		if got[l] == 0 {
			s.noProbe(l.sub)
		}
		switch {
		case err != nil:
			l.failed()
			pump.now(l)
		case next[i] >= 0:
			pump.at(l, now.Add(next[i]))
		}
	}
	return err
}
