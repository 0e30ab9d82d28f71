package report_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/solate/medispatcher"
	"github.com/solate/medispatcher/streams"
	"github.com/solate/medispatcher/streams/report"
	"github.com/solate/medispatcher/streams/streamstest"
)

// TestWindows: each window sums the counts of its time over all partitions.
func TestWindows(t *testing.T) {
	t.Parallel()
	streamstest.Each(t, func(t *testing.T, env *streamstest.Env) {
		cfg := env.Config("me")
		cfg.Partitions = 2
		store := env.Open(t, cfg)
		now := streamstest.Must[time.Time](t)(env.Client.Time(t.Context()).Result()).Unix()
		put := func(p int, kind string, at int64, n int) {
			streamstest.Check(t, env.Client.HSet(t.Context(), fmt.Sprintf("medis:stats:{%d}:%s%d", p, kind, at), "sent:s", n).Err())
		}
		// A few buckets from the edge of each window, because the clock goes on during the test.
		for p := range 2 {
			put(p, "s", now-5, 1)
			put(p, "s", now-30, 10)
			put(p, "s", now-90, 1000) // too old
			put(p, "m", now/60-30, 100)
			put(p, "m", now/60-62, 1000)
			put(p, "h", now/3600-12, 1000)
			put(p, "h", now/3600-26, 1000)
			streamstest.Check(t, env.Client.HSet(t.Context(), fmt.Sprintf("medis:stats:{%d}:total", p), "sent:s", 5000).Err())
		}
		got := streamstest.Must[map[string]medispatcher.Windows](t)(report.New(store).Windows(t.Context(), []string{"sent:s", "failed:s"}))
		want := medispatcher.Windows{TenSeconds: 2, Minute: 22, Hour: 200, Day: 2000, Total: 10000}
		if got["sent:s"] != want || got["failed:s"] != (medispatcher.Windows{}) {
			t.Errorf("windows\n got  %+v\n want %+v", got, want)
		}
	})
}

func TestSeries(t *testing.T) {
	t.Parallel()
	streamstest.Each(t, func(t *testing.T, env *streamstest.Env) {
		sc := streamstest.NewScene(t, env)
		sc.Ready(t)
		sc.Ready(t)
		fields := []string{"received:", "received:a.b", "received:c"}
		series, at, err := report.New(sc.Store).Series(sc.Ctx, 'm', fields)
		streamstest.Check(t, err)
		last := time.Unix(at, 0)
		if len(series["received:"]) != 60 || at%60 != 0 || time.Since(last) > 2*time.Minute {
			t.Errorf("%d minutes up to %s", len(series["received:"]), last)
		}
		// The minute may end between the two calls.
		if m := series["received:a.b"]; m[59]+m[58] != 2 || m[0] != 0 || series["received:"][59] != m[59] || series["received:c"][59] != 0 {
			t.Errorf("series %v", series)
		}
		topics, more, err := report.New(sc.Store).Topics(sc.Ctx)
		streamstest.Check(t, err)
		if fmt.Sprint(topics) != "[a.b]" || more {
			t.Errorf("topics %v, more %v", topics, more)
		}
	})
}

// TestCountsExpire: of the counts, only the totals stay for ever.
func TestCountsExpire(t *testing.T) {
	t.Parallel()
	streamstest.Each(t, func(t *testing.T, env *streamstest.Env) {
		sc := streamstest.NewScene(t, env)
		sc.Ready(t)
		keys := streamstest.Must[[]string](t)(sc.Client.Keys(sc.Ctx, "medis:stats:*").Result())
		kinds := ""
		for _, key := range keys {
			kind := strings.TrimPrefix(key, "medis:stats:{0}:")[:1]
			kinds += kind
			if ttl := sc.Client.TTL(sc.Ctx, key).Val(); (ttl > 0) == (kind == "t") {
				t.Errorf("%s lives for %s", key, ttl)
			}
		}
		if len(keys) != 4 || !strings.Contains(kinds, "s") || !strings.Contains(kinds, "m") || !strings.Contains(kinds, "h") {
			t.Errorf("keys %v", keys)
		}
	})
}

