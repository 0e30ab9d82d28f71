package report_test

import (
	"testing"
	"time"

	"github.com/solate/medispatcher"
	"github.com/solate/medispatcher/streams/report"
	"github.com/solate/medispatcher/streams/streamstest"
)

// TestFailing lists the messages that failed with their records, the latest failure first. It leaves
// out those that were only given back.
func TestFailing(t *testing.T) {
	t.Parallel()
	streamstest.Each(t, func(t *testing.T, env *streamstest.Env) {
		sc := streamstest.NewScene(t, env)
		if got := streamstest.Must[[]medispatcher.Failing](t)(report.New(sc.Store).Failing(sc.Ctx, "s", 10)); len(got) != 0 {
			t.Errorf("nothing failed: %+v", got)
		}
		at := time.Now().Truncate(time.Second)
		var ids []string
		for i, age := range []time.Duration{3 * time.Minute, time.Minute, 2 * time.Minute} {
			id := sc.Buried(t)
			ids = append(ids, id)
			failure := &medispatcher.Failure{Attempts: i + 1, FirstError: "first", LastError: "status 503: <b>", FirstAt: at.Add(-time.Hour), LastAt: at.Add(-age), Target: "http://h/"}
			streamstest.Check(t, sc.Store.Retry(sc.Ctx, 0, []medispatcher.Settlement{{Channel: streamstest.ChannelS, EntryID: id, Outcome: medispatcher.Failed, Attempt: 1, Delay: time.Hour, Failure: failure}}))
		}
		streamstest.Check(t, sc.Store.Release(sc.Ctx, streamstest.ChannelS, []string{sc.Buried(t)}, false))

		got := streamstest.Must[[]medispatcher.Failing](t)(report.New(sc.Store).Failing(sc.Ctx, "s", 2))
		if len(got) != 2 || got[0].Entry != ids[1] || got[1].Entry != ids[2] {
			t.Fatalf("%+v", got)
		}
		f := got[0]
		if f.Topic != "a.b" || f.ID == "" || f.Failure.LastError != "status 503: <b>" || !f.Failure.LastAt.Equal(at.Add(-time.Minute)) || time.Until(f.Due) < 50*time.Minute {
			t.Errorf("%+v %+v", f, f.Failure)
		}
		// A message may be settled during the read: its record or its entry is gone.
		streamstest.Check(t, env.Client.XDel(sc.Ctx, "medis:{0}:ch:s", ids[1]).Err())
		if got := streamstest.Must[[]medispatcher.Failing](t)(report.New(sc.Store).Failing(sc.Ctx, "s", 1)); len(got) != 1 || got[0].ID != "" {
			t.Errorf("%+v", got)
		}
	})
}
