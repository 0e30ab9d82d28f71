package push

import (
	"log/slog"
	"reflect"
	"slices"
	"time"

	"github.com/solate/medispatcher"
)

// Apply puts a set of subscriptions in force. What is in flight is not disturbed.
func (s *Scheduler) Apply(subs map[string]medispatcher.Subscription) {
	s.lanes.mu.Lock()
	defer s.lanes.mu.Unlock()
	search := false
	for id, sub := range subs {
		had := s.lanes.subs[id]
		if had != nil && reflect.DeepEqual(had.settings.sub, sub) {
			continue // what its URLs did lately is remembered
		}
		st := newSettings(sub, s.cfg.Env)
		if had == nil {
			had = s.lanes.addLocked(id)
			s.newBreakerLocked(had, id)
			search = true
		} else if had.settings.sub.Paused && !sub.Paused {
			search = true
			s.newBreakerLocked(had, id) // somebody thinks that it works again
		} else if !slices.Equal(had.settings.sub.URLs, sub.URLs) {
			s.newBreakerLocked(had, id)
		}
		had.apply(st)
		s.workers.staffLocked(had, time.Now())
		s.lanes.offerLocked(had)
	}
	for id, sub := range s.lanes.subs {
		if _, ok := subs[id]; !ok {
			s.breakerEndedLocked(id, sub.breaker)
			s.lanes.removeLocked(id, sub)
		}
	}
	if search {
		s.Sweep()
	}
}

// newBreakerLocked gives a subscriber a closed breaker. What becomes of the one before concerns nobody any
// more: attempts under way at former URLs say nothing about the present ones.
func (s *Scheduler) newBreakerLocked(of *subscriber, id string) {
	s.breakerEndedLocked(id, of.breaker)
	var b *breaker
	b = newBreaker(func(open bool) {
		if of.breaker == b && !of.removed {
			s.breakerChangedLocked(id, open)
		}
	})
	of.breaker = b
}

func (s *Scheduler) breakerChangedLocked(id string, open bool) {
	if open {
		s.news.log(slog.LevelWarn, "breaker opened: the worker fails every message; a probe goes out now and then",
			"subscription", id, "probe_every", probeEvery.String())
	} else {
		s.news.log(slog.LevelInfo, "breaker closed: the worker is back", "subscription", id)
	}
	s.tellBreaker(id, open)
}

// breakerEndedLocked tells that a breaker, which may be nil, is not used any more.
func (s *Scheduler) breakerEndedLocked(id string, old *breaker) {
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
