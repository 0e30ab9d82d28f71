package push

import (
	"net/http"
	"slices"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/solate/medispatcher"
)

// divided is a subscription whose limits hold in all dispatchers together.
func divided(id string) medispatcher.Subscription {
	s := subscription(id)
	s.Scope, s.Concurrency, s.RetryConcurrency = medispatcher.ScopeCluster, 8, 4
	return s
}

// divide gives the scheduler shares, for long.
func (f *fixture) divide(pushes, retries int) {
	f.s.Divide(func(*medispatcher.Subscription, int, int) (int, int) { return pushes, retries })
	f.s.DivideUntil(time.Now().Add(time.Hour))
}

// TestShareFirst: before a dispatcher has a share, it leaves everything to others. With one it takes what is there, and not
// more at once.
func TestShareFirst(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		f := newFixture(t, divided("a"), subscription("b"))
		f.w.answer = func(*http.Request) (int, time.Duration) { return 200, 100 * time.Millisecond }
		var o others
		o.hear(f)
		stop := f.run()
		f.put("a", 20)
		f.put("b", 1)
		o.expect(t, "there is no share", "spilled a")
		time.Sleep(time.Minute)
		f.wantLeft("a", "map[ready:20]")
		f.wantLeft("b", "map[]")
		f.divide(3, 1)
		time.Sleep(time.Second)
		f.wantLeft("a", "map[]")
		if n := f.w.peak("a"); n != 3 {
			t.Errorf("%d pushes in flight at once, want 3", n)
		}
		if got := f.s.Shares(); len(got) != 1 || got["a"] != (medispatcher.Share{Pushes: 3, Retries: 1}) {
			t.Errorf("shares %v", got)
		}
		f.ok(stop())
	})
}

// TestShareLowered: what is in flight above a share that became smaller goes on and is known, and nothing new begins before it has
// ended. Then the others are told.
func TestShareLowered(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		f := newFixture(t, divided("a"))
		f.w.answer = func(*http.Request) (int, time.Duration) { return 200, 4 * time.Second }
		var within atomic.Int64
		f.s.cfg.Events.Within = func() { within.Add(1) }
		f.divide(8, 4)
		stop := f.run()
		f.put("a", 40)
		synctest.Wait()
		if over := f.s.Over(); f.w.peak("a") != 8 || over != nil {
			t.Errorf("over: %v", over)
		}
		f.divide(2, 0)
		synctest.Wait()
		if over := f.s.Over(); !slices.Equal(over, []string{"a"}) {
			t.Errorf("over: %v", over)
		}
		time.Sleep(3 * time.Second)
		if n := len(f.w.of("a")); n != 8 || within.Load() != 0 {
			t.Errorf("%d requests, told %d times", n, within.Load())
		}
		f.w.peak("a")
		time.Sleep(2 * time.Second) // the eight have ended
		synctest.Wait()
		if over := f.s.Over(); over != nil || within.Load() != 1 {
			t.Errorf("over: %v, told %d times", over, within.Load())
		}
		f.w.peak("a")
		time.Sleep(10 * time.Minute)
		f.wantLeft("a", "map[]")
		if n := f.w.peak("a"); n != 2 {
			t.Errorf("%d in flight at once, want 2", n)
		}
		f.ok(stop())
	})
}

// TestShareTaken: without a share a dispatcher keeps nothing that it has not begun, neither new messages nor retries, and rings for
// those that become due here. With a share it goes on.
func TestShareTaken(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		sub := divided("a")
		sub.RetryCoefficient = medispatcher.Duration(time.Second)
		f := newFixture(t, sub)
		var fails atomic.Bool
		f.w.answer = func(*http.Request) (int, time.Duration) {
			if fails.Load() {
				return 500, 10 * time.Millisecond
			}
			return 200, time.Millisecond
		}
		f.divide(8, 4)
		stop := f.run()
		f.put("a", 100)
		time.Sleep(time.Second) // quick: it reads ahead
		fails.Store(true)
		f.put("a", 5)
		synctest.Wait()
		var o others
		o.hear(f)
		f.divide(0, 0)
		f.put("a", 30)
		time.Sleep(100 * time.Millisecond)
		f.wantLeft("a", "map[ready:30 retrying:5]")
		o.expect(t, "all is left to others", "spilled a")
		time.Sleep(2 * time.Second)
		o.expect(t, "the retries are due", "due a")
		fails.Store(false)
		f.divide(0, 1)
		time.Sleep(time.Second)
		f.wantLeft("a", "map[ready:30]")
		f.divide(1, 0)
		time.Sleep(time.Second)
		f.wantLeft("a", "map[]")
		f.ok(stop())
	})
}

