package push

import (
	"fmt"
	"net/http"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/solate/medispatcher"
)

// TestTakenOver: a dispatcher whose heartbeat was late begins nothing of an ordered subscription that it had read before: others
// may have delivered it. It gives that back, and goes on with what it reads anew.
func TestTakenOver(t *testing.T) {
	t.Parallel()
	for _, beats := range []bool{false, true} { // before a slot is free again
		for _, ordered := range []bool{false, true} {
			t.Run(fmt.Sprintf("heartbeat %t, ordered %t", beats, ordered), func(t *testing.T) {
				t.Parallel()
				synctest.Test(t, func(t *testing.T) {
					sub := subscription("a")
					sub.Ordered, sub.Concurrency = ordered, 1
					sub.Batch = medispatcher.BatchPolicy{Size: 2, Wait: medispatcher.Duration(time.Minute), Bytes: 1 << 20, Format: medispatcher.BatchLines}
					f := newFixture(t, sub)
					f.w.answer = func(*http.Request) (int, time.Duration) { return http.StatusOK, 0 }
					f.s.DivideUntil(time.Now().Add(10 * time.Second))
					stop := f.run()
					f.put("a", 1) // waits in a batch
					time.Sleep(55 * time.Second)
					if beats {
						f.s.DivideUntil(time.Now().Add(10 * time.Minute))
					}
					time.Sleep(10 * time.Second) // the wait is over
					synctest.Wait()
					if n := len(f.w.of("a")); (n == 0) != ordered {
						t.Errorf("%d requests", n)
					}
					f.s.DivideUntil(time.Now().Add(10 * time.Minute))
					time.Sleep(2 * time.Minute)
					f.wantLeft("a", "map[]")
					f.ok(stop())
				})
			})
		}
	}
}

// TestTakenAgainWhileGivenBack: a due read that takes a message again before the reply of the step that gave it back leaves it in doubt. That
// is cleared up at once, and not by the next sweep.
func TestTakenAgainWhileGivenBack(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		sub := subscription("a")
		sub.Ordered = true
		f := newFixture(t, sub)
		f.s.cfg.SweepEvery = 24 * time.Hour
		var releases atomic.Int32
		f.hook(nil, func(step string) {
			if step == "release" && releases.Add(1) == 1 {
				time.Sleep(50 * time.Millisecond)
			}
		})
		f.s.DivideUntil(time.Now()) // the heartbeat is late
		stop := f.run()
		f.put("a", 1)
		time.Sleep(5 * time.Millisecond)
		f.put("a", 1) // is given back meanwhile, and due again
		time.Sleep(20 * time.Millisecond)
		f.s.DivideUntil(time.Now().Add(time.Hour))
		time.Sleep(time.Second)
		f.wantLeft("a", "map[]")
		f.ok(stop())
	})
}

// TestTakenOverWhileFrozen: of an unordered subscription, too, a dispatcher that froze for longer than its heartbeat holds gives back what it had read.
// A heartbeat that is late for another reason, such as a Redis that is away, stops nothing.
func TestTakenOverWhileFrozen(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		froze, late time.Duration
		back        bool
	}{
		"frozen":        {froze: 20 * time.Second, late: 20 * time.Second, back: true},
		"a moment":      {froze: 3 * time.Second, late: 3 * time.Second},
		"Redis away":    {late: 20 * time.Second},
		"a moment, too": {froze: time.Second, late: 20 * time.Second},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				sub := subscription("a")
				sub.Batch = medispatcher.BatchPolicy{Size: 2, Wait: medispatcher.Duration(time.Minute), Bytes: 1 << 20, Format: medispatcher.BatchLines}
				f := newFixture(t, sub)
				var releases atomic.Int32
				f.hook(func(step string) {
					if step == "release" {
						releases.Add(1)
					}
				}, nil)
				stop := f.run()
				f.put("a", 1) // waits in a batch
				time.Sleep(30 * time.Second)
				f.s.DivideUntil(time.Now().Add(6 * time.Second))
				time.Sleep(c.late - c.froze)
				f.s.lanes.mu.Lock()
				f.s.lanes.shares.ran = f.s.lanes.shares.ran.Add(-c.froze) // nothing of this process ran
				f.s.lanes.mu.Unlock()
				time.Sleep(c.froze)
				f.s.DivideUntil(time.Now().Add(10 * time.Minute))
				time.Sleep(2 * time.Minute)
				f.wantLeft("a", "map[]")
				if n := releases.Load(); (n > 0) != c.back || len(f.w.of("a")) != 1 {
					t.Errorf("given back %d times, %d requests", n, len(f.w.of("a")))
				}
				f.ok(stop())
			})
		})
	}
}
