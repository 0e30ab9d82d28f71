package main

import (
	"context"
	"net/http"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/solate/medispatcher"
	"github.com/solate/medispatcher/alert"
	"github.com/solate/medispatcher/cmd/internal/joined"
	"github.com/solate/medispatcher/push"
	"github.com/solate/medispatcher/streams"
	"github.com/solate/medispatcher/streams/ledger"
)

var (
	_ alert.Store  = (*joined.Store)(nil)
	_ alert.Outbox = (*joined.Store)(nil)
)

// receiversNetwork is the way to the receivers of alerts. The library that sends to them uses
// http.DefaultTransport, which nothing else of this program sends through; so it is set for the
// whole process, before anything runs.
var receiversNetwork = func() *alert.Network {
	n := &alert.Network{}
	http.DefaultTransport = n.Transport()
	return n
}()

// alerts are the alerting side of a dispatcher.
type alerts struct {
	monitor  *alert.Monitor
	events   *alert.Events
	notifier *alert.Notifier
}

func (e *environment) notifier(subs func() map[string]medispatcher.Subscription, outbox alert.Outbox) (*alert.Notifier, *alert.Texts, error) {
	texts, err := alert.LoadTexts(e.cfg.AlertTemplates)
	if err != nil {
		return nil, nil, err
	}
	receiversNetwork.Deny(e.cfg.Guard().Denied)
	return alert.NewNotifier(alert.NotifierConfig{
		URLs: e.cfg.AlertURLs, Subscriptions: subs, Texts: texts, Network: receiversNetwork, Log: e.log,
	}, outbox), texts, nil
}

// newAlerts makes the alerting side.
func newAlerts(env *environment, info medispatcher.Dispatcher, registry *streams.Registry, store *joined.Store, active func() []string) (alerts, error) {
	subs := func() map[string]medispatcher.Subscription { return registry.Snapshot().Subs }
	notifier, texts, err := env.notifier(subs, store)
	if err != nil {
		return alerts{}, err
	}
	return alerts{
		notifier: notifier,
		monitor: alert.NewMonitor(alert.MonitorConfig{
			Env: info.Env, Host: info.Host, Thresholds: env.cfg.Thresholds, Texts: texts, Log: env.log,
			Subscriptions: subs, Active: active, Wake: notifier.Wake,
		}, store),
		events: alert.NewEvents(alert.EventsConfig{
			ID: info.ID, Env: info.Env, Host: info.Host, Thresholds: env.cfg.Thresholds,
			Texts: texts, Log: env.log, Subscriptions: subs, Wake: notifier.Wake,
		}, store),
	}, nil
}

// run evaluates rules, notes what happens and sends notices until ctx ends.
func (a *alerts) run(ctx context.Context, g *errgroup.Group) {
	g.Go(func() error { return a.monitor.Run(ctx) })
	g.Go(func() error { return a.events.Run(ctx) })
	g.Go(func() error { return a.notifier.Run(ctx) })
}

// failed: an attempt at a message failed. Most failures are far from an alert.
func (d *daemon) failed(m *medispatcher.Delivery, s *medispatcher.Settlement) {
	sub := s.By
	if sub.Alert.MessageFailures == 0 || s.Failure.Attempts < sub.Alert.MessageFailures {
		return
	}
	var deadAt time.Time
	if s.Outcome == medispatcher.Failed {
		deadAt = time.Now().Add(s.Delay + push.TimeLeft(sub, s.Attempt))
	}
	d.alerts.events.MessageFailed(sub, &m.Message, s.Failure, ledger.MessageCause(m.Partition, m.EntryID), deadAt)
}

// lost: a dispatcher is dead, and not yet off the list.
func (d *daemon) lost(ctx context.Context, other medispatcher.Dispatcher) error {
	all, err := d.store.Dispatchers(ctx)
	if err != nil {
		return err
	}
	alive := 0
	for _, one := range all {
		if one.Alive {
			alive++
		}
	}
	return d.alerts.events.Lost(ctx, other, alive)
}

// alertBook is what the API shows of alerts, and how it tries the receivers.
type alertBook struct{ *daemon }

func (b alertBook) Alerts(ctx context.Context) (medispatcher.Alerts, error) {
	return b.store.Alerts(ctx)
}

func (b alertBook) TestAlert(ctx context.Context, sub string) ([]medispatcher.Receipt, error) {
	if err := knownSubscription(ctx, b.registry, sub); err != nil {
		return nil, err
	}
	return b.alerts.notifier.Test(ctx, sub, b.cfg.Env, b.info.Host), nil
}

// knownSubscription is an error unless sub is "" or a subscription; the registry's copy is fresh then.
func knownSubscription(ctx context.Context, registry *streams.Registry, sub string) error {
	if _, err := registry.Latest(ctx); err != nil || sub == "" {
		return err
	}
	_, _, err := registry.Get(ctx, sub)
	return err
}
