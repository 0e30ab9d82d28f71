package alert

import (
	"context"
	"time"

	"github.com/solate/medispatcher"
)

// checkIncoming compares the number of messages before their fan-out, and the age of the oldest.
func checkIncoming(ctx context.Context, r *round, rule *Rule) ([]finding, error) {
	th := r.cfg.Thresholds
	f := finding{alert: medispatcher.Alert{Rule: rule.Name, Threshold: th.Incoming}}
	if th.Incoming <= 0 && th.IncomingAge <= 0 {
		return []finding{f}, nil
	}
	in, err := r.readIncoming(ctx)
	if err != nil {
		return nil, err
	}
	a := &f.alert
	a.Value, a.Ready, a.Buried = in.Ready+in.Buried, in.Ready, in.Buried
	a.Oldest, a.OldestLimit = medispatcher.Duration(time.Duration(in.OldestMS)*time.Millisecond), medispatcher.Duration(th.IncomingAge)
	f.level = max(levelOf(a.Value, th.Incoming), levelOf(in.OldestMS, th.IncomingAge.Milliseconds()))
	growing := r.trendOfIncoming.grows(r.now, a.Value)
	if f.level >= still {
		taken, err := r.lastMinute(ctx, "received")
		if err != nil {
			return nil, err
		}
		a.SentPerMin, a.Drain = taken, drain(a.Value, taken, growing)
	}
	return []finding{f}, nil
}

func checkUnrouted(ctx context.Context, r *round, rule *Rule) ([]finding, error) {
	return r.checkKept(ctx, rule, countUnrouted, r.cfg.Thresholds.Unrouted, medispatcher.PlaceUnrouted)
}

func checkQuarantine(ctx context.Context, r *round, rule *Rule) ([]finding, error) {
	return r.checkKept(ctx, rule, countQuarantine, r.cfg.Thresholds.Quarantine, medispatcher.PlaceQuarantine)
}

// checkKept compares how many messages were unrouted or quarantined within the window, not how many are
// kept: an operator may keep some on purpose.
func (r *round) checkKept(ctx context.Context, rule *Rule, what keptCount, threshold int64, place medispatcher.KeptPlace) ([]finding, error) {
	f := finding{alert: medispatcher.Alert{Rule: rule.Name, Threshold: threshold}}
	f.alert.Window = medispatcher.Duration(r.cfg.Thresholds.Window)
	if threshold <= 0 {
		return []finding{f}, nil
	}
	counted, err := r.readKept(ctx)
	if err != nil {
		return nil, err
	}
	f.alert.Value, f.level = counted[what], levelOf(counted[what], threshold)
	if f.level > calm || r.firing[f.alert.Key()] != nil {
		err = r.describeKept(ctx, place, &f.alert)
	}
	return []finding{f}, err
}

// describeKept fills in how many messages a place keeps, and the topic and reason of the newest.
func (r *round) describeKept(ctx context.Context, place medispatcher.KeptPlace, a *medispatcher.Alert) error {
	in, err := r.readIncoming(ctx)
	if err != nil {
		return err
	}
	a.Messages = in.Quarantine
	if place == medispatcher.PlaceUnrouted {
		a.Messages = in.Unrouted
	}
	list, err := r.store.ListKept(ctx, place, medispatcher.KeptQuery{Newest: true, Limit: 1})
	if err == nil && len(list) > 0 {
		a.Topic, a.LastError = cut(list[0].Message.Topic, medispatcher.MaxTopic), cut(list[0].Reason, maxLine)
	}
	return err
}
