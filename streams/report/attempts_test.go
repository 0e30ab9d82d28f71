package report_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/solate/medispatcher"
	"github.com/solate/medispatcher/streams/report"
	"github.com/solate/medispatcher/streams/streamstest"
)

// TestAttempts: several dispatchers write to one list, which is bounded, expires, and goes with its subscription.
func TestAttempts(t *testing.T) {
	t.Parallel()
	streamstest.Each(t, func(t *testing.T, env *streamstest.Env) {
		store := env.Open(t, env.Config("me"))
		r := report.New(store)
		attempts := func() []medispatcher.Attempt {
			return streamstest.Must[[]medispatcher.Attempt](t)(r.Attempts(t.Context(), "s"))
		}
		if got := attempts(); len(got) != 0 {
			t.Errorf("at first: %+v", got)
		}
		at := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
		ended := func(dispatcher string, from, n int) report.Attempts {
			l := report.Attempts{Subscription: "s"}
			for i := range n {
				a := medispatcher.Attempt{Time: at.Add(time.Duration(from+i) * time.Second), Message: fmt.Sprint(dispatcher, from+i), Dispatcher: dispatcher, Error: "status 503: \x00<b>", Outcome: "failed"}
				a.ID = medispatcher.AttemptID(a.Time, dispatcher, uint64(i))
				l.Ended = append(l.Ended, a)
			}
			return l
		}
		one := ended("a", 0, 3)
		streamstest.Check(t, r.AddAttempts(t.Context(), 1, []report.Attempts{one, {Subscription: "none"}}))
		streamstest.Check(t, r.AddAttempts(t.Context(), 1, []report.Attempts{ended("b", 1, 1)}))
		streamstest.Check(t, r.AddAttempts(t.Context(), 1, []report.Attempts{one})) // again, after a lost reply
		got := attempts()
		var names []string
		for _, a := range got {
			names = append(names, a.Message)
		}
		if want := []string{"a2", "b1", "a1", "a0"}; !slices.Equal(names, want) || got[3] != one.Ended[0] {
			t.Errorf("got %v, want %v: %+v", names, want, got)
		}
		key := "medis:deliveries:s"
		if ttl := env.Client.TTL(t.Context(), key).Val(); ttl <= 0 || ttl > 25*time.Hour {
			t.Errorf("it is kept for %s", ttl)
		}

		// It is bounded: less for each subscription when there are many, and what takes much room is cut.
		large := ended("c", 100, 300)
		for i := range large.Ended {
			large.Ended[i].Error, large.Ended[i].Answer = strings.Repeat("\x00", 256), strings.Repeat("\x00", 256)
			large.Ended[i].Target = strings.Repeat("\x00", 512)
		}
		for _, tt := range []struct{ subs, want int64 }{{1, medispatcher.AttemptsKept}, {1000, 100}, {1_000_000, 10}} {
			streamstest.Check(t, r.AddAttempts(t.Context(), int(tt.subs), []report.Attempts{large}))
			if n := env.Client.LLen(t.Context(), key).Val(); n != tt.want {
				t.Errorf("%d are kept of %d subscriptions, want %d", n, tt.subs, tt.want)
			}
		}
		for _, record := range env.Client.LRange(t.Context(), key, 0, -1).Val() {
			if len(record) > 2<<10 {
				t.Errorf("one takes %d bytes", len(record))
			}
		}

		// What somebody writes there by hand is left out.
		env.Client.LPush(t.Context(), key, "no JSON")
		if got := attempts(); len(got) != 10 || got[0].Message != "c399" {
			t.Errorf("%d, the first is %+v", len(got), got[0])
		}
		streamstest.Must[medispatcher.ChannelStatus](t)(store.Discard(t.Context(), "s", false))
		if n := env.Client.Exists(t.Context(), key).Val(); n != 0 {
			t.Error("the list is left of a subscription that was removed")
		}
	})
}
