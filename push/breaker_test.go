package push

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"net/http"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
)

// breakerScene counts how often a breaker opened.
type breakerScene struct {
	*breaker
	opened int
}

func newBreakerScene() *breakerScene {
	s := &breakerScene{}
	s.breaker = newBreaker(nil, func(_ *breaker, open bool) {
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
	t.Parallel()
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

// TestBreakerOpens: when ten in a row have failed, in the order in which they began.
func TestBreakerOpens(t *testing.T) {
	t.Parallel()
	s := newBreakerScene()
	all := s.ask(t, 2*breakerFailures)
	s.finish(all[1:], false)
	if s.opened > 0 {
		t.Error("opened while an attempt before them may still succeed")
	}
	s.finish(all[:1], false)
	if s.opened != 1 {
		t.Errorf("opened %d times, want once", s.opened)
	}
	if _, ok := s.begin(); ok {
		t.Error("an open breaker lets an attempt through")
	}
}

// TestBreakerOfQuickFailures: one of five attempts fails, at once, and makes room for the next; the others take longer.
// The worker is not down, however many slots the slow ones fill.
func TestBreakerOfQuickFailures(t *testing.T) {
	t.Parallel()
	s := newBreakerScene()
	random := rand.New(rand.NewPCG(1, 2)) //nolint:gosec // the same each time
	for range 200 {
		var slow []permit
		for len(slow) < 32 {
			p := s.ask(t, 1)
			if random.IntN(5) == 0 {
				s.finish(p, false)
			} else {
				slow = append(slow, p...)
			}
		}
		s.finish(slow, true)
	}
	if s.opened > 0 {
		t.Errorf("opened %d times", s.opened)
	}
}

// TestBreakerOfBunches: of many attempts under way the successful ones end first. The failures among them are
// no row, however late they end.
func TestBreakerOfBunches(t *testing.T) {
	t.Parallel()
	s := newBreakerScene()
	for range 20 {
		var bad, good []permit
		for i, p := range s.ask(t, 5*breakerFailures) {
			if i%4 == 0 {
				bad = append(bad, p)
			} else {
				good = append(good, p)
			}
		}
		s.finish(good, true)
		s.finish(bad, false)
	}
	if s.opened > 0 {
		t.Errorf("opened %d times", s.opened)
	}
}

// TestBreakerOfOneMessage: one message that nobody can take does not stop the others, and does not hide that
// they fail too.
func TestBreakerOfOneMessage(t *testing.T) {
	t.Parallel()
	s := newBreakerScene()
	poison := func() {
		for range 3 * breakerFailures {
			s.end(s.ask(t, 1)[0], "poison", &result{target: "http://t", status: 500})
		}
	}
	poison()
	s.finish(s.ask(t, 1), false)
	poison()
	if s.opened > 0 {
		t.Error("opened for two messages")
	}
	s.finish(s.ask(t, 1), false)
	if s.opened != 1 {
		t.Errorf("opened %d times, want once, for three messages", s.opened)
	}
}

// TestBreakerForgetsStragglers: what began before the breaker opened does not open it again.
func TestBreakerForgetsStragglers(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := newBreakerScene()
		s.finish(s.ask(t, breakerFailures-1), false)
		stragglers := s.ask(t, 2*breakerFailures)
		s.finish(stragglers[:1], false)
		if s.opened != 1 {
			t.Fatal("not open")
		}
		time.Sleep(probeEvery + time.Second)
		s.finish(s.ask(t, 1), true) // the probe
		s.finish(stragglers[1:], false)
		s.finish(s.ask(t, breakerFailures-1), false)
		if s.opened != 1 || s.open() {
			t.Error("opened by attempts that began before it closed")
		}
		s.finish(s.ask(t, 1), false)
		if s.opened != 2 {
			t.Errorf("opened %d times, want twice", s.opened)
		}
	})
}

// TestProbeThatCannotBeRead: while Redis refuses to read the message for a probe, it is asked now and then, not without a pause.
func TestProbeThatCannotBeRead(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		f := newFixture(t, subscription("a"))
		var down, refuses atomic.Bool
		var reads atomic.Int64
		down.Store(true)
		f.w.answer = func(*http.Request) (int, time.Duration) {
			if down.Load() {
				return 500, 0
			}
			return 200, 0
		}
		f.q.Fail = func(step string) error {
			if step != "read" || !refuses.Load() {
				return nil
			}
			if reads.Add(1) > 1000 {
				refuses.Store(false)
			}
			return errors.New("OOM")
		}
		stop := f.run()
		f.put("a", 100)
		time.Sleep(2 * time.Second) // the breaker is open
		refuses.Store(true)
		time.Sleep(time.Minute)
		if n := reads.Load(); n == 0 || n > 100 {
			t.Errorf("%d reads in a minute", n)
		}
		refuses.Store(false)
		down.Store(false)
		time.Sleep(2 * time.Minute)
		f.wantLeft("a", "map[]")
		f.ok(stop())
	})
}
