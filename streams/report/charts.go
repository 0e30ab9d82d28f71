package report

import (
	"context"
	"maps"
	"slices"
	"strconv"
	"time"

	"github.com/solate/medispatcher"
	"github.com/solate/medispatcher/streams/internal/rdb"
)

const (
	// SampleEvery is how often the backlog is sampled, by one dispatcher.
	SampleEvery = 10 * time.Second
	// samplesRoom bounds the subscriptions whose backlog is kept, of those that have one.
	samplesRoom = 2_000
)

// SampleBacklog notes how many messages wait, together and for each subscription, unless another dispatcher did so within
// SampleEvery. It looks at the active channels alone, so it costs what is active.
func (r *Report) SampleBacklog(ctx context.Context) error {
	took, err := rdb.Text(r.db.With(ctx), "SET", r.keys.Sampler(), "1", "NX", "PX", int64(SampleEvery/time.Millisecond)-500).Result()
	if rdb.IsNil(err) || err == nil && took == "" {
		return nil
	}
	if err != nil {
		return rdb.Failed("sample the backlog", err)
	}
	var subs []string
	for p := range r.db.Partitions() {
		active, complete, err := r.kept.Active(ctx, p)
		if err != nil {
			return err
		}
		if !complete { // the set is being made, or a dispatcher of an earlier version makes none
			return nil
		}
		subs = append(subs, active...)
	}
	slices.Sort(subs)
	subs = slices.Compact(subs)
	lengths, err := r.Lengths(ctx, subs)
	if err != nil {
		return err
	}
	sum := int64(0)
	most := map[string]int64{}
	for i, n := range lengths {
		sum += n
		if n > 0 && len(most) < samplesRoom {
			most[subs[i]] = n
		}
	}
	now := r.db.Now().Unix()
	minute, hour := r.keys.Latency(now/60), r.keys.TimesOfEach(now/3600)
	of, err := r.fieldsOf(ctx, minute, hour)
	if err != nil {
		return err
	}
	all := map[string]int64{"": sum}
	for _, to := range []struct {
		key  string
		kept time.Duration
		of   map[string]int64
	}{
		{r.keys.Times('m', now/60), minutesKept, all}, {r.keys.Times('h', now/3600), hoursKept, all},
		{minute, minuteKept(of[0]), most}, {hour, hoursKept, most},
	} {
		if err := r.noteBacklog(ctx, to.key, to.kept, to.of); err != nil {
			return err
		}
	}
	return nil
}

// noteBacklog keeps the most that waited of each subscription. Only one dispatcher does so at a time.
func (r *Report) noteBacklog(ctx context.Context, key string, kept time.Duration, waiting map[string]int64) error {
	if len(waiting) == 0 {
		return nil
	}
	subs := slices.Collect(maps.Keys(waiting))
	fields := make([]string, len(subs))
	for i, sub := range subs {
		fields[i] = backlogField(sub)
	}
	before, err := rdb.List(r.db.With(ctx), rdb.Cmd("HMGET", key, fields...)...).Result()
	if err != nil {
		return rdb.Failed("sample the backlog", err)
	}
	pipe := r.db.Pipe(ctx)
	for i, sub := range subs {
		text, noted := before[i].(string)
		n, _ := strconv.ParseInt(text, 10, 64)
		if !noted || waiting[sub] > n {
			rdb.Int(pipe, "HSET", key, fields[i], strconv.FormatInt(waiting[sub], 10))
		}
	}
	rdb.Int(pipe, "EXPIRE", key, int64(kept/time.Second))
	return rdb.Failed("sample the backlog", pipe.Run())
}

