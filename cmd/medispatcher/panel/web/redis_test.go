package web_test

import (
	"net/http"
	"strings"
	"testing"

	"github.com/solate/medispatcher/cmd/medispatcher/panel"
	"github.com/solate/medispatcher/cmd/medispatcher/panel/paneltest"
)

func TestPagesWithoutRedis(t *testing.T) {
	for step, path := range map[string]string{
		"list": "/", "stats": "/", "counts": "/subscriptions", "get": "/subscriptions/billing", "failing": "/subscriptions/billing",
		"attempts": "/subscriptions/billing/deliveries", "story": "/messages/m-1",
		"letters": "/subscriptions/billing/dead", "dispatchers": "/dead", "incoming": "/publish?topic=order.created",
	} {
		f := paneltest.New("billing")
		f.Broken, f.Err = step, paneltest.ErrRedis
		w := paneltest.Get(t, paneltest.Handler(f, panel.Config{Rules: paneltest.Rules}), path)
		if w.Code != http.StatusServiceUnavailable || !strings.Contains(w.Body.String(), "connection refused") || !strings.Contains(w.Body.String(), "data-retry") {
			t.Errorf("%s without %s: %d %s", path, step, w.Code, w.Body)
		}
	}
	h := paneltest.Handler(paneltest.New("billing"), panel.Config{Rules: paneltest.Rules})
	for path, want := range map[string]int{
		"/subscriptions/none": 404, "/subscriptions/none/dead": 404, "/subscriptions/none/deliveries": 404, "/subscriptions/none/dead/0-9-0": 404, "/subscriptions/-x": 422,
		"/subscriptions/none/dead/x": 422, "/subscriptions/billing/dead?after=x": 422, "/static/": 404, "/static/x/none.js": 404, "/nowhere": 404,
	} {
		if w := paneltest.Get(t, h, path); w.Code != want {
			t.Errorf("%s: %d, want %d: %.500s", path, w.Code, want, w.Body)
		}
	}
}
