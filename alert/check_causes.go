package alert

import (
	"context"

	"github.com/solate/medispatcher"
)

// causesAtOnce bounds the alerts of which a round reads the causes. If more fire, they take turns.
const causesAtOnce = 500

// checkCauses decides about alerts that have no value to compare: each goes on while it has a cause, such
// as a message that fails, or a dispatcher whose breaker is open.
func (r *round) checkCauses(ctx context.Context) ([]finding, error) {
	var alerts []medispatcher.Alert
	for _, key := range r.nextCaused() {
		firing := r.firing[key]
		if sub := firing.Subscription; sub == "" || ruleNamed(firing.Rule).wantedBy(r.subs.Get(sub)) {
			alerts = append(alerts, firing.Alert)
		}
	}
	left, err := r.store.AlertCauses(ctx, alerts)
	if err != nil {
		return nil, err
	}
	findings := make([]finding, len(alerts))
	for i, a := range alerts {
		n, level := left[a.Key()], still
		if n <= 0 {
			level = calm
		}
		if ruleNamed(a.Rule).causes == byMessages {
			a.Messages = n
		}
		findings[i] = finding{a, level}
	}
	return findings, nil
}

// nextCaused are the keys of the alerts whose turn it is.
func (m *Monitor) nextCaused() []string {
	from := m.turn
	if from >= len(m.caused) {
		from = 0
	}
	m.turn = min(from+causesAtOnce, len(m.caused))
	return m.caused[from:m.turn]
}

// checkGone decides whether a subscription that a 410 paused is resumed. Events raises the alert.
func checkGone(_ context.Context, r *round, rule *Rule) ([]finding, error) {
	var findings []finding
	for _, firing := range r.firing {
		if firing.Rule != rule.Name {
			continue
		}
		sub := r.subs.Get(firing.Subscription)
		if !rule.wantedBy(sub) {
			continue
		}
		f := finding{firing.Alert, still}
		if !sub.Paused {
			f.level = calm
		}
		findings = append(findings, f)
	}
	return findings, nil
}
