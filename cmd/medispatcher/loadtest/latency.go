package loadtest

import (
	"math/bits"
	"time"
)

// Latency is the time from publishing a message to the arrival of the attempt that was accepted, in ms.
type Latency struct {
	P50 float64 `json:"p50"`
	P90 float64 `json:"p90"`
	P99 float64 `json:"p99"`
	Max float64 `json:"max"`
}

// latencies counts durations to within 1/64, in memory that does not grow with their number.
type latencies struct {
	counts  [latencyBuckets]int64
	n       int64
	longest time.Duration
}

const (
	// Each microsecond below 2*latencySteps has a bucket. Above that each doubling has latencySteps.
	latencySteps   = 64
	latencyBits    = 40 // 12 days
	latencyBuckets = (latencyBits - 6 + 1) * latencySteps
)

func (l *latencies) add(d time.Duration) {
	us := min(uint64(max(0, d).Microseconds()), 1<<latencyBits-1)
	shift := max(0, bits.Len64(us)-7)
	l.counts[shift*latencySteps+int(us>>shift)]++ //nolint:gosec // below 2*latencySteps
	l.n++
	l.longest = max(l.longest, d)
}

// quantile is a duration that a part q of them did not exceed.
func (l *latencies) quantile(q float64) time.Duration {
	rank, seen := int64(q*float64(l.n)), int64(0)
	for i, c := range l.counts {
		if seen += c; c > 0 && seen > rank {
			shift := max(0, i/latencySteps-1)
			return min(l.longest, time.Duration((i-shift*latencySteps+1)<<shift)*time.Microsecond)
		}
	}
	return l.longest
}

func (l *latencies) summary() Latency {
	ms := func(d time.Duration) float64 { return float64(d.Microseconds()) / 1000 }
	return Latency{ms(l.quantile(0.5)), ms(l.quantile(0.9)), ms(l.quantile(0.99)), ms(l.longest)}
}
