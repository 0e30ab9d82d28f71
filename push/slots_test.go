package push

import (
	"errors"
	"net/http"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/solate/medispatcher"
)

// TestUnsettledOutcomeHoldsItsSlot: what a crash would deliver again is never more than the slots of a subscription,
// whether a request is under way or its outcome waits for Redis.
func TestUnsettledOutcomeHoldsItsSlot(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		sub := subscription("a")
		sub.Concurrency = 3
		f := newFixture(t, sub)
		var away atomic.Bool
		f.q.Fail = func(step string) error {
			if step == "delete" && away.Load() {
				return errors.New("connection lost")
			}
			return nil
		}
		stop := f.run()
		f.put("a", 50) // quick ones: messages are read ahead
		time.Sleep(time.Second)
		f.wantLeft("a", "map[]")
		away.Store(true)
		f.put("a", 50)
		time.Sleep(10 * time.Second)
		if n := len(f.w.of("a")); n != 53 {
			t.Errorf("%d requests while nothing is settled, want %d", n-50, sub.Concurrency)
		}
		f.s.lanes.mu.Lock()
		if n := len(f.s.lanes.subs["a"].parked); n != 0 {
			t.Errorf("%d workers wait with a connection, while Redis takes nothing", n)
		}
		f.s.lanes.mu.Unlock()
		away.Store(false)
		time.Sleep(10 * time.Second)
		f.wantLeft("a", "map[]")
		if n := len(f.w.of("a")); n != 100 {
			t.Errorf("%d requests, want 100", n)
		}
		f.ok(stop())
	})
}

// TestReadAheadIsGivenBack: when a breaker opens and when the dispatcher stops, what it read ahead is free for others at once.
func TestReadAheadIsGivenBack(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		f := newFixture(t, subscription("a"))
		var fails atomic.Bool
		f.w.answer = func(*http.Request) (int, time.Duration) {
			if fails.Load() {
				return 500, time.Millisecond
			}
			return 200, time.Millisecond
		}
		stop := f.run()
		f.put("a", 100)
		time.Sleep(time.Second)
		f.wantLeft("a", "map[]")
		fails.Store(true)
		f.put("a", 1000)
		time.Sleep(100 * time.Millisecond)
		left := f.q.Left(medispatcher.Channel{Subscription: "a"})
		if left["mine"] != 0 || left["ready"] < 900 {
			t.Errorf("left %v with an open breaker, want none in hand", left)
		}
		fails.Store(false)
		time.Sleep(time.Minute)
		f.wantLeft("a", "map[]")
		f.w.answer = func(*http.Request) (int, time.Duration) { return 200, 5 * time.Millisecond }
		f.put("a", 1000)
		time.Sleep(50 * time.Millisecond)
		f.ok(stop())
		if left := f.q.Left(medispatcher.Channel{Subscription: "a"}); left["mine"] != 0 {
			t.Errorf("left %v after the end, want none in hand", left)
		}
	})
}
