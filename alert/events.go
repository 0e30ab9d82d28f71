package alert

import (
	"context"
	"log/slog"
	"sync"
	"time"

	"github.com/solate/medispatcher"
)

// maxCauses bounds the failing messages of a subscription between two writes.
const maxCauses = 100

// EventsConfig is what Events needs. Every field but Wake is required.
type EventsConfig struct {
	ID, Env, Host string // of this dispatcher
	Thresholds    Thresholds
	Texts         *Texts
	Log           *slog.Logger
	Subscriptions func() *medispatcher.Subscriptions
	Wake          func()
}

// Events raises alerts for what this dispatcher sees happen. MessageFailed, Breaker and LogLost do not
// block: they note the event, and Run writes it. There is at most one note for each subscription and rule,
// so neither a flood of events nor a Redis that is away takes more memory than that.
type Events struct {
	cfg   EventsConfig
	store Store

	mu      sync.Mutex
	failing map[string]*failing           // by subscription; to be raised
	raised  map[string]medispatcher.Alert // by key, as the next two; to be raised
	open    map[string]medispatcher.Alert // this dispatcher is a cause of them: open breakers, lost logs
	closed  map[string]medispatcher.Alert // it is a cause no more, which is to be written
	held    time.Time                     // when it last repeated that it is a cause
}

// failing notes the messages of a subscription that fail too often.
type failing struct {
	alert  medispatcher.Alert
	causes map[string]bool
}

// NewEvents makes an Events without notes.
func NewEvents(cfg EventsConfig, store Store) *Events {
	return &Events{
		cfg: cfg, store: store, failing: map[string]*failing{}, raised: map[string]medispatcher.Alert{},
		open: map[string]medispatcher.Alert{}, closed: map[string]medispatcher.Alert{},
	}
}

// MessageFailed notes that the failures of a message reached the threshold of its subscription. cause names
// the message for the store. deadAt is when the message will be dead at the earliest; zero: it is dead.
func (e *Events) MessageFailed(sub *medispatcher.Subscription, m *medispatcher.Message, f *medispatcher.Failure, cause string, deadAt time.Time) {
	a := medispatcher.Alert{
		Rule: medispatcher.RuleMessageFailures, Subscription: sub.ID, Value: int64(f.Attempts), Threshold: int64(sub.Alert.MessageFailures),
		AlertFacts: medispatcher.AlertFacts{
			Message: cut(m.ID, 128), Topic: m.Topic, LastError: cut(f.LastError, 512), Target: cut(f.Target, 512), DeadAt: deadAt,
		},
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	p := e.failing[sub.ID]
	if p == nil {
		p = &failing{causes: map[string]bool{}}
		e.failing[sub.ID] = p
	}
	if len(p.causes) < maxCauses {
		p.causes[cause] = true
	}
	p.alert, p.alert.Messages = a, int64(len(p.causes))
}

// Breaker notes that this dispatcher's breaker for a subscription opened or closed. proxy is the one that is to blame; empty: the worker is.
func (e *Events) Breaker(sub string, open bool, proxy string) {
	a := medispatcher.Alert{Rule: medispatcher.RuleBreaker, Subscription: sub, Value: 1, AlertFacts: medispatcher.AlertFacts{Dispatcher: e.cfg.ID}}
	if proxy != "" {
		a.LastError = "the push proxy " + proxy + " lets no message through"
	}
	e.goesOn(a, open)
}

// LogLost notes that this dispatcher cannot write a log and why, with the number of lines lost so far; or,
// with lost false, that it writes its logs again.
func (e *Events) LogLost(lines int64, why string, lost bool) {
	e.goesOn(medispatcher.Alert{
		Rule: ruleLogLost, Value: lines, AlertFacts: medispatcher.AlertFacts{Dispatcher: e.cfg.ID, LastError: cut(why, 512)},
	}, lost)
}

// goesOn notes that this dispatcher is a cause of an alert, or no longer is.
func (e *Events) goesOn(a medispatcher.Alert, open bool) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if open {
		e.open[a.Key()], e.raised[a.Key()] = a, a
		delete(e.closed, a.Key())
		return
	}
	delete(e.open, a.Key())
	delete(e.raised, a.Key())
	e.closed[a.Key()] = a
}

// Gone raises the alert that a subscription is paused because its worker answered 410. sub is the
// subscription as it was when the worker was asked. If the store fails, Run tries again.
func (e *Events) Gone(ctx context.Context, sub *medispatcher.Subscription) {
	a := medispatcher.Alert{Rule: ruleGone, Subscription: sub.ID, Value: 1}
	if !ruleNamed(a.Rule).wantedBy(sub) || e.raise(ctx, a, time.Duration(sub.Alert.Every), nil, false) == nil {
		return
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	e.raised[a.Key()] = a
}

// Lost raises the alert that dispatcher d died; alive is how many others run. Every dispatcher that finds
// d dead calls it before d is removed from the list; the store makes one alert of these calls.
func (e *Events) Lost(ctx context.Context, d medispatcher.Dispatcher, alive int) error {
	if !e.cfg.Thresholds.DispatcherLost {
		return nil
	}
	a := medispatcher.Alert{
		Rule: medispatcher.RuleDispatcherLost, Value: 1, Threshold: int64(alive) + 1,
		AlertFacts: medispatcher.AlertFacts{Dispatcher: d.ID, LostHost: d.Host, Alive: int64(alive)},
	}
	return e.raise(ctx, a, e.cfg.Thresholds.Every, []string{d.ID}, true)
}
