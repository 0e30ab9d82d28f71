package push

import (
	"fmt"
	"testing"
)

// breakerScene counts how often a breaker opened.
type breakerScene struct {
	*breaker
	opened int
}

func newBreakerScene() *breakerScene {
	s := &breakerScene{}
	s.breaker = newBreaker(func(open bool) {
		if open {
			s.opened++
		}
	})
	return s
}

func (s *breakerScene) ask(t *testing.T, n int) []permit {
	t.Helper()
	list := make([]permit, n)
	for i := range list {
		p, ok := s.begin()
		if !ok {
			t.Fatal("the breaker is open")
		}
		list[i] = p
	}
	return list
}

func (s *breakerScene) finish(list []permit, accepted bool) {
	for _, p := range list {
		s.end(p, fmt.Sprint("m", p.number), &result{target: "http://t", status: 500, accepted: accepted})
	}
}

// TestBreakerWaitsForSlowSuccesses: a worker that refuses some messages at once, and takes
// its time over those it accepts, is not down.
func TestBreakerWaitsForSlowSuccesses(t *testing.T) {
	s := newBreakerScene()
	for range 5 {
		slow := s.ask(t, 20)
		for range 3 {
			s.finish(s.ask(t, breakerFailures), false)
		}
		s.finish(slow, true)
	}
	if s.opened > 0 {
		t.Errorf("opened %d times", s.opened)
	}
}

// TestBreakerOpens: as soon as all that was under way at the first failure has failed too.
func TestBreakerOpens(t *testing.T) {
	s := newBreakerScene()
	all := s.ask(t, 2*breakerFailures)
	s.finish(all[:len(all)-1], false)
	if s.opened > 0 {
		t.Error("opened while an attempt may still succeed")
	}
	s.finish(all[len(all)-1:], false)
	if s.opened != 1 {
		t.Errorf("opened %d times, want once", s.opened)
	}
	if _, ok := s.begin(); ok {
		t.Error("an open breaker lets an attempt through")
	}
}
