package push

import (
	"net/http"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/solate/medispatcher"
)

// TestIdleLanesAreDropped: a subscription has a lane only while there is work, or was some lately. A retry that waits for long
// is work. At the end the process leaves the groups of all channels that it ever read.
func TestIdleLanesAreDropped(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		slow := subscription("slow")
		slow.RetryCoefficient = medispatcher.Duration(time.Hour)
		f := newFixture(t, subscription("a"), slow, subscription("never"))
		var down atomic.Bool
		down.Store(true)
		f.w.answer = func(r *http.Request) (int, time.Duration) {
			if r.Header.Get("medis-subscription") == "slow" && down.Load() {
				return 500, time.Millisecond
			}
			return 200, time.Millisecond
		}
		left := map[string]bool{}
		stop := f.run()
		lanes := func() (names []string) {
			f.s.lanes.mu.Lock()
			defer f.s.lanes.mu.Unlock()
			for c := range f.s.lanes.open {
				names = append(names, c.Subscription)
			}
			return names
		}
		if got := lanes(); len(got) != 0 {
			t.Errorf("lanes of %v before the first message", got)
		}
		f.put("a", 3)
		f.put("slow", 1)
		time.Sleep(time.Minute)
		if got := lanes(); len(got) != 1 || got[0] != "slow" {
			t.Errorf("lanes of %v after a quiet minute, want that of slow alone", got)
		}
		f.put("a", 3)
		time.Sleep(time.Second)
		f.wantLeft("a", "map[]")
		if n := len(f.w.of("a")); n != 6 {
			t.Errorf("%d requests, want 6", n)
		}
		down.Store(false)
		time.Sleep(2 * time.Hour)
		f.wantLeft("slow", "map[]")
		f.s.lanes.mu.Lock()
		for c := range f.s.lanes.joined {
			left[c.Subscription] = true
		}
		f.s.lanes.mu.Unlock()
		if len(left) != 2 || len(lanes()) != 0 {
			t.Errorf("at the end it leaves %v and has lanes of %v, want a and slow, and none", left, lanes())
		}
		f.ok(stop())
	})
}
