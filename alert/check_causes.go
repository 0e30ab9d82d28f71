package alert

import (
	"context"

	"github.com/solate/medispatcher"
)

// checkCauses finds out which alerts go on that have no value to look at: messages that fail, breakers
// that are open, logs that are lost.
func (r *round) checkCauses(ctx context.Context) ([]finding, error) {
	var alerts []medispatcher.Alert
	for _, firing := range r.firing {
		rule := ruleNamed(firing.Rule)
		sub, known := r.subs[firing.Subscription]
		unwanted := firing.Subscription != "" && (!known || !rule.wantedBy(&sub))
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

// checkGone finds out whether a subscription that was paused is resumed. Events raise it.
func checkGone(_ context.Context, r *round, rule *Rule) ([]finding, error) {
	var findings []finding
	for _, firing := range r.firing {
		sub, known := r.subs[firing.Subscription]
		if firing.Rule != rule.Name || !known || !rule.wantedBy(&sub) {
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
