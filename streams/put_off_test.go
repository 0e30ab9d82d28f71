package streams_test

import (
	"testing"
	"time"

	"github.com/solate/medispatcher"
	"github.com/solate/medispatcher/streams/report"
	"github.com/solate/medispatcher/streams/streamstest"
)

// TestPutOff: a message whose attempt does not count is due after its delay, with the number that it had, and nothing counts it as failed.
func TestPutOff(t *testing.T) {
	t.Parallel()
	streamstest.EachClock(t, func(t *testing.T, env *streamstest.Env) {
		ctx := t.Context()
		env.SetClock(t, 0)
		s := env.Open(t, env.Config("me"))
		c := medispatcher.Channel{Subscription: "s"}
		check(t, env.Client.Do(ctx, "XADD", "medis:{0}:ch:s", "*", "topic", "t", "body", "x", "~src", "1-1").Err())
		want := []medispatcher.Want{{Channel: c, Max: 1}}
		list, err := s.Read(ctx, want)
		if len(list) == 0 { // the first read creates the group
			list, err = s.Read(ctx, want)
		}
		check(t, err)
		for _, delay := range []time.Duration{0, time.Hour} {
			check(t, s.Retry(ctx, 0, []medispatcher.Settlement{{
				Channel: c, EntryID: list[0].EntryID, Attempt: 1, Outcome: medispatcher.Failed, Next: 1, Delay: delay,
				Failure: &medispatcher.Failure{LastError: "the proxy"},
			}}))
			var due []medispatcher.Delivery
			if delay == 0 {
				eventually(t, "due", func() bool {
					due, _, err = s.Due(ctx, 0, want)
					check(t, err)
					return len(due) == 1
				})
				if due[0].Attempt != 1 || due[0].Failure == nil || due[0].Failure.LastError != "the proxy" {
					t.Errorf("due is %+v", due[0])
				}
			} else if due, _, err = s.Due(ctx, 0, want); err != nil || len(due) != 0 {
				t.Errorf("%d are due before their time, %v", len(due), err)
			}
		}
		if counts := must[map[string]int64](t)(report.New(s).Counts(ctx)); counts["failed:s"] != 0 {
			t.Errorf("%v", counts)
		}
	})
}