// Times gives the quantiles, the failed attempts by status and the backlog of a subscription over the last 60 minutes or 24 hours, the
// oldest first; with an empty id those of all together. step is minute or hour.
func (r *Report) Times(ctx context.Context, id, step string) (medispatcher.TimeSeries, error) {
	by, ok := seriesSteps[step]
	if !ok || by.kind == 's' {
		return medispatcher.TimeSeries{}, medispatcher.FieldError{Field: "step", Problem: strconv.Quote(step) + " is not one of minute, hour"}
	}
	now, err := r.unixTime(ctx)
	if err != nil {
		return medispatcher.TimeSeries{}, err
	}
	n, last := int64(60), now/by.step
	if by.kind == 'h' {
		n = 24
	}
	keys := make([]string, n)
	for i := range keys {
		keys[i] = r.timesKey(by.kind, last-n+1+int64(i), id)
	}
	room := int64(timesRoom)
	if by.kind == 'h' {
		room = longRoom
	}
	values, err := r.timesOf(ctx, keys, timesFields(id), room)
	if err != nil {
		return medispatcher.TimeSeries{}, err
	}
	sent, _, err := r.Series(ctx, by.kind, []string{"sent:" + id})
	if err != nil {
		return medispatcher.TimeSeries{}, err
	}
	series := medispatcher.TimeSeries{
		Step: by.step, End: last*by.step - int64(r.db.ClockAhead()/time.Second), Errors: map[string][]int64{}, Sent: sent["sent:"+id],
		Latency: make([]medispatcher.Quantiles, n), Took: make([]medispatcher.Quantiles, n), Backlog: make([]*int64, n),
	}
	for i, v := range values {
		if v == nil {
			continue
		}
		series.Latency[i] = medispatcher.QuantilesOf((*[medispatcher.TimeBuckets]int64)(v))
		series.Took[i] = medispatcher.QuantilesOf((*[medispatcher.TimeBuckets]int64)(v[medispatcher.TimeBuckets:]))
		v = v[2*medispatcher.TimeBuckets:]
		for c, class := range medispatcher.StatusClasses {
			if v[c] > 0 {
				if series.Errors[class] == nil {
					series.Errors[class] = make([]int64, n)
				}
				series.Errors[class][i] = v[c]
			}
		}
		series.Backlog[i] = &v[len(v)-1]
	}
	return series, nil
}

// timesKey is the hash that holds a minute or an hour of a subscription, or of all together.
func (r *Report) timesKey(kind byte, at int64, id string) string {
	switch {
	case id == "":
		return r.keys.Times(kind, at)
	case kind == 'm':
		return r.keys.Latency(at)
	}
	return r.keys.TimesOfEach(at)
}

// timesFields are the fields of a subscription: the histograms of latency and of attempts, the failed attempts by class, the backlog.
func timesFields(id string) []string {
	var fields []string
	for _, kind := range []string{kindLatency, kindTook} {
		for b := range medispatcher.TimeBuckets {
			fields = append(fields, timeField(kind, b, id))
		}
	}
	for _, class := range medispatcher.StatusClasses {
		fields = append(fields, failedField(class, id))
	}
	return append(fields, backlogField(id))
}

// timesOf reads the fields of hashes; nil for a hash that does not exist, or that has more than room fields: it is not whole.
func (r *Report) timesOf(ctx context.Context, keys, fields []string, room int64) ([][]int64, error) {
	of, err := r.fieldsOf(ctx, keys...)
	if err != nil {
		return nil, err
	}
	pipe := r.db.Pipe(ctx)
	read := make([]*rdb.Reply[[]any], len(keys))
	for i, key := range keys {
		if of[i] > 0 && of[i] <= room {
			read[i] = rdb.List(pipe, rdb.Cmd("HMGET", key, fields...)...)
		}
	}
	if err := pipe.Run(); err != nil {
		return nil, rdb.Failed("read times", err)
	}
	values := make([][]int64, len(keys))
	for i, reply := range read {
		if reply == nil {
			continue
		}
		values[i] = make([]int64, len(fields))
		for f, v := range reply.Val() {
			text, _ := v.(string)
			values[i][f], _ = strconv.ParseInt(text, 10, 64)
		}
	}
	return values, nil
}
