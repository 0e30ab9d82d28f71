package push

import (
	"log/slog"
	"slices"
	"time"

	"github.com/solate/medispatcher"
)

// applyAtOnce is how many changes are put in force under one lock: deliveries wait for it.
const applyAtOnce = 64

// Apply puts changes of subscriptions in force. What is in flight is not disturbed.
func (s *Scheduler) Apply(changes []medispatcher.SubscriptionChange) {
	search := false
	for some := range slices.Chunk(changes, applyAtOnce) {
		s.lanes.mu.Lock()
		for _, c := range some {
			search = s.applyLocked(c.ID(), c.Now) || search
		}
		s.lanes.unlock()
	}
	if search {
		s.Sweep()
	}
}

// applyLocked puts a subscription in force; nil: it was removed. It reports whether there may be messages that nobody rang for.
func (s *Scheduler) applyLocked(id string, now *medispatcher.Subscription) (search bool) {
	ls := s.lanes
	was, sub := ls.known[id], ls.subs[id]
	if now == nil {
		delete(ls.known, id)
		for p := range ls.fresh {
			delete(ls.joined, medispatcher.Channel{Partition: p, Subscription: id})
		}
		if sub != nil {
			s.breakerEndedLocked(sub)
			ls.removeLocked(id, sub)
			s.workers.giveBackOldLocked(sub)
		}
		return false
	}
	ls.known[id] = now
	resumed := was != nil && was.Paused && !now.Paused
	search = was == nil || resumed
	if sub == nil && ls.removed[id] == nil && !now.Divided() {
		return search // it has a subscriber when there is something to do
	}
	st := newSettings(now, ls.env)
	switch {
	case sub == nil:
		sub = ls.addLocked(id)
	case resumed: // somebody thinks that it works again
		s.newBreakerLocked(sub)
	case !slices.Equal(was.URLs, now.URLs):
		s.newBreakerLocked(sub)
	case sub.breaker.waitsElsewhere(st):
		sub.breaker.leaveOutage(time.Now())
	}
	if was != nil && !slices.Equal(was.URLs, now.URLs) {
		s.workers.giveBackOldLocked(sub)
	}
	sub.apply(st)
	search = ls.limitLocked(sub) || search
	s.workers.staffLocked(sub, time.Now())
	ls.offerLocked(sub)
	return search
}

// newBreakerLocked gives a subscriber a closed breaker. What becomes of the one before concerns nobody any
// more: attempts under way at former URLs say nothing about the present ones.
func (s *Scheduler) newBreakerLocked(of *subscriber) {
	s.breakerEndedLocked(of)
	of.breaker = newBreaker(of, s.lanes.turned)
}

func (s *Scheduler) breakerChangedLocked(b *breaker, open bool) {
	if b.of.breaker != b || b.of.removed {
		return
	}
	id := b.of.settings.sub.ID
	opened, closed, target := LineOpened, LineClosed, b.last.origin()
	if b.proxy != "" {
		opened, closed, target = LineProxyFails, LineProxyBack, b.proxy
	}
	if open {
		s.news.log(slog.LevelWarn, opened, "subscription", id, "target", target, "probe_every", probeEvery.String())
	} else {
		s.news.log(slog.LevelInfo, closed, "subscription", id, "target", target)
	}
	s.tellBreaker(id, open, b.proxy)
}

// breakerEndedLocked tells that the breaker of a subscriber is not used any more.
func (s *Scheduler) breakerEndedLocked(of *subscriber) {
	if of.breaker.open() {
		s.tellBreaker(of.settings.sub.ID, false, of.breaker.proxy)
		of.breaker.leaveOutage(time.Now())
	}
}

func (s *Scheduler) tellBreaker(id string, open bool, proxy string) {
	s.news.note(func() {
		if s.cfg.Events.Breaker != nil {
			s.cfg.Events.Breaker(id, open, proxy)
		}
	})
}
