package alert

import (
	"context"
	"time"

	"github.com/solate/medispatcher"
)

// lookAtChannels evaluates the rules of subscriptions that had something to do, in a few pipelined
// round trips.
func (m *Monitor) lookAtChannels(ctx context.Context, now time.Time, subs map[string]medispatcher.Subscription) ([]finding, error) {
	ids := m.watch(now, subs)
	lengths, err := m.store.Lengths(ctx, ids)
	if err != nil {
		return nil, err
	}
	var full []string // channels long enough for their rule
	windows := map[time.Duration][]string{}
	for i, id := range ids {
		sub, w := subs[id], m.watched[id]
		w.length = lengths[i]
		w.trend.growing(now, w.length)
		if levelOf(w.length, int64(sub.Alert.Backlog)) > calm && wants(&sub, medispatcher.RuleBacklog) {
			full = append(full, id)
		}
		if wants(&sub, medispatcher.RuleFailures) {
			windows[time.Duration(sub.Alert.Window)] = append(windows[time.Duration(sub.Alert.Window)], id)
		}
	}
	findings, err := m.backlogs(ctx, ids, full, subs)
	if err != nil {
		return nil, err
	}
	for window, of := range windows {
		failed, err := m.store.CountedWithin(ctx, "failed", window, of)
		if err != nil {
			return nil, err
		}
		for i, id := range of {
			policy := subs[id].Alert
			findings = append(findings, finding{
				alert: medispatcher.Alert{
					Rule: medispatcher.RuleFailures, Subscription: id, Value: failed[i], Threshold: int64(policy.Failures),
					AlertFacts: medispatcher.AlertFacts{Window: policy.Window},
				},
				every: time.Duration(policy.Every), level: levelOf(failed[i], int64(policy.Failures)),
			})
		}
	}
	return append(findings, m.unwanted(subs)...), nil
}

// backlogs evaluates the rule of the backlog. Only what waits in full channels is counted: where the
// whole channel is shorter than the threshold, so is what is READY or retrying.
func (m *Monitor) backlogs(ctx context.Context, ids, full []string, subs map[string]medispatcher.Subscription) ([]finding, error) {
	counted := make(map[string]*medispatcher.ChannelStatus, len(full))
	if len(full) > 0 {
		rows, err := m.store.ChannelStatus(ctx, full)
		if err != nil {
			return nil, err
		}
		for i := range rows {
			counted[full[i]] = &rows[i]
		}
	}
	var findings []finding
	for _, id := range ids {
		sub := subs[id]
		if !wants(&sub, medispatcher.RuleBacklog) {
			continue
		}
		c := counted[id]
		if c == nil {
			c = &medispatcher.ChannelStatus{Ready: m.watched[id].length}
		}
		n, threshold := backlogOf(c), int64(sub.Alert.Backlog)
		findings = append(findings, finding{
			alert: medispatcher.Alert{
				Rule: medispatcher.RuleBacklog, Subscription: id, Value: n, Threshold: threshold,
				AlertFacts: medispatcher.AlertFacts{
					Ready: c.Ready, Buried: c.Buried, Retrying: c.Retrying,
					Oldest: medispatcher.Duration(time.Duration(c.OldestMS) * time.Millisecond),
				},
			},
			every: time.Duration(sub.Alert.Every), level: levelOf(n, threshold),
		})
	}
	return findings, nil
}

// unwanted finds alerts that fire and that nobody wants to hear of any more.
func (m *Monitor) unwanted(subs map[string]medispatcher.Subscription) []finding {
	var findings []finding
	for _, f := range m.firing {
		if f.Subscription == "" {
			continue
		}
		if sub, known := subs[f.Subscription]; !known || !wants(&sub, f.Rule) {
			findings = append(findings, finding{alert: f.Alert, level: off})
		}
	}
	return findings
}

// lookAtSystem evaluates the rules that belong to no subscription.
func (m *Monitor) lookAtSystem(ctx context.Context, now time.Time, subs map[string]medispatcher.Subscription) ([]finding, error) {
	th := m.cfg.Thresholds
	in, err := m.incomingRule(ctx, now)
	if err != nil {
		return nil, err
	}
	var sum int64 // of a channel that was not looked at in this round, what it held when it was
	for id, w := range m.watched {
		if !subs[id].Paused {
			sum += w.length
		}
	}
	total := finding{
		alert: medispatcher.Alert{Rule: medispatcher.RuleTotalBacklog, Value: sum, Threshold: th.TotalBacklog},
		every: th.Every, level: levelOf(sum, th.TotalBacklog),
	}
	growing := m.total.growing(now, sum)
	if total.level >= still {
		// The sums of all subscriptions are counted under no name.
		sent, err := m.store.CountedWithin(ctx, "sent", time.Minute, []string{""})
		if err != nil {
			return nil, err
		}
		total.alert.SentPerMin, total.alert.Drain = sent[0], drain(sum, sent[0], growing)
	}
	kept, err := m.keptRules(ctx)
	if err != nil {
		return nil, err
	}
	findings := append(kept, in, total)
	if memory, known := m.memoryRule(ctx); known {
		findings = append(findings, memory)
	}
	all, err := m.store.Dispatchers(ctx)
	if err != nil {
		return nil, err
	}
	return append(findings, m.lostRule(all, now), m.shortageRule(all)), nil
}

