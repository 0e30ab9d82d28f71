package daemon

import (
	"context"
	"log/slog"
	"net/http"
	"os"

	"github.com/solate/medispatcher"
	"github.com/solate/medispatcher/alert"
	"github.com/solate/medispatcher/cmd/internal/config"
	"github.com/solate/medispatcher/streams"
)

// receiversNetwork is the way to the receivers of alerts. The library that sends to them uses
// http.DefaultTransport, which nothing else in this program sends through. So it is set for the
// whole process, before anything runs.
var receiversNetwork = func() *alert.Network {
	n := &alert.Network{}
	http.DefaultTransport = n.Transport()
	return n
}()

func newNotifier(cfg *config.Config, subs func() *medispatcher.Subscriptions, outbox alert.Outbox, log *slog.Logger) (*alert.Notifier, *alert.Texts, error) {
	texts, err := alert.LoadTexts(cfg.AlertTemplates)
	if err != nil {
		return nil, nil, err
	}
	receiversNetwork.Deny(cfg.Guard().Denied)
	return alert.NewNotifier(alert.NotifierConfig{
		URLs: cfg.AlertURLs, Subscriptions: subs, Texts: texts, Network: receiversNetwork, Log: log,
	}, outbox), texts, nil
}

// TestReceivers sends a notice to the receivers of a subscription, or with "" to the default ones. It sends from this
// process, which need not run a dispatcher.
func TestReceivers(ctx context.Context, cfg *config.Config, registry *streams.Registry, outbox alert.Outbox, log *slog.Logger, sub string) ([]medispatcher.Receipt, error) {
	if err := knownSubscription(ctx, registry, sub); err != nil {
		return nil, err
	}
	notifier, _, err := newNotifier(cfg, func() *medispatcher.Subscriptions { return registry.Snapshot().Subs }, outbox, log)
	if err != nil {
		return nil, err
	}
	host, _ := os.Hostname()
	return notifier.Test(ctx, sub, cfg.Env, host), nil
}

// knownSubscription is an error unless sub is "" or a subscription. It reads the subscriptions afresh.
func knownSubscription(ctx context.Context, registry *streams.Registry, sub string) error {
	if _, err := registry.Latest(ctx); err != nil || sub == "" {
		return err
	}
	_, _, err := registry.Get(ctx, sub)
	return err
}
