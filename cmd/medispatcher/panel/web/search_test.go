package web_test

import (
	"net/http"
	"strings"
	"testing"

	"github.com/solate/medispatcher"
	"github.com/solate/medispatcher/cmd/medispatcher/panel"
	"github.com/solate/medispatcher/cmd/medispatcher/panel/paneltest"
)

func TestSearchPages(t *testing.T) {
	f := paneltest.New("billing", "mailer")
	f.Letters = paneltest.DeadLetters()
	f.Counts = medispatcher.ChannelStatus{Dead: 3}
	paneltest.KeepAway(f)
	h := paneltest.Handler(f, panel.Config{Rules: paneltest.Rules})
	for path, want := range map[string][]string{
		"/search":                               {"Finds subscriptions and topics"},
		"/search?q=+":                           {"Finds subscriptions and topics"},
		"/search?q=BILL":                        {`href="/subscriptions/billing"`, `href="/messages/BILL"`},
		"/search?q=order":                       {`href="/topics/order.created"`, `href="/subscriptions/mailer"`, `href="/unrouted/0-3-0"`, `href="/unrouted?q=order"`},
		"/search?q=text":                        {"Dead letters of billing", `href="/subscriptions/billing/dead/0-1-0"`, `href="/subscriptions/billing/dead?q=text"`},
		"/search?q=nothing.at.all":              {"Nothing else is found", "Who wants nothing.at.all"},
		"/search?q=" + strings.Repeat("x", 300): {"the limit is 256"},
		"/topics":                               {`href="/topics/order.paid"`, "by 2 subscriptions", "2 topics"},
		"/topics?q=PAID":                        {"order.paid", "1 topic"},
		"/topics/order.created":                 {`href="/subscriptions/mailer"`, "Nobody wanted"},
		"/topics/oder.created":                  {`Did you mean <a href="/publish?topic=order.created"`},
		"/messages/m-1":                         {"READY", `href="/subscriptions/billing"`},
		"/subscriptions/billing/dead":           {"newest first", `href="/subscriptions/billing/dead?order=oldest"`, "Replay all 3"},
		"/subscriptions/billing/dead?q=text&order=oldest": {"2 dead letters found among the 3 searched", "Replay all that match", `data-match="text"`, `href="/subscriptions/billing/dead?q=text"`},
		"/unrouted?q=oder":    {"1 unrouted message found among the 3 searched", "Purge all that match"},
		"/unrouted?q=nothing": {"None matches"},
	} {
		w := paneltest.Get(t, h, path)
		if w.Code != http.StatusOK {
			t.Errorf("%s: %d %s", path, w.Code, w.Body)
		}
		for _, text := range want {
			if !strings.Contains(w.Body.String(), text) {
				t.Errorf("%s: %q is not in %s", path, text, w.Body)
			}
		}
	}
	for path, want := range map[string]int{"/messages/none": 404, "/topics/a..b": 422, "/topics/%3Cb%3E": 422, "/unrouted?after=x": 422} {
		if w := paneltest.Get(t, h, path); w.Code != want {
			t.Errorf("%s: %d, want %d", path, w.Code, want)
		}
	}
}
