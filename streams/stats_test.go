package streams_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/solate/medispatcher"
	"github.com/solate/medispatcher/streams/streamstest"
)

// TestWindows: what is counted shows in every window, sums over partitions, and leaves
// the short ones first.
func TestWindows(t *testing.T) {
	streamstest.Each(t, func(t *testing.T, env *streamstest.Env) {
		cfg := env.Config("me")
		cfg.Partitions = 2
		store := env.Open(t, cfg)
		now := must[time.Time](t)(env.Client.Time(t.Context()).Result()).Unix()
		put := func(p int, kind string, at int64, n int) {
			check(t, env.Client.HSet(t.Context(), fmt.Sprintf("medis:stats:{%d}:%s%d", p, kind, at), "sent:s", n).Err())
		}
		// Each a few buckets from its edge: the clock goes on while this runs.
		for p := range 2 {
			put(p, "s", now-5, 1)
			put(p, "s", now-30, 10)
			put(p, "s", now-90, 1000) // too old
			put(p, "m", now/60-30, 100)
			put(p, "m", now/60-62, 1000)
			put(p, "h", now/3600-12, 1000)
			put(p, "h", now/3600-26, 1000)
			check(t, env.Client.HSet(t.Context(), fmt.Sprintf("medis:stats:{%d}:total", p), "sent:s", 5000).Err())
		}
		got := must[map[string]medispatcher.Windows](t)(store.Windows(t.Context(), []string{"sent:s", "failed:s"}))
		want := medispatcher.Windows{TenSeconds: 2, Minute: 22, Hour: 200, Day: 2000, Total: 10000}
		if got["sent:s"] != want || got["failed:s"] != (medispatcher.Windows{}) {
			t.Errorf("windows\n got  %+v\n want %+v", got, want)
		}
	})
}

func TestSeries(t *testing.T) {
	streamstest.Each(t, func(t *testing.T, env *streamstest.Env) {
		sc := newScene(t, env)
		sc.ready(t)
		sc.ready(t)
		fields := []string{"received:", "received:a.b", "received:c"}
		series, at, err := sc.store.Series(sc.ctx, 'm', fields)
		check(t, err)
		last := time.Unix(at, 0)
		if len(series["received:"]) != 60 || at%60 != 0 || time.Since(last) > 2*time.Minute {
			t.Errorf("%d minutes up to %s", len(series["received:"]), last)
		}
		// The minute may end between the two.
		if m := series["received:a.b"]; m[59]+m[58] != 2 || m[0] != 0 || series["received:"][59] != m[59] || series["received:c"][59] != 0 {
			t.Errorf("series %v", series)
		}
		topics, more, err := sc.store.Topics(sc.ctx)
		check(t, err)
		if fmt.Sprint(topics) != "[a.b]" || more {
			t.Errorf("topics %v, more %v", topics, more)
		}
	})
}

// TestCountsExpire: a step leaves nothing that stays for ever but the totals.
func TestCountsExpire(t *testing.T) {
	streamstest.Each(t, func(t *testing.T, env *streamstest.Env) {
		sc := newScene(t, env)
		sc.ready(t)
		keys := must[[]string](t)(sc.Client.Keys(sc.ctx, "medis:stats:*").Result())
		kinds := ""
		for _, key := range keys {
			kind := strings.TrimPrefix(key, "medis:stats:{0}:")[:1]
			kinds += kind
			if ttl := sc.Client.TTL(sc.ctx, key).Val(); (ttl > 0) == (kind == "t") {
				t.Errorf("%s lives for %s", key, ttl)
			}
		}
		if len(keys) != 4 || !strings.Contains(kinds, "s") || !strings.Contains(kinds, "m") || !strings.Contains(kinds, "h") {
			t.Errorf("keys %v", keys)
		}
	})
}

// TestMadeUpTopicsAreCountedTogether past a limit.
func TestMadeUpTopicsAreCountedTogether(t *testing.T) {
	env := streamstest.Real(t)
	sc := newScene(t, env)
	const most = 200_000
	for from := 0; from < most; from += 10_000 {
		var fields []any
		for i := range 10_000 {
			fields = append(fields, fmt.Sprintf("received:t%d", from+i), 1)
		}
		check(t, sc.Client.HSet(sc.ctx, "medis:stats:{0}:total", fields...).Err())
	}
	sc.ready(t)
	h := sc.Client.HMGet(sc.ctx, "medis:stats:{0}:total", "received:a.b", "received:~other").Val()
	if h[0] != nil || h[1] != "1" || sc.Client.HLen(sc.ctx, "medis:stats:{0}:total").Val() != most+2 {
		t.Errorf("received:a.b and ~other are %v", h)
	}
}
