package report_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/solate/medispatcher/streams/report"
	"github.com/solate/medispatcher/streams/streamstest"
)

// TestCountedWithin: buckets within the window count in full, and the oldest one in part.
func TestCountedWithin(t *testing.T) {
	t.Parallel()
	streamstest.Each(t, func(t *testing.T, env *streamstest.Env) {
		cfg := env.Config("me")
		cfg.Partitions = 2
		store := env.Open(t, cfg)
		now := streamstest.Must[time.Time](t)(env.Client.Time(t.Context()).Result()).Unix()
		put := func(kind string, at int64, n int) {
			for p := range 2 {
				streamstest.Check(t, env.Client.HSet(t.Context(), fmt.Sprintf("medis:stats:{%d}:%s%d", p, kind, at), "failed:s", n).Err())
			}
		}
		for age := range int64(100) { // some in the future, because the clock goes on
			put("s", now+30-age, 1)
			put("m", now/60+2-age, 60)
			put("h", now/3600+2-age, 3600)
		}
		for window, want := range map[time.Duration]int64{
			time.Second: 2, 10 * time.Second: 20, time.Minute: 120, 3 * time.Minute: 360, time.Hour: 7200, 24 * time.Hour: 24 * 7200,
		} {
			got := streamstest.Must[[]int64](t)(report.New(store).CountedWithin(t.Context(), "failed", window, []string{"other", "s"}))
			// The test fills the current bucket, so up to one bucket more may be counted.
			size := int64(2)
			if window > time.Minute {
				size *= 60
			}
			if window > time.Hour {
				size *= 60
			}
			if got[0] != 0 || got[1] < want-1 || got[1] > want+size {
				t.Errorf("%s: %v, want %d to %d", window, got, want, want+size)
			}
		}
	})
}

func TestLengthsAndMemory(t *testing.T) {
	t.Parallel()
	streamstest.Each(t, func(t *testing.T, env *streamstest.Env) {
		cfg := env.Config("me")
		cfg.Partitions = 2
		store := env.Open(t, cfg)
		for p, n := range []int{2, 3} {
			for range n {
				streamstest.Check(t, env.Client.XAdd(t.Context(), &redis.XAddArgs{Stream: fmt.Sprintf("medis:{%d}:ch:s", p), Values: []any{"a", "b"}}).Err())
			}
		}
		streamstest.Check(t, env.Client.Set(t.Context(), "medis:{0}:ch:wrong", "x", 0).Err())
		streamstest.Check(t, env.Client.HSet(t.Context(), "medis:{1}:wait:s", "1:k", "a", "2:k", "b", "1:l", "c").Err()) // behind others of their keys
		streamstest.Check(t, env.Client.Set(t.Context(), "medis:{0}:wait:s", "x", 0).Err())
		if got := streamstest.Must[[]int64](t)(report.New(store).Lengths(t.Context(), []string{"none", "s", "wrong"})); fmt.Sprint(got) != "[0 8 0]" {
			t.Errorf("lengths %v", got)
		}
		used, limit, err := report.New(store).Memory(t.Context())
		if limit != 0 || err == nil && env.Server != nil && used < 1000 {
			t.Errorf("memory %d of %d, %v", used, limit, err)
		}
		if err != nil && !strings.Contains(err.Error(), "INFO") && !strings.Contains(err.Error(), "section") {
			t.Error(err)
		}
	})
}
