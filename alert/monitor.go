package alert

import (
	"context"
	"log/slog"
	"slices"
	"time"

	"github.com/solate/medispatcher"
)

const (
	roundEvery = time.Second
	// leadFor outlives a few rounds: who leads goes on leading.
	leadFor = 5 * time.Second
	// roundWithin ends a round before another dispatcher leads.
	roundWithin = 4 * time.Second
	// watchFor is how long a subscription is looked at after it had something to do. Sweeps find
	// every channel that is not empty within it.
	watchFor = 15 * time.Second
	// maxWatched bounds the subscriptions of one round. Where more had something to do, those
	// come first that were not looked at for longest.
	maxWatched = 2000
	// trendOver is the time over which a backlog is said to grow.
	trendOver = 10 * time.Second
	// forgetEvery is how often the ledger is tidied.
	forgetEvery = 10 * time.Minute
)

// MonitorConfig says what a Monitor looks at. All but Wake is required.
type MonitorConfig struct {
	Env, Host  string // of this dispatcher
	Thresholds Thresholds
	Texts      *Texts
	Log        *slog.Logger
	// Subscriptions is every subscription, as it is in force now.
	Subscriptions func() map[string]medispatcher.Subscription
	// Active lists the subscriptions that had something to do since the last call.
	Active func() []string
	// Wake says that there is a notice to be sent. It must not block.
	Wake func()
}

// Monitor evaluates the rules in the one dispatcher that leads.
type Monitor struct {
	cfg   MonitorConfig
	store Store

	leads    bool
	revision int64
	firing   map[string]*medispatcher.Firing
	calm     map[string]time.Time // when an alert that fires was first found calm
	watched  map[string]*watch
	total    sample // of all channels together
	incoming sample
	tidied   time.Time
	failing  bool // the last round failed, and that was told
	blind    bool // the memory could not be read, and that was told
}

// watch is a subscription that had something to do lately.
type watch struct {
	id            string
	until, looked time.Time
	length        int64
	trend         sample
}

// sample remembers a count, to tell whether it grows.
type sample struct {
	at            time.Time
	before, older int64
}

// growing takes a count and reports whether it grew over the last seconds.
func (s *sample) growing(now time.Time, n int64) bool {
	if s.at.IsZero() {
		s.at, s.before, s.older = now, n, n
	}
	if now.Sub(s.at) >= trendOver {
		s.at, s.older, s.before = now, s.before, n
	}
	return n > s.older
}

// NewMonitor makes a monitor that leads nothing yet.
func NewMonitor(cfg MonitorConfig, store Store) *Monitor {
	return &Monitor{
		cfg: cfg, store: store, firing: map[string]*medispatcher.Firing{},
		calm: map[string]time.Time{}, watched: map[string]*watch{},
	}
}

// Run evaluates the rules once a second until ctx ends, and then lets another dispatcher do it.
func (m *Monitor) Run(ctx context.Context) error {
	tick := time.NewTicker(roundEvery)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			if !m.leads {
				return nil
			}
			last, cancel := context.WithTimeout(context.WithoutCancel(ctx), time.Second)
			defer cancel()
			_ = m.store.UnleadAlerts(last) // or else the lease ends
			return nil
		case <-tick.C:
		}
		m.tick(ctx)
	}
}

func (m *Monitor) tick(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, roundWithin)
	defer cancel()
	err := m.Round(ctx)
	if err != nil && !m.failing && ctx.Err() == nil {
		m.cfg.Log.Warn("the rules of alerts could not be evaluated; the next round tries again", "error", err)
	}
	m.failing = err != nil
}

// Round evaluates every rule, if this dispatcher leads.
func (m *Monitor) Round(ctx context.Context) error {
	leads, now, revision, err := m.store.LeadAlerts(ctx, leadFor)
	if err != nil || !leads {
		m.leads = false // who lost Redis, or the lead, knows nothing
		return err
	}
	if !m.leads {
		m.cfg.Log.Debug("this dispatcher evaluates the rules of alerts")
		clear(m.calm)
		m.leads, m.revision = true, -1
	}
	if revision != m.revision {
		if err := m.readFiring(ctx); err != nil {
			return err
		}
		m.revision = revision
	}
	subs := m.cfg.Subscriptions()
	findings, err := m.lookAtChannels(ctx, now, subs)
	if err != nil {
		return err
	}
	more, err := m.lookAtSystem(ctx, now, subs)
	if err != nil {
		return err
	}
	findings = append(findings, more...)
	if more, err = m.lookAtCauses(ctx, subs); err != nil {
		return err
	}
	findings = append(findings, more...)
	if err := m.apply(ctx, now, subs, findings); err != nil {
		return err
	}
	if now.Sub(m.tidied) > forgetEvery {
		m.tidied = now
		return m.store.ForgetNotices(ctx, now)
	}
	return nil
}

func (m *Monitor) readFiring(ctx context.Context) error {
	list, err := m.store.FiringAlerts(ctx)
	if err != nil {
		return err
	}
	clear(m.firing)
	for i := range list {
		m.firing[list[i].Key()] = &list[i]
	}
	for key := range m.calm {
		if m.firing[key] == nil {
			delete(m.calm, key)
		}
	}
	return nil
}

