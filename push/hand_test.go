package push

import (
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/solate/medispatcher"
)

// TestHand: the fan-out reads for a lane that is idle, and for no other.
func TestHand(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		c := medispatcher.Channel{Subscription: "a"}
		paced := subscription("paced")
		paced.Interval = medispatcher.Duration(time.Minute)
		paused := subscription("paused")
		paused.Paused = true
		f := newFixture(t, subscription("a"), paced, paused)
		stop := f.run()
		hand := func(sub string, n int) ([]medispatcher.Want, func([]medispatcher.Delivery, error)) {
			return f.s.Hand([]medispatcher.Want{{Channel: medispatcher.Channel{Subscription: sub}, Max: n}}, 1)
		}
		f.s.Stirred()

		wants, took := hand("a", 2)
		if len(wants) != 1 || wants[0].Channel != c || wants[0].Max != 2 {
			t.Fatalf("wants %v, want both copies", wants)
		}
		if again, _ := hand("a", 2); again != nil {
			t.Errorf("wants %v while a read is under way", again)
		}
		f.q.Put(c, medispatcher.Message{Topic: "t"})
		f.q.Put(c, medispatcher.Message{Topic: "t"})
		took(f.q.Read(t.Context(), wants))
		synctest.Wait()
		if n := len(f.w.of("a")); n != 2 {
			t.Errorf("%d requests at once, want 2", n)
		}
		if ids := f.s.Stirred(); len(ids) != 1 {
			t.Errorf("%v had something to do, want a", ids)
		}
		time.Sleep(time.Second)
		f.wantLeft("a", "map[]")

		if wants, _ = hand("paused", 1); wants != nil {
			t.Errorf("wants %v of a paused subscription", wants)
		}
		f.put("paced", 1)
		time.Sleep(time.Second)
		if wants, _ = hand("paced", 1); wants != nil {
			t.Errorf("wants %v before the turn", wants)
		}

		// The reply is lost: the sweep finds what the step took.
		wants, took = hand("a", 1)
		f.q.Put(c, medispatcher.Message{Topic: "t"})
		if _, err := f.q.Read(t.Context(), wants); err != nil {
			t.Fatal(err)
		}
		took(nil, errors.New("connection lost"))
		time.Sleep(time.Minute)
		f.wantLeft("a", "map[]")

		// A step that is under way when the dispatcher stops: what it brings is given back.
		wants, took = hand("a", 1)
		f.q.Put(c, medispatcher.Message{Topic: "t"})
		got, err := f.q.Read(t.Context(), wants)
		f.ok(err)
		go func() {
			time.Sleep(100 * time.Millisecond)
			took(got, nil)
		}()
		time.Sleep(10 * time.Millisecond)
		f.ok(stop())
		f.wantLeft("a", "map[retrying:1]")
		if wants, _ = hand("a", 1); wants != nil {
			t.Errorf("wants %v after the end", wants)
		}
	})
}
