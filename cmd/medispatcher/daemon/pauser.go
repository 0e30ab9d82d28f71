package daemon

import (
	"context"
	"errors"
	"log/slog"
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
	noted map[*medispatcher.Subscription]bool // one entry for all attempts with the same settings
	wake  chan struct{}
}

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
		noted: map[*medispatcher.Subscription]bool{}, wake: make(chan struct{}, 1),
	}
}

// gone notes that a worker answered 410. sub is as it was when the attempt began. It does not block.
func (p *pauser) gone(sub *medispatcher.Subscription) {
	p.mu.Lock()
	p.noted[sub] = true
	p.mu.Unlock()
	select {
	case p.wake <- struct{}{}:
	default:
	}
}

// Run pauses until ctx ends, and then what was noted before, within a bound.
func (p *pauser) Run(ctx context.Context) error {
	steps, stop := outlive(ctx, lastStepsTimeout)
	defer stop()
	for {
		select {
		case <-ctx.Done():
			p.pauseAll(steps)
			return nil
		case <-p.wake:
			p.pauseAll(steps)
		}
	}
}

func (p *pauser) pauseAll(ctx context.Context) {
	p.mu.Lock()
	noted := p.noted
	p.noted = map[*medispatcher.Subscription]bool{}
	p.mu.Unlock()
	for sub := range noted {
		step, cancel := context.WithTimeout(ctx, stepWithin)
		p.pause(step, sub)
		cancel()
	}
}

// pause pauses a subscription unless it was changed after the attempt began: then the answer says nothing
// about the worker it has now.
func (p *pauser) pause(ctx context.Context, sub *medispatcher.Subscription) {
	now, rev, err := p.subscriptions.Get(ctx, sub.ID)
	if err == nil && !reflect.DeepEqual(now, *sub) {
		p.log.Debug("a subscriber answered 410 Gone to settings that are no longer in force", "subscription", sub.ID)
		return
	}
	if err == nil {
		p.alerts.Gone(ctx, sub) // first: if this process dies in between, the alert was raised
		ctx = medispatcher.WithActor(ctx, "dispatcher "+p.dispatcher+": its worker answered 410 Gone")
		_, _, err = p.subscriptions.Patch(ctx, sub.ID, []byte(`{"paused":true}`), rev)
	}
	switch {
	case errors.Is(err, medispatcher.ErrPrecondition), errors.Is(err, medispatcher.ErrNotFound): // changed just now
	case err != nil:
		p.log.Warn("a subscriber answered 410 Gone and could not be paused", "subscription", sub.ID, "error", err)
	default:
		p.log.Warn("subscription paused: its worker answered 410 Gone; resume it when it is back", "subscription", sub.ID)
	}
}
