package push

import (
	"log/slog"

	"github.com/solate/medispatcher"
)

// newBreaker gives a subscriber a closed breaker. What becomes of the one before concerns nobody any
// more: attempts under way at former URLs say nothing about the present ones.
func (s *Scheduler) newBreaker(of *subscriber, sub medispatcher.Subscription) {
	s.replaced(sub.ID, of.breaker)
	var b *breaker
	b = newBreaker(func(open bool) {
		if of.breaker == b && !of.removed {
			s.breakerChanged(sub.ID, open)
		}
	})
	of.breaker = b
}

func (s *Scheduler) breakerChanged(sub string, open bool) {
	if open {
		s.news.log(slog.LevelWarn, "breaker opened: the worker fails every message; a probe goes out now and then",
			"subscription", sub, "probe_every", probeEvery.String())
	} else {
		s.news.log(slog.LevelInfo, "breaker closed: the worker is back", "subscription", sub)
	}
	s.tellBreaker(sub, open)
}

// replaced tells that a breaker, which may be nil, is not used any more.
func (s *Scheduler) replaced(id string, old *breaker) {
	if old != nil && old.open() {
		s.tellBreaker(id, false)
	}
}

func (s *Scheduler) tellBreaker(id string, open bool) {
	s.news.note(func() {
		if s.cfg.Events.Breaker != nil {
			s.cfg.Events.Breaker(id, open)
		}
	})
}
