package alert

import (
	"context"
	"log/slog"
	"time"

	"github.com/solate/medispatcher"
)

// calmFor is how long a value must stay calm before its alert is over.
const calmFor = 10 * time.Second

// apply decides what becomes of each finding: it raises an alert, reminds of it, resolves it, or ends it
// without a notice where nobody wants it any more.
func (r *round) apply(ctx context.Context, findings []finding) error {
	for i := range findings {
		f := &findings[i]
		key := f.alert.Key()
		firing := r.firing[key]
		if f.level != calm {
			delete(r.calm, key)
		}
		var err error
		switch {
		case r.noticed(f):
			err = r.raise(ctx, f.alert)
		case firing == nil:
		case f.level == off:
			_, err = r.store.ResolveAlert(ctx, f.alert, true)
		case f.level == calm && r.calmLongEnough(key):
			err = r.resolve(ctx, f.alert)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

func (r *round) calmLongEnough(key string) bool {
	since, known := r.calm[key]
	if !known {
		r.calm[key] = r.now
		return false
	}
	return r.now.Sub(since) >= calmFor
}

// unwanted lists alerts that fire although their subscription is gone or does not want them now.
func (r *round) unwanted() []finding {
	if r.subs == r.judged && r.revision == r.judgedAt {
		return nil
	}
	var findings []finding
	for _, f := range r.firing {
		if f.Subscription != "" && !ruleNamed(f.Rule).wantedBy(r.subs.Get(f.Subscription)) {
			findings = append(findings, finding{alert: f.Alert, level: off})
		}
	}
	return findings
}

func (r *round) raise(ctx context.Context, a medispatcher.Alert) error {
	r.complete(&a, medispatcher.NoticeAlert)
	queued, dropped, err := r.store.RaiseAlert(ctx, a, r.every(&a), nil, false)
	pass(r.cfg.Log, &a, queued, dropped, r.cfg.Wake)
	return err
}

func (r *round) resolve(ctx context.Context, a medispatcher.Alert) error {
	r.complete(&a, medispatcher.NoticeRecovered)
	delete(r.calm, a.Key())
	queued, err := r.store.ResolveAlert(ctx, a, false)
	pass(r.cfg.Log, &a, queued, false, r.cfg.Wake)
	return err
}

// complete fills in what every alert has.
func (r *round) complete(a *medispatcher.Alert, kind string) {
	a.Env, a.Host = r.cfg.Env, r.cfg.Host
	a.OwnReceivers = len(ownReceivers(r.subs, a.Subscription)) > 0
	a.Line = r.cfg.Texts.Line(&medispatcher.Notice{Kind: kind, Alert: *a})
}

// pass wakes the Notifier for a new notice, or logs a notice that will not be sent.
func pass(log *slog.Logger, a *medispatcher.Alert, queued, dropped bool, wake func()) {
	switch {
	case dropped:
		log.Error("alert not sent: too many notices wait to be sent", "rule", a.Rule, "subscription", a.Subscription, "text", a.Line)
	case queued && wake != nil:
		wake()
	}
}
