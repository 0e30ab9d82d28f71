package alert

import (
	"context"
	"log/slog"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/solate/medispatcher"
)

const (
	// noteEvery is how often what happened is written: many failures of a subscription are one line.
	noteEvery = 500 * time.Millisecond
	// holdEvery repeats that a breaker is open, or a log lost; who is silent for long holds none.
	holdEvery = 3 * time.Second
	// maxCauses bounds the failing messages of a subscription that are told at once.
	maxCauses = 100
)

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
		Rule: medispatcher.RuleLogLost, Value: lines, AlertFacts: medispatcher.AlertFacts{Dispatcher: e.cfg.ID, LastError: cut(why, 512)},
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
	a := medispatcher.Alert{Rule: medispatcher.RuleGone, Subscription: sub.ID, Value: 1}
	if !wants(sub, a.Rule) || e.raise(ctx, a, time.Duration(sub.Alert.Every), nil, false) == nil {
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

func (e *Events) raise(ctx context.Context, a medispatcher.Alert, every time.Duration, causes []string, once bool) error {
	a.Env, a.Host = e.cfg.Env, e.cfg.Host
	a.OwnReceivers = len(e.cfg.Subscriptions()[a.Subscription].Alert.URLs) > 0
	a.Line = e.cfg.Texts.Line(&medispatcher.Notice{Kind: medispatcher.NoticeAlert, Alert: a})
	queued, dropped, err := e.store.RaiseAlert(ctx, a, every, causes, once)
	tell(e.cfg.Log, &a, queued, dropped, e.cfg.Wake)
	return err
}

// Run writes what was noted, until ctx ends; the rest is written then.
func (e *Events) Run(ctx context.Context) error {
	tick := time.NewTicker(noteEvery)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			last, cancel := context.WithTimeout(context.WithoutCancel(ctx), time.Second)
			defer cancel()
			e.leave(last)
			return nil
		case <-tick.C:
		}
		step, cancel := context.WithTimeout(ctx, stepWithin)
		e.write(step)
		cancel()
	}
}

// write tells the ledger. What it does not take is told again, unless there is news of it by then.
func (e *Events) write(ctx context.Context) {
	e.mu.Lock()
	messages, raised, closed := e.failing, e.raised, e.closed
	e.failing, e.raised, e.closed = map[string]*failing{}, map[string]medispatcher.Alert{}, map[string]medispatcher.Alert{}
	e.mu.Unlock()
	subs := e.cfg.Subscriptions()
	for id, p := range messages {
		if sub := subs[id]; !wants(&sub, p.alert.Rule) || e.raise(ctx, p.alert, time.Duration(sub.Alert.Every), slices.Collect(maps.Keys(p.causes)), false) == nil {
			delete(messages, id)
		}
	}
	for key, a := range raised {
		every, wanted := e.cfg.Every, true
		if a.Subscription != "" { // whether somebody wants to hear of it is as of now
			sub := subs[a.Subscription]
			every, wanted = time.Duration(sub.Alert.Every), wants(&sub, a.Rule)
		}
		if !wanted || e.raise(ctx, a, every, e.causesOf(&a), false) == nil {
			delete(raised, key)
		}
	}
	for key, a := range closed {
		if e.store.EndCause(ctx, a, e.cfg.ID) == nil {
			delete(closed, key)
		}
	}
	e.again(messages, raised, closed)
	e.hold(ctx)
}

func (e *Events) causesOf(a *medispatcher.Alert) []string {
	if held(a.Rule) {
		return []string{e.cfg.ID}
	}
	return nil
}

// held reports whether an alert of a rule fires for as long as a dispatcher says so.
func held(rule string) bool {
	return rule == medispatcher.RuleBreaker || rule == medispatcher.RuleLogLost
}

// again notes what could not be written, where nothing newer is noted.
func (e *Events) again(messages map[string]*failing, raised, closed map[string]medispatcher.Alert) {
	e.mu.Lock()
	defer e.mu.Unlock()
	for id, p := range messages {
		if e.failing[id] == nil {
			e.failing[id] = p
		}
	}
	for key, a := range raised {
		_, newer := e.raised[key]
		if _, open := e.open[key]; !newer && (open || !held(a.Rule)) {
			e.raised[key] = a
		}
	}
	for key, a := range closed {
		if _, open := e.open[key]; !open {
			e.closed[key] = a
		}
	}
}

// hold says again what goes on, all in one round trip.
func (e *Events) hold(ctx context.Context) {
	e.mu.Lock()
	if len(e.open) == 0 || time.Since(e.held) < holdEvery {
		e.mu.Unlock()
		return
	}
	e.held = time.Now()
	alerts := slices.Collect(maps.Values(e.open))
	e.mu.Unlock()
	unknown, err := e.store.HoldCause(ctx, alerts, e.cfg.ID)
	if err != nil {
		return // the next round holds them
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	for _, a := range unknown {
		if now, open := e.open[a.Key()]; open { // or else it ended meanwhile
			e.raised[a.Key()] = now
		}
	}
}

// leave tells what is left to tell when this dispatcher stops: it is the cause of nothing any more.
func (e *Events) leave(ctx context.Context) {
	e.mu.Lock()
	maps.Copy(e.closed, e.open)
	clear(e.open)
	e.mu.Unlock()
	e.write(ctx)
}
