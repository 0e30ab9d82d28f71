package daemon

import (
	"context"
	"log/slog"

	"github.com/solate/medispatcher"
	"github.com/solate/medispatcher/alert"
	"github.com/solate/medispatcher/cmd/internal/config"
	"github.com/solate/medispatcher/cmd/internal/joined"
	"github.com/solate/medispatcher/push"
	"github.com/solate/medispatcher/streams"
)

var (
	_ alert.Store  = (*joined.Store)(nil)
	_ alert.Outbox = (*joined.Store)(nil)
)

// alerts evaluate rules, raise alerts for what happens, and send the notices.
type alerts struct {
	monitor  *alert.Monitor
	events   *alert.Events
	notifier *alert.Notifier
}

func newAlerts(cfg *config.Config, info medispatcher.Dispatcher, registry *streams.Registry, store *joined.Store, scheduler *push.Scheduler, log *slog.Logger) (alerts, error) {
	subs := func() *medispatcher.Subscriptions { return registry.Snapshot().Subs }
	notifier, texts, err := newNotifier(cfg, subs, store, log)
	if err != nil {
		return alerts{}, err
	}
	return alerts{
		notifier: notifier,
		monitor: alert.NewMonitor(alert.MonitorConfig{
			Env: info.Env, Host: info.Host, Thresholds: cfg.Thresholds, Texts: texts, Log: log,
			Subscriptions: subs, Active: scheduler.Stirred, Wake: notifier.Wake,
		}, store),
		events: alert.NewEvents(alert.EventsConfig{
			ID: info.ID, Env: info.Env, Host: info.Host, Thresholds: cfg.Thresholds,
			Texts: texts, Log: log, Subscriptions: subs, Wake: notifier.Wake,
		}, store),
	}, nil
}

// alertBook is how the API shows alerts and tests their receivers.
type alertBook struct {
	store    *joined.Store
	registry *streams.Registry
	notifier *alert.Notifier
	info     medispatcher.Dispatcher
	cfg      *config.Config
}

// AlertRules are the rules that this dispatcher goes by.
func (b alertBook) AlertRules() medispatcher.AlertRules {
	return AlertRules(b.cfg, b.registry.Snapshot().Subs)
}

// AlertRules are the rules as the configuration and the subscriptions have them.
func AlertRules(cfg *config.Config, subs *medispatcher.Subscriptions) medispatcher.AlertRules {
	return alert.InForce(cfg.Thresholds, cfg.Rules().Defaults.Alert, cfg.AlertURLs, subs)
}

func (b alertBook) Alerts(ctx context.Context) (medispatcher.Alerts, error) {
	return b.store.Alerts(ctx)
}

func (b alertBook) TestAlert(ctx context.Context, sub string) ([]medispatcher.Receipt, error) {
	if err := knownSubscription(ctx, b.registry, sub); err != nil {
		return nil, err
	}
	return b.notifier.Test(ctx, sub, b.info.Env, b.info.Host), nil
}
