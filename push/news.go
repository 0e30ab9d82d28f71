package push

import "github.com/solate/medispatcher"

// later notes what is to be logged or told without the mutex, which is held.
func (s *Scheduler) later(tell func()) { s.news = append(s.news, tell) }

// tellNews logs and tells what was noted, in order. Where somebody does already, it is left to them.
func (s *Scheduler) tellNews() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.telling {
		return
	}
	s.telling = true
	for len(s.news) > 0 {
		news := s.news
		s.news = nil
		s.mu.Unlock()
		for _, tell := range news {
			if p := medispatcher.Guard(tell); p != nil {
				s.cfg.Log.Error("medispatcher panicked telling of a breaker or a channel, which is a defect of ours: please report it",
					"panic", p.Error(), "stack", string(p.Stack))
			}
		}
		s.mu.Lock()
	}
	s.telling = false
}

// newBreaker gives a subscriber a closed breaker. What becomes of the one before concerns nobody any
// more: attempts under way at former URLs say nothing about the present ones.
func (s *Scheduler) newBreaker(of *subscriber, sub medispatcher.Subscription) {
	s.replaced(sub.ID, of.breaker)
	var b *breaker
	b = newBreaker(func(open bool) {
		if of.breaker == b && !of.removed {
			s.later(func() { s.breakerChanged(sub.ID, open) })
		}
	})
	of.breaker = b
}

func (s *Scheduler) breakerChanged(sub string, open bool) {
	if open {
		s.cfg.Log.Warn("breaker opened: the worker fails every message; a probe goes out now and then",
			"subscription", sub, "probe_every", probeEvery.String())
	} else {
		s.cfg.Log.Info("breaker closed: the worker is back", "subscription", sub)
	}
	s.tellBreaker(sub, open)
}

// replaced tells that a breaker, which may be nil, is not used any more.
func (s *Scheduler) replaced(id string, old *breaker) {
	if old != nil && old.open() {
		s.later(func() { s.tellBreaker(id, false) })
	}
}

func (s *Scheduler) tellBreaker(id string, open bool) {
	if s.cfg.Events.Breaker != nil {
		s.cfg.Events.Breaker(id, open)
	}
}
