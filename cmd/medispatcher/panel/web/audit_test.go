package web_test

import (
	"strings"
	"testing"

	"github.com/solate/medispatcher"
	"github.com/solate/medispatcher/cmd/medispatcher/panel"
	"github.com/solate/medispatcher/cmd/medispatcher/panel/paneltest"
)

func TestAuditPage(t *testing.T) {
	t.Parallel()
	f := paneltest.New("billing")
	if err := f.Note(t.Context(), medispatcher.Deed{
		By: "api ann<script>", From: "10.0.0.7", What: "replay-dead-letters", Subscription: "billing",
		IDs: []string{"0-1-1"}, Named: 12, Counts: map[string]int64{"replayed": 1204}, Error: "stopped & gone",
	}); err != nil {
		t.Fatal(err)
	}
	page := paneltest.Get(t, paneltest.Handler(f, panel.Config{Rules: paneltest.Rules}), "/audit").Body.String()
	for _, want := range []string{
		"api ann&lt;script&gt;", "10.0.0.7", "replay dead letters", `<a href="/subscriptions/billing">billing</a>`, "replayed: 1,204",
		"12 messages named: 0-1-1 and 11 more", "failed: stopped &amp; gone", "/api/v1/audit.ndjson",
	} {
		if !strings.Contains(page, want) {
			t.Errorf("no %q in %s", want, page)
		}
	}
}
