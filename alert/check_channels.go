package alert

import (
	"context"
	"time"

	"github.com/solate/medispatcher"
)

// checkFailures counts the failed attempts of each subscription within its window. It takes one round trip
// for each length of window.
func checkFailures(ctx context.Context, r *round, rule *Rule) ([]finding, error) {
	windows := map[medispatcher.Duration][]string{}
	for _, id := range r.ids {
		if sub := r.subs.Get(id); rule.wantedBy(sub) {
			windows[sub.Alert.Window] = append(windows[sub.Alert.Window], id)
		}
	}
	var findings []finding
	for window, ids := range windows {
		failed, err := r.store.CountedWithin(ctx, "failed", time.Duration(window), ids)
		if err != nil {
			return nil, err
		}
		for i, id := range ids {
			threshold := int64(r.subs.Get(id).Alert.Failures)
			a := medispatcher.Alert{Rule: rule.Name, Subscription: id, Value: failed[i], Threshold: threshold}
			a.Window = window
			findings = append(findings, finding{a, levelOf(failed[i], threshold)})
		}
	}
	return findings, nil
}

// checkBacklog compares the messages that are READY, or those that wait for a retry. It counts them only in
// a channel whose length comes near the threshold: neither number can exceed the length.
func checkBacklog(ctx context.Context, r *round, rule *Rule) ([]finding, error) {
	var wanted, full []string
	for _, id := range r.ids {
		sub := r.subs.Get(id)
		if !rule.wantedBy(sub) {
			continue
		}
		wanted = append(wanted, id)
		if levelOf(r.watched[id].length, int64(sub.Alert.Backlog)) > calm {
			full = append(full, id)
		}
	}
	counted := make(map[string]medispatcher.ChannelStatus, len(full))
	if len(full) > 0 {
		rows, err := r.store.ChannelStatus(ctx, full)
		if err != nil {
			return nil, err
		}
		for i, id := range full {
			counted[id] = rows[i]
		}
	}
	findings := make([]finding, 0, len(wanted))
	for _, id := range wanted {
		c, known := counted[id]
		if !known {
			c.Ready = r.watched[id].length
		}
		threshold := int64(r.subs.Get(id).Alert.Backlog)
		a := medispatcher.Alert{Rule: rule.Name, Subscription: id, Value: max(c.Ready, c.Retrying), Threshold: threshold}
		a.Ready, a.Buried, a.Retrying = c.Ready, c.Buried, c.Retrying
		a.Oldest = medispatcher.Duration(time.Duration(c.OldestMS) * time.Millisecond)
		findings = append(findings, finding{a, levelOf(a.Value, threshold)})
	}
	return findings, r.addDrain(ctx, findings)
}

// addDrain fills in the time to drain of the findings that become a notice, in one round trip.
func (r *round) addDrain(ctx context.Context, findings []finding) error {
	var ids []string
	var alerts []*medispatcher.Alert
	for i := range findings {
		if f := &findings[i]; r.noticed(f) {
			ids, alerts = append(ids, f.alert.Subscription), append(alerts, &f.alert)
		}
	}
	sent, err := r.store.CountedWithin(ctx, "sent", time.Minute, ids)
	if err != nil {
		return err
	}
	for i, a := range alerts {
		a.SentPerMin, a.Drain = sent[i], drain(a.Value, sent[i], r.watched.grows(ids[i]))
	}
	return nil
}

// checkTotalBacklog compares the length of all channels together.
func checkTotalBacklog(ctx context.Context, r *round, rule *Rule) ([]finding, error) {
	sum, threshold := r.watched.sum(r.subs), r.cfg.Thresholds.TotalBacklog
	f := finding{medispatcher.Alert{Rule: rule.Name, Value: sum, Threshold: threshold}, levelOf(sum, threshold)}
	growing := r.total.grows(r.now, sum)
	if f.level >= still {
		sent, err := r.lastMinute(ctx, "sent")
		if err != nil {
			return nil, err
		}
		f.alert.SentPerMin, f.alert.Drain = sent, drain(sum, sent, growing)
	}
	return []finding{f}, nil
}
