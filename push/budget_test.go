package push

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/solate/medispatcher"
)

// large is the size of a large body, next to the budgets of these tests, and taken is what a message with it takes of a
// budget: the body, and the copy that is sent.
const large, taken = 4 << 10, 2 * large

// budget gives the scheduler a budget and watches it: peak is the most bytes of bodies that it held.
func (f *fixture) budget(limit, maxBody int64) (peak *atomic.Int64) {
	f.s.lanes.budget = newBudget(limit, maxBody)
	peak = &atomic.Int64{}
	look := func(string) {
		bytes, _ := f.s.Bodies()
		peak.Store(max(peak.Load(), bytes))
	}
	f.hook(look, nil)
	return peak
}

// putBodies publishes n messages of a size and rings.
func (f *fixture) putBodies(sub string, n int, body []byte) {
	c := medispatcher.Channel{Subscription: sub}
	for range n {
		f.q.Put(c, medispatcher.Message{Topic: "t", Body: body})
	}
	f.s.Ring([]medispatcher.Channel{c})
}

// wantNothingHeld: no subscription holds a slot, a worker or room in the budget.
func (f *fixture) wantNothingHeld() {
	f.t.Helper()
	f.s.lanes.mu.Lock()
	defer f.s.lanes.mu.Unlock()
	for c, l := range f.s.lanes.touched {
		s := l.sub
		held := []int{
			s.fresh.used, s.fresh.unsettled, s.retry.used, s.retry.unsettled, s.fresh.asked, s.retry.asked, s.fresh.ahead.len(), s.retry.ahead.len(), len(s.parked),
			s.running, len(s.breaker.running), int(s.holds[pool]), int(s.holds[reserve]), len(l.entries), len(l.early),
		}
		for _, n := range held {
			if n != 0 {
				f.t.Errorf("%v holds something while it is idle: %v", c, held)
				break
			}
		}
	}
	if b := f.s.lanes.budget; b.used != [2]int64{} || b.asked != [2]int{} || f.s.settle.len() != 0 || f.s.short.running != 0 {
		f.t.Errorf("held while all are idle: %v bytes, %v reads, %d outcomes, %d attempts", b.used, b.asked, f.s.settle.len(), f.s.short.running)
	}
}

// TestHangingSubscribersAndTheBudget: a hundred subscribers hang, with ten large messages each, and the dispatcher may hold 64 of them. The
// others are served as before, with small messages and large ones, whether known to be quick or never seen before. When the hundred come
// back, they get everything.
func TestHangingSubscribersAndTheBudget(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		subs := []medispatcher.Subscription{subscription("small"), subscription("large"), subscription("new")}
		for i := range 100 {
			sub := subscription(fmt.Sprint("hangs", i))
			sub.MaxRetries, sub.RetryCoefficient = 1000, medispatcher.Duration(time.Millisecond)
			subs = append(subs, sub)
		}
		f := newFixture(t, subs...)
		const budget = 64 * taken
		peak := f.budget(budget, taken)
		var back atomic.Bool
		f.w.answer = func(r *http.Request) (int, time.Duration) {
			if strings.HasPrefix(r.URL.Host, "hangs") && !back.Load() {
				return 200, time.Hour
			}
			return 200, time.Millisecond
		}
		stop := f.run()
		body := make([]byte, large)
		f.put("small", 1)
		f.putBodies("large", 1, body)
		time.Sleep(time.Second)
		for i := range 100 {
			f.putBodies(fmt.Sprint("hangs", i), 10, body)
		}
		served := func(sub string, n int, body []byte, within time.Duration) {
			t.Helper()
			before := len(f.w.of(sub))
			f.putBodies(sub, n, body)
			time.Sleep(within)
			if got := len(f.w.of(sub)) - before; got != n {
				t.Errorf("%s: %d of %d in %s", sub, got, n, within)
			}
		}
		for range 20 {
			served("small", 100, []byte("{}"), 200*time.Millisecond)
			served("large", 20, body, 500*time.Millisecond)
		}
		served("new", 100, []byte("{}"), time.Second) // they hang for longer than their first timeout
		hanging := 0
		for i := range 100 {
			if len(f.w.of(fmt.Sprint("hangs", i))) > 0 {
				hanging++
			}
		}
		if hanging != 100 {
			t.Errorf("%d of the 100 that hang were tried", hanging)
		}
		if peak.Load() > budget {
			t.Errorf("%d large bodies at once", peak.Load()/taken)
		}
		back.Store(true)
		time.Sleep(time.Minute)
		for i := range 100 {
			f.wantLeft(fmt.Sprint("hangs", i), "map[]")
		}
		f.ok(stop())
		f.wantNothingHeld()
	})
}