// TestShareEnds: when the time of the shares is over, nothing begins, even if nobody says so.
func TestShareEnds(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		f := newFixture(t, divided("a"), subscription("b"))
		f.w.answer = func(*http.Request) (int, time.Duration) { return 200, time.Second }
		f.divide(8, 4)
		end := time.Now().Add(5 * time.Second)
		f.s.DivideUntil(end)
		stop := f.run()
		f.put("a", 100)
		f.put("b", 100)
		time.Sleep(4500 * time.Millisecond)
		f.divideEnds(t, end)
		time.Sleep(time.Minute)
		f.wantLeft("a", "map[]")
		f.wantLeft("b", "map[]")
		f.ok(stop())
	})
}

// divideEnds looks at what begins when the shares of a end, and gives it others.
func (f *fixture) divideEnds(t *testing.T, end time.Time) {
	t.Helper()
	time.Sleep(700 * time.Millisecond)
	f.s.Divide(func(*medispatcher.Subscription, int, int) (int, int) { return 0, 0 })
	time.Sleep(10 * time.Second)
	for _, a := range f.w.of("a") {
		if !a.at.Before(end) {
			t.Errorf("a request began %s after the end", a.at.Sub(end))
		}
	}
	f.divide(8, 4)
}

// TestShareOfInterval: a dispatcher that gets the share of another one waits for an interval before its first push.
func TestShareOfInterval(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		sub := divided("a")
		sub.Interval = medispatcher.Duration(time.Second)
		f := newFixture(t, sub)
		stop := f.run()
		f.put("a", 3)
		time.Sleep(time.Minute)
		got := time.Now()
		f.divide(8, 4)
		time.Sleep(time.Minute)
		f.wantLeft("a", "map[]")
		for i, a := range f.w.of("a") {
			if at := a.at.Sub(got).Round(100 * time.Millisecond); at != time.Duration(i+1)*time.Second {
				t.Errorf("push %d was %s after the share", i, at)
			}
		}
		f.ok(stop())
	})
}

// TestShareOfChange: a subscription that is changed has the shares of what it is now, and may have more only where its shares say so.
func TestShareOfChange(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		f := newFixture(t, subscription("a"))
		f.w.answer = func(*http.Request) (int, time.Duration) { return 200, time.Second }
		var had []int
		f.s.Divide(func(sub *medispatcher.Subscription, pushes, retries int) (int, int) {
			had = append(had, pushes, retries)
			return sub.Concurrency / 2, 1
		})
		f.s.DivideUntil(time.Now().Add(time.Hour))
		stop := f.run()
		f.change("a", func(s *medispatcher.Subscription) { s.Scope = medispatcher.ScopeCluster })
		f.change("a", func(s *medispatcher.Subscription) { s.Concurrency = 6 })
		f.put("a", 40)
		time.Sleep(time.Minute)
		if n := f.w.peak("a"); n != 3 {
			t.Errorf("%d in flight at once, want 3", n)
		}
		f.apply(nil)
		f.apply(f.subs)
		f.change("a", func(s *medispatcher.Subscription) { s.Scope = medispatcher.ScopeDispatcher })
		f.put("a", 40)
		time.Sleep(time.Minute)
		if n := f.w.peak("a"); n != 6 || len(f.s.Shares()) != 0 {
			t.Errorf("%d in flight at once, want 6, and shares %v", n, f.s.Shares())
		}
		// It began with none each time, whatever its limit was in each dispatcher, or before it was removed.
		if want := []int{0, 0, 3, 1, 0, 0}; !slices.Equal(had[:2], want[:2]) || !slices.Equal(had[len(had)-2:], want[4:]) {
			t.Errorf("had %v", had)
		}
		f.ok(stop())
	})
}

// TestShareOfReadAhead: what was read ahead is free for others at once when the share is gone.
func TestShareOfReadAhead(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		f := newFixture(t, divided("a"))
		var slow atomic.Bool
		f.w.answer = func(*http.Request) (int, time.Duration) {
			if slow.Load() {
				return 200, time.Second
			}
			return 200, time.Millisecond
		}
		f.divide(8, 4)
		stop := f.run()
		f.put("a", 100)
		time.Sleep(time.Second) // quick: it reads ahead
		slow.Store(true)
		f.put("a", 30)
		synctest.Wait()
		f.divide(0, 0)
		time.Sleep(2 * time.Second)
		f.wantLeft("a", "map[retrying:22]")
		f.divide(8, 4)
		time.Sleep(time.Minute)
		f.wantLeft("a", "map[]")
		f.ok(stop())
	})
}