// TestMadeUpTopics: producers that invent topics fill neither Redis nor the fields reserved for subscriptions.
func TestMadeUpTopics(t *testing.T) {
	t.Parallel()
	env := streamstest.Real(t)
	sc := streamstest.NewScene(t, env)
	const most = 15_000                                                             // more than the limit
	streamstest.Must[[]streams.Entry](t)(sc.Store.ReadIncoming(sc.Ctx, 0, 1, true)) // creates the group
	for from := 0; from < most; from += 100 {
		routings, pipe := make([]streams.Routing, 100), sc.Client.Pipeline()
		for i := range routings {
			topic := fmt.Sprintf("%s.t%d", strings.Repeat("x", 200), from+i)
			id := fmt.Sprintf("1-%d", from+i+1)
			pipe.Do(sc.Ctx, "XADD", "medis:{0}:incoming", id, "topic", topic, "body", "x")
			routings[i] = streams.Routing{EntryID: id, Message: streamstest.Message(topic), Subs: []string{"s"}}
		}
		if _, err := pipe.Exec(sc.Ctx); err != nil {
			t.Fatal(err)
		}
		streamstest.Must[[]streams.Entry](t)(sc.Store.ReadIncoming(sc.Ctx, 0, 100, false))
		streamstest.Must[[]streams.Routed](t)(sc.Store.Fanout(sc.Ctx, 0, routings))
		streamstest.Check(t, sc.Client.Del(sc.Ctx, "medis:{0}:ch:s").Err())
	}
	sc.Ready(t) // its topic comes after the limit
	d := streamstest.Read(t, sc.Store)[0]
	streamstest.Must[int64](t)(sc.Store.Delete(sc.Ctx, 0, streamstest.Settlement(d.EntryID, medispatcher.Sent)))

	var bytes int64
	for _, key := range streamstest.Must[[]string](t)(sc.Client.Keys(sc.Ctx, "medis:stats:*").Result()) {
		n := streamstest.Must[int64](t)(sc.Client.MemoryUsage(sc.Ctx, key, 0).Result())
		bytes += n
		if most := int64(6 << 20); n > most {
			t.Errorf("%s takes %d bytes, more than %d", key, n, most)
		}
	}
	t.Logf("%d bytes in all", bytes)
	counted := streamstest.Must[map[string]medispatcher.Windows](t)(report.New(sc.Store).Windows(sc.Ctx, []string{"received:", "received:~other", "sent:s"}))
	if got := counted["received:"].Total; got != most+1 {
		t.Errorf("%d received in all, want %d", got, most+1)
	}
	if counted["received:~other"].Total == 0 {
		t.Error("no topic counts as ~other")
	}
	// The second may end between the two calls.
	if s := counted["sent:s"]; s.Total != 1 || s.Minute+s.Hour == 0 {
		t.Errorf("the subscription's own counts are %+v", s)
	}
}

// TestRemovedSubscriptionLeavesTheTotals: its totals are removed, but the sums still include them.
func TestRemovedSubscriptionLeavesTheTotals(t *testing.T) {
	t.Parallel()
	streamstest.Each(t, func(t *testing.T, env *streamstest.Env) {
		sc := streamstest.NewScene(t, env)
		streamstest.Must[int64](t)(sc.Store.Delete(sc.Ctx, 0, streamstest.Settlement(sc.Buried(t), medispatcher.Sent)))
		streamstest.Check(t, sc.Store.Retry(sc.Ctx, 0, streamstest.Settlement(sc.Buried(t), medispatcher.Failed)))
		for range 2 { // the second time there is nothing left to remove
			streamstest.Must[medispatcher.ChannelStatus](t)(sc.Store.Discard(sc.Ctx, "s", true))
		}
		h := streamstest.Must[map[string]string](t)(sc.Client.HGetAll(sc.Ctx, "medis:stats:{0}:total").Result())
		for name := range h {
			if strings.HasSuffix(name, ":s") {
				t.Errorf("%s is still there", name)
			}
		}
		if h["sent:"] != "1" || h["failed:"] != "1" || h["purged:"] != "1" {
			t.Errorf("sums %v", h)
		}
	})
}
