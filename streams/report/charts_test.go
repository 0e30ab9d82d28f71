package report_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/solate/medispatcher"
	"github.com/solate/medispatcher/streams/report"
	"github.com/solate/medispatcher/streams/streamstest"
)

// TestCharts: how long it took, what failed and what waited is kept for a subscription and for all together.
func TestCharts(t *testing.T) {
	t.Parallel()
	streamstest.EachAndCluster(t, func(t *testing.T, env *streamstest.Env) {
		store := env.Open(t, env.Config("me"))
		r := report.New(store)
		if _, err := r.Times(t.Context(), "", "second"); err == nil {
			t.Error("there is a series of seconds")
		}
		none := streamstest.Must[medispatcher.TimeSeries](t)(r.Times(t.Context(), "a", "minute"))
		if len(none.Latency) != 60 || none.Latency[59].Count != 0 || none.Backlog[59] != nil || len(none.Errors) != 0 || len(none.Sent) != 60 {
			t.Errorf("nothing: %+v", none)
		}
		times := func(latency time.Duration, failed string) *report.Times {
			h := report.Times{Failed: map[string]int64{failed: 3}}
			h.Latency[medispatcher.TimeBucket(latency)] = 10
			h.Took[medispatcher.TimeBucket(time.Millisecond)] = 13
			return &h
		}
		streamstest.Check(t, r.AddTimes(t.Context(), map[string]*report.Times{"a": times(time.Second, "503"), "b": times(time.Minute, "none")}))
		streamstest.Check(t, r.AddTimes(t.Context(), map[string]*report.Times{"a": times(time.Second, "503")}))
		for _, want := range []struct {
			id             string
			n, e503, eNone int64
		}{{"", 30, 6, 3}, {"a", 20, 6, 0}, {"b", 10, 0, 3}} {
			for step, size := range map[string]int{"minute": 60, "hour": 24} {
				s := streamstest.Must[medispatcher.TimeSeries](t)(r.Times(t.Context(), want.id, step))
				var latency, took int64
				for i := range s.Latency {
					latency, took = latency+s.Latency[i].Count, took+s.Took[i].Count
				}
				if len(s.Latency) != size || latency != want.n || took != want.n*13/10 || sum(s.Errors["503"]) != want.e503 || sum(s.Errors["none"]) != want.eNone {
					t.Errorf("%q by the %s: %d deliveries, %d attempts, errors %v", want.id, step, latency, took, s.Errors)
				}
			}
		}
		for _, key := range env.Keys(t, "medis:stats:*") {
			if ttl := env.Client.TTL(t.Context(), key).Val(); ttl <= 0 || ttl > 25*time.Hour {
				t.Errorf("%s lives for %s", key, ttl)
			}
		}
	})
}

func sum(values []int64) (n int64) {
	for _, v := range values {
		n += v
	}
	return n
}

// TestBacklogSamples: one dispatcher samples the active channels. Of each time the most is kept.
func TestBacklogSamples(t *testing.T) {
	t.Parallel()
	streamstest.EachAndCluster(t, func(t *testing.T, env *streamstest.Env) {
		store := env.Open(t, env.Config("me"))
		r := report.New(store)
		add := func(sub string, n int) {
			for range n {
				streamstest.Check(t, env.Client.XAdd(t.Context(), &redis.XAddArgs{Stream: "medis:{0}:ch:" + sub, Values: []any{"a", "b"}}).Err())
			}
		}
		add("a", 3)
		add("b", 2)
		add("hidden", 9)
		sample := func() {
			env.Client.Del(t.Context(), "medis:stats:sampler")
			streamstest.Check(t, r.SampleBacklog(t.Context()))
		}
		// most is the largest sample: a minute or an hour may begin meanwhile.
		most := func(id, step string) (n int64) {
			n = -1
			for _, v := range streamstest.Must[medispatcher.TimeSeries](t)(r.Times(t.Context(), id, step)).Backlog {
				if v != nil {
					n = max(n, *v)
				}
			}
			return n
		}
		sample()
		if n := most("", "minute"); n != -1 {
			t.Errorf("%d wait, although nobody knows which channels are active", n)
		}
		streamstest.Check(t, store.Heartbeat(t.Context(), medispatcher.Dispatcher{ID: "me", DeadAfter: time.Minute}))
		streamstest.Must[[]medispatcher.Dispatcher](t)(store.Dispatchers(t.Context()))
		subs := func() []string { return []string{"a", "b"} }
		streamstest.Must[[]medispatcher.Waiting](t)(store.Waiting(t.Context(), subs))
		sample()
		for _, step := range []string{"minute", "hour"} {
			for id, want := range map[string]int64{"": 5, "a": 3, "b": 2} {
				if n := most(id, step); n != want {
					t.Errorf("%q by the %s: %d wait, want %d", id, step, n, want)
				}
			}
		}
		add("a", 4)
		streamstest.Check(t, r.SampleBacklog(t.Context()))
		if n := most("a", "hour"); n != 3 {
			t.Errorf("sampled twice in ten seconds: %d", n)
		}
		sample()
		env.Client.XTrimMaxLen(t.Context(), "medis:{0}:ch:a", 1)
		sample()
		if n := most("a", "hour"); n != 7 {
			t.Errorf("%d waited at most, want 7", n)
		}
	})
}

// TestManySubscriptionsHaveNoLongTimes: where many are busy, those of each are kept for minutes, and those of all for a day.
func TestManySubscriptionsHaveNoLongTimes(t *testing.T) {
	t.Parallel()
	streamstest.Each(t, func(t *testing.T, env *streamstest.Env) {
		r := report.New(env.Open(t, env.Config("me")))
		many := map[string]*report.Times{}
		for i := range 6_000 {
			h := &report.Times{}
			h.Took[3] = 1
			many[fmt.Sprint("s", i)] = h
		}
		for range 2 {
			streamstest.Check(t, r.AddTimes(t.Context(), many))
		}
		ttl := func(pattern string) (most time.Duration) {
			for _, key := range env.Keys(t, pattern) {
				most = max(most, env.Client.TTL(t.Context(), key).Val())
			}
			return most
		}
		if d := ttl("medis:stats:latency:m*"); d > 7*time.Minute {
			t.Errorf("those of each are kept for %s", d)
		}
		if d := ttl("medis:stats:times:m*"); d < time.Hour {
			t.Errorf("those of all are kept for %s", d)
		}
		s := streamstest.Must[medispatcher.TimeSeries](t)(r.Times(t.Context(), "", "hour"))
		n := int64(0)
		for _, q := range s.Took {
			n += q.Count
		}
		if n != 12_000 {
			t.Errorf("%d attempts of all together, want 12,000", n)
		}
		one := streamstest.Must[medispatcher.TimeSeries](t)(r.Times(t.Context(), "s1", "hour"))
		for _, q := range one.Took {
			if q.Count > 0 {
				t.Errorf("an hour that is not whole is shown: %+v", q)
			}
		}
	})
}
