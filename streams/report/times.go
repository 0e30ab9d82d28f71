package report

import (
	"context"
	"strconv"
	"time"

	"github.com/solate/medispatcher"
	"github.com/solate/medispatcher/streams/internal/rdb"
)

// Histograms of times lie in one hash for each minute, "<kind>:<bucket>:<subscription>" → n.
const (
	latencyMinutes = 5 // read by readTimes
	latencyKept    = 7 * time.Minute
)

// timesRoom bounds the fields of one minute, to some 16 MB.
const timesRoom = 200_000

// Times are the histograms of one subscription.
type Times struct {
	Latency [medispatcher.TimeBuckets]int64 // publish to delivery
	Took    [medispatcher.TimeBuckets]int64 // of attempts
}

func (t *Times) kinds() map[string]*[medispatcher.TimeBuckets]int64 {
	return map[string]*[medispatcher.TimeBuckets]int64{"d": &t.Latency, "h": &t.Took}
}

func timeField(kind string, bucket int, sub string) string {
	return kind + ":" + strconv.Itoa(bucket) + ":" + sub
}

// AddTimes adds to the histograms of the current minute, unless they are full. The caller must not
// repeat it after an error: if only the reply was lost, the times would be added twice.
func (r *Report) AddTimes(ctx context.Context, times map[string]*Times) error {
	key := r.keys.Latency(r.db.Now().Unix() / 60)
	if n, err := rdb.Int(r.db.With(ctx), "HLEN", key).Result(); err != nil || n > timesRoom {
		return rdb.Failed("add times", err)
	}
	pipe := r.db.Pipe(ctx)
	for sub, t := range times {
		for kind, counts := range t.kinds() {
			for b, n := range counts {
				if n > 0 {
					rdb.Int(pipe, "HINCRBY", key, timeField(kind, b, sub), n)
				}
			}
		}
	}
	rdb.Int(pipe, "EXPIRE", key, int64(latencyKept/time.Second))
	err := pipe.Run()
	return rdb.Failed("add times", err)
}

// readTimes fills in the quantiles of the last minutes.
func (r *Report) readTimes(ctx context.Context, now int64, stats []medispatcher.SubscriptionStats) error {
	pipe := r.db.Pipe(ctx)
	exist := make([]*rdb.Reply[int64], latencyMinutes)
	for age := range exist {
		exist[age] = rdb.Int(pipe, "EXISTS", r.keys.Latency(now/60-int64(age)))
	}
	if err := pipe.Run(); err != nil {
		return rdb.Failed("read times", err)
	}
	const kinds = 2
	const subsAtOnce = statsChunk / medispatcher.TimeBuckets / kinds
	for len(stats) > 0 {
		chunk := stats[:min(len(stats), subsAtOnce)]
		stats = stats[len(chunk):]
		var fields []string
		for i := range chunk {
			for _, kind := range []string{"d", "h"} {
				for b := range medispatcher.TimeBuckets {
					fields = append(fields, timeField(kind, b, chunk[i].ID))
				}
			}
		}
		sums := make([]int64, len(fields))
		pipe := r.db.Pipe(ctx)
		var cmds []*rdb.Reply[[]any]
		for age := range exist {
			if exist[age].Val() > 0 {
				cmds = append(cmds, rdb.List(pipe, rdb.Cmd("HMGET", r.keys.Latency(now/60-int64(age)), fields...)...))
			}
		}
		if err := pipe.Run(); err != nil {
			return rdb.Failed("read times", err)
		}
		for _, cmd := range cmds {
			for f, v := range cmd.Val() {
				text, _ := v.(string)
				n, _ := strconv.ParseInt(text, 10, 64)
				sums[f] += n
			}
		}
		for i := range chunk {
			at := i * kinds * medispatcher.TimeBuckets
			chunk[i].Latency = medispatcher.QuantilesOf((*[medispatcher.TimeBuckets]int64)(sums[at:]))
			chunk[i].Took = medispatcher.QuantilesOf((*[medispatcher.TimeBuckets]int64)(sums[at+medispatcher.TimeBuckets:]))
		}
	}
	return nil
}
