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
		ready := make([]*settings, len(some))
		for i, c := range some {
			if c.Now != nil {
				ready[i] = newSettings(c.Now, s.cfg.Env)
			}
		}
		s.lanes.mu.Lock()
		for i, c := range some {
			search = s.applyLocked(c.ID(), ready[i]) || search
		}
		s.lanes.unlock()
	}
	if search {
		s.Sweep()
	}
}

// applyLocked puts the settings of a subscription in force; nil: it was removed. It reports whether there may be messages
// that nobody rang for.
func (s *Scheduler) applyLocked(id string, st *settings) (search bool) {
	had := s.lanes.subs[id]
	switch {
	case st == nil && had == nil:
		return false
	case st == nil:
		s.breakerEndedLocked(id, had.breaker)
		s.lanes.removeLocked(id, had)
		return false
	case had == nil:
		had = s.lanes.addLocked(id)
		s.newBreakerLocked(had, id)
		search = true
	case had.settings.sub.Paused && !st.sub.Paused:
		search = true
		s.newBreakerLocked(had, id) // somebody thinks that it works again
	case !slices.Equal(had.settings.sub.URLs, st.sub.URLs):
		s.newBreakerLocked(had, id)
	case had.breaker.waitsElsewhere(st):
		had.breaker.leaveOutage(time.Now())
	}
	had.apply(st)
	search = s.lanes.limitLocked(had) || search
	s.workers.staffLocked(had, time.Now())
	s.lanes.offerLocked(had)
	return search
}

// newBreakerLocked gives a subscriber a closed breaker. What becomes of the one before concerns nobody any
// more: attempts under way at former URLs say nothing about the present ones.
func (s *Scheduler) newBreakerLocked(of *subscriber, id string) {
	s.breakerEndedLocked(id, of.breaker)
	var b *breaker
	b = newBreaker(func(open bool) {
		if of.breaker == b && !of.removed {
			s.breakerChangedLocked(b, id, open)
		}
	})
	b.of, of.breaker = of, b
}

func (s *Scheduler) breakerChangedLocked(b *breaker, id string, open bool) {
	if open {
		s.news.log(slog.LevelWarn, LineOpened, "subscription", id, "target", b.last.origin(), "probe_every", probeEvery.String())
	} else {
		s.news.log(slog.LevelInfo, LineClosed, "subscription", id, "target", b.last.origin())
	}
	s.tellBreaker(id, open)
}

// breakerEndedLocked tells that a breaker, which may be nil, is not used any more.
func (s *Scheduler) breakerEndedLocked(id string, old *breaker) {
	if old != nil && old.open() {
		s.tellBreaker(id, false)
		old.leaveOutage(time.Now())
	}
}

func (s *Scheduler) tellBreaker(id string, open bool) {
	s.news.note(func() {
		if s.cfg.Events.Breaker != nil {
			s.cfg.Events.Breaker(id, open)
		}
	})
}
