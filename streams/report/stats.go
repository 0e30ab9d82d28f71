package report

import (
	"context"
	"strconv"
	"strings"

	"github.com/solate/medispatcher"
)

// Stats gives the counts of subscriptions and topics, in the order given, and the sums over all.
func (r *Report) Stats(ctx context.Context, subs, topics []string) (medispatcher.Stats, error) {
	st := medispatcher.Stats{
		Topics:        make([]medispatcher.TopicStats, len(topics)),
		Subscriptions: make([]medispatcher.SubscriptionStats, len(subs)),
	}
	into := map[string]*medispatcher.Windows{
		"received:": &st.Sums.Received, "unroutable:": &st.Sums.Unroutable, "duplicate": &st.Sums.Duplicate,
		"quarantined": &st.Sums.Quarantined, "unrouted_lost": &st.Sums.UnroutedLost, "quarantine_lost": &st.Sums.QuarantineLost,
		"sent:": &st.Sums.Sent, "failed:": &st.Sums.Failed,
		"retried:": &st.Sums.Retried, "dead:": &st.Sums.Dead, "dropped:": &st.Sums.Dropped,
		"filtered:": &st.Sums.Filtered, "filter_failed:": &st.Sums.FilterFailed,
		"vanished:": &st.Sums.Vanished, "unowned:": &st.Sums.Unowned,
	}
	for i, topic := range topics {
		t := &st.Topics[i]
		t.Topic = topic
		into["received:"+topic], into["unroutable:"+topic] = &t.Received, &t.Unroutable
	}
	for i, id := range subs {
		c := &st.Subscriptions[i]
		c.ID = id
		into["sent:"+id], into["failed:"+id], into["retried:"+id] = &c.Sent, &c.Failed, &c.Retried
		into["dead:"+id], into["dropped:"+id] = &c.Dead, &c.Dropped
		into["filtered:"+id], into["filter_failed:"+id] = &c.Filtered, &c.FilterFailed
	}
	fields := make([]string, 0, len(into))
	for field := range into {
		fields = append(fields, field)
	}
	windows, err := r.Windows(ctx, fields)
	if err != nil {
		return st, err
	}
	for field, w := range windows {
		*into[field] = w
	}
	now, err := r.unixTime(ctx)
	if err != nil {
		return st, err
	}
	return st, r.readTimes(ctx, now, st.Subscriptions)
}

// seriesSteps are the step sizes of a series.
var seriesSteps = map[string]struct {
	kind byte
	step int64
}{"second": {'s', 1}, "minute": {'m', 60}, "hour": {'h', 3600}}

// SubscriptionSeries gives the counts "sent", "failed", "retried" and "dead" of a subscription over
// time. With an empty id it gives those of all subscriptions together, and "received". step is
// second, minute or hour.
func (r *Report) SubscriptionSeries(ctx context.Context, id, step string) (medispatcher.Series, error) {
	by, ok := seriesSteps[step]
	if !ok {
		return medispatcher.Series{}, medispatcher.FieldError{Field: "step", Problem: strconv.Quote(step) + " is not one of second, minute, hour"}
	}
	names := []string{"sent", "failed", "retried", "dead"}
	if id == "" {
		names = append(names, "received")
	}
	fields := make([]string, len(names))
	for i, name := range names {
		fields[i] = name + ":" + id
	}
	counts, end, err := r.Series(ctx, by.kind, fields)
	if err != nil {
		return medispatcher.Series{}, err
	}
	series := medispatcher.Series{Step: by.step, End: end, Counts: map[string][]int64{}}
	for field, values := range counts {
		name, _, _ := strings.Cut(field, ":")
		series.Counts[name] = values
	}
	return series, nil
}
