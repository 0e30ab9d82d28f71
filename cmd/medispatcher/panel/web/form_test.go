package web_test

import (
	"strings"
	"testing"

	"github.com/solate/medispatcher"
	"github.com/solate/medispatcher/cmd/medispatcher/panel"
	"github.com/solate/medispatcher/cmd/medispatcher/panel/paneltest"
)

// TestFormHasEveryField: what a subscription may hold can be set by form.
func TestFormHasEveryField(t *testing.T) {
	h := paneltest.Handler(paneltest.New("billing"), panel.Config{Rules: paneltest.Rules})
	for _, path := range []string{"/subscribe", "/subscriptions/billing"} {
		page := paneltest.Get(t, h, path).Body.String()
		_, fields := medispatcher.ChangeOf(nil, &medispatcher.Subscription{Secret: "x"}) // every field of one that is made
		for name := range fields {
			if !strings.Contains(page, `data-field="`+name+`"`) && name != "id" {
				t.Errorf("%s: no field %s", path, name)
			}
		}
		for _, want := range []string{`placeholder="8 (default)"`, `placeholder="5s (default)"`, `max="1500"`} {
			if !strings.Contains(page, want) {
				t.Errorf("%s: no %s", path, want)
			}
		}
	}
}
