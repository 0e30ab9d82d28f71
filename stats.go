package medispatcher

import (
	"math"
	"slices"
	"strconv"
	"time"
)

// Windows counts something over time, by all dispatchers together.
type Windows struct {
	Second     int64 `json:"second"` // the last full one
	TenSeconds int64 `json:"ten_seconds"`
	Minute     int64 `json:"minute"`
	Hour       int64 `json:"hour"`
	Day        int64 `json:"day"`
	Total      int64 `json:"total"`
}

// TopicStats counts the messages of a topic.
type TopicStats struct {
	Topic      string  `json:"topic"`
	Received   Windows `json:"received"`
	Unroutable Windows `json:"unroutable"` // of Received: no subscription wanted them
}

// SubscriptionStats counts what became of a subscription's messages, and how long it took.
type SubscriptionStats struct {
	ID      string  `json:"id"`
	Sent    Windows `json:"sent"`
	Failed  Windows `json:"failed"`  // attempts
	Retried Windows `json:"retried"` // attempts that were not the first
	Dead    Windows `json:"dead"`
	Dropped Windows `json:"dropped"`
	// Filtered are messages that its filter refused, FilterFailed those at which it failed, so that they were copied.
	// A crash may lose the counts of a second.
	Filtered     Windows `json:"filtered"`
	FilterFailed Windows `json:"filter_failed"`
	// Latency of deliveries, from publishing to the end of the successful attempt.
	Latency Quantiles `json:"latency"`
	// Took is how long attempts waited for their answer, including failed ones.
	Took Quantiles `json:"took"`
}

// Quantiles of a duration over the last five minutes, in ms, exact to a fifth. Count is how many there were.
type Quantiles struct {
	Count int64   `json:"count"`
	P50   float64 `json:"p50"`
	P90   float64 `json:"p90"`
	P99   float64 `json:"p99"`
}

// StatsSums are sums over all topics and subscriptions.
type StatsSums struct {
	Received       Windows `json:"received"`
	Unroutable     Windows `json:"unroutable"`
	Duplicate      Windows `json:"duplicate"`       // not delivered, because their id was seen before
	Quarantined    Windows `json:"quarantined"`     // could not be decoded
	UnroutedLost   Windows `json:"unrouted_lost"`   // of Unroutable: the oldest ones, removed to make room
	QuarantineLost Windows `json:"quarantine_lost"` // of Quarantined: the same
	Sent           Windows `json:"sent"`
	Failed         Windows `json:"failed"`
	Retried        Windows `json:"retried"`
	Dead           Windows `json:"dead"`
	Dropped        Windows `json:"dropped"`
	Filtered       Windows `json:"filtered"`      // not copied to a subscription, because its filter refused them
	FilterFailed   Windows `json:"filter_failed"` // copied, because the filter failed
	Vanished       Windows `json:"vanished"`      // removed from Redis by hand before they were settled
	Unowned        Windows `json:"unowned"`       // given back after a command typed by hand took them from their owner
}

// Stats are the statistics of some topics and subscriptions.
type Stats struct {
	Sums          StatsSums           `json:"sums"`
	Topics        []TopicStats        `json:"topics"`
	Subscriptions []SubscriptionStats `json:"subscriptions"`
}

// Series is what was counted in each of the last seconds, minutes or hours, oldest first.
type Series struct {
	Step   int64              `json:"step"` // s between two values
	End    int64              `json:"end"`  // unix time at which the period of the last value begins
	Counts map[string][]int64 `json:"counts"`
}

// TimeSeries is how long deliveries and attempts took, what failed and what waited in each of the last minutes or hours, oldest first. The last
// one is not over.
type TimeSeries struct {
	Step    int64              `json:"step"`                                                                                            // s between two values
	End     int64              `json:"end"`                                                                                             // unix time at which the period of the last value begins
	Latency []Quantiles        `json:"latency" doc:"Of deliveries, from publishing to the end of the successful attempt"`               // of each period
	Took    []Quantiles        `json:"took" doc:"How long attempts waited for their answer, failed ones among them"`                    // the same
	Errors  map[string][]int64 `json:"errors" doc:"Failed attempts by status: one such as 503, 5xx for others, none without an answer"` // by StatusClass
	Sent    []int64            `json:"sent" doc:"Deliveries: what the backlog is measured by"`
	Backlog []*int64           `json:"backlog" doc:"The most messages that were in the channels, sampled every ten seconds; null where that is not known"` // READY and BURIED
}

// StatusClasses are how failed attempts are told apart by the status of their answers.
var StatusClasses = []string{
	"400", "401", "403", "404", "408", "409", "410", "413", "415", "422", "429", "500", "501", "502", "503", "504", "1xx", "2xx", "3xx", "4xx", "5xx", "none",
}

// StatusClass is the one of a status; 0: there was no answer.
func StatusClass(status int) string {
	class := strconv.Itoa(status)
	switch {
	case status < 100 || status > 599:
		return "none"
	case slices.Contains(StatusClasses, class):
		return class
	}
	return class[:1] + "xx"
}

// TimeBuckets is the number of buckets of a histogram of durations. The first ends at 125 µs, each
// other at √2 times the one before; the last but one at about two hours.
const TimeBuckets = 54

const firstBucketEnds = 125 * time.Microsecond

// TimeBucket is the bucket of a duration.
func TimeBucket(d time.Duration) int {
	if d <= firstBucketEnds {
		return 0
	}
	b := math.Ceil(2 * math.Log2(float64(d)/float64(firstBucketEnds)))
	return min(int(b), TimeBuckets-1)
}

// QuantilesOf estimates quantiles from a histogram.
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

// bucketMiddle is the geometric middle of a bucket in ms, to three digits.
func bucketMiddle(b int) float64 {
	ms := math.Exp2((float64(b)-0.5)/2) * float64(firstBucketEnds) / float64(time.Millisecond)
	scale := math.Pow(10, 2-math.Floor(math.Log10(ms)))
	return math.Round(ms*scale) / scale
}