func (m *Monitor) incomingRule(ctx context.Context, now time.Time) (finding, error) {
	th := m.cfg.Thresholds
	f := finding{alert: medispatcher.Alert{Rule: medispatcher.RuleIncoming, Threshold: th.Incoming}, every: th.Every}
	if th.Incoming <= 0 && th.IncomingAge <= 0 {
		return f, nil
	}
	in, err := m.store.IncomingStatus(ctx)
	if err != nil {
		return f, err
	}
	a := &f.alert
	a.Value, a.Ready, a.Buried = in.Ready+in.Buried, in.Ready, in.Buried
	a.Oldest, a.OldestLimit = medispatcher.Duration(time.Duration(in.OldestMS)*time.Millisecond), medispatcher.Duration(th.IncomingAge)
	f.level = max(levelOf(a.Value, th.Incoming), levelOf(in.OldestMS, th.IncomingAge.Milliseconds()))
	growing := m.incoming.growing(now, a.Value)
	if f.level >= still {
		taken, err := m.store.CountedWithin(ctx, "received", time.Minute, []string{""})
		if err != nil {
			return f, err
		}
		a.SentPerMin, a.Drain = taken[0], drain(a.Value, taken[0], growing)
	}
	return f, nil
}

// memoryRule evaluates the rule of the memory, where it is known: a Redis that somebody else runs may
// refuse to tell, which must not stop the other rules.
func (m *Monitor) memoryRule(ctx context.Context) (f finding, known bool) {
	th := m.cfg.Thresholds
	f = finding{alert: medispatcher.Alert{Rule: medispatcher.RuleMemory, Threshold: th.Memory}, every: th.Every}
	if th.Memory <= 0 {
		return f, true
	}
	used, limit, err := m.store.Memory(ctx)
	if err != nil {
		if !m.blind {
			m.cfg.Log.Warn("Redis does not tell its memory, so the rule of it is not evaluated", "error", err)
		}
		m.blind = true
		return f, false
	}
	m.blind = false
	if limit > 0 { // without one there is no share of it
		f.alert.Value, f.alert.MemoryUsed, f.alert.MemoryLimit = used*100/limit, used, limit
		f.level = levelOf(f.alert.Value, th.Memory)
	}
	return f, true
}

// lostRule finds out whether the loss of a dispatcher is over: as many run as did before, or so long
// ago that nobody means to start another.
func (m *Monitor) lostRule(all []medispatcher.Dispatcher, now time.Time) finding {
	f := finding{alert: medispatcher.Alert{Rule: medispatcher.RuleDispatcherLost}, every: m.cfg.Thresholds.Every}
	firing := m.firing[f.alert.Key()]
	if firing == nil || !m.cfg.Thresholds.DispatcherLost {
		return f
	}
	f.alert = firing.Alert
	f.alert.Alive = 0
	for _, d := range all {
		if d.Alive {
			f.alert.Alive++
		}
	}
	f.level = still
	if f.alert.Alive >= firing.Threshold || now.Sub(firing.Since) >= lossRemembered {
		f.level = calm
	}
	return f
}

// shortageRule counts the dispatchers whose machine lacks something, and names one.
func (m *Monitor) shortageRule(all []medispatcher.Dispatcher) finding {
	f := finding{alert: medispatcher.Alert{Rule: medispatcher.RuleShortage, Threshold: 1}, every: m.cfg.Thresholds.Every}
	for _, d := range all {
		if !d.Alive || d.Short == "" {
			continue
		}
		f.alert.Value++
		f.alert.Dispatcher, f.alert.Short = d.ID, d.Short
	}
	f.level = levelOf(f.alert.Value, f.alert.Threshold)
	return f
}

// lookAtCauses finds out which alerts go on that nobody can count: messages that fail, breakers that are
// open, subscriptions that were paused.
func (m *Monitor) lookAtCauses(ctx context.Context, subs map[string]medispatcher.Subscription) ([]finding, error) {
	var caused []medispatcher.Alert
	var findings []finding
	for _, firing := range m.firing {
		if firing.Rule == medispatcher.RuleLogLost {
			caused = append(caused, firing.Alert)
			continue
		}
		sub, known := subs[firing.Subscription]
		if !known || !wants(&sub, firing.Rule) {
			continue // ended as unwanted
		}
		f := finding{alert: firing.Alert, every: time.Duration(sub.Alert.Every), level: still}
		switch firing.Rule {
		case medispatcher.RuleMessageFailures, medispatcher.RuleBreaker:
			caused = append(caused, firing.Alert)
			continue
		case medispatcher.RuleGone:
			if !sub.Paused {
				f.level = calm
			}
			findings = append(findings, f)
		}
	}
	left, err := m.store.AlertCauses(ctx, caused)
	if err != nil {
		return nil, err
	}
	for _, a := range caused {
		f := finding{alert: a, every: time.Duration(subs[a.Subscription].Alert.Every), level: still}
		if a.Subscription == "" {
			f.every = m.cfg.Thresholds.Every
		}
		n := left[a.Key()]
		if n <= 0 {
			f.level = calm
		}
		if a.Rule == medispatcher.RuleMessageFailures {
			f.alert.Messages = n
		}
		findings = append(findings, f)
	}
	return findings, nil
}
