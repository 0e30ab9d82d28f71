package medispatcher

import (
	"math"
	"time"
)

// TimeBuckets is the number of buckets of a histogram of times. Each ends at √2 times the one
// before, the first at an eighth of a millisecond, the last but one at some two hours.
const TimeBuckets = 54

const firstBucketEnds = 125 * time.Microsecond

// TimeBucket is the bucket of a time.
func TimeBucket(d time.Duration) int {
	if d <= firstBucketEnds {
		return 0
	}
	b := math.Ceil(2 * math.Log2(float64(d)/float64(firstBucketEnds)))
	return min(int(b), TimeBuckets-1)
}

// QuantilesOf reads quantiles off a histogram: counts by bucket.
func QuantilesOf(counts *[TimeBuckets]int64) Quantiles {
	var q Quantiles
	for _, n := range counts {
		q.Count += n
	}
	at := func(share float64) float64 {
		left := int64(math.Ceil(share * float64(q.Count)))
		for b, n := range counts {
			if left -= n; left <= 0 {
				return bucketMiddle(b)
			}
		}
		return 0
	}
	if q.Count > 0 {
		q.P50, q.P90, q.P99 = at(0.5), at(0.9), at(0.99)
	}
	return q
}

// bucketMiddle is the middle of a bucket in ms, on its own scale, to three digits.
func bucketMiddle(b int) float64 {
	ms := math.Exp2((float64(b)-0.5)/2) * float64(firstBucketEnds) / float64(time.Millisecond)
	scale := math.Pow(10, 2-math.Floor(math.Log10(ms)))
	return math.Round(ms*scale) / scale
}
