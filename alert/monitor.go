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
	// leadFor is a few rounds long, so that the leader keeps its lead.
	leadFor = 5 * time.Second
	// roundWithin ends a round before another dispatcher can take the lead.
	roundWithin = 4 * time.Second
	// forgetEvery is how often old entries are removed from the store.
	forgetEvery = 10 * time.Minute
)

// MonitorConfig is what a Monitor needs. Every field but Wake is required.
type MonitorConfig struct {
	Env, Host  string // of this dispatcher
	Thresholds Thresholds
	Texts      *Texts
	Log        *slog.Logger
	// Subscriptions returns all subscriptions as they are now.
	Subscriptions func() *medispatcher.Subscriptions
	// Active returns the subscriptions that had something to do since the last call.
	Active func() []string
	// Wake is called when there is a notice to send. It must not block.
	Wake func()
}

// Monitor evaluates the rules in the one dispatcher that leads.
type Monitor struct {
	cfg   MonitorConfig
	store Store
	rules []Rule

	judged          *medispatcher.Subscriptions // by which no alert that fires is unwanted
	judgedAt        int64                       // revision then
	leads           bool
	revision        int64
	firing          map[string]*medispatcher.Firing
	caused          []string             // keys of those that have causes, in order
	turn            int                  // the one of them whose turn is next
	calm            map[string]time.Time // by key of an alert that fires: since when it is calm
	watched         watchlist
	total           trend // of all channels together
	trendOfIncoming trend
	tidied          time.Time
	failing         bool // the last round failed, and the log says so
	blind           bool // Redis did not tell its memory, and the log says so
}

// NewMonitor makes a monitor. It does not lead yet.
func NewMonitor(cfg MonitorConfig, store Store) *Monitor {
	return &Monitor{
		cfg: cfg, store: store, rules: Rules, firing: map[string]*medispatcher.Firing{},
		calm: map[string]time.Time{}, watched: watchlist{},
	}
}

// Run evaluates the rules once a second until ctx ends. Then it gives up the lead.
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
			_ = m.store.UnleadAlerts(last) // if it fails, the lease expires
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
		m.cfg.Log.Warn("cannot evaluate the alert rules; the next round tries again", "error", err)
	}
	m.failing = err != nil
}

// Round evaluates every rule, if this dispatcher leads.
func (m *Monitor) Round(ctx context.Context) error {
	leads, now, revision, err := m.store.LeadAlerts(ctx, leadFor)
	if err != nil || !leads {
		m.leads, m.judged = false, nil // what this dispatcher knows may be out of date when it leads again
		return err
	}
	if !m.leads {
		m.cfg.Log.Debug("this dispatcher evaluates the alert rules")
		clear(m.calm)
		m.leads, m.revision = true, -1
	}
	if revision != m.revision {
		if err := m.readFiring(ctx); err != nil {
			return err
		}
		m.revision = revision
	}
	r, err := m.newRound(ctx, now)
	if err != nil {
		return err
	}
	findings, err := r.evaluate(ctx)
	if err != nil {
		return err
	}
	if err := r.apply(ctx, findings); err != nil {
		return err
	}
	m.judged, m.judgedAt = r.subs, m.revision
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
	m.caused = m.caused[:0]
	for i := range list {
		key := list[i].Key()
		m.firing[key] = &list[i]
		if ruleNamed(list[i].Rule).causes != noCauses {
			m.caused = append(m.caused, key)
		}
	}
	slices.Sort(m.caused)
	for key := range m.calm {
		if m.firing[key] == nil {
			delete(m.calm, key)
		}
	}
	return nil
}
