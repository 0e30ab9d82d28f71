package daemon

import (
	"context"
	"errors"
	"log/slog"
	"maps"
	"reflect"
	"sync"

	"github.com/solate/medispatcher"
)

// pauser pauses the subscriptions whose worker answered 410 Gone. An operator resumes them. A burst of such
// answers pauses a subscription once.
type pauser struct {
	dispatcher    string // its id
	subscriptions changeable
	alerts        goneAlerts
	log           *slog.Logger

	mu    sync.Mutex
	noted map[*medispatcher.Subscription]*gone // one for all attempts with the same settings
	wake  chan struct{}
}

// gone is a subscription to pause.
type gone struct{ alerted, warned bool }

type goneAlerts interface {
	Gone(ctx context.Context, sub *medispatcher.Subscription)
}

// changeable are the subscriptions in Redis.
type changeable interface {
	Get(ctx context.Context, id string) (sub medispatcher.Subscription, rev string, err error)
	Patch(ctx context.Context, id string, patch []byte, ifMatch string) (sub medispatcher.Subscription, rev string, err error)
}

func newPauser(dispatcher string, subs changeable, alerts goneAlerts, log *slog.Logger) *pauser {
	return &pauser{
		dispatcher: dispatcher, subscriptions: subs, alerts: alerts, log: log,
		noted: map[*medispatcher.Subscription]*gone{}, wake: make(chan struct{}, 1),
	}
}

// gone notes that a worker answered 410. sub is as it was when the attempt began. It does not block.
func (p *pauser) gone(sub *medispatcher.Subscription) {
	p.mu.Lock()
	if p.noted[sub] == nil {
		p.noted[sub] = &gone{}
	}
	p.mu.Unlock()
	select {
	case p.wake <- struct{}{}:
	default:
	}
}

// Run pauses until ctx ends. Then it tries those that are left once more, within a bound.
func (p *pauser) Run(ctx context.Context) error {
	steps, stop := outlive(ctx, lastStepsTimeout)
	defer stop()
	var back medispatcher.Backoff
	for {
		select {
		case <-ctx.Done():
			p.pauseAll(steps)
			return nil
		case <-p.wake:
		}
		for !p.pauseAll(steps) && ctx.Err() == nil {
			back.Wait(ctx)
		}
		back.Reset()
	}
}

// pauseAll reports whether nothing is left to try again.
func (p *pauser) pauseAll(ctx context.Context) (done bool) {
	p.mu.Lock()
	noted := maps.Clone(p.noted)
	p.mu.Unlock()
	done = true
	for sub, g := range noted {
		step, cancel := context.WithTimeout(ctx, stepWithin)
		err := p.pause(step, sub, g)
		cancel()
		if err != nil && !g.warned {
			p.log.Warn("a subscriber answered 410 Gone and could not be paused", "subscription", sub.ID, "error", err)
			g.warned = true
		}
		var unusable medispatcher.Problems
		if err != nil && !errors.As(err, &unusable) {
			done = false
			continue
		}
		p.mu.Lock()
		delete(p.noted, sub)
		p.mu.Unlock()
	}
	return done
}

// pause pauses a subscription unless it was changed after the attempt began: then the answer says nothing
// about the worker it has now.
func (p *pauser) pause(ctx context.Context, sub *medispatcher.Subscription, g *gone) error {
	now, rev, err := p.subscriptions.Get(ctx, sub.ID)
	switch {
	case errors.Is(err, medispatcher.ErrNotFound):
		return nil
	case err != nil:
		return err
	case !reflect.DeepEqual(now, *sub):
		p.log.Debug("a subscriber answered 410 Gone to settings that are no longer in force", "subscription", sub.ID)
		return nil
	}
	if !g.alerted {
		p.alerts.Gone(ctx, sub) // first: if this process dies in between, the alert was raised
		g.alerted = true
	}
	ctx = medispatcher.WithActor(ctx, "dispatcher "+p.dispatcher+": its worker answered 410 Gone")
	_, _, err = p.subscriptions.Patch(ctx, sub.ID, []byte(`{"paused":true}`), rev)
	switch {
	case errors.Is(err, medispatcher.ErrPrecondition), errors.Is(err, medispatcher.ErrNotFound): // changed just now
		return nil
	case err == nil:
		p.log.Warn("subscription paused: its worker answered 410 Gone; resume it when it is back", "subscription", sub.ID)
	}
	return err
}
