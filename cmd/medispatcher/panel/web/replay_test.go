package web_test

import (
	"net/http"
	"strings"
	"testing"

	"github.com/solate/medispatcher"
	"github.com/solate/medispatcher/cmd/medispatcher/panel"
	"github.com/solate/medispatcher/cmd/medispatcher/panel/paneltest"
)

// TestReplayPart: a subscription's page shows what the archive holds, the replay that is under way, and what the visitor may do.
func TestReplayPart(t *testing.T) {
	t.Parallel()
	const (
		form, stop     = "data-replay=", `data-method="DELETE" data-url="/api/v1/subscriptions/billing/replay"`
		running, holds = "1 of the 2 messages looked at are replayed", "The archive holds 1 message"
	)
	for _, c := range []struct {
		name      string
		fake      func(f *paneltest.Fake)
		role      string
		has, lack []string
	}{
		{"no archive", func(f *paneltest.Fake) { f.NoArchive = true }, "operator", nil, []string{form, stop, running, holds}},
		{"a replay", func(*paneltest.Fake) {}, "operator", []string{form, stop, running}, []string{holds}},
		{"no replay", func(f *paneltest.Fake) { f.Broken, f.Err = "replay", medispatcher.ErrNotFound }, "operator", []string{form, holds}, []string{stop, running}},
		{"a reader", func(*paneltest.Fake) {}, "reader", []string{running}, []string{form, stop}},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			f := paneltest.New("billing")
			c.fake(f)
			h := paneltest.Handler(f, panel.Config{Rules: paneltest.Rules, Tokens: paneltest.Tokens()})
			w := paneltest.Get(t, h, "/subscriptions/billing", "Authorization", "Bearer the-token-of-"+c.role)
			if w.Code != http.StatusOK {
				t.Fatal(w.Code, w.Body)
			}
			for _, text := range c.has {
				if !strings.Contains(w.Body.String(), text) {
					t.Errorf("%q is missing in\n%s", text, w.Body)
				}
			}
			for _, text := range c.lack {
				if strings.Contains(w.Body.String(), text) {
					t.Errorf("%q is there", text)
				}
			}
		})
	}
}
