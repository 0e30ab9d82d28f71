package medispatcher

import (
	"math"
	"testing"
	"time"
)

func TestTimeBucket(t *testing.T) {
	for _, d := range []time.Duration{time.Millisecond, 3 * time.Millisecond, 70 * time.Millisecond, time.Second, time.Minute, time.Hour} {
		var counts [TimeBuckets]int64
		counts[TimeBucket(d)]++
		got := QuantilesOf(&counts)
		ms := float64(d) / float64(time.Millisecond)
		if math.Abs(got.P50-ms) > ms/5 || got.P50 != got.P99 || got.Count != 1 {
			t.Errorf("%s reads as %+v ms", d, got)
		}
	}
	for d, want := range map[time.Duration]int{-time.Second: 0, 0: 0, 125 * time.Microsecond: 0, 126 * time.Microsecond: 1, 1000 * time.Hour: TimeBuckets - 1} {
		if got := TimeBucket(d); got != want {
			t.Errorf("TimeBucket(%s) = %d, want %d", d, got, want)
		}
	}
}

func TestQuantilesOf(t *testing.T) {
	var counts [TimeBuckets]int64
	if QuantilesOf(&counts) != (Quantiles{}) {
		t.Error("quantiles of nothing")
	}
	counts[TimeBucket(time.Millisecond)] = 90
	counts[TimeBucket(time.Second)] = 9
	counts[TimeBucket(time.Minute)] = 1
	q := QuantilesOf(&counts)
	if q.P50 > 1.2 || q.P90 > 1.2 || q.P99 < 800 || q.P99 > 1200 || q.Count != 100 {
		t.Errorf("%+v", q)
	}
}
