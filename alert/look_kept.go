package alert

import (
	"context"

	"github.com/solate/medispatcher"
)

// keptRules evaluate the rules of messages that reach no channel: what came lately, not what is kept. What an
// operator leaves there on purpose alerts nobody again.
func (m *Monitor) keptRules(ctx context.Context) ([]finding, error) {
	th := m.cfg.Thresholds
	counted := make([]int64, 2)
	if th.Unrouted > 0 || th.Quarantine > 0 {
		var err error
		if counted, err = m.store.CountedSums(ctx, th.Window, "unroutable:", "quarantined"); err != nil {
			return nil, err
		}
	}
	unrouted, err := m.keptRule(ctx, medispatcher.RuleUnrouted, medispatcher.PlaceUnrouted, counted[0], th.Unrouted)
	if err != nil {
		return nil, err
	}
	quarantine, err := m.keptRule(ctx, medispatcher.RuleQuarantine, medispatcher.PlaceQuarantine, counted[1], th.Quarantine)
	return []finding{unrouted, quarantine}, err
}

func (m *Monitor) keptRule(ctx context.Context, rule string, place medispatcher.KeptPlace, n, threshold int64) (finding, error) {
	f := finding{alert: medispatcher.Alert{Rule: rule, Value: n, Threshold: threshold}, every: m.cfg.Thresholds.Every, level: levelOf(n, threshold)}
	f.alert.Window = medispatcher.Duration(m.cfg.Thresholds.Window)
	if f.level > calm || f.level == calm && m.firing[f.alert.Key()] != nil {
		return f, m.tellKept(ctx, place, &f.alert)
	}
	return f, nil
}

// tellKept adds how many messages are kept in a place, and what the newest is like.
func (m *Monitor) tellKept(ctx context.Context, place medispatcher.KeptPlace, a *medispatcher.Alert) error {
	in, err := m.store.IncomingStatus(ctx)
	if err != nil {
		return err
	}
	a.Messages = in.Quarantine
	if place == medispatcher.PlaceUnrouted {
		a.Messages = in.Unrouted
	}
	list, err := m.store.ListKept(ctx, place, medispatcher.KeptQuery{Newest: true, Limit: 1})
	if err == nil && len(list) > 0 {
		a.Topic, a.LastError = cut(list[0].Message.Topic, medispatcher.MaxTopic), cut(list[0].Reason, maxLine)
	}
	return err
}
