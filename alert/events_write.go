package alert

import (
	"context"
	"maps"
	"slices"
	"time"

	"github.com/solate/medispatcher"
)

const (
	// noteEvery is how often what happened is written: many failures of a subscription are one line.
	noteEvery = 500 * time.Millisecond
	// holdEvery repeats that a breaker is open, or a log lost; who is silent for long holds none.
	holdEvery = 3 * time.Second
)

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
		if sub := subs[id]; !ruleNamed(p.alert.Rule).wantedBy(&sub) || e.raise(ctx, p.alert, time.Duration(sub.Alert.Every), slices.Collect(maps.Keys(p.causes)), false) == nil {
			delete(messages, id)
		}
	}
	for key, a := range raised {
		sub := subs[a.Subscription] // whether somebody wants to hear of it is as of now
		wanted := a.Subscription == "" || ruleNamed(a.Rule).wantedBy(&sub)
		if !wanted || e.raise(ctx, a, every(&a, subs, e.cfg.Every), e.causesOf(&a), false) == nil {
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
func held(rule string) bool { return ruleNamed(rule).causes == byDispatchers }

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