// TestSizesThatSurprise: after many small messages come large ones. At most twice the budget is held.
func TestSizesThatSurprise(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var subs []medispatcher.Subscription
		for i := range 50 {
			sub := subscription(fmt.Sprint("s", i))
			sub.Concurrency = 20
			subs = append(subs, sub)
		}
		f := newFixture(t, subs...)
		const budget = 32 * taken
		peak := f.budget(budget, taken)
		f.w.answer = func(*http.Request) (int, time.Duration) { return 200, 100 * time.Millisecond }
		stop := f.run()
		body := make([]byte, large)
		for _, s := range subs {
			f.putBodies(s.ID, 50, []byte("{}"))
			f.putBodies(s.ID, 20, body)
		}
		time.Sleep(5 * time.Minute)
		for _, s := range subs {
			f.wantLeft(s.ID, "map[]")
		}
		if peak.Load() < budget || peak.Load() > 2*budget {
			t.Errorf("%d large bodies at once, want %d to %d", peak.Load()/taken, budget/taken, 2*budget/taken)
		}
		f.ok(stop())
		f.wantNothingHeld()
	})
}

// TestMessageLargerThanTheBudget: it is delivered all the same, beside others that are never idle.
func TestMessageLargerThanTheBudget(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		f := newFixture(t, subscription("huge"), subscription("a"), subscription("b"), subscription("c"))
		f.budget(16*taken, 64*taken)
		f.w.answer = func(*http.Request) (int, time.Duration) { return 200, 300 * time.Millisecond }
		stop := f.run()
		body := make([]byte, large)
		for _, sub := range []string{"a", "b", "c"} {
			f.putBodies(sub, 3000, body)
		}
		time.Sleep(time.Second)
		f.putBodies("huge", 3, make([]byte, 40*large))
		time.Sleep(30 * time.Second)
		f.wantLeft("huge", "map[]")
		if left := f.q.Left(medispatcher.Channel{Subscription: "a"}); left["ready"] == 0 {
			t.Error("the others were idle")
		}
		f.ok(stop())
		f.wantNothingHeld()
	})
}

// TestBudgetIsShared: if several subscriptions want all of it, each gets its share.
func TestBudgetIsShared(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var subs []medispatcher.Subscription
		for i := range 10 {
			sub := subscription(fmt.Sprint("s", i))
			sub.Concurrency = 100
			subs = append(subs, sub)
		}
		f := newFixture(t, subs...)
		f.budget(256*taken, 4*taken)
		f.w.answer = func(*http.Request) (int, time.Duration) { return 200, 2 * time.Second }
		stop := f.run()
		body := make([]byte, large)
		for _, s := range subs {
			f.putBodies(s.ID, 1500, body)
		}
		time.Sleep(time.Minute)
		least, most := 1500, 0
		for _, s := range subs {
			n := len(f.w.of(s.ID))
			least, most = min(least, n), max(most, n)
		}
		if least*5 < most || least < 150 { // without a bound for each the first would have nearly all
			t.Errorf("%d to %d messages in the same time", least, most)
		}
		f.ok(stop())
	})
}

// TestAccountsAreEven: whatever goes wrong, the budget does not count what this process holds no more.
func TestAccountsAreEven(t *testing.T) {
	t.Parallel()
	for seed := range uint64(10) {
		synctest.Test(t, func(t *testing.T) {
			random := rand.New(rand.NewPCG(seed, 19))
			sub := subscription("a")
			sub.RetryCoefficient, sub.RetryConcurrency, sub.MaxRetries = medispatcher.Duration(time.Millisecond), 6, 2
			f := newFixture(t, sub, subscription("b"))
			f.budget(100_000, 1000)
			var n atomic.Int64
			var whole atomic.Bool
			f.q.Fail = func(string) error {
				if n.Add(1)%9 == 0 && !whole.Load() {
					return errors.New("connection lost")
				}
				return nil
			}
			f.w.answer = func(*http.Request) (int, time.Duration) {
				return []int{200, 500}[rand.IntN(2)], time.Duration(rand.IntN(2000)) * time.Microsecond
			}
			stop := f.run()
			for i := range 200 {
				f.putBodies("a", 2, make([]byte, random.IntN(1000)))
				f.putBodies("b", 1, make([]byte, random.IntN(30_000)))
				switch i {
				case 50:
					f.change("a", func(s *medispatcher.Subscription) { s.Encoding = medispatcher.EncodingForm })
				case 100:
					f.change("b", func(s *medispatcher.Subscription) { s.Paused = true })
				case 120:
					f.change("b", func(s *medispatcher.Subscription) { s.Paused = false })
				case 150:
					f.apply(map[string]medispatcher.Subscription{})
					f.apply(f.subs)
				}
				time.Sleep(time.Duration(random.IntN(5)) * time.Millisecond)
			}
			time.Sleep(time.Minute)
			whole.Store(true)
			f.ok(stop())
			f.wantNothingHeld()
			f.wantOnce("b")
		})
	}
}
