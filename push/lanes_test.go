package push

import (
	"fmt"
	"maps"
	"net/http"
	"slices"
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

// TestChannelsAreLeftTogether: a process keeps in mind the channels that it read of subscriptions that exist, and leaves many of
// them in one round trip.
func TestChannelsAreLeftTogether(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var subs []medispatcher.Subscription
		for i := range 400 {
			subs = append(subs, subscription(fmt.Sprint("s", i)))
		}
		f := newFixture(t, subs...)
		var left, released atomic.Int64
		f.hook(func(step string) {
			switch step {
			case "leave":
				left.Add(1)
			case "release":
				released.Add(1)
			}
		}, nil)
		stop := f.run()
		put := func(from, to int) {
			for i := from; i < to; i++ {
				f.put(fmt.Sprint("s", i), 1)
			}
		}
		put(0, 100)
		time.Sleep(time.Minute)
		remove := func(from, to int) {
			for i := from; i < to; i++ {
				delete(f.subs, fmt.Sprint("s", i))
			}
			f.apply(f.subs)
		}
		remove(0, 100) // their lanes were dropped before
		put(100, 200)
		time.Sleep(time.Second)
		remove(100, 200) // and of these afterwards
		put(200, 300)
		time.Sleep(time.Minute)
		put(300, 400)
		time.Sleep(time.Second)
		f.s.lanes.mu.Lock()
		joined := len(f.s.lanes.joined)
		f.s.lanes.mu.Unlock()
		if joined != 100 {
			t.Errorf("%d channels are kept in mind, want 100", joined)
		}
		f.ok(stop())
		if left.Load() != 2 || released.Load() != 0 {
			t.Errorf("left 200 channels in %d round trips, and %d single ones", left.Load(), released.Load())
		}
	})
}

// TestIdleSubscriptionHasNoSubscriber: one is made for the first message, by the settings that are in force then. Only one
// whose limits others divide has it before.
func TestIdleSubscriptionHasNoSubscriber(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		f := newFixture(t, subscription("a"), subscription("b"), divided("c"))
		var former atomic.Int64
		f.w.answer = func(r *http.Request) (int, time.Duration) {
			if r.URL.Path != "/now" {
				former.Add(1)
			}
			return 200, time.Millisecond
		}
		stop := f.run()
		want := func(want ...string) {
			t.Helper()
			f.s.lanes.mu.Lock()
			defer f.s.lanes.mu.Unlock()
			if got := slices.Sorted(maps.Keys(f.s.lanes.subs)); !slices.Equal(got, want) {
				t.Errorf("subscribers of %v, want those of %v", got, want)
			}
		}
		f.change("b", func(s *medispatcher.Subscription) {
			s.URLs, s.Concurrency, s.Paused = []string{"http://b/now"}, 1, true
		})
		want("c")
		for range 5 { // nobody rings
			f.q.Put(medispatcher.Channel{Subscription: "b"}, medispatcher.Message{Topic: "t", Body: []byte("{}"), Type: "application/json"})
		}
		f.change("b", func(s *medispatcher.Subscription) { s.Paused = false })
		time.Sleep(time.Second)
		f.wantLeft("b", "map[]")
		if n, most := len(f.w.of("b")), f.w.peak("b"); n != 5 || most != 1 || former.Load() > 0 {
			t.Errorf("%d requests, up to %d at once, %d to the former URL; want 5, one by one, to the present URL", n, most, former.Load())
		}
		want("b", "c")
		f.ok(stop())
	})
}
