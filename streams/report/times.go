package report

import (
	"context"
	"strconv"
	"time"

	"github.com/solate/medispatcher"
	"github.com/solate/medispatcher/streams/internal/rdb"
)

// Histograms of times lie in hashes, "<kind>:<bucket>:<subscription>" → n: those of each subscription in one for each minute and each
// hour, and those of all together, under the subscription "", in others. Failed attempts by status lie beside them, "e:<class>:<subscription>", and the backlog,
// "b:<subscription>".
const (
	latencyMinutes = 5 // read by readTimes
	// Those of each subscription in a minute are kept for so long, and for an hour if they have no more than longRoom fields.
	latencyKept = 7 * time.Minute
	minutesKept = 62 * time.Minute
	hoursKept   = 25 * time.Hour
	longRoom    = 5_000
)

// timesRoom bounds the fields of one minute, to some 16 MB.
const timesRoom = 200_000

// Times are the histograms of one subscription.
type Times struct {
	Latency [medispatcher.TimeBuckets]int64 // publish to delivery
	Took    [medispatcher.TimeBuckets]int64 // of attempts
	Failed  map[string]int64                // attempts, by medispatcher.StatusClass
}

const (
	kindLatency = "d"
	kindTook    = "h"
	kindFailed  = "e"
	kindBacklog = "b"
)

func timeField(kind string, bucket int, sub string) string {
	return kind + ":" + strconv.Itoa(bucket) + ":" + sub
}

func failedField(class, sub string) string { return kindFailed + ":" + class + ":" + sub }

func backlogField(sub string) string { return kindBacklog + ":" + sub }

// each calls do for every field of the histograms that is not zero.
func (t *Times) each(sub string, do func(field string, n int64)) {
	for b := range medispatcher.TimeBuckets {
		if n := t.Latency[b]; n > 0 {
			do(timeField(kindLatency, b, sub), n)
		}
		if n := t.Took[b]; n > 0 {
			do(timeField(kindTook, b, sub), n)
		}
	}
	for class, n := range t.Failed {
		do(failedField(class, sub), n)
	}
}

// add adds other histograms.
func (t *Times) add(other *Times) {
	for b := range medispatcher.TimeBuckets {
		t.Latency[b] += other.Latency[b]
		t.Took[b] += other.Took[b]
	}
	for class, n := range other.Failed {
		if t.Failed == nil {
			t.Failed = map[string]int64{}
		}
		t.Failed[class] += n
	}
}

// AddTimes adds to the histograms of the current minute and hour, unless they are full. The caller must not
// repeat it after an error: if only the reply was lost, the times would be added twice.
func (r *Report) AddTimes(ctx context.Context, times map[string]*Times) error {
	now := r.db.Now().Unix()
	minute, hour := r.keys.Latency(now/60), r.keys.TimesOfEach(now/3600)
	of, err := r.fieldsOf(ctx, minute, hour)
	if err != nil {
		return err
	}
	pipe := r.db.Pipe(ctx)
	add := func(key string, kept time.Duration, each func(do func(field string, n int64))) {
		each(func(field string, n int64) { rdb.Int(pipe, "HINCRBY", key, field, n) })
		rdb.Int(pipe, "EXPIRE", key, int64(kept/time.Second))
	}
	var sum Times
	for _, t := range times {
		sum.add(t)
	}
	all := func(do func(string, int64)) { sum.each("", do) }
	add(r.keys.Times('m', now/60), minutesKept, all)
	add(r.keys.Times('h', now/3600), hoursKept, all)
	each := func(do func(string, int64)) {
		for sub, t := range times {
			t.each(sub, do)
		}
	}
	if of[0] <= timesRoom {
		add(minute, minuteKept(of[0]), each)
	}
	if of[1] <= longRoom {
		add(hour, hoursKept, each)
	}
	return rdb.Failed("add times", pipe.Run())
}

// minuteKept is how long the hash of a minute is kept that has so many fields.
func minuteKept(fields int64) time.Duration {
	if fields <= longRoom {
		return minutesKept
	}
	return latencyKept
}

// fieldsOf counts the fields of hashes.
func (r *Report) fieldsOf(ctx context.Context, keys ...string) ([]int64, error) {
	pipe := r.db.Pipe(ctx)
	asked := make([]*rdb.Reply[int64], len(keys))
	for i, key := range keys {
		asked[i] = rdb.Int(pipe, "HLEN", key)
	}
	if err := pipe.Run(); err != nil {
		return nil, rdb.Failed("count times", err)
	}
	n := make([]int64, len(keys))
	for i := range asked {
		n[i] = asked[i].Val()
	}
	return n, nil
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
			for _, kind := range []string{kindLatency, kindTook} {
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
