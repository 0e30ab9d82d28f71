package web_test

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/solate/medispatcher"
	"github.com/solate/medispatcher/cmd/medispatcher/panel"
	"github.com/solate/medispatcher/cmd/medispatcher/panel/paneltest"
)

// TestAlertsPages: what fires is named on the overview, on its subscription's page and on the page of alerts, which
// has the last notices as well.
func TestAlertsPages(t *testing.T) {
	f := paneltest.New("billing", "stock")
	alert := medispatcher.Alert{Rule: medispatcher.RuleBacklog, Subscription: "billing", Line: "[ALERT] backlog billing: 7012 messages are READY"}
	f.Firing = medispatcher.Alerts{
		Firing: []medispatcher.Firing{{Since: time.Now().Add(-time.Minute), Notices: 2, Alert: alert}}, FiringCount: 3,
		Last: []medispatcher.Notice{{ID: 2, Kind: medispatcher.NoticeAlert, At: time.Now(), Outcome: "not sent: refused", Alert: alert}, {ID: 1, Kind: medispatcher.NoticeRecovered, At: time.Now(), Alert: alert}},
	}
	f.AlertsTell = medispatcher.AlertRules{
		Rules: []medispatcher.AlertRule{
			{Name: "backlog", FiresWhen: "this many <b>wait", Thresholds: []medispatcher.AlertThreshold{{Name: "alert.backlog", Value: "5000"}}, Differ: 2},
			{Name: "unrouted", Thresholds: []medispatcher.AlertThreshold{{Name: "MEDIS_ALERT_UNROUTED", Value: "0"}}, Off: true},
		},
		Receivers: []string{"slack://********-3f2a"}, Every: medispatcher.Duration(3 * time.Minute), OwnCount: 1, Silent: 1,
		Own: []medispatcher.AlertReceivers{{Subscription: "stock", Receivers: []string{"smtp://h/********-90bc"}}},
	}
	pages := map[string][]string{
		"/":                      {"3 alerts are firing: backlog.", `href="/alerts"`},
		"/subscriptions/billing": {"Alert: backlog billing: 7012 messages are READY."},
		"/alerts": {"backlog billing: 7012", "1 min 0 s ago", "And 2 more", "recovered", "not sent: refused", "under way", `data-url="/api/v1/alerts/test"`,
			"<code>alert.backlog</code> <strong>5000</strong>", "2 subscriptions have others", "this many &lt;b&gt;wait", `unrouted <span class="state paused">off</span>`, "one notice in 3m0s", "1 subscription has its alerts switched off",
			"slack://********-3f2a", `<a href="/subscriptions/stock">stock</a> <code>smtp://h/********-90bc</code>`},
	}
	h := paneltest.Handler(f, panel.Config{Rules: paneltest.Rules})
	for path, want := range pages {
		page := paneltest.Get(t, h, path).Body.String()
		for _, text := range want {
			if !strings.Contains(page, text) {
				t.Errorf("%s: no %q", path, text)
			}
		}
	}
	if page := paneltest.Get(t, h, "/subscriptions/stock").Body.String(); strings.Contains(page, "7012") {
		t.Error("an alert of another subscription")
	}
	quiet := paneltest.Handler(paneltest.New(), panel.Config{Rules: paneltest.Rules})
	if page := paneltest.Get(t, quiet, "/alerts").Body.String(); !strings.Contains(page, "No alert is firing") || !strings.Contains(page, "No notice was sent") {
		t.Error("nothing fires:", page)
	}
	if page := paneltest.Get(t, quiet, "/").Body.String(); strings.Contains(page, "alert") && strings.Contains(page, "firing") {
		t.Error("an alert on the overview:", page)
	}
	f.Broken, f.Err = "alerts", errors.New("redis: gone")
	for path := range pages {
		if w := paneltest.Get(t, paneltest.Handler(f, panel.Config{Rules: paneltest.Rules}), path); w.Code != 503 {
			t.Errorf("%s while Redis is away: %d", path, w.Code)
		}
	}
}
