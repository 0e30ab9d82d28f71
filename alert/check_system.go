package alert

import (
	"context"
	"time"

	"github.com/solate/medispatcher"
)

// lossRemembered is when the loss of a dispatcher is over even if nobody starts another.
const lossRemembered = 15 * time.Minute

// checkMemory compares the share of its memory that Redis uses. A managed Redis may refuse to tell it,
// which must not stop the other rules.
func checkMemory(ctx context.Context, r *round, rule *Rule) ([]finding, error) {
	threshold := r.cfg.Thresholds.Memory
	f := finding{alert: medispatcher.Alert{Rule: rule.Name, Threshold: threshold}}
	if threshold <= 0 {
		return []finding{f}, nil
	}
	used, limit, err := r.store.Memory(ctx)
	if err != nil {
		if !r.blind {
			r.cfg.Log.Warn("cannot read how much memory Redis uses, so the alert rule memory is not evaluated", "error", err)
		}
		r.blind = true
		return nil, nil
	}
	r.blind = false
	if limit > 0 { // 0: Redis has no limit
		f.alert.Value, f.alert.MemoryUsed, f.alert.MemoryLimit = used*100/limit, used, limit
		f.level = levelOf(f.alert.Value, threshold)
	}
	return []finding{f}, nil
}

// checkLost decides whether the loss of a dispatcher is over: as many run as before, or it was long ago.
// Events raises the alert.
func checkLost(ctx context.Context, r *round, rule *Rule) ([]finding, error) {
	f := finding{alert: medispatcher.Alert{Rule: rule.Name}}
	firing := r.firing[f.alert.Key()]
	if firing == nil || !r.cfg.Thresholds.DispatcherLost {
		return []finding{f}, nil
	}
	all, err := r.readDispatchers(ctx)
	if err != nil {
		return nil, err
	}
	f.alert, f.level = firing.Alert, still
	f.alert.Alive = 0
	for _, d := range all {
		if d.Alive {
			f.alert.Alive++
		}
	}
	if f.alert.Alive >= firing.Threshold || r.now.Sub(firing.Since) >= lossRemembered {
		f.level = calm
	}
	return []finding{f}, nil
}

// checkShortage counts the dispatchers whose machine is short of something, and names one.
func checkShortage(ctx context.Context, r *round, rule *Rule) ([]finding, error) {
	all, err := r.readDispatchers(ctx)
	if err != nil {
		return nil, err
	}
	a := medispatcher.Alert{Rule: rule.Name, Threshold: 1}
	for _, d := range all {
		if d.Alive && d.Short != "" {
			a.Value++
			a.Dispatcher, a.Short = d.ID, d.Short
		}
	}
	return []finding{{a, levelOf(a.Value, a.Threshold)}}, nil
}
