package api

import (
	"context"
	"maps"
	"net/http"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"github.com/solate/medispatcher"
	"github.com/solate/medispatcher/cmd/internal/access"
	"github.com/solate/medispatcher/cmd/medispatcher/panel/problem"
)

// Alerts is what fires, and the way to try the receivers.
type Alerts interface {
	Alerts(ctx context.Context) (medispatcher.Alerts, error)
	// AlertRules are the rules in force, and their receivers, masked.
	AlertRules() medispatcher.AlertRules
	// TestAlert sends a notice to the receivers in force of a subscription, or with "" to the default ones.
	TestAlert(ctx context.Context, sub string) ([]medispatcher.Receipt, error)
}

type alertsOutput struct{ Body medispatcher.Alerts }

type alertRulesOutput struct{ Body medispatcher.AlertRules }

type testInput struct {
	Subscription string `query:"subscription" doc:"Whose receivers to test; without it the default ones" example:"billing"`
}

type receipts struct {
	Receivers []medispatcher.Receipt `json:"receivers" doc:"How each took the notice; their URLs are masked"`
}

type testOutput struct{ Body receipts }

func (a *api) alertRoutes() {
	alert := map[string]any{
		"rule": medispatcher.RuleBacklog, "subscription": "billing", "value": 7012, "threshold": 5000,
		"line":  "[ALERT] backlog billing: 7012 messages are READY (alert at 5000), the oldest for 3m10s; they take 2m at the present rate",
		"since": "2026-01-01T00:00:00Z", "host": "host-1", "ready": 7012, "buried": 16, "retrying": 8, "oldest": "3m10s",
		"sent_per_minute": 3500, "drain": "2m0s",
	}
	with := func(more map[string]any) map[string]any {
		maps.Copy(more, alert)
		return more
	}
	route(a, access.Reader, huma.Operation{
		OperationID: "get-alerts", Method: http.MethodGet, Path: Prefix + "/alerts",
		Summary: "Firing alerts and the last hundred notices", Tags: []string{tagAlerts},
		Description: "firing holds at most a thousand, newest first; firing_count counts all. An outcome is sent, no receivers, or not sent and why; " +
			"it is absent while a notice is under way. waiting counts those.",
		Errors: []int{http.StatusServiceUnavailable},
		Responses: ok("200", "The alerts", map[string]any{
			"firing":       []any{with(map[string]any{"last": "2026-01-01T00:03:00Z", "notices": 2})},
			"firing_count": 1, "waiting": 0,
			"last": []any{with(map[string]any{"id": 41, "kind": medispatcher.NoticeReminder, "at": "2026-01-01T00:03:00Z", "outcome": "sent"})},
		}),
	}, nil, a.listAlerts)
	route(a, access.Reader, huma.Operation{
		OperationID: "get-alert-rules", Method: http.MethodGet, Path: Prefix + "/alerts/rules",
		Summary: "Alert rules with their thresholds and receivers", Tags: []string{tagAlerts},
		Description: "As this dispatcher has them in force. A subscription may have thresholds and receivers of its own.",
		Responses: ok("200", "The rules", medispatcher.AlertRules{
			Rules: []medispatcher.AlertRule{{
				Name: medispatcher.RuleBacklog, About: "a subscription", FiresWhen: "this many messages are READY, or this many wait for a retry. Not while the subscription is paused",
				Thresholds: []medispatcher.AlertThreshold{{Name: "alert.backlog", Value: "5000"}}, Differ: 1, Prometheus: "MedispatcherChannelBacklog",
			}},
			Receivers: []string{"smtp://mail.example:587/********-90bc"}, Every: medispatcher.Duration(3 * time.Minute),
			Own: []medispatcher.AlertReceivers{{Subscription: "billing", Receivers: []string{"slack://********-3f2a"}}}, OwnCount: 1,
		}),
	}, nil, a.alertRules)
	route(a, access.Operator, huma.Operation{
		OperationID: "test-alert", Method: http.MethodPost, Path: Prefix + "/alerts/test",
		Summary: "Test the receivers of alerts", Tags: []string{tagAlerts},
		Description: "Sends one notice at once, without retries. Answers when each receiver has taken it, refused it, or not answered for ten seconds.",
		Errors:      []int{http.StatusNotFound, http.StatusConflict, http.StatusServiceUnavailable},
		Responses: ok("200", "How each receiver took it; a receiver that failed does not make this an error", receipts{[]medispatcher.Receipt{
			{Receiver: "smtp://mail.example:587/********-90bc", Sent: true},
			{Receiver: "slack://********-3f2a", Error: "status 403 Forbidden"},
		}}),
	}, nil, a.testAlert)
}

func (a *api) listAlerts(ctx context.Context, _ *struct{}) (*alertsOutput, error) {
	all, err := a.Alerts.Alerts(ctx)
	if err != nil {
		return nil, failed(err)
	}
	return &alertsOutput{all}, nil
}

func (a *api) alertRules(context.Context, *struct{}) (*alertRulesOutput, error) {
	return &alertRulesOutput{a.Alerts.AlertRules()}, nil
}

func (a *api) testAlert(ctx context.Context, in *testInput) (*testOutput, error) {
	list, err := a.Alerts.TestAlert(ctx, in.Subscription)
	if err != nil {
		return nil, failed(err)
	}
	if len(list) == 0 {
		return nil, problem.New(http.StatusConflict, "there are no receivers: set MEDIS_ALERT_URLS, or alert.urls of the subscription")
	}
	return &testOutput{receipts{list}}, nil
}
