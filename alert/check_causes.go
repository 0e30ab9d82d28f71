package alert

import (
	"context"

	"github.com/solate/medispatcher"
)

// checkCauses decides about alerts that have no value to compare: each goes on while it has a cause, such
// as a message that fails, or a dispatcher whose breaker is open.
func (r *round) checkCauses(ctx context.Context) ([]finding, error) {
	var alerts []medispatcher.Alert
	for _, firing := range r.firing {
		rule := ruleNamed(firing.Rule)
		unwanted := firing.Subscription != "" && !rule.wantedBy(r.subs.Get(firing.Subscription))
		if rule.causes != noCauses && !unwanted {
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

// checkGone decides whether a subscription that a 410 paused is resumed. Events raises the alert.
func checkGone(_ context.Context, r *round, rule *Rule) ([]finding, error) {
	var findings []finding
	for _, firing := range r.firing {
		sub := r.subs.Get(firing.Subscription)
		if firing.Rule != rule.Name || !rule.wantedBy(sub) {
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
