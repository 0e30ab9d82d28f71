package web

import (
	"context"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/solate/medispatcher"
)

// alertsShown is how many firing alerts the page of alerts names.
const alertsShown = 200

type alertsData struct {
	medispatcher.Alerts
	More int // firing, and not shown
	medispatcher.AlertRules
}

func (p *pages) alertsPage(w http.ResponseWriter, r *http.Request) error {
	all, err := p.alerts.get(r.Context())
	if err != nil {
		return err
	}
	all.Firing = all.Firing[:min(len(all.Firing), alertsShown)]
	d := alertsData{Alerts: all, More: all.FiringCount - len(all.Firing)}
	if r.Header.Get(liveHeader) == "" { // they do not change while somebody looks
		d.AlertRules = p.rules()
	}
	return p.show(w, r, http.StatusOK, "alerts", "Alerts", d)
}

// alertText is the text of an alert without the prefix that marks it as one.
func alertText(a medispatcher.Alert) string {
	_, text, said := strings.Cut(a.Line, "] ")
	if !said {
		text = a.Line
	}
	return shortText(text)
}

// firingFindings names the alerts of a subscription, except that of its breaker: the page says more of that.
func (p *pages) firingFindings(ctx context.Context, id string) ([]finding, error) {
	all, err := p.alerts.get(ctx)
	if err != nil {
		return nil, err
	}
	var out []finding
	for _, f := range all.Firing {
		if f.Subscription == id && f.Rule != medispatcher.RuleBreaker {
			out = append(out, finding{Level: "bad", Text: "Alert: " + alertText(f.Alert) + ".", Since: f.Since, Link: "/alerts", LinkText: "Alerts"})
		}
	}
	return out, nil
}

// firingFinding sums up all firing alerts in one line.
func (p *pages) firingFinding(ctx context.Context) ([]finding, error) {
	all, err := p.alerts.get(ctx)
	if err != nil || all.FiringCount == 0 {
		return nil, err
	}
	var rules []string
	oldest := time.Now()
	for _, f := range all.Firing {
		if !slices.Contains(rules, f.Rule) {
			rules = append(rules, f.Rule)
		}
		if f.Since.Before(oldest) {
			oldest = f.Since
		}
	}
	slices.Sort(rules)
	verb := " are firing: "
	if all.FiringCount == 1 {
		verb = " is firing: "
	}
	return []finding{{Level: "bad", Text: plural(all.FiringCount, "alert") + verb + strings.Join(rules, ", ") + ".",
		Since: oldest, Link: "/alerts", LinkText: "Alerts"}}, nil
}