// watch brings the list of watched subscriptions up to date and chooses those of this round.
func (m *Monitor) watch(now time.Time, subs map[string]medispatcher.Subscription) []string {
	stir := func(id string) {
		if w := m.watched[id]; w != nil {
			w.until = now.Add(watchFor)
		} else {
			m.watched[id] = &watch{id: id, until: now.Add(watchFor)}
		}
	}
	for _, id := range m.cfg.Active() {
		stir(id)
	}
	for _, f := range m.firing {
		if f.Subscription != "" {
			stir(f.Subscription)
		}
	}
	looked := make([]*watch, 0, len(m.watched))
	for id, w := range m.watched {
		if _, known := subs[id]; !known || w.until.Before(now) {
			delete(m.watched, id)
			continue
		}
		looked = append(looked, w)
	}
	if len(looked) > maxWatched {
		slices.SortFunc(looked, func(a, b *watch) int { return a.looked.Compare(b.looked) })
		looked = looked[:maxWatched]
	}
	ids := make([]string, len(looked))
	for i, w := range looked {
		w.looked, ids[i] = now, w.id
	}
	slices.Sort(ids)
	return ids
}

// apply brings the ledger in line with what a round found.
func (m *Monitor) apply(ctx context.Context, now time.Time, subs map[string]medispatcher.Subscription, findings []finding) error {
	if err := m.fillDrain(ctx, now, findings); err != nil {
		return err
	}
	for i := range findings {
		f := &findings[i]
		key := f.alert.Key()
		firing := m.firing[key]
		if f.level != calm {
			delete(m.calm, key)
		}
		var err error
		switch {
		case f.level == fires && firing == nil, firing != nil && f.level >= still && m.due(firing, f.every, now):
			err = m.raise(ctx, f.alert, f.every, subs)
		case firing == nil:
		case f.level == off:
			_, err = m.store.ResolveAlert(ctx, f.alert, true)
		case f.level == calm && m.calmLongEnough(key, now):
			err = m.resolve(ctx, f.alert, subs)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// due reports whether it is time for another notice of what fires.
func (m *Monitor) due(f *medispatcher.Firing, every time.Duration, now time.Time) bool {
	return now.Sub(f.Last) >= every
}

func (m *Monitor) calmLongEnough(key string, now time.Time) bool {
	since, known := m.calm[key]
	if !known {
		m.calm[key] = now
		return false
	}
	return now.Sub(since) >= calmFor
}

func (m *Monitor) raise(ctx context.Context, a medispatcher.Alert, every time.Duration, subs map[string]medispatcher.Subscription) error {
	m.complete(&a, medispatcher.NoticeAlert, subs)
	queued, dropped, err := m.store.RaiseAlert(ctx, a, every, nil, false)
	tell(m.cfg.Log, &a, queued, dropped, m.cfg.Wake)
	return err
}

func (m *Monitor) resolve(ctx context.Context, a medispatcher.Alert, subs map[string]medispatcher.Subscription) error {
	m.complete(&a, medispatcher.NoticeRecovered, subs)
	delete(m.calm, a.Key())
	queued, err := m.store.ResolveAlert(ctx, a, false)
	tell(m.cfg.Log, &a, queued, false, m.cfg.Wake)
	return err
}

// complete adds what every alert says.
func (m *Monitor) complete(a *medispatcher.Alert, kind string, subs map[string]medispatcher.Subscription) {
	a.Env, a.Host = m.cfg.Env, m.cfg.Host
	a.OwnReceivers = len(subs[a.Subscription].Alert.URLs) > 0
	a.Line = m.cfg.Texts.Line(&medispatcher.Notice{Kind: kind, Alert: *a})
}

// tell wakes who sends notices, or logs one that nobody will send.
func tell(log *slog.Logger, a *medispatcher.Alert, queued, dropped bool, wake func()) {
	switch {
	case dropped:
		log.Error("alert not sent: too many notices wait", "rule", a.Rule, "subscription", a.Subscription, "text", a.Line)
	case queued && wake != nil:
		wake()
	}
}

// fillDrain adds the time to drain to the alerts there will be a notice of.
func (m *Monitor) fillDrain(ctx context.Context, now time.Time, findings []finding) error {
	var ids []string
	place := map[string]*medispatcher.Alert{}
	for i := range findings {
		f := &findings[i]
		if f.alert.Rule != medispatcher.RuleBacklog || f.level < still {
			continue
		}
		if firing := m.firing[f.alert.Key()]; firing == nil && f.level != fires || firing != nil && !m.due(firing, f.every, now) {
			continue
		}
		ids = append(ids, f.alert.Subscription)
		place[f.alert.Subscription] = &f.alert
	}
	sent, err := m.store.CountedWithin(ctx, "sent", time.Minute, ids)
	if err != nil {
		return err
	}
	for i, id := range ids {
		a := place[id]
		a.SentPerMin = sent[i]
		growing := false
		if w := m.watched[id]; w != nil {
			growing = w.length > w.trend.older
		}
		a.Drain = drain(a.Value, sent[i], growing)
	}
	return nil
}
