package alert

import (
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/solate/medispatcher"
)

// TestInForce: each rule has the values of what sets its thresholds, and says who has others. Receivers are masked.
func TestInForce(t *testing.T) {
	t.Parallel()
	defaults := medispatcher.DefaultSubscription()
	own, silent := defaults, defaults
	own.ID, own.Alert.Backlog, own.Alert.URLs = "own", 7, []string{"slack://hook:T00000000-B00000000-hushhushhushhushhushhush@webhook"}
	silent.ID, silent.Alert.Enabled = "silent", false
	got := InForce(Thresholds{Window: 3 * time.Minute, Incoming: 5000, IncomingAge: time.Minute, DispatcherLost: true}, defaults.Alert,
		[]string{"smtp://u:hush@mail.example:587/?from=a@x&to=b@x,c@x"}, medispatcher.NewSubscriptions(own, silent))
	said := map[string]string{}
	for _, r := range got.Rules {
		raw, err := json.Marshal(r.Thresholds)
		if err != nil || r.FiresWhen == "" || strings.Contains(r.FiresWhen, "`") || r.Differ != map[string]int{"backlog": 1}[r.Name] {
			t.Errorf("%+v, %v", r, err)
		}
		said[r.Name] = string(raw)
		if r.Off {
			said[r.Name] += " off"
		}
	}
	for name, want := range map[string]string{
		"failures":        `[{"name":"alert.failures","value":"120"},{"name":"alert.window","value":"3m0s"}]`,
		"incoming":        `[{"name":"MEDIS_ALERT_INCOMING","value":"5000"},{"name":"MEDIS_ALERT_INCOMING_AGE","value":"1m0s"}]`,
		"unrouted":        `[{"name":"MEDIS_ALERT_UNROUTED","value":"0"},{"name":"MEDIS_ALERT_WINDOW","value":"3m0s"}] off`,
		"dispatcher_lost": `[{"name":"MEDIS_ALERT_DISPATCHER_LOST","value":"true"}]`,
		"breaker":         `[]`,
	} {
		if said[name] != want {
			t.Errorf("%s: %s, want %s", name, said[name], want)
		}
	}
	if _, shown := said[ruleTest]; shown || len(got.Receivers) != 2 || got.OwnCount != 1 || got.Own[0].Subscription != "own" || got.Silent != 1 || got.Every != defaults.Alert.Every {
		t.Errorf("%+v", got)
	}
	if raw, err := json.Marshal(got); err != nil || strings.Contains(string(raw), "hush") {
		t.Errorf("%s, %v", raw, err)
	}
}
