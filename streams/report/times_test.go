package report_test

import (
	"testing"
	"time"

	"github.com/solate/medispatcher"
	"github.com/solate/medispatcher/streams/report"
	"github.com/solate/medispatcher/streams/streamstest"
)

func TestTimes(t *testing.T) {
	t.Parallel()
	streamstest.Each(t, func(t *testing.T, env *streamstest.Env) {
		store := env.Open(t, env.Config("me"))
		times := func(latency, took time.Duration, n int64) *report.Times {
			var h report.Times
			h.Latency[medispatcher.TimeBucket(latency)] = n
			h.Took[medispatcher.TimeBucket(took)] = n
			return &h
		}
		streamstest.Check(t, report.New(store).AddTimes(t.Context(), map[string]*report.Times{"a": times(time.Second, time.Millisecond, 9), "b": times(time.Minute, time.Second, 1)}))
		streamstest.Check(t, report.New(store).AddTimes(t.Context(), map[string]*report.Times{"a": times(time.Second, time.Millisecond, 1)}))
		// More subscriptions than fit into one command.
		subs := []string{"a"}
		for range 20 {
			subs = append(subs, "none")
		}
		subs = append(subs, "b")
		st := streamstest.Must[medispatcher.Stats](t)(report.New(store).Stats(t.Context(), subs, nil))
		a, none, b := st.Subscriptions[0], st.Subscriptions[1], st.Subscriptions[21]
		if a.ID != "a" || a.Latency.Count != 10 || a.Latency.P50 < 800 || a.Latency.P50 > 1200 || a.Took.P99 > 1.2 {
			t.Errorf("a %+v", a)
		}
		if none.Latency.Count != 0 || b.Latency.Count != 1 || b.Took.P50 < 800 {
			t.Errorf("none %+v, b %+v", none, b)
		}
		if ttl := env.Client.TTL(t.Context(), env.Client.Keys(t.Context(), "medis:stats:latency:*").Val()[0]).Val(); ttl <= 0 {
			t.Errorf("the histograms live for %s", ttl)
		}
	})
}
