package web_test

import (
	"strings"
	"testing"

	"github.com/solate/medispatcher/cmd/medispatcher/panel"
	"github.com/solate/medispatcher/cmd/medispatcher/panel/paneltest"
)

// TestSharesOnThePage: the page of a subscription shows who may push how much, where its limits hold in all dispatchers together.
func TestSharesOnThePage(t *testing.T) {
	f := paneltest.New()
	h := paneltest.Handler(f, panel.Config{Rules: paneltest.Rules})
	for scope, shown := range map[string]bool{"cluster": true, "dispatcher": false} {
		f.Docs["s"] = `{"topic":"t","urls":["http://h/"],"concurrency":6,"retry_concurrency":3,"scope":"` + scope + `"}`
		page := paneltest.Get(t, h, "/subscriptions/s").Body.String()
		for _, part := range []string{"6 pushes and 3 retries in flight at once", ">6 of 6</td>", ">3 of 3</td>"} {
			if strings.Contains(page, part) != shown {
				t.Errorf("scope %s: the page has %q: %t", scope, part, !shown)
			}
		}
	}
}
