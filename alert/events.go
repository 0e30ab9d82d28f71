package alert

import (
	"context"
	"log/slog"
	"sync"
	"time"

	"github.com/solate/medispatcher"
)

// maxCauses bounds the failing messages of a subscription that are told at once.
const maxCauses = 100

// EventsConfig says on whose behalf Events speak. All but Wake is required.
type EventsConfig struct {
	ID, Env, Host  string // of this dispatcher
	DispatcherLost bool   // whether that rule is on
	Every          time.Duration
	Texts          *Texts
	Log            *slog.Logger
	Subscriptions  func() map[string]medispatcher.Subscription
	Wake           func()
}

// Events raises alerts for what this dispatcher sees happen. MessageFailed,
// Breaker and LogLost do not block: they note, and Run writes. What is noted is one line for each subscription and rule, so a Redis
// that is away, or a flood, costs no more memory than that.
type Events struct {
	cfg   EventsConfig
	store Store

	mu      sync.Mutex
	failing map[string]*failing // by subscription
	raised  map[string]medispatcher.Alert
	open    map[string]medispatcher.Alert // that this dispatcher keeps firing: its open breakers, its logs
	closed  map[string]medispatcher.Alert // that the ledger has to hear the end of
	held    time.Time
}

// failing are the messages of a subscription that fail too often.
type failing struct {
	alert  medispatcher.Alert
	causes map[string]bool
}

// NewEvents makes one that has seen nothing.
func NewEvents(cfg EventsConfig, store Store) *Events {
	return &Events{
		cfg: cfg, store: store, failing: map[string]*failing{}, raised: map[string]medispatcher.Alert{},
		open: map[string]medispatcher.Alert{}, closed: map[string]medispatcher.Alert{},
	}
}

// MessageFailed notes that a message failed as often as its subscription wants to hear of. cause names
// the message; deadAt is when it will be dead at the earliest, zero when it is.
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

// Breaker notes that this dispatcher's breaker for a subscription opened or closed.
func (e *Events) Breaker(sub string, open bool) {
	e.goesOn(medispatcher.Alert{Rule: medispatcher.RuleBreaker, Subscription: sub, Value: 1, AlertFacts: medispatcher.AlertFacts{Dispatcher: e.cfg.ID}}, open)
}

// LogLost notes that this dispatcher cannot write a log, for a reason, and has lost so many lines
// so far; or that it can again.
func (e *Events) LogLost(lines int64, why string, lost bool) {
	e.goesOn(medispatcher.Alert{
		Rule: ruleLogLost, Value: lines, AlertFacts: medispatcher.AlertFacts{Dispatcher: e.cfg.ID, LastError: cut(why, 512)},
	}, lost)
}

// goesOn notes that this dispatcher is, or is no longer, a cause of an alert.
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

// Gone tells that a subscription, which is given as its worker was asked, is to be paused because that
// answered 410. What the ledger does not take is noted, and told later.
func (e *Events) Gone(ctx context.Context, sub *medispatcher.Subscription) {
	a := medispatcher.Alert{Rule: ruleGone, Subscription: sub.ID, Value: 1}
	if !ruleNamed(a.Rule).wantedBy(sub) || e.raise(ctx, a, time.Duration(sub.Alert.Every), nil, false) == nil {
		return
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	e.raised[a.Key()] = a
}

// Lost tells that a dispatcher died, of alive others. It is told before the dead one is taken off
// the list, by everybody who finds it there; the ledger takes it once.
func (e *Events) Lost(ctx context.Context, d medispatcher.Dispatcher, alive int) error {
	if !e.cfg.DispatcherLost {
		return nil
	}
	a := medispatcher.Alert{
		Rule: medispatcher.RuleDispatcherLost, Value: 1, Threshold: int64(alive) + 1,
		AlertFacts: medispatcher.AlertFacts{Dispatcher: d.ID, LostHost: d.Host, Alive: int64(alive)},
	}
	return e.raise(ctx, a, e.cfg.Every, []string{d.ID}, true)
}
