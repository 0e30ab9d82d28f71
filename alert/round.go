package alert

import (
	"context"
	"math"
	"time"

	"github.com/solate/medispatcher"
)

// round is one evaluation of all rules. What several rules look at is read once.
type round struct {
	*Monitor
	now  time.Time // by the clock that all dispatchers share
	subs *medispatcher.Subscriptions
	ids  []string // of the subscriptions that are looked at

	incoming    *medispatcher.IncomingStatus // see readIncoming
	dispatchers []medispatcher.Dispatcher    // see readDispatchers
	kept        map[keptCount]int64          // see readKept
}

// newRound chooses the subscriptions to look at and measures their channels.
func (m *Monitor) newRound(ctx context.Context, now time.Time) (*round, error) {
	r := &round{Monitor: m, now: now, subs: m.cfg.Subscriptions()}
	for _, id := range m.cfg.Active() {
		m.watched.stir(id, now)
	}
	for _, f := range m.firing {
		if f.Subscription != "" && ruleNamed(f.Rule).causes == noCauses { // others do not look at the channel
			m.watched.stir(f.Subscription, now)
		}
	}
	r.ids = m.watched.next(now, r.subs)
	lengths, err := m.store.Lengths(ctx, r.ids)
	if err != nil {
		return nil, err
	}
	for i, id := range r.ids {
		m.watched.measured(id, now, lengths[i])
	}
	return r, nil
}

// evaluate applies every rule of the table. It changes nothing.
func (r *round) evaluate(ctx context.Context) ([]finding, error) {
	var findings []finding
	for i := range r.rules {
		rule := &r.rules[i]
		if rule.check == nil {
			continue
		}
		found, err := rule.check(ctx, r, rule)
		if err != nil {
			return nil, err
		}
		findings = append(findings, found...)
	}
	caused, err := r.checkCauses(ctx)
	return append(append(findings, caused...), r.unwanted()...), err
}

// every is the least time between two notices of an alert.
func (r *round) every(a *medispatcher.Alert) time.Duration {
	return every(a, r.subs, r.cfg.Thresholds.Every)
}

func every(a *medispatcher.Alert, subs *medispatcher.Subscriptions, whole time.Duration) time.Duration {
	if a.Subscription == "" {
		return whole
	}
	sub := subs.Get(a.Subscription)
	if sub == nil {
		return 0
	}
	return time.Duration(sub.Alert.Every)
}

// due reports whether it is time for another notice of an alert that fires.
func (r *round) due(f *medispatcher.Firing) bool { return r.now.Sub(f.Last) >= r.every(&f.Alert) }

// noticed reports whether a finding becomes an alert or a reminder.
func (r *round) noticed(f *finding) bool {
	firing := r.firing[f.alert.Key()]
	if firing == nil {
		return f.level == fires
	}
	return f.level >= still && r.due(firing)
}

func (r *round) readIncoming(ctx context.Context) (medispatcher.IncomingStatus, error) {
	if r.incoming == nil {
		in, err := r.store.IncomingWaiting(ctx)
		if err != nil {
			return in, err
		}
		r.incoming = &in
	}
	return *r.incoming, nil
}

func (r *round) readDispatchers(ctx context.Context) ([]medispatcher.Dispatcher, error) {
	var err error
	if r.dispatchers == nil {
		r.dispatchers, err = r.store.Dispatchers(ctx)
	}
	return r.dispatchers, err
}

// keptCount names a count of messages that reached no channel.
type keptCount string

const (
	countUnrouted   keptCount = "unroutable:"
	countQuarantine keptCount = "quarantined"
)

// readKept counts the messages that reached no channel within the window of the rules.
func (r *round) readKept(ctx context.Context) (map[keptCount]int64, error) {
	if r.kept == nil {
		n, err := r.store.CountedSums(ctx, r.cfg.Thresholds.Window, string(countUnrouted), string(countQuarantine))
		if err != nil {
			return nil, err
		}
		r.kept = map[keptCount]int64{countUnrouted: n[0], countQuarantine: n[1]}
	}
	return r.kept, nil
}

// lastMinute sums a count such as "sent" over all subscriptions and the last minute.
func (r *round) lastMinute(ctx context.Context, what string) (int64, error) {
	n, err := r.store.CountedWithin(ctx, what, time.Minute, []string{""}) // the sum of all is counted under the empty id
	if err != nil {
		return 0, err
	}
	return n[0], nil
}

// longestDrain is what is said of one that takes longer.
const longestDrain = 100 * 365 * 24 * time.Hour

// drain is how long n messages take at the rate of the last minute; 0: they never drain.
func drain(n, sentPerMinute int64, growing bool) medispatcher.Duration {
	if sentPerMinute <= 0 || growing {
		return 0
	}
	d := math.Min(float64(n)/float64(sentPerMinute)*float64(time.Minute), float64(longestDrain))
	return medispatcher.Duration(max(time.Second, time.Duration(d).Round(time.Second)))
}
