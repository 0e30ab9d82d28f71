package alert

import (
	"context"
	"maps"
	"slices"
	"time"

	"github.com/solate/medispatcher"
)

const (
	// noteEvery is how often notes are written. Many failures of a subscription within it are one note.
	noteEvery = 500 * time.Millisecond
	// holdEvery is how often a dispatcher repeats that it is a cause. The store forgets a cause that is
	// silent for long, as of a dispatcher that died.
	holdEvery = 5 * time.Second
)

func (e *Events) raise(ctx context.Context, a medispatcher.Alert, every time.Duration, causes []string, once bool) error {
	a.Env, a.Host = e.cfg.Env, e.cfg.Host
	a.OwnReceivers = len(ownReceivers(e.cfg.Subscriptions(), a.Subscription)) > 0
	a.Line = e.cfg.Texts.Line(&medispatcher.Notice{Kind: medispatcher.NoticeAlert, Alert: a})
	queued, dropped, err := e.store.RaiseAlert(ctx, a, every, causes, once)
	pass(e.cfg.Log, &a, queued, dropped, e.cfg.Wake)
	return err
}

// Run writes notes until ctx ends, and then the rest of them.
func (e *Events) Run(ctx context.Context) error {
	tick := time.NewTicker(noteEvery)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			last, cancel := context.WithTimeout(context.WithoutCancel(ctx), stopWithin)
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

// write writes all notes to the store. What fails is noted again, unless there is a newer note by then.
func (e *Events) write(ctx context.Context) {
	e.mu.Lock()
	messages, raised, closed := e.failing, e.raised, e.closed
	e.failing, e.raised, e.closed = map[string]*failing{}, map[string]medispatcher.Alert{}, map[string]medispatcher.Alert{}
	e.mu.Unlock()
	subs := e.cfg.Subscriptions()
	for id, p := range messages {
		if !ruleNamed(p.alert.Rule).wantedBy(subs.Get(id)) || e.raise(ctx, p.alert, every(&p.alert, subs, 0), slices.Collect(maps.Keys(p.causes)), false) == nil {
			delete(messages, id)
		}
	}
	for key, a := range raised {
		// As it is now, not as it was when the event was noted.
		wanted := a.Subscription == "" || ruleNamed(a.Rule).wantedBy(subs.Get(a.Subscription))
		if !wanted || e.raise(ctx, a, every(&a, subs, e.cfg.Thresholds.Every), e.causesOf(&a), false) == nil {
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

// held reports whether dispatchers are the causes of a rule's alerts.
func held(rule string) bool { return ruleNamed(rule).causes == byDispatchers }

// again notes again what could not be written, where there is no newer note.
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

// hold repeats that this dispatcher is a cause of its open alerts, in one round trip.
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
		return // the next write tries again
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	for _, a := range unknown {
		if now, open := e.open[a.Key()]; open { // not if it ended meanwhile
			e.raised[a.Key()] = now
		}
	}
}

// leave ends all causes of this dispatcher, which stops, and writes what is left.
func (e *Events) leave(ctx context.Context) {
	e.mu.Lock()
	maps.Copy(e.closed, e.open)
	clear(e.open)
	e.mu.Unlock()
	e.write(ctx)
}
