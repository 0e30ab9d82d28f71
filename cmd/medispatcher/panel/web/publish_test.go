package web_test

import (
	"strings"
	"testing"

	"github.com/solate/medispatcher/cmd/medispatcher/panel"
	"github.com/solate/medispatcher/cmd/medispatcher/panel/paneltest"
)

// TestPublishPageOfLoadTests: the page shows who gets a load test, as the router has it.
func TestPublishPageOfLoadTests(t *testing.T) {
	f := paneltest.New()
	f.Docs["catch-all"] = `{"topic":">","urls":["http://h/"]}`
	f.Docs["wants-all"] = `{"topic":">","urls":["http://h/"],"receive_bench":true}`
	f.Docs["by-name"] = `{"topic":"bench.>","urls":["http://h/"]}`
	h := paneltest.Handler(f, panel.Config{Rules: paneltest.Rules})
	for topic, want := range map[string][3]bool{"bench.0123456789ab": {false, true, true}, "order.x": {true, true, false}} {
		page := paneltest.Get(t, h, "/publish?topic="+topic).Body.String()
		list := paneltest.Get(t, h, "/api/v1/subscriptions?topic="+topic).Body.String()
		for i, id := range []string{"catch-all", "wants-all", "by-name"} {
			if strings.Contains(page, `data-sub="`+id+`"`) != want[i] || strings.Contains(list, `"`+id+`"`) != want[i] {
				t.Errorf("%s of %s: want %t in\n%s\n%s", id, topic, want[i], page, list)
			}
		}
	}
}
